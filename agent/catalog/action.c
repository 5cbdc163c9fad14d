/* What the catalog wants done: a queue that its owner drains. */
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"
#include "base/text.h"

void action_kick(struct catalog *c)
{
    c->kick_waiting = true;
}

static void forget(struct waiting_action *action)
{
    free(action->bytes);
    free(action->member);
    *action = (struct waiting_action){0};
}

/* Room for one more, zeroed; NULL without memory: then a sync is late, no more. */
static struct waiting_action *push(struct catalog *c)
{
    if (c->action_count == c->actions_capacity) {
        size_t larger = c->actions_capacity == 0 ? 8 : 2 * c->actions_capacity;
        struct waiting_action *actions = realloc(c->actions, larger * sizeof *actions);
        if (actions == NULL) {
            return NULL;
        }
        c->actions = actions;
        c->actions_capacity = larger;
    }
    struct waiting_action *action = &c->actions[c->action_count++];
    *action = (struct waiting_action){0};
    return action;
}

void action_open(struct catalog *c, const char *member)
{
    struct waiting_action *action = push(c);

    if (action == NULL) {
        return;
    }
    action->member = rc_text_copy(member);
    if (action->member == NULL) {
        c->action_count--;
        return;
    }
    action->action.type = CATALOG_STREAM_OPEN;
    action->action.member = action->member;
}

void action_send(struct catalog *c, uint64_t stream)
{
    struct waiting_action *action = push(c);

    if (action == NULL) {
        return;
    }
    action->action.type = CATALOG_STREAM_SEND;
    action->action.stream = stream;
    action->action.size = c->out.size;
    action->bytes = (uint8_t *)rc_buffer_steal(&c->out);
    action->action.bytes = action->bytes;
    c->counters.sync_bytes_sent += action->action.size;
}

void action_close(struct catalog *c, uint64_t stream)
{
    struct waiting_action *action = push(c);

    if (action != NULL) {
        action->action.type = CATALOG_STREAM_CLOSE;
        action->action.stream = stream;
    }
}

void action_forget_all(struct catalog *c)
{
    for (size_t i = 0; i < c->action_count; i++) {
        forget(&c->actions[i]);
    }
    free(c->actions);
    forget(&c->taken_action);
}

bool catalog_next_action(struct catalog *c, struct catalog_action *out)
{
    forget(&c->taken_action);
    if (c->kick_waiting) {
        c->kick_waiting = false;
        *out = (struct catalog_action){.type = CATALOG_KICK};
        return true;
    }
    if (c->action_count == 0) {
        return false;
    }
    c->taken_action = c->actions[0];
    c->action_count--;
    memmove(&c->actions[0], &c->actions[1], c->action_count * sizeof *c->actions);
    *out = c->taken_action.action;
    return true;
}

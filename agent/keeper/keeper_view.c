/* keeper_view.c - the pairs of a recursive read, sorted into one view. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/keeper_record.h"
#include "base/err.h"
#include "base/text.h"

void keeper_view_init(struct keeper_view *view, const char *me)
{
    *view = (struct keeper_view){.history = {.max = 1 << 20}};
    (void)rc_text_put(view->me, sizeof view->me, me);
}

void keeper_view_fini(struct keeper_view *view)
{
    rc_buffer_fini(&view->history);
}

void keeper_view_clear(struct keeper_view *view)
{
    struct rc_buffer history = view->history;
    char me[KEEPER_NODE_MAX];

    memcpy(me, view->me, sizeof me);
    rc_buffer_clear(&history);
    *view = (struct keeper_view){.history = history};
    memcpy(view->me, me, sizeof me);
}

static void place(struct keeper_place *at, const struct keeper_pair *pair)
{
    bool is_locked = pair->session != NULL && pair->session[0] != '\0';

    *at = (struct keeper_place){
        .exists = true, .index = pair->modify_index, .term = is_locked ? pair->term : 0};
    (void)rc_text_put(at->session, sizeof at->session, is_locked ? pair->session : "");
}

/* The seat of `node`, made in its place; NULL when all are taken. */
static struct keeper_seat *take_seat(struct keeper_view *view, const char *node)
{
    size_t at = 0;

    while (at < view->seat_count && strcmp(view->seats[at].node, node) < 0) {
        at++;
    }
    if (at < view->seat_count && strcmp(view->seats[at].node, node) == 0) {
        return &view->seats[at];
    }
    if (view->seat_count == KEEPER_MEMBERS_MAX) {
        return NULL;
    }
    memmove(&view->seats[at + 1], &view->seats[at],
            (view->seat_count - at) * sizeof *view->seats);
    view->seat_count++;
    view->seats[at] = (struct keeper_seat){.place = {.exists = true}};
    (void)rc_text_put(view->seats[at].node, KEEPER_NODE_MAX, node);
    return &view->seats[at];
}

static int add_member(struct keeper_view *view, const struct keeper_pair *pair,
                      const char *node)
{
    struct keeper_seat *seat =
        strlen(node) < KEEPER_NODE_MAX ? take_seat(view, node) : NULL;

    if (seat == NULL) {
        return RC_ETOOBIG;
    }
    place(&seat->place, pair);
    return keeper_member_read(pair->value, pair->size, &seat->record);
}

static int add_order(struct keeper_view *view, const struct keeper_pair *pair,
                     const char *node)
{
    if (strcmp(node, view->me) != 0) {
        return RC_OK;
    }
    place(&view->order_at, pair);
    return keeper_order_read(pair->value, pair->size, &view->order);
}

static int add_history(struct keeper_view *view, const struct keeper_pair *pair)
{
    place(&view->history_at, pair);
    rc_buffer_clear(&view->history);
    rc_buffer_append(&view->history, pair->value, pair->size);
    return view->history.err;
}

int keeper_view_add(struct keeper_view *view, const struct keeper_pair *pair)
{
    const char *key = pair->key;

    if (rc_text_starts_with(key, "member/")) {
        return add_member(view, pair, key + strlen("member/"));
    }
    if (rc_text_starts_with(key, "order/")) {
        return add_order(view, pair, key + strlen("order/"));
    }
    if (strcmp(key, "lease") == 0) {
        place(&view->lease_at, pair);
        return keeper_lease_read(pair->value, pair->size, &view->lease);
    }
    if (strcmp(key, "state") == 0) {
        place(&view->state_at, pair);
        return keeper_state_read(pair->value, pair->size, &view->state);
    }
    if (strcmp(key, "sync") == 0) {
        place(&view->sync_at, pair);
        return keeper_sync_read(pair->value, pair->size, &view->sync);
    }
    if (strcmp(key, "settings") == 0) {
        place(&view->settings_at, pair);
        return keeper_settings_read(pair->value, pair->size, &view->settings);
    }
    if (strcmp(key, "intent") == 0) {
        place(&view->intent_at, pair);
        return keeper_intent_read(pair->value, pair->size, &view->intent);
    }
    if (strcmp(key, "history") == 0) {
        return add_history(view, pair);
    }
    return RC_ENOTFOUND;
}

const struct keeper_seat *keeper_view_seat(const struct keeper_view *view,
                                           const char *node)
{
    for (size_t i = 0; i < view->seat_count; i++) {
        if (strcmp(view->seats[i].node, node) == 0) {
            return &view->seats[i];
        }
    }
    return NULL;
}

int keeper_view_copy(struct keeper_view *to, const struct keeper_view *from)
{
    struct rc_buffer history = to->history;

    rc_buffer_clear(&history);
    rc_buffer_append(&history, from->history.bytes, from->history.size);
    int err = history.err;
    *to = *from;
    to->history = history;
    return err;
}

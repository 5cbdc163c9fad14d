#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/cli/pg.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"

enum { WAIT_MS = 1000, MS_PER_S = 1000, NS_PER_MS = 1000000, STATE_SPACE = 200 };

enum progress { GOES_ON, DONE, GIVEN_UP };

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

struct aim {
    const char *id;
    const char *node;
    enum progress (*look)(const struct aim *aim, const json_t *view);
};

/* What the history says last, if it is about this. */
static const char *last_word(const json_t *view)
{
    const json_t *history = json_object_get(view, "History");
    size_t count = json_array_size(history);
    return count > 0 ? rc_json_read_text(json_array_get(history, count - 1), "Reason")
                     : "";
}

static enum progress look_at_move(const struct aim *aim, const json_t *view)
{
    const json_t *primary = json_object_get(view, "Primary");
    const json_t *intent = json_object_get(view, "Intent");
    bool writable = json_is_true(json_object_get(primary, "Writable"));

    if (writable && strcmp(rc_json_read_text(primary, "Node"), aim->node) == 0) {
        return DONE;
    }
    bool is_ours = strcmp(rc_json_read_text(intent, "ID"), aim->id) == 0;
    return writable && !is_ours ? GIVEN_UP : GOES_ON;
}

static enum progress look_at_order(const struct aim *aim, const json_t *view)
{
    const json_t *order = json_object_get(pg_member(view, aim->node), "Order");

    if (pg_member(view, aim->node) == NULL) {
        return GOES_ON; /* its keeper begins anew */
    }
    const json_t *member = pg_member(view, aim->node);
    bool is_ours = strcmp(rc_json_read_text(order, "ID"), aim->id) == 0;
    bool is_stop = is_ours && strcmp(rc_json_read_text(order, "Kind"), "stop") == 0;
    bool is_down = rc_json_read_text(member, "Role")[0] == '\0' &&
                   strcmp(rc_json_read_text(member, "State"), "stopped") == 0;

    /* Its keeper has taken it; what was asked for is that the server is down. */
    if (is_stop && !is_down) {
        return GOES_ON;
    }
    return is_ours && !json_is_true(json_object_get(order, "Done")) ? GOES_ON : DONE;
}

/* What the node is at, when that has changed since. */
static void tell_progress(const struct aim *aim, const json_t *view,
                          char told[STATE_SPACE])
{
    char now[STATE_SPACE];
    const json_t *member = pg_member(view, aim->node);
    const char *progress = rc_json_read_text(member, "Progress");

    (void)snprintf(now, sizeof now, "%s%s%s", rc_json_read_text(member, "State"),
                   progress[0] != '\0' ? ": " : "", progress);
    if (now[0] != '\0' && strcmp(now, told) != 0) {
        if (told[0] != '\0') {
            (void)fprintf(stderr, "%s is %s\n", aim->node, now);
        }
        memcpy(told, now, sizeof now);
    }
}

/* The last view is owned by the caller; NULL: the agent no longer answers. */
static json_t *follow(struct pg_cluster *cluster, const struct aim *aim, uint64_t wait_ms,
                      enum progress *out)
{
    uint64_t end_ms = now_ms() + wait_ms;
    json_t *view = NULL;

    char told[STATE_SPACE] = "";

    *out = GOES_ON;
    cluster->index = 0;
    while (*out == GOES_ON && now_ms() < end_ms) {
        json_decref(view);
        view = NULL;
        if (pg_read(cluster, cluster->index != 0 ? WAIT_MS : 0, &view) != RC_OK) {
            return NULL;
        }
        *out = aim->look(aim, view);
        tell_progress(aim, view, told);
    }
    return view;
}

int pg_follow_move(struct pg_cluster *cluster, const char *id, const char *to,
                   uint64_t wait_ms)
{
    const struct aim aim = {.id = id, .node = to, .look = look_at_move};
    uint64_t begun_ms = now_ms();
    enum progress progress;

    json_t *view = follow(cluster, &aim, wait_ms, &progress);
    if (view == NULL) {
        return CLI_FAILED;
    }
    if (progress == DONE) {
        (void)printf("%s is the primary of term %" PRIu64 ", %" PRIu64
                     " ms after it was asked for\n",
                     to, rc_json_read_number(view, "Term"), now_ms() - begun_ms);
    } else if (progress == GIVEN_UP) {
        cli_error("Error: it was given up; %s is the primary: %s",
                  rc_json_read_text(json_object_get(view, "Primary"), "Node"),
                  last_word(view));
    } else {
        cli_error("Error: not done after %" PRIu64
                  " ms; it may still happen: rollcall pg status",
                  wait_ms);
    }
    json_decref(view);
    return progress == DONE ? CLI_DONE : CLI_FAILED;
}

int pg_follow_order(struct pg_cluster *cluster, const char *id, const char *node,
                    uint64_t wait_ms)
{
    const struct aim aim = {.id = id, .node = node, .look = look_at_order};
    enum progress progress;

    json_t *view = follow(cluster, &aim, wait_ms, &progress);
    if (view == NULL) {
        return CLI_FAILED;
    }
    const json_t *member = pg_member(view, node);
    if (progress == DONE) {
        const char *problem = rc_json_read_text(member, "Problem");
        (void)printf("%s has done it, and is %s%s%s\n", node,
                     rc_json_read_text(member, "State"), problem[0] != '\0' ? ": " : "",
                     problem);
    } else {
        cli_error("Error: %s has not done it after %" PRIu64
                  " ms; it may still happen: rollcall pg status",
                  node, wait_ms);
    }
    json_decref(view);
    return progress == DONE ? CLI_DONE : CLI_FAILED;
}

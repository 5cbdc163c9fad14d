#include "agent/bound_sessions.h"

#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/store/store.h"
#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

enum { AGAIN_MS = 5000 };

struct bound {
    uint64_t bad_since_ms;
    uint64_t asked_ms; /* 0: not asked to end yet */
    uint64_t seen;     /* the step that saw it bad */
    char id[STORE_ID_SIZE];
};

struct bound_sessions {
    struct bound_sessions_options options;
    struct rc_table *bad; /* id -> struct bound */
    uint64_t steps;
};

struct bound_sessions *bound_sessions_create(const struct bound_sessions_options *options)
{
    struct bound_sessions *bound = calloc(1, sizeof *bound);

    if (bound == NULL) {
        return NULL;
    }
    bound->options = *options;
    bound->bad = rc_table_create(options->seed);
    if (bound->bad == NULL) {
        free(bound);
        return NULL;
    }
    return bound;
}

void bound_sessions_destroy(struct bound_sessions *bound)
{
    size_t position = 0;
    struct bound *item;

    if (bound == NULL) {
        return;
    }
    while ((item = rc_table_next(bound->bad, &position, NULL)) != NULL) {
        free(item);
    }
    rc_table_destroy(bound->bad);
    free(bound);
}

enum verdict { FINE, BAD_FOR_NOW, BAD };

static const struct catalog_check *find(const struct catalog_node *node, const char *id)
{
    for (size_t i = 0; i < node->check_count; i++) {
        if (rc_text_equals(node->checks[i]->id, id)) {
            return node->checks[i];
        }
    }
    return NULL;
}

static enum verdict judge_checks(const struct catalog_node *node, const char *const *ids,
                                 size_t count, const char **why)
{
    enum verdict worst = FINE;

    for (size_t i = 0; i < count; i++) {
        const struct catalog_check *check = find(node, ids[i]);
        bool gone = check == NULL;
        if (!gone && check->status != CHECK_CRITICAL) {
            continue;
        }
        bool of_gossip = rc_text_equals(ids[i], "serfHealth");
        *why = gone        ? "one of its checks is gone"
               : of_gossip ? "its node has failed"
                           : "one of its checks is critical";
        if (!gone && !of_gossip) {
            return BAD;
        }
        worst = BAD_FOR_NOW;
    }
    return worst;
}

static enum verdict judge(const struct bound_sessions *bound,
                          const struct store_session *session, const char **why)
{
    size_t checks = session->node_check_count + session->service_check_count;

    if (checks == 0 && session->ttl_ms > 0) {
        return FINE;
    }
    const struct catalog_node *node =
        catalog_node_find(bound->options.catalog, session->node);
    if (node == NULL) {
        *why = "its node has left";
        return BAD_FOR_NOW;
    }
    enum verdict of_node =
        judge_checks(node, session->node_checks, session->node_check_count, why);
    if (of_node == BAD) {
        return BAD;
    }
    enum verdict of_services =
        judge_checks(node, session->service_checks, session->service_check_count, why);
    return of_services > of_node ? of_services : of_node;
}

/* NULL when memory is out: then it is looked at again later. */
static struct bound *note(struct bound_sessions *bound, const char *id, uint64_t now_ms)
{
    struct bound *item = rc_table_get(bound->bad, id);

    if (item == NULL) {
        item = calloc(1, sizeof *item);
        if (item == NULL || rc_table_put(bound->bad, id, item, NULL) != RC_OK) {
            free(item);
            return NULL;
        }
        item->bad_since_ms = now_ms;
        (void)rc_text_put(item->id, sizeof item->id, id);
    }
    item->seen = bound->steps;
    return item;
}

/* Asks when its time has come; returns when that is, or when to ask again. */
static uint64_t ask(const struct bound_sessions *bound, struct bound *item,
                    enum verdict verdict, const char *why, uint64_t now_ms)
{
    uint64_t due_ms = verdict == BAD
                          ? item->bad_since_ms
                          : item->bad_since_ms + bound->options.node_timeout_ms;

    if (item->asked_ms != 0) {
        due_ms = item->asked_ms + AGAIN_MS;
    }
    if (now_ms < due_ms) {
        return due_ms;
    }
    item->asked_ms = now_ms;
    bound->options.end(bound->options.context, item->id, why);
    return now_ms + AGAIN_MS;
}

/* Those that are well again, or gone. */
static void forget(struct bound_sessions *bound)
{
    size_t position = 0;
    struct bound *item;

    while ((item = rc_table_next(bound->bad, &position, NULL)) != NULL) {
        if (item->seen != bound->steps) {
            (void)rc_table_remove(bound->bad, item->id);
            free(item);
        }
    }
}

uint64_t bound_sessions_step(struct bound_sessions *bound, uint64_t now_ms)
{
    struct store_session session;
    char after[STORE_ID_SIZE] = "";
    uint64_t next_ms = UINT64_MAX;

    bound->steps++;
    while (store_next_session(bound->options.store, after[0] != '\0' ? after : NULL,
                              &session)) {
        const char *why = "";
        memcpy(after, session.id, sizeof after);
        enum verdict verdict = judge(bound, &session, &why);
        struct bound *item = verdict != FINE ? note(bound, after, now_ms) : NULL;
        if (item != NULL) {
            uint64_t its_ms = ask(bound, item, verdict, why, now_ms);
            next_ms = its_ms < next_ms ? its_ms : next_ms;
        }
    }
    forget(bound);
    return next_ms;
}

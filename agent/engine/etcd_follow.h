/* etcd_follow.h - telling the follower everything, in order.
 *
 * Reads all keys at one revision, page by page, then watches from the next. A revision is told
 * only when the whole of it has come. A compaction answers a watch that came too late: then all
 * is read anew.
 *
 * What others write in the same cluster moves its revision and is not told to us, and a watch
 * may be dead without a word. Both are settled by a mark: a put to a hidden key of ours, whose
 * own event, once seen, proves that all before it was told. (Progress notifications would say
 * the same, but until etcd 3.4.25 they could run ahead of events: etcd issue 15220. They count
 * as a sign of life only.) A mark is put when somebody waits for a revision that does not come,
 * and when the watch has been silent for some seconds.
 *
 * Pure: asks through the asker, is told the time. */
#ifndef AGENT_ENGINE_ETCD_FOLLOW_H
#define AGENT_ENGINE_ETCD_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_events.h"

enum etcd_follow_state {
    ETCD_IDLE,
    ETCD_LOAD_DUE,
    ETCD_LOADING,
    ETCD_WATCH_DUE,
    ETCD_WATCHING
};

struct etcd_follow {
    struct etcd_asker *asker;    /* borrowed */
    struct rc_pack_bytes prefix; /* borrowed */
    struct engine_follower follower;

    enum etcd_follow_state state;
    uint64_t due_ms;   /* of ETCD_LOAD_DUE and ETCD_WATCH_DUE */
    unsigned failures; /* in a row */

    struct rc_buffer from;  /* key the next page begins with */
    uint64_t load_revision; /* 0: the first page is not there yet */
    uint64_t page_keys;
    uint64_t page_bytes; /* of the page that is being read */

    struct etcd_call *call; /* the watch */
    size_t endpoint;
    uint32_t avoided; /* bit of the endpoint whose watch was dead */
    bool has_broken;  /* must be begun anew once its own call has returned */
    uint64_t heard_ms;

    uint64_t reached;          /* told completely */
    uint64_t open;             /* revision whose events are coming; 0: none */
    struct etcd_events events; /* of it */

    uint64_t owed;    /* somebody waits for this revision */
    uint64_t owed_ms; /* since when */
    uint64_t mark_after_ms;
    bool is_marking;      /* a put of the mark is under way */
    uint64_t marked;      /* revision of the last mark that was put */
    uint64_t marked_ms;   /* when it was */
    uint64_t mark_due_ms; /* not before */

    bool has_compactor; /* the hidden key of etcd_look.h is there */
};

void etcd_follow_init(struct etcd_follow *follow, struct etcd_asker *asker,
                      struct rc_pack_bytes prefix);
/* Ends the watch. The asker is closed before. */
void etcd_follow_fini(struct etcd_follow *follow);

/* From now on `follower` is told. */
void etcd_follow_start(struct etcd_follow *follow,
                       const struct engine_follower *follower);

/* An answer said the store is at `revision`. */
void etcd_follow_owe(struct etcd_follow *follow, uint64_t revision);

/* A linearizable answer said `revision`, and when it was asked `reached` was told: if that is
 * more, the cluster was put back to an older state, and all is read anew. */
void etcd_follow_check(struct etcd_follow *follow, uint64_t reached, uint64_t revision);

/* Does what is due; returns when to be woken again, UINT64_MAX: not by the clock. */
uint64_t etcd_follow_wake(struct etcd_follow *follow, uint64_t now_ms);

#endif

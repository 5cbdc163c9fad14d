/* gossip.h - who is in the pool, and who has stopped answering.
 *
 * SWIM (Das et al. 2002) with Lifeguard (Dadgar et al. 2017) and Serf's layer on top, in
 * the wire protocol of HashiCorp's memberlist and Serf, so that their agents may join. A
 * pure state machine: no sockets, clock, files or logs. Feed it packets, streams and
 * time; drain its actions after every call; call gossip_tick() at gossip_deadline(). It does
 * not look up names, does not retry joins (see GOSSIP_JOIN_RESULT) and stores nothing.
 *
 * `now_ns` everywhere is one monotonic clock in nanoseconds that never goes back. */
#ifndef AGENT_GOSSIP_GOSSIP_H
#define AGENT_GOSSIP_GOSSIP_H

#include "agent/gossip/counters.h"
#include "agent/gossip/lane.h"
#include "agent/gossip/member.h"
#include "agent/gossip/profile.h"
#include "agent/gossip/query.h" /* gossip_query(), gossip_respond() */

struct gossip;

/* What the gossip objects of one process may have in common: the announcements of members, which
 * each of them would hold for itself otherwise. Not for threads. NULL when memory is out; it is
 * destroyed after the last of them. */
struct gossip_shared;
struct gossip_shared *gossip_shared_create(uint64_t seed);
void gossip_shared_destroy(struct gossip_shared *shared); /* NULL is allowed */

/* Lamport's: of joins and leaves, of user events, of queries. */
enum gossip_clock {
    GOSSIP_CLOCK_STATUS,
    GOSSIP_CLOCK_EVENT,
    GOSSIP_CLOCK_QUERY,
    GOSSIP_CLOCK_COUNT
};

enum { GOSSIP_KEYS_MAX = 8, GOSSIP_LABEL_MAX = 255, GOSSIP_TAGS_MAX = 64 };

struct gossip_key {
    uint8_t bytes[32];
    size_t size; /* 16, 24 or 32 */
};

/* While encryption is switched on, or off, in a running pool (Consul's encrypt_verify_*):
 * both false, as at the end, means that all is encrypted and nothing plain is taken. Without
 * keys it says nothing. */
struct gossip_cover {
    bool sends_plain; /* we do not encrypt yet */
    bool takes_plain; /* what others send may be plain */
};

/* What changed in the keyring. FOLLOWED: we were alone, and a member told us,
 * under another key of ours, that it could not read us; that key is the first one now. */
enum gossip_key_change {
    GOSSIP_KEY_INSTALLED,
    GOSSIP_KEY_USED,
    GOSSIP_KEY_REMOVED,
    GOSSIP_KEY_FOLLOWED,
    GOSSIP_KEY_CHANGE_COUNT
};

struct gossip_options {
    const char *name;          /* unique in the pool: letters, digits, '-' and '.' */
    struct rc_address address; /* where others reach us, UDP and TCP; with a port */
    const struct gossip_tag *tags;
    size_t tag_count;
    const struct gossip_profile *profile; /* static; NULL: lan */
    uint32_t incarnation; /* start here: above what the last run had; 0 means 1 */
    struct gossip_cover cover;
    /* Of the last run, as gossip_clocks() gave them; 0: unknown. Events and queries up to
     * then are not delivered again. */
    uint64_t clocks[GOSSIP_CLOCK_COUNT];
    const struct gossip_key *keys; /* the first one encrypts; none: plain packets */
    size_t key_count;
    const char *label;    /* NULL or "": none */
    uint64_t random_seed; /* the same seed and inputs give the same actions */
    void (*nonce)(void *ctx, uint8_t *out, size_t size); /* needed with keys */
    void *nonce_ctx;
    /* The keys as they will be after a change that the pool asks for, the first one first;
     * borrowed. It is made, and confirmed to the asker, only if this returns RC_OK. NULL:
     * nothing is kept. */
    int (*keep_keys)(void *ctx, enum gossip_key_change change,
                     const struct gossip_key *keys, size_t count);
    void *keep_keys_ctx;
    struct gossip_lane lane;
    struct gossip_shared *shared; /* borrowed; NULL: nothing */
};

/* Creates a pool of one member, ourselves, alive. `options` is copied. On RC_OK `*out` is the
 * caller's, who ends it with gossip_destroy().
 *
 * Returns RC_OK, RC_EINVAL (name, address, tags, label, a key's size, or keys without nonce),
 * RC_ENOTFOUND (a key needs libcrypto, which is not there) or RC_ENOMEM. */
int gossip_create(const struct gossip_options *options, uint64_t now_ns,
                  struct gossip **out);

/* Frees `g` and all it knows. NULL is allowed. */
void gossip_destroy(struct gossip *g);

/* ---- What happens outside. */

/* One datagram. What does not parse changes nothing but the counters. */
void gossip_packet(struct gossip *g, uint64_t now_ns, const struct rc_address *from,
                   const uint8_t *bytes, size_t size);

/* A packet could not be sent (a full socket, no route, a firewall of ours): as good as lost. */
void gossip_unsent(struct gossip *g);

/* Somebody connected. RC_OK with the stream's id, or RC_ETOOBIG: close it at once. */
int gossip_stream_accepted(struct gossip *g, uint64_t now_ns,
                           const struct rc_address *from, uint32_t *out);
void gossip_stream_data(struct gossip *g, uint64_t now_ns, uint32_t stream,
                        const uint8_t *bytes, size_t size);
/* Connecting failed, the other side closed, or an error: the id is dead. Not after
 * GOSSIP_STREAM_CLOSE, and harmless then. */
void gossip_stream_closed(struct gossip *g, uint64_t now_ns, uint32_t stream);

/* Does what is due; call it at gossip_deadline(), earlier does no harm. */
void gossip_tick(struct gossip *g, uint64_t now_ns);
uint64_t gossip_deadline(const struct gossip *g);

/* ---- What the owner wants. */

/* Exchanges states with each address; one GOSSIP_JOIN_RESULT for each. Whoever joins alone is
 * not told the user events from before it came; who comes back after a cut is. RC_OK,
 * RC_ENOMEM, RC_ECLOSED (we have left). */
int gossip_join(struct gossip *g, uint64_t now_ns, const struct rc_address *addresses,
                size_t count);

/* Says goodbye; GOSSIP_LEFT_POOL tells when it is safe to stop (a few gossip ticks, then
 * leave_propagate_ms). Calling it again does nothing. */
void gossip_leave(struct gossip *g, uint64_t now_ns);

/* Declares a failed member left; PRUNE also erases it. RC_OK, RC_ENOTFOUND. */
enum gossip_prune { GOSSIP_KEEP, GOSSIP_PRUNE };
int gossip_force_leave(struct gossip *g, uint64_t now_ns, const char *name,
                       enum gossip_prune prune);

/* Replaces our tags (copied) and tells everybody. RC_OK, RC_EINVAL, RC_ETOOBIG, RC_ENOMEM. */
int gossip_set_tags(struct gossip *g, uint64_t now_ns, const struct gossip_tag *tags,
                    size_t count);

/* Only with keys it makes a difference; streams that stand keep the way they began. */
void gossip_set_cover(struct gossip *g, struct gossip_cover cover);

/* Sends a user event to all members, ourselves included. COALESCE lets receivers that wish
 * to keep only the last one of a name in a while (Serf's handlers do; the core does not, it
 * passes the wish on). RC_OK, RC_ETOOBIG (name and payload, or the encoded message, over
 * GOSSIP_EVENT_SIZE_MAX), RC_EINVAL (no name), RC_ECLOSED (we have left). */
enum { GOSSIP_EVENT_SIZE_MAX = 512 };
enum gossip_coalesce { GOSSIP_EACH, GOSSIP_COALESCE };
int gossip_user_event(struct gossip *g, uint64_t now_ns, const char *name,
                      const uint8_t *payload, size_t size, enum gossip_coalesce coalesce);

/* ---- What it wants done. */

enum gossip_action_type {
    GOSSIP_SEND_PACKET, /* `bytes` to `address` by UDP */
    GOSSIP_STREAM_OPEN, /* connect `stream` to `address`; data may follow before it stands */
    GOSSIP_STREAM_SEND,  /* `bytes` on `stream` */
    GOSSIP_STREAM_CLOSE, /* flush, then close `stream`; its id is dead */
    GOSSIP_MEMBER_EVENT, /* `event` about `member`, which stands at `status` */
    GOSSIP_USER_EVENT,   /* `name`, `bytes`, `ltime`, `coalesce` */
    GOSSIP_QUERY, /* `asker` asks us: `name`, `bytes`, `ltime`, `id`; gossip_respond() within
                     `timeout_ms` from now, or not at all */
    GOSSIP_QUERY_ACK,      /* `name` has heard our query `id` */
    GOSSIP_QUERY_RESPONSE, /* `name` answers our query `id`: `bytes` */
    GOSSIP_QUERY_DONE,     /* the time of our query `id` is up: nothing more comes */
    GOSSIP_JOIN_RESULT, /* of `address`: `err` RC_OK, RC_ETIMEOUT, RC_ECLOSED, RC_EDENIED
                             (keys differ), RC_EUNSUPPORTED (it does not encrypt, we do), RC_EMALFORMED, RC_ECONFLICT (merge refused) */
    GOSSIP_NAME_CONFLICT, /* `address` uses the name of `member` (which may be us) */
    GOSSIP_NAME_LOST, /* the pool has voted: our name belongs to `address`. We are out: nothing
                         is sent any more, the owner should stop and say why */
    GOSSIP_TCP_ONLY, /* `member` answers probes by TCP, twice running, but not by UDP */
    GOSSIP_REFUSED, /* what `address` sends is refused: `refusal`, `count` times by now; each
                       kind at most once a minute and address. Port 0: it came by TCP */
    GOSSIP_UNSEEN, /* a join worked, but the member at `address` does not count us in: `err`
                       RC_ENOTFOUND (it does not know us), RC_ECONFLICT (it knows our name
                       elsewhere). Looked at again until it does */
    GOSSIP_LEFT_POOL, /* leaving is complete */
    GOSSIP_ACTION_TYPE_COUNT
};

enum gossip_member_event {
    GOSSIP_EVENT_JOIN,    /* new, or back */
    GOSSIP_EVENT_UPDATE,  /* its tags or address changed */
    GOSSIP_EVENT_SUSPECT, /* suspected; the next event tells how it ends */
    GOSSIP_EVENT_ALIVE,   /* refuted the suspicion, or took its leave back */
    GOSSIP_EVENT_LEAVING,
    GOSSIP_EVENT_LEFT,
    GOSSIP_EVENT_FAILED,
    GOSSIP_EVENT_REAP, /* forgotten; `member` is freed after this action */
    GOSSIP_MEMBER_EVENT_COUNT
};

struct gossip_action {
    enum gossip_action_type type;
    struct rc_address address;
    uint32_t stream;
    const uint8_t *bytes;
    size_t size;
    enum gossip_member_event event;
    const struct gossip_member *member; /* as it is now, maybe newer than the event */
    enum gossip_status status;          /* at the time of the event */
    const char *name;
    const char *asker; /* the member that asks, as it says */
    uint64_t ltime;
    uint32_t id;
    uint32_t timeout_ms;
    enum gossip_coalesce coalesce;
    enum gossip_refusal refusal;
    uint64_t count;
    int err;
};

/* The next thing to do. What `out` points to is borrowed until the next call of any gossip
 * function. False: nothing left. */
bool gossip_next_action(struct gossip *g, struct gossip_action *out);

const char *gossip_member_event_name(enum gossip_member_event event);

/* ---- What is known. Borrowed until the next call that takes now_ns or drains actions. */

const struct gossip_member *gossip_self(const struct gossip *g);
const struct gossip_member *gossip_find(const struct gossip *g, const char *name);

/* All members, ourselves included, in the order they were met: start with `*position` = 0,
 * NULL at the end. */
const struct gossip_member *gossip_next_member(const struct gossip *g, size_t *position);
size_t gossip_member_count(const struct gossip *g); /* of any status */

/* 0 is well; grows while our own probes go wrong (Lifeguard's local health). */
uint32_t gossip_health_score(const struct gossip *g);

/* How we encrypt. */
struct gossip_encryption {
    size_t key_count; /* 0: not at all */
    struct gossip_cover cover;
    const char
        *cipher; /* under the first key, and by whom: "AES-256-GCM, libsodium"; static;
                           "" without keys */
    char fingerprint[17]; /* of the first key, no secret; "" without keys */
};
void gossip_encryption(const struct gossip *g, struct gossip_encryption *out);
bool gossip_is_encrypted(const struct gossip *g); /* has keys */

/* Traffic and refusals since creation, and lengths as they are now. */
void gossip_counters(const struct gossip *g, struct gossip_counters *out);

/* The Lamport times that come next. */
void gossip_clocks(const struct gossip *g, uint64_t out[GOSSIP_CLOCK_COUNT]);

/* Network coordinate (Vivaldi), seconds. */
struct gossip_coordinate {
    double vec[8];
    double error;
    double adjustment;
    double height;
};

/* Of a member or of ourselves. RC_OK, or RC_ENOTFOUND when not measured yet. */
int gossip_coordinate(const struct gossip *g, const char *name,
                      struct gossip_coordinate *out);
/* Estimated round trip between two coordinates, in seconds. */
double gossip_coordinate_distance(const struct gossip_coordinate *a,
                                  const struct gossip_coordinate *b);

#endif

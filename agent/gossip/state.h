/* state.h - the inside of struct gossip, for the files of this folder only. */
#ifndef AGENT_GOSSIP_STATE_H
#define AGENT_GOSSIP_STATE_H

#include "agent/gossip/broadcast.h"
#include "agent/gossip/diary.h"
#include "agent/gossip/envelope.h"
#include "agent/gossip/offenders.h"
#include "agent/gossip/outbox.h"
#include "agent/gossip/roster.h"
#include "base/random.h"

enum { NS_PER_MS = 1000000 };

/* Who we say we are: protocol 1-5 speaking 2, Serf 2-5 speaking 5. */
enum { PROTOCOL_MIN = 1, PROTOCOL_MAX = 5, PROTOCOL = 2 };
enum { DELEGATE_MIN = 2, DELEGATE_MAX = 5, DELEGATE = 5 };

enum gossip_queue {
    QUEUE_MEMBERSHIP,
    QUEUE_INTENTS,
    QUEUE_QUERIES,
    QUEUE_EVENTS,
    QUEUE_COUNT
};

enum {
    PROBE_RELAYS_MAX = 128, /* others asked us to probe for them */
    PROBE_ROUNDS_MAX = 4,   /* rounds of ours at a time, where they may overlap */
    PROBE_CALLS_MAX = 12,   /* those, and second opinions on suspects */
    PROBE_SILENT_ROUNDS = 3 /* rounds without any answer until we distrust our ears */
};

struct probe_relay {
    struct deadline deadline;
    bool is_used;
    bool wants_nack;    /* and has had none yet */
    uint32_t seq;       /* of our ping */
    uint32_t their_seq; /* of their request */
    uint64_t sent_ns;
    struct rc_address requester;
};

/* One member asked whether it lives. */
struct probe_call {
    struct deadline timeout; /* then others are asked */
    struct deadline end;     /* then it has failed */
    struct member *target;   /* NULL: free */
    uint64_t started_ns;
    uint32_t seq;
    uint32_t asked; /* others */
    uint32_t nacks_wanted;
    uint32_t nacks;
    bool tcp_answered;
    bool tcp_failed;        /* refused, or broke off */
    bool is_second_opinion; /* out of turn, on somebody whom another suspects */
};

struct probe {
    struct deadline round; /* the protocol period */
    struct probe_call calls[PROBE_CALLS_MAX];
    uint32_t silent_rounds;     /* in a row, without an answer from anyone */
    uint32_t acks;              /* sent, all in all */
    size_t next;                /* place in the roster's list */
    struct probe_relay *relays; /* PROBE_RELAYS_MAX of them; allocated when first asked */
};

enum { SERF_RING_SIZE = 512, SERF_SLOT_MAX = 64, SERF_RING_BYTES_MAX = 1024 * 1024 };

/* An event or a query we have seen. */
struct serf_seen {
    struct serf_seen *next;
    uint32_t id; /* of a query */
    size_t name_size;
    size_t payload_size;
    bool has_payload;
    uint8_t bytes[]; /* name, payload */
};

struct serf_slot {
    uint64_t ltime;
    size_t count;
    struct serf_seen *seen;
};

struct serf_ring {
    struct serf_slot *slots; /* SERF_RING_SIZE of them; allocated when first needed */
    size_t bytes;
};

/* Whether a name belongs to us or to another is put to the vote. */
struct conflict {
    struct deadline deadline; /* of the question */
    bool is_asked;
    uint32_t answers; /* that know a living member of our name */
    uint32_t ours;    /* of them, at our address */
    struct rc_address other;
};

struct serf {
    uint64_t clocks[GOSSIP_CLOCK_COUNT];
    struct rc_table *intents; /* struct serf_intent by name: about members not met yet */
    uint64_t announced_ns;    /* when we last said that we are here */
    uint64_t announcement_id; /* of that join intent, in its queue */
    struct deadline prune;
    struct serf_ring events;
    struct serf_ring queries;
    uint64_t
        event_min; /* older ones were delivered in an earlier life, or are not wanted */
    uint64_t query_min;
    struct query *asked[GOSSIP_QUERIES_MAX]; /* ours, open */
    size_t asked_count;
    struct served *served; /* of others, that the owner may answer */
    size_t served_count;
    struct conflict conflict;
};

enum leave_stage { LEAVE_NOT, LEAVE_INTENT, LEAVE_DEAD, LEAVE_LINGER, LEAVE_DONE };

struct leave {
    enum leave_stage stage;
    struct deadline deadline;
    uint64_t broadcast_id;
    uint64_t until_ns; /* of this stage */
};

struct join_check {
    struct deadline deadline;
    struct rc_address peer;
    uint32_t looks;  /* in vain */
    uint32_t losses; /* exchanges that broke off */
    bool is_looking;
    bool is_seen;
    bool is_elsewhere;
};

enum { STREAMS_MAX = 256, STREAMS_BYTES_MAX = 64 * 1024 * 1024 };

struct gossip {
    const struct gossip_profile *profile;
    struct gossip_lane lane;
    struct envelope envelope;
    int (*keep_keys)(void *ctx, enum gossip_key_change change,
                     const struct gossip_key *keys, size_t count); /* may be NULL */
    void *keep_keys_ctx;
    struct rc_random random;
    uint64_t hash_seed;
    uint64_t now_ns;
    bool is_out; /* the pool has voted us out: we say and hear nothing more */

    struct roster roster;
    struct member *self;
    struct deadline_heap deadlines;
    struct outbox outbox;
    struct member *taken; /* of the action the owner has in hand */
    struct gossip_counters counters;
    struct diary diary;
    struct diary_why why; /* of the next change of a member's status */
    struct offenders offenders;
    const struct rc_address *source; /* of what is being read; NULL: nobody's */

    struct broadcast_queue queues[QUEUE_COUNT];
    struct rc_buffer opened;   /* a packet's plain bytes */
    struct rc_buffer unpacked; /* what was compressed in it */
    struct rc_buffer message;  /* one message being written */
    struct rc_buffer parts;    /* a packet being filled */
    struct rc_buffer plain;    /* the same, joined */

    struct probe probe;
    uint32_t health;
    uint32_t next_seq;
    struct coordinate_self coordinate;

    struct serf serf;
    struct leave leave;
    struct join_check join_check;
    struct deadline gossip_tick;
    struct deadline push_pull;
    struct deadline reap;
    struct deadline reconnect;
    struct deadline kick;
    uint64_t last_kick_ns;
    uint64_t kicks_paid_ns; /* the credit for kicks is used up to then */
    struct deadline news;
    uint64_t last_news_ns;
    uint64_t last_greeting_ns; /* exchange with a stranger that probed us */
    uint64_t last_packet;      /* number of the last one we filled */
    uint64_t announcement_id;  /* of our last alive message, in its queue */

    struct gossip_stream *streams[STREAMS_MAX];
    size_t stream_count;
    uint32_t next_stream;
};

/* Counts a refusal, against whoever sent what is being read. */
void gossip_refuse(struct gossip *g, enum gossip_refusal why);

/* Counts what the key at `place` of the ring opened; the ring's count: it was plain. */
void gossip_count_opened(struct gossip *g, size_t place);

/* Notes in the diary that `member` goes `from` one status `to` another because of g->why, which
 * is used up. */
void gossip_note(struct gossip *g, const struct member *member, unsigned from,
                 unsigned to);

/* Sets `deadline` to `wait_ms` from now. */
void gossip_arm(struct gossip *g, struct deadline *deadline, uint64_t wait_ms);

/* Tells the owner something; counts if it does not listen. */
void gossip_tell(struct gossip *g, const struct gossip_action *action);

/* Transmissions of one message by one member, memberlist's limit. */
uint32_t gossip_retransmits(const struct gossip *g);

/* memberlist's n > 32 stretch of the push/pull interval. */
uint64_t gossip_push_pull_ms(const struct gossip *g);

uint64_t gossip_now_ms(const struct gossip *g);
struct rc_pack_bytes gossip_own_name(const struct gossip *g);
struct rc_pack_bytes gossip_ip_bytes(const struct rc_address *address);

/* An address from the wire. Port 0 means our own port, as in memberlist. RC_OK or
 * RC_EMALFORMED. */
int gossip_read_address(const struct gossip *g, struct rc_pack_bytes ip, uint16_t port,
                        struct rc_address *out);

#endif

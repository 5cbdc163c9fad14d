/* sim_state.h - what the simulator is made of, for the files of this folder only. */
#ifndef TESTS_SIM_SIM_STATE_H
#define TESTS_SIM_SIM_STATE_H

#include "agent/lane.h"
#include "base/random.h"
#include "base/table.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_measure.h"

enum {
    SIM_NODES_MAX = 20000,
    SIM_TRACE_LINES = 60,
    SIM_TRACE_LINE = 120,
    SIM_GOSSIP_PORT = 8301
};

#define SIM_MS     1000000ULL
#define SIM_SECOND (1000 * SIM_MS)

/* ---- sim_queue.c: what will happen, soonest first */

enum event_type {
    EVENT_TICK,
    EVENT_PACKET,
    EVENT_CONNECT, /* arrives at the side that listens */
    EVENT_DATA,
    EVENT_CLOSED,
    EVENT_REJOIN, /* a node that could not join tries again */
    EVENT_RETURN, /* a node that gave up starts again */
    EVENT_STEP,   /* of the plan: begins, or (end = 1) is undone */
    EVENT_SECOND  /* properties and digest */
};

enum { NO_LINE = -1 };

struct event {
    enum event_type type;
    uint32_t node; /* to whom */
    uint64_t life; /* of that node; another life does not get it */
    int32_t line;  /* streams: which, and which end */
    uint32_t end;
    uint64_t step;
    struct rc_address from;
    size_t size;
    uint8_t bytes[];
};

struct queue_place {
    uint64_t at_ns;
    uint64_t order; /* equal times keep the order of their making */
    struct event *event;
};

struct queue {
    struct queue_place *heap;
    size_t count;
    size_t capacity;
    uint64_t order;
};

/* A zeroed event; `size` bytes are copied into it. */
struct event *queue_event(enum event_type type, const uint8_t *bytes, size_t size);
void queue_push(struct queue *queue, uint64_t at_ns, struct event *event); /* taken */
/* The first event up to `until_ns`, now the caller's to free(), or NULL. */
struct event *queue_pop(struct queue *queue, uint64_t until_ns, uint64_t *at_ns);
void queue_fini(struct queue *queue);

/* ---- nodes */

/* A stream: two ends, each with the id its node knows it by. */
struct line {
    uint32_t node[2];
    uint64_t life[2];
    uint32_t id[2];      /* 0: not (or no more) known there */
    uint64_t last_ns[2]; /* when the latest bytes towards that end arrive */
    uint32_t pending;    /* events under way; the place is used again after the last */
    int32_t next_free;
};

/* A stream as its node sees it. */
struct open_line {
    uint32_t id;
    int32_t line;
};

/* The clock of one node: local = local_ns + (now - base_ns) x rate_ppm / 1 000 000. */
struct skewed_clock {
    uint64_t base_ns;
    uint64_t local_ns;
    uint32_t rate_ppm;
    int64_t wall_offset_ms;
};

/* What a node was last told of another by its own core. */
struct seen {
    uint32_t incarnation;
    uint8_t status; /* enum gossip_status; SEEN_NEVER: not met, or forgotten */
    uint8_t unused[3];
};
enum { SEEN_NEVER = 255 };

/* How far a node knew another's record when that was last looked at. */
struct known {
    uint64_t epoch;
    uint64_t version;
};

struct disk {
    struct rc_buffer epoch; /* of the catalog */
    uint32_t incarnation;
};

/* When a service of a node was taken away; version 0: it is there. */
struct gone {
    uint64_t epoch;
    uint64_t version;
};

struct node {
    char name[16];
    uint32_t number;
    struct rc_address address;
    struct rc_address outside; /* as others see it behind a NAT */
    uint32_t moves;
    struct gossip *gossip;   /* NULL: not running */
    struct catalog *catalog; /* NULL likewise, and in pools without catalogs */
    struct lane lane;
    struct rc_random nonces;
    struct skewed_clock clock;
    uint64_t life;
    uint64_t tick_ns; /* of the tick event that counts */
    uint64_t paused_until_ns;
    uint64_t shaken_ns; /* the last fault it felt: failures soon after are not false */
    bool is_there;      /* runs and does not leave: others should see it alive */
    bool has_left;      /* the core said so: it stops at the end of this turn */
    bool has_lost_name;
    bool wants_pool; /* joins again if joining fails */
    struct disk disk;
    struct disk backup; /* of the life before */
    bool disk_lost;     /* ever: it may say again what it already said */

    unsigned group;
    bool traits[SIM_TRAIT_COUNT];
    uint32_t cuts_towards; /* one-way cuts of what should reach it */
    bool host_is_up;       /* refuses streams instead of swallowing them */
    uint64_t deaf_until_ns;
    uint64_t line_free_ns; /* when its own line has sent what it has to send */
    struct open_line *open;
    size_t open_count;
    size_t open_capacity;

    struct seen *seen; /* of others, by number */
    size_t seen_count;
    struct known *known; /* with catalogs */
    size_t known_count;
    uint32_t wrong;     /* running nodes that are wrong about it */
    uint32_t suspected; /* highest incarnation anybody suspected */
    bool was_suspected;
    uint64_t sent_bytes;    /* in packets, since the last virtual second */
    struct rc_table *past;  /* print of each item it ever told */
    struct rc_table *gone;  /* service id -> struct gone */
    uint64_t noted_version; /* of its record when that was last looked at */
};

struct sim {
    struct sim_options options;
    struct gossip_profile profile;
    struct rc_random network;
    struct rc_random cores;   /* seeds of everything that runs on nodes */
    struct rc_random choices; /* whom to join through: part of the workload */
    struct node **nodes;
    size_t node_count;
    size_t running_count;
    size_t nodes_capacity;
    struct gossip_shared *shared; /* what all nodes know of each other, once */
    struct rc_table *hosts;       /* node by address */
    struct rc_table *cuts;        /* one-way, by pair */
    uint32_t weather[SIM_WEATHER_COUNT];
    uint64_t now_ns;
    struct queue queue;
    struct line *lines;
    int32_t line_count;
    int32_t lines_capacity;
    int32_t free_line;
    bool is_strict; /* a false failure fails the run */
    size_t false_failures;
    size_t failures_of_the_calm;
    uint64_t wrong_pairs;
    uint64_t digest;
    size_t digest_turn;
    size_t pair_turn;
    struct measure measure;
    const struct sim_step *steps; /* of the plan; borrowed */
    void (*on_step)(struct sim *sim, uint64_t step, uint32_t end);
    bool is_hushed;     /* keeps no trace for the time being, unless it is printed */
    bool is_tracing;    /* to stdout as it happens */
    const char *replay; /* the command line; borrowed */
    char trace[SIM_TRACE_LINES][SIM_TRACE_LINE];
    size_t traced;
};

/* ---- sim_node.c: a node's life */
void node_start(struct sim *sim, struct node *node);
void node_stop(struct sim *sim, struct node *node);
/* Does everything that its cores want done, until they are quiet. */
void node_settle(struct sim *sim, struct node *node);
/* Hands an event to its cores. */
void node_deliver(struct sim *sim, struct node *node, const struct event *event);
void node_join_somebody(struct sim *sim, struct node *node);
struct node *node_add(struct sim *sim);
void node_free(struct node *node);
void node_settle_in(struct sim *sim, struct node *node); /* gives it an address */

uint64_t node_clock_ns(const struct sim *sim, const struct node *node);
uint64_t node_clock_ms(const struct sim *sim, const struct node *node);
uint64_t node_wall_ms(const struct sim *sim, const struct node *node);
void node_set_rate(struct sim *sim, struct node *node, uint32_t ppm);

/* ---- sim_net.c: packets, and who reaches whom */
enum net_kind { NET_PACKET, NET_STREAM };
bool net_reaches(const struct sim *sim, const struct node *from, const struct node *to,
                 enum net_kind kind);
struct node *net_host(const struct sim *sim, const struct rc_address *address);
void net_add_host(struct sim *sim, const struct rc_address *address, struct node *node);
void net_packet(struct sim *sim, struct node *from, const struct gossip_action *action);
uint64_t net_delay_ns(struct sim *sim);
/* When `size` bytes that `from` sends now have left it. */
uint64_t net_sent_ns(struct sim *sim, struct node *from, size_t size);

/* ---- sim_line.c */
void line_open(struct sim *sim, struct node *from, const struct gossip_action *action);
void line_send(struct sim *sim, struct node *from, const struct gossip_action *action);
void line_close(struct sim *sim, struct node *from, uint32_t id);
void line_connected(struct sim *sim, struct node *node, const struct event *event);
void line_arrived(struct sim *sim, struct node *node, const struct event *event);
void line_event_done(struct sim *sim, const struct event *event);
enum line_end { LINE_RESET, LINE_SILENT };
void line_drop_all(struct sim *sim, struct node *node, enum line_end how);

/* ---- sim_check.c, sim_catalogs.c: what must hold at every moment */
void check_member(struct sim *sim, struct node *node, const struct gossip_action *action);
void check_start(struct sim *sim, struct node *node);
void check_gone(struct sim *sim, struct node *node); /* it crashes, or begins to leave */
void check_second(struct sim *sim);
void check_note(struct sim *sim, struct node *node); /* what it tells, if that is new */
void check_forget_gone(struct node *node);
void check_pairs(struct sim *sim);
uint64_t check_print(const struct catalog *c);
bool check_living_agree(const struct sim *sim);      /* on all that are there */
void check_print_differences(const struct sim *sim); /* to stderr */
void check_mix(struct sim *sim, uint64_t number);    /* into the digest */

/* ---- sim.c */
void sim_shake_all(struct sim *sim); /* failures soon after are nobody's fault */

/* ---- sim_trace.c */
void sim_trace(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_print_trace(const struct sim *sim);
void *sim_memory(void *memory); /* ends the program if NULL */
void sim_must(int err, const char *what);

#endif

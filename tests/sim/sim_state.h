/* sim_state.h - what the simulator is made of, for the files of this folder only. */
#ifndef TESTS_SIM_SIM_STATE_H
#define TESTS_SIM_SIM_STATE_H

#include "agent/lane.h"
#include "base/random.h"
#include "base/table.h"
#include "tests/sim/sim.h"

enum {
    SIM_NODES_MAX = 128,
    SIM_TRACE_LINES = 60,
    SIM_TRACE_LINE = 120,
    SIM_GOSSIP_PORT = 8301
};

#define SIM_MS     1000000ULL
#define SIM_SECOND (1000 * SIM_MS)

enum event_type {
    EVENT_TICK,
    EVENT_PACKET,
    EVENT_CONNECT, /* arrives at the side that listens */
    EVENT_DATA,
    EVENT_CLOSED,
    EVENT_SECOND /* properties and digest */
};

/* Something that happens at a time. Equal times keep the order of their making. */
struct event {
    uint64_t at_ns;
    uint64_t order;
    enum event_type type;
    size_t node;   /* to whom */
    uint64_t life; /* of that node; another life does not get it */
    size_t line;   /* streams: which, and which end */
    unsigned end;
    struct rc_address from;
    uint8_t *bytes; /* owned */
    size_t size;
};

/* A stream: two ends, each with the id its node knows it by. */
struct line {
    size_t node[2];
    uint64_t life[2];
    uint32_t id[2];      /* 0: not (or no more) known there */
    uint64_t last_ns[2]; /* when the latest bytes towards that end arrive */
};

struct node {
    char name[16];
    struct rc_address address;
    struct gossip *gossip;   /* NULL: not running */
    struct catalog *catalog; /* NULL likewise */
    struct lane lane;
    struct rc_random nonces;
    uint64_t life;
    uint64_t tick_ns; /* of the tick event that counts */
    uint64_t paused_until_ns;
    uint64_t
        shaken_ns; /* last crash, pause, partition: failures then are no false ones */
    unsigned group;
    bool leaving;
    struct rc_buffer disk; /* the catalog's epoch */
    uint32_t incarnation;  /* on disk */
    bool disk_lost;
    uint32_t seen_incarnation[SIM_NODES_MAX]; /* of others, by number */
    struct rc_table *past;                    /* print of each item it ever told */
    uint64_t noted_version; /* of its record when that was last looked at */
};

struct sim {
    struct sim_options options;
    struct rc_random network;
    struct node *nodes; /* SIM_NODES_MAX; so that their addresses stay */
    size_t node_count;
    uint64_t now_ns;
    struct event *events; /* a heap */
    size_t event_count;
    size_t events_capacity;
    uint64_t order;
    struct line *lines;
    size_t line_count;
    size_t lines_capacity;
    size_t false_failures;
    size_t failures_of_the_calm;
    uint64_t digest;
    char trace[SIM_TRACE_LINES][SIM_TRACE_LINE];
    size_t traced;
};

/* ---- sim_net.c: the network and the clock */
void net_push(struct sim *sim, const struct event *event); /* takes event->bytes */
bool net_pop(struct sim *sim, uint64_t until_ns, struct event *out);
void net_packet(struct sim *sim, size_t from, const struct gossip_action *action);
void net_open(struct sim *sim, size_t from, const struct gossip_action *action);
void net_send(struct sim *sim, size_t from, const struct gossip_action *action);
void net_close(struct sim *sim, size_t from, uint32_t stream);
void net_cut(struct sim *sim, size_t place);      /* both ends see it closed */
void net_reset_all(struct sim *sim, size_t node); /* its host is gone */
bool net_reaches(const struct sim *sim, size_t from, size_t to);
size_t net_node_at(const struct sim *sim, const struct rc_address *address);

/* ---- sim_check.c: what must hold at every moment */
void check_member(struct sim *sim, size_t number, const struct gossip_action *action);
void check_second(struct sim *sim);
void check_note(struct sim *sim,
                size_t number); /* remember what it tells, if that is new */
uint64_t check_print(const struct catalog *c);

void sim_trace(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *sim_memory(void *memory); /* ends the program if NULL */

#endif

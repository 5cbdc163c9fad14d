/* gossip_net.h - a few gossip cores on a virtual network with a virtual clock, for the tests
 * of gossip's rules. A seed decides every delay and loss. */
#ifndef TESTS_UNIT_GOSSIP_NET_H
#define TESTS_UNIT_GOSSIP_NET_H

#include "agent/gossip/gossip.h"
#include "base/random.h"

enum { NET_NODES_MAX = 32, NET_SEEN_MAX = 256 };

/* A member event that a node told, and when. */
struct net_seen {
    uint64_t at_ms;
    char member[32];
    enum gossip_member_event event;
};

struct net_node {
    struct gossip *gossip; /* NULL: killed */
    struct rc_address address;
    uint32_t cut;    /* bit i: nothing passes to or from node i */
    bool is_udp_cut; /* streams pass, packets do not */
    bool is_deaf;    /* what it sends arrives, nothing reaches it */
    uint64_t paused_until_ns;
    struct net_seen seen[NET_SEEN_MAX];
    size_t seen_count;
    size_t joins_done;
    int join_err; /* of the last one */
    size_t conflicts;
    size_t tcp_only_told;
    size_t refusals_told;
    size_t unseen_told;
    int unseen_err; /* of the last one */
    size_t user_events;
    bool has_left;
};

enum { NET_PACKET = -1 };

struct net_bytes {
    size_t from;
    size_t to;
    long pipe;
    bool is_answer;
    const uint8_t *at; /* borrowed */
    size_t size;
};

struct net {
    struct net_node nodes[NET_NODES_MAX];
    size_t count;
    uint64_t now_ns;
    struct rc_random random;
    uint32_t loss_ppm; /* of packets, each way */
    bool hosts_refuse; /* streams to killed nodes, as after kill -9; else they hang */
    struct net_flight *flights;
    size_t flight_count;
    size_t flight_capacity;
    uint64_t next_order;
    struct net_pipe *pipes;
    size_t pipe_count;
    /* If set: hears every action that is not the network's. */
    void (*watch)(struct net *net, size_t node, const struct gossip_action *action);
    void *watch_context;
    /* If set: sees all bytes that arrive. `pipe` is NET_PACKET, or tells streams apart, and
     * then the receiver is the side that was dialed, or the answers' if `is_answer`. */
    void (*tap)(struct net *net, const struct net_bytes *bytes);
    void *tap_context;
};

struct net *net_create(uint64_t seed);
void net_destroy(struct net *net);

/* Starts a node "n<index>" at 10.0.0.<index + 1>:7946 with tag rc; `options` may preset the
 * rest (name, profile, incarnation, keys ...). Returns its index. */
size_t net_add(struct net *net, const struct gossip_options *options);
/* Ends node `i` without a word, or starts it again (fresh state, same address). */
void net_kill(struct net *net, size_t i);
void net_restart(struct net *net, size_t i, const struct gossip_options *options);

/* Node `i` joins through node `to`. */
void net_join(struct net *net, size_t i, size_t to);

/* Carries out what node `i` wants; needed after calling its core directly. */
void net_drain(struct net *net, size_t i);

void net_run_ms(struct net *net, uint64_t ms);

/* `n<count>` nodes of a profile, all joined through the first and settled. */
void net_pool(struct net *net, size_t count, const char *profile);

/* How `i` sees the node `of`; -1: not at all. */
int net_status(const struct net *net, size_t i, size_t of);

/* When node `i` first told `event` about `of` after `since_ms`; 0: never. */
uint64_t net_told_ms(const struct net *net, size_t i, size_t of,
                     enum gossip_member_event event, uint64_t since_ms);

uint64_t net_now_ms(const struct net *net);

#endif

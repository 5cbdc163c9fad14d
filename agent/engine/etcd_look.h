/* etcd_look.h - how the cluster stands, and keeping its history short.
 *
 * Looks every few seconds: the list of members, their states one by one, alarms. Once an hour
 * one of the servers, whoever gets the hidden key first, has etcd forget what is older than an
 * hour. Never defragments: that stops a member, and is an operator's decision. Pure. */
#ifndef AGENT_ENGINE_ETCD_LOOK_H
#define AGENT_ENGINE_ETCD_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_follow.h"

struct etcd_glance { /* at one endpoint */
    struct etcd_look *look;
    struct etcd_call *call; /* NULL: none under way */
    size_t endpoint;
    bool answers;
    struct etcd_status_answer status; /* the last */
};

struct etcd_look {
    struct etcd_asker *asker; /* borrowed, like the next two */
    const struct etcd_follow *follow;
    struct rc_pack_bytes prefix;
    uint64_t due_ms;
    struct etcd_glance glances[ETCD_ENDPOINTS_MAX];
    struct etcd_member_answer members;
    char alarm[ENGINE_ERROR_MAX];

    uint64_t compact_every_ms;
    uint64_t sample_ms; /* when `sample` was the store's revision; 0: no sample */
    uint64_t sample;
    uint64_t target; /* what is to be compacted to, while that is asked for */
    uint64_t lease;  /* of the compactor's key while it is being put */
};

void etcd_look_init(struct etcd_look *look, struct etcd_asker *asker,
                    const struct etcd_follow *follow, struct rc_pack_bytes prefix);
void etcd_look_fini(struct etcd_look *look);

/* A write was refused for want of room: seen before the next look. */
void etcd_look_full(struct etcd_look *look, const char *text);

/* Does what is due; returns when to be woken again. */
uint64_t etcd_look_wake(struct etcd_look *look, uint64_t now_ms);

void etcd_look_status(const struct etcd_look *look, struct engine_status *out);

#endif

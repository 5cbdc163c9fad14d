/* etcd_gate.h - when writes may be sent again after one was lost.
 *
 * While etcd elects a leader, what is proposed to it hangs or vanishes without a word. So after
 * a write whose outcome is unknown the next ones are held back, and hidden marks are put to all
 * members in turns, a new one every few milliseconds, whatever became of the last: the first
 * that is taken says that writes are accepted again, and by whom. Pure. */
#ifndef AGENT_ENGINE_ETCD_GATE_H
#define AGENT_ENGINE_ETCD_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"

enum { ETCD_PROBES_MAX = 16 };

struct etcd_probe {
    struct etcd_gate *gate;
    struct etcd_call *call; /* NULL: free */
    size_t endpoint;
};

struct etcd_gate {
    struct etcd_asker *asker;    /* borrowed */
    struct rc_pack_bytes prefix; /* borrowed */
    bool is_shut;
    uint64_t due_ms;
    size_t next; /* endpoint */
    struct etcd_probe probes[ETCD_PROBES_MAX];
};

void etcd_gate_init(struct etcd_gate *gate, struct etcd_asker *asker,
                    struct rc_pack_bytes prefix);
void etcd_gate_fini(struct etcd_gate *gate);

/* A write was lost: nothing more until a probe was taken. */
void etcd_gate_shut(struct etcd_gate *gate);

/* Does what is due; returns when to be woken again, UINT64_MAX while it is open. */
uint64_t etcd_gate_wake(struct etcd_gate *gate, uint64_t now_ms);

#endif

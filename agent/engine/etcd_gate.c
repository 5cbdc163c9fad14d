/* etcd_gate.c - probing members until one takes a write. */
#include "agent/engine/etcd_gate.h"

#include <string.h>

#include "agent/engine/etcd_hidden.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "base/err.h"

enum { PROBE_EVERY_MS = 40 };

void etcd_gate_init(struct etcd_gate *gate, struct etcd_asker *asker,
                    struct rc_pack_bytes prefix)
{
    memset(gate, 0, sizeof *gate);
    gate->asker = asker;
    gate->prefix = prefix;
    for (size_t i = 0; i < ETCD_PROBES_MAX; i++) {
        gate->probes[i].gate = gate;
    }
}

static void cancel_probes(struct etcd_gate *gate)
{
    const struct etcd_edge *edge = gate->asker->edge;

    for (size_t i = 0; i < ETCD_PROBES_MAX; i++) {
        if (gate->probes[i].call != NULL) {
            edge->cancel(edge->context, gate->probes[i].call);
            gate->probes[i].call = NULL;
        }
    }
}

void etcd_gate_fini(struct etcd_gate *gate)
{
    cancel_probes(gate);
}

void etcd_gate_shut(struct etcd_gate *gate)
{
    const struct etcd_edge *edge = gate->asker->edge;

    if (!gate->is_shut) {
        gate->is_shut = true;
        gate->due_ms = 0;
        gate->next = gate->asker->endpoints->current;
        edge->wake(edge->context, 0);
    }
}

/* Any answer but one of a member in trouble: what waits will get its own. */
static bool is_taken(const struct etcd_reply *reply)
{
    if (reply->end != ETCD_REPLIED || reply->status == GRPC_OK) {
        return reply->end == ETCD_REPLIED;
    }
    return !etcd_answer_refusal(reply->status, reply->text).is_of_member;
}

static void on_probe(void *context, const struct etcd_reply *reply)
{
    struct etcd_probe *probe = context;
    struct etcd_gate *gate = probe->gate;
    const struct etcd_asker *asker = gate->asker;
    const struct etcd_edge *edge = asker->edge;

    probe->call = NULL;
    if (!is_taken(reply)) {
        return;
    }
    gate->is_shut = false;
    asker->endpoints->current = probe->endpoint;
    etcd_endpoints_report(asker->endpoints, probe->endpoint, ETCD_ANSWERED,
                          edge->now_ms(edge->context));
    cancel_probes(gate);
    edge->wake(edge->context, 0); /* what waits goes on */
}

static void probe_next(struct etcd_gate *gate)
{
    const struct etcd_asker *asker = gate->asker;
    struct rc_buffer body = {0};
    struct etcd_probe *probe = gate->probes;

    while (probe < gate->probes + ETCD_PROBES_MAX && probe->call != NULL) {
        probe++;
    }
    if (probe == gate->probes + ETCD_PROBES_MAX) {
        return; /* enough are under way */
    }
    probe->endpoint = gate->next;
    gate->next = (gate->next + 1) % asker->endpoints->count;
    etcd_message_put(&body, gate->prefix, ETCD_MARK);
    const struct etcd_request request = {
        .endpoint = asker->endpoints->items[probe->endpoint].url,
        .method = ETCD_PUT,
        .body = body.bytes,
        .body_size = body.size,
        .token = asker->token,
        .time_limit_ms = asker->request_ms,
        .on_reply = on_probe,
        .context = probe,
    };
    probe->call =
        body.err == RC_OK ? asker->edge->send(asker->edge->context, &request) : NULL;
    rc_buffer_fini(&body);
}

uint64_t etcd_gate_wake(struct etcd_gate *gate, uint64_t now_ms)
{
    if (!gate->is_shut) {
        return UINT64_MAX;
    }
    if (now_ms >= gate->due_ms) {
        gate->due_ms = now_ms + PROBE_EVERY_MS;
        probe_next(gate);
    }
    return gate->due_ms;
}

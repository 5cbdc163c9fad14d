#include "agent/collector.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "agent/gossip/inspect.h"
#include "base/err.h"
#include "base/metrics.h"

/* One 64-bit counter inside a struct of counters, and its name as a metric. */
struct row {
    const char *name;
    const char *labels;
    const char *help;
    size_t offset;
};

#define GOSSIP(field) offsetof(struct gossip_counters, field)
static const struct row gossip_rows[] = {
    {"rollcall_gossip_packets_total", "direction=\"in\"", "Gossip datagrams.",
     GOSSIP(packets_in)},
    {"rollcall_gossip_packets_total", "direction=\"out\"", "Gossip datagrams.",
     GOSSIP(packets_out)},
    {"rollcall_gossip_bytes_total", "direction=\"in\"", "Bytes in gossip datagrams.",
     GOSSIP(bytes_in)},
    {"rollcall_gossip_bytes_total", "direction=\"out\"", "Bytes in gossip datagrams.",
     GOSSIP(bytes_out)},
    {"rollcall_gossip_streams_total", "direction=\"in\"", "Gossip TCP streams.",
     GOSSIP(streams_in)},
    {"rollcall_gossip_streams_total", "direction=\"out\"", "Gossip TCP streams.",
     GOSSIP(streams_out)},
    {"rollcall_gossip_probes_total", NULL, "Members probed.", GOSSIP(probes)},
    {"rollcall_gossip_probes_failed_total", NULL, "Probes without an answer.",
     GOSSIP(probes_failed)},
    {"rollcall_gossip_probes_indirect_total", NULL, "Probes that needed others' help.",
     GOSSIP(probes_indirect)},
    {"rollcall_gossip_probes_tcp_only_total", NULL,
     "Probes that only TCP answered: is UDP blocked?", GOSSIP(probes_by_tcp)},
    {"rollcall_gossip_suspicions_total", NULL, "Members we began to suspect.",
     GOSSIP(suspicions)},
    {"rollcall_gossip_refutations_total", NULL, "Accusations against us that we refuted.",
     GOSSIP(refutations)},
    {"rollcall_gossip_second_opinions_total", NULL,
     "Probes of members that others suspect.", GOSSIP(second_opinions)},
    {"rollcall_gossip_confirmations_total", NULL,
     "Further accusers of members we suspect.", GOSSIP(confirmations)},
    {"rollcall_gossip_suspicions_fired_total", NULL,
     "Members we declared dead because nobody refuted.", GOSSIP(suspicions_fired)},
    {"rollcall_gossip_accusations_kept_total", NULL,
     "Accusations we told nobody, because nobody answered us.", GOSSIP(accusations_kept)},
    {"rollcall_gossip_packets_unsent_total", NULL,
     "Packets the system did not take: counted as sent, but lost.",
     GOSSIP(packets_unsent)},
    {"rollcall_gossip_nacks_total", "direction=\"in\"",
     "Helpers that did not reach a member either.", GOSSIP(nacks_in)},
    {"rollcall_gossip_nacks_total", "direction=\"out\"",
     "Helpers that did not reach a member either.", GOSSIP(nacks_out)},
    {"rollcall_gossip_doubts_total", NULL, "Times our health score rose.",
     GOSSIP(doubts)},
    {"rollcall_gossip_queue_dropped_total", NULL,
     "Messages that made room in a full queue, before their time.",
     GOSSIP(queue_dropped)},
    {"rollcall_gossip_push_pulls_total", NULL, "Full exchanges of state.",
     GOSSIP(push_pulls)},
    {"rollcall_gossip_opened_total", "key=\"first\"",
     "Packets and frames taken, by the key that opened them.", GOSSIP(opened_first)},
    {"rollcall_gossip_opened_total", "key=\"older\"",
     "Packets and frames taken, by the key that opened them.", GOSSIP(opened_older)},
    {"rollcall_gossip_opened_total", "key=\"none\"",
     "Packets and frames taken, by the key that opened them.", GOSSIP(opened_plain)},
    {"rollcall_gossip_keyring_changes_total", NULL, "Changes of the keyring.",
     GOSSIP(keys_changed)},
    {"rollcall_gossip_pauses_total", NULL, "Times the agent was stopped for long.",
     GOSSIP(pauses)},
};

#define CATALOG(field) offsetof(struct catalog_counters, field)
static const struct row catalog_rows[] = {
    {"rollcall_catalog_rumours_total", "direction=\"in\"", "Catalog deltas by gossip.",
     CATALOG(rumours_received)},
    {"rollcall_catalog_rumours_total", "direction=\"out\"", "Catalog deltas by gossip.",
     CATALOG(rumours_sent)},
    {"rollcall_catalog_rumours_stale_total", NULL, "Deltas that told nothing new.",
     CATALOG(rumours_stale)},
    {"rollcall_catalog_rumours_gap_total", NULL,
     "Deltas that started after what we know.", CATALOG(rumours_gap)},
    {"rollcall_catalog_rumours_dropped_total", NULL,
     "Deltas left to syncs: too many at a time.", CATALOG(rumours_dropped)},
    {"rollcall_catalog_malformed_total", NULL, "Catalog messages that did not parse.",
     CATALOG(messages_malformed)},
    {"rollcall_catalog_syncs_total", "side=\"started\"", "Comparisons of digests.",
     CATALOG(syncs_started)},
    {"rollcall_catalog_syncs_total", "side=\"served\"", "Comparisons of digests.",
     CATALOG(syncs_served)},
    {"rollcall_catalog_syncs_failed_total", NULL, "Comparisons that broke off.",
     CATALOG(syncs_failed)},
    {"rollcall_catalog_syncs_refused_total", NULL,
     "Comparisons refused: too many at a time.", CATALOG(syncs_refused)},
    {"rollcall_catalog_sync_bytes_total", "direction=\"in\"", "Bytes of comparisons.",
     CATALOG(sync_bytes_received)},
    {"rollcall_catalog_sync_bytes_total", "direction=\"out\"", "Bytes of comparisons.",
     CATALOG(sync_bytes_sent)},
    {"rollcall_catalog_damaged_total", NULL,
     "Records damaged in memory, asked for again.", CATALOG(records_damaged)},
    {"rollcall_catalog_over_quota_total", NULL,
     "Parts of records refused for their size.", CATALOG(records_over_quota)},
};

enum {
    GOSSIP_ROWS = sizeof gossip_rows / sizeof gossip_rows[0],
    CATALOG_ROWS = sizeof catalog_rows / sizeof catalog_rows[0],
    LABEL_MAX = 64,
    QUEUES_MAX = 4
};

/* A counter kept elsewhere: what it was when it was last told. */
struct told {
    struct rc_metric *metric;
    uint64_t value;
};

struct collector {
    const struct gossip *gossip;
    const struct catalog *catalog;
    struct told gossip_told[GOSSIP_ROWS];
    struct told refused_told[GOSSIP_REFUSAL_COUNT];
    struct told catalog_told[CATALOG_ROWS];
    struct rc_metric *members[GOSSIP_STATUS_COUNT];
    struct rc_metric *health_score;
    struct rc_metric *queue;
    struct rc_metric *queues[QUEUES_MAX]; /* each, by name */
    struct rc_metric *suspects;
    struct rc_metric *tcp_only;
    struct rc_metric *streams;
    struct rc_metric *nodes;
    struct rc_metric *services;
};

static void tell(struct told *told, uint64_t value)
{
    rc_metric_add(told->metric, value - told->value);
    told->value = value;
}

static uint64_t field(const void *counters, size_t offset)
{
    return *(const uint64_t *)((const char *)counters + offset);
}

static void collect_members(struct collector *collector)
{
    size_t counts[GOSSIP_STATUS_COUNT] = {0};
    size_t position = 0;
    const struct gossip_member *member;
    while ((member = gossip_next_member(collector->gossip, &position)) != NULL) {
        counts[member->status]++;
    }
    for (size_t i = 0; i < GOSSIP_STATUS_COUNT; i++) {
        rc_metric_set(collector->members[i], (double)counts[i]);
    }
}

static void collect_gossip_state(struct collector *collector)
{
    const struct gossip *g = collector->gossip;
    const struct gossip_member *member;
    struct gossip_suspicion suspicion;
    struct gossip_queue_facts queue;
    size_t position = 0;
    size_t suspects = 0;
    size_t tcp_only = 0;

    for (size_t i = 0; i < QUEUES_MAX && gossip_queue_facts(g, i, &queue); i++) {
        rc_metric_set(collector->queues[i], (double)queue.count);
    }
    while (gossip_next_suspicion(g, &position, &suspicion)) {
        suspects++;
    }
    position = 0;
    while ((member = gossip_next_member(g, &position)) != NULL) {
        tcp_only += member->tcp_only;
    }
    rc_metric_set(collector->suspects, (double)suspects);
    rc_metric_set(collector->tcp_only, (double)tcp_only);
}

static void collect(void *context)
{
    struct collector *collector = context;
    struct gossip_counters counters;

    gossip_counters(collector->gossip, &counters);
    for (size_t i = 0; i < GOSSIP_ROWS; i++) {
        tell(&collector->gossip_told[i], field(&counters, gossip_rows[i].offset));
    }
    for (size_t i = 0; i < GOSSIP_REFUSAL_COUNT; i++) {
        tell(&collector->refused_told[i], counters.refused[i]);
    }
    for (size_t i = 0; i < CATALOG_ROWS; i++) {
        tell(&collector->catalog_told[i],
             field(catalog_counters(collector->catalog), catalog_rows[i].offset));
    }
    collect_members(collector);
    collect_gossip_state(collector);
    rc_metric_set(collector->streams, counters.streams_open);
    rc_metric_set(collector->health_score, gossip_health_score(collector->gossip));
    rc_metric_set(collector->queue, counters.queue_membership + counters.queue_intents +
                                        counters.queue_events + counters.queue_queries);
    rc_metric_set(collector->nodes, (double)catalog_node_count(collector->catalog));
    rc_metric_set(collector->services, (double)catalog_name_count(collector->catalog));
}

static void make_gossip_state(struct rc_metrics *metrics, struct collector *collector)
{
    struct gossip_queue_facts queue;
    char label[LABEL_MAX];

    for (size_t i = 0; i < QUEUES_MAX && gossip_queue_facts(collector->gossip, i, &queue);
         i++) {
        (void)snprintf(label, sizeof label, "queue=\"%s\"", queue.name);
        collector->queues[i] = rc_metrics_gauge(metrics, "rollcall_gossip_queue_length",
                                                label, "Messages that wait, by queue.");
    }
    collector->suspects = rc_metrics_gauge(metrics, "rollcall_gossip_suspects", NULL,
                                           "Suspicions that are open.");
    collector->tcp_only = rc_metrics_gauge(metrics, "rollcall_gossip_tcp_only_members",
                                           NULL, "Members that UDP does not reach.");
    collector->streams = rc_metrics_gauge(metrics, "rollcall_gossip_streams", NULL,
                                          "Streams that are open.");
}

static void make_series(struct rc_metrics *metrics, struct collector *collector)
{
    char label[LABEL_MAX];
    for (size_t i = 0; i < GOSSIP_ROWS; i++) {
        collector->gossip_told[i].metric = rc_metrics_counter(
            metrics, gossip_rows[i].name, gossip_rows[i].labels, gossip_rows[i].help);
    }
    for (size_t i = 0; i < GOSSIP_REFUSAL_COUNT; i++) {
        (void)snprintf(label, sizeof label, "reason=\"%s\"",
                       gossip_refusal_name((enum gossip_refusal)i));
        collector->refused_told[i].metric = rc_metrics_counter(
            metrics, "rollcall_gossip_refused_total", label, "Gossip that was refused.");
    }
    for (size_t i = 0; i < CATALOG_ROWS; i++) {
        collector->catalog_told[i].metric = rc_metrics_counter(
            metrics, catalog_rows[i].name, catalog_rows[i].labels, catalog_rows[i].help);
    }
    for (size_t i = 0; i < GOSSIP_STATUS_COUNT; i++) {
        (void)snprintf(label, sizeof label, "status=\"%s\"",
                       gossip_status_name((enum gossip_status)i));
        collector->members[i] =
            rc_metrics_gauge(metrics, "rollcall_members", label, "Members by status.");
    }
    collector->health_score =
        rc_metrics_gauge(metrics, "rollcall_gossip_health_score", NULL,
                         "0 is well; grows while our own probes go wrong.");
    collector->queue = rc_metrics_gauge(metrics, "rollcall_gossip_queue", NULL,
                                        "Messages that wait to be spread.");
    make_gossip_state(metrics, collector);
    collector->nodes = rc_metrics_gauge(metrics, "rollcall_catalog_nodes", NULL,
                                        "Nodes in the catalog.");
    collector->services = rc_metrics_gauge(metrics, "rollcall_catalog_services", NULL,
                                           "Service names in the catalog.");
}

int collector_create(struct rc_metrics *metrics, const struct gossip *gossip,
                     const struct catalog *catalog, struct collector **out)
{
    struct collector *collector = calloc(1, sizeof *collector);
    if (collector == NULL) {
        return RC_ENOMEM;
    }
    collector->gossip = gossip;
    collector->catalog = catalog;
    make_series(metrics, collector);
    int err = rc_metrics_on_render(metrics, collect, collector);
    if (err != RC_OK) {
        free(collector);
        return err;
    }
    *out = collector;
    return RC_OK;
}

void collector_destroy(struct collector *collector)
{
    free(collector);
}

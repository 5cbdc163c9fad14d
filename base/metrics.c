/* metrics.c - series in order of creation, and their text form. */
#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

enum { SERIES_MAX = 10000, BUCKETS = 19 };

struct rc_metric {
    struct rc_metric *next;      /* of the same family */
    char *labels;                /* owned; NULL: none */
    atomic_uint_least64_t value; /* count, or the bits of a gauge's double */
    atomic_uint_least64_t sum_ns;
    atomic_uint_least64_t buckets[]; /* BUCKETS of them for a histogram: not cumulative */
};

struct family {
    struct family *next;
    enum metric_type type;
    char *name;
    char *help;
    struct rc_metric *first;
    struct rc_metric **last;
};

enum { COLLECTORS_MAX = 8 };

struct collector {
    void (*collect)(void *context);
    void *context;
};

struct rc_metrics {
    struct collector collectors[COLLECTORS_MAX];
    size_t collector_count;
    pthread_mutex_t lock;      /* of the lists; values are atomics */
    struct rc_table *families; /* by name */
    struct rc_table *series;   /* by name{labels} */
    struct family *first;
    struct family **last;
};

static const char *const type_names[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

static const struct {
    uint64_t ns;
    const char *seconds;
} bounds[BUCKETS] = {
    {UINT64_C(100000), "0.0001"},    {UINT64_C(250000), "0.00025"},
    {UINT64_C(500000), "0.0005"},    {UINT64_C(1000000), "0.001"},
    {UINT64_C(2500000), "0.0025"},   {UINT64_C(5000000), "0.005"},
    {UINT64_C(10000000), "0.01"},    {UINT64_C(25000000), "0.025"},
    {UINT64_C(50000000), "0.05"},    {UINT64_C(100000000), "0.1"},
    {UINT64_C(250000000), "0.25"},   {UINT64_C(500000000), "0.5"},
    {UINT64_C(1000000000), "1"},     {UINT64_C(2500000000), "2.5"},
    {UINT64_C(5000000000), "5"},     {UINT64_C(10000000000), "10"},
    {UINT64_C(25000000000), "25"},   {UINT64_C(50000000000), "50"},
    {UINT64_C(100000000000), "100"},
};

struct rc_metrics *rc_metrics_create(void)
{
    struct rc_metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&metrics->lock, NULL);
    metrics->last = &metrics->first;
    /* Names are ours, not a stranger's: the seed need not be secret. */
    metrics->families = rc_table_create(0);
    metrics->series = rc_table_create(0);
    if (metrics->families == NULL || metrics->series == NULL) {
        rc_metrics_destroy(metrics);
        return NULL;
    }
    return metrics;
}

static void destroy_series(struct rc_metric *metric)
{
    while (metric != NULL) {
        struct rc_metric *next = metric->next;
        free(metric->labels);
        free(metric);
        metric = next;
    }
}

static void destroy_family(struct family *family)
{
    destroy_series(family->first);
    free(family->name);
    free(family->help);
    free(family);
}

void rc_metrics_destroy(struct rc_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (struct family *family = metrics->first; family != NULL;) {
        struct family *next = family->next;
        destroy_family(family);
        family = next;
    }
    rc_table_destroy(metrics->families);
    rc_table_destroy(metrics->series);
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static struct family *add_family(struct rc_metrics *metrics, const char *name,
                                 enum metric_type type, const char *help)
{
    struct family *family = calloc(1, sizeof *family);

    if (family == NULL) {
        return NULL;
    }
    family->type = type;
    family->name = rc_text_copy(name);
    family->help = rc_text_copy(help);
    family->last = &family->first;
    if (family->name == NULL || family->help == NULL ||
        rc_table_put(metrics->families, name, family, NULL) != RC_OK) {
        destroy_family(family);
        return NULL;
    }
    *metrics->last = family;
    metrics->last = &family->next;
    return family;
}

static struct rc_metric *add_series(struct rc_metrics *metrics, struct family *family,
                                    const char *labels, const char *key)
{
    size_t buckets = family->type == HISTOGRAM ? BUCKETS : 0;
    struct rc_metric *metric =
        calloc(1, sizeof *metric + buckets * sizeof metric->buckets[0]);

    if (metric == NULL) {
        return NULL;
    }
    metric->labels = rc_text_copy(labels);
    if ((labels != NULL && metric->labels == NULL) ||
        rc_table_put(metrics->series, key, metric, NULL) != RC_OK) {
        free(metric->labels);
        free(metric);
        return NULL;
    }
    *family->last = metric;
    family->last = &metric->next;
    return metric;
}

static struct rc_metric *find_or_add(struct rc_metrics *metrics, enum metric_type type,
                                     const char *name, const char *labels,
                                     const char *help)
{
    struct rc_metric *metric = NULL;
    char *key = rc_text_format("%s{%s}", name, labels != NULL ? labels : "");

    if (key == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&metrics->lock);
    struct family *family = rc_table_get(metrics->families, name);
    if (family == NULL) {
        family = add_family(metrics, name, type, help);
    }
    if (family != NULL) {
        assert(family->type == type); /* a name used with two types */
        metric = rc_table_get(metrics->series, key);
    }
    if (family != NULL && metric == NULL &&
        rc_table_count(metrics->series) < SERIES_MAX) {
        metric = add_series(metrics, family, labels, key);
    }
    (void)pthread_mutex_unlock(&metrics->lock);
    free(key);
    return metric;
}

struct rc_metric *rc_metrics_counter(struct rc_metrics *metrics, const char *name,
                                     const char *labels, const char *help)
{
    return find_or_add(metrics, COUNTER, name, labels, help);
}

struct rc_metric *rc_metrics_gauge(struct rc_metrics *metrics, const char *name,
                                   const char *labels, const char *help)
{
    return find_or_add(metrics, GAUGE, name, labels, help);
}

struct rc_metric *rc_metrics_histogram(struct rc_metrics *metrics, const char *name,
                                       const char *labels, const char *help)
{
    return find_or_add(metrics, HISTOGRAM, name, labels, help);
}

void rc_metric_add(struct rc_metric *metric, uint64_t amount)
{
    if (metric != NULL) {
        atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
    }
}

void rc_metric_set(struct rc_metric *metric, double value)
{
    uint64_t bits = 0;

    memcpy(&bits, &value, sizeof bits);
    if (metric != NULL) {
        atomic_store_explicit(&metric->value, bits, memory_order_relaxed);
    }
}

void rc_metric_move(struct rc_metric *metric, double by)
{
    if (metric == NULL) {
        return;
    }
    uint64_t before = atomic_load_explicit(&metric->value, memory_order_relaxed);
    uint64_t after;
    do {
        double value;
        memcpy(&value, &before, sizeof value);
        value += by;
        memcpy(&after, &value, sizeof after);
    } while (!atomic_compare_exchange_weak_explicit(
        &metric->value, &before, after, memory_order_relaxed, memory_order_relaxed));
}

void rc_metric_observe_ns(struct rc_metric *metric, uint64_t ns)
{
    rc_metric_observe_many_ns(metric, ns, 1);
}

void rc_metric_observe_many_ns(struct rc_metric *metric, uint64_t ns, uint64_t count)
{
    if (metric == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        if (ns <= bounds[i].ns) {
            atomic_fetch_add_explicit(&metric->buckets[i], count, memory_order_relaxed);
            break;
        }
    }
    atomic_fetch_add_explicit(&metric->sum_ns, ns * count, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->value, count, memory_order_relaxed);
}

uint64_t rc_metric_count(const struct rc_metric *metric)
{
    return metric != NULL ? atomic_load_explicit(&metric->value, memory_order_relaxed)
                          : 0;
}

static void render_name(struct rc_buffer *out, const struct family *family,
                        const char *ending, const char *labels)
{
    rc_buffer_format(out, "%s%s", family->name, ending);
    if (labels != NULL && labels[0] != '\0') {
        rc_buffer_format(out, "{%s}", labels);
    }
    rc_buffer_byte(out, ' ');
}

static void render_histogram(struct rc_buffer *out, const struct family *family,
                             const struct rc_metric *metric)
{
    const char *labels = metric->labels != NULL ? metric->labels : "";
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t sum_ns = atomic_load_explicit(&metric->sum_ns, memory_order_relaxed);
    uint64_t count = rc_metric_count(metric);
    uint64_t below = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        below += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        rc_buffer_format(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", family->name,
                         labels, comma, bounds[i].seconds, below);
    }
    count = count > below ? count : below; /* an update may fall between the reads */
    rc_buffer_format(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", family->name,
                     labels, comma, count);
    render_name(out, family, "_sum", metric->labels);
    rc_buffer_format(out, "%" PRIu64 ".%09" PRIu64 "\n", sum_ns / 1000000000,
                     sum_ns % 1000000000);
    render_name(out, family, "_count", metric->labels);
    rc_buffer_format(out, "%" PRIu64 "\n", count);
}

static void render_series(struct rc_buffer *out, const struct family *family,
                          const struct rc_metric *metric)
{
    uint64_t bits = rc_metric_count(metric);
    double value = 0;

    switch (family->type) {
    case COUNTER:
        render_name(out, family, "", metric->labels);
        rc_buffer_format(out, "%" PRIu64 "\n", bits);
        break;
    case GAUGE:
        memcpy(&value, &bits, sizeof value);
        render_name(out, family, "", metric->labels);
        rc_buffer_format(out, "%.15g\n", value);
        break;
    case HISTOGRAM:
        render_histogram(out, family, metric);
        break;
    }
}

int rc_metrics_on_render(struct rc_metrics *metrics, void (*collect)(void *context),
                         void *context)
{
    if (metrics->collector_count == COLLECTORS_MAX) {
        return RC_ETOOBIG;
    }
    metrics->collectors[metrics->collector_count++] =
        (struct collector){collect, context};
    return RC_OK;
}

void rc_metrics_render(const struct rc_metrics *metrics, struct rc_buffer *out)
{
    for (size_t i = 0; i < metrics->collector_count; i++) {
        metrics->collectors[i].collect(metrics->collectors[i].context);
    }
    /* Only the lock changes: what is const to the caller is what the registry tells. */
    pthread_mutex_t *lock = (pthread_mutex_t *)&metrics->lock;

    (void)pthread_mutex_lock(lock);
    for (const struct family *family = metrics->first; family != NULL;
         family = family->next) {
        rc_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                         family->name, type_names[family->type]);
        for (const struct rc_metric *metric = family->first; metric != NULL;
             metric = metric->next) {
            render_series(out, family, metric);
        }
    }
    (void)pthread_mutex_unlock(lock);
}

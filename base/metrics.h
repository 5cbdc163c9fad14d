/* metrics.h - counters, gauges and histograms, told in Prometheus' text format.
 *
 * A registry owns its families; a handle stays valid as long as the registry.
 * Updates are relaxed atomics: any thread, no lock. Format: Prometheus text
 * exposition 0.0.4. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/buffer.h"

struct rc_metrics;
struct rc_metric; /* one series: a family with its label values */

struct rc_metrics *rc_metrics_create(void);
void rc_metrics_destroy(struct rc_metrics *metrics);

/* One series, made at the first call and found again at later ones. `labels` is the text inside
 * the braces, values already escaped, such as `type="A",code="200"`, or NULL. `help` is taken
 * from the first call for the family. Names: [a-z0-9_]; counters end in _total. Aborts on a
 * name used with two types. NULL when memory is out, or beyond 10 000 series (updates of
 * NULL are ignored). */
struct rc_metric *rc_metrics_counter(struct rc_metrics *metrics, const char *name,
                                     const char *labels, const char *help);
struct rc_metric *rc_metrics_gauge(struct rc_metrics *metrics, const char *name,
                                   const char *labels, const char *help);
/* Histogram of seconds; fixed buckets from 100 us to 100 s in steps of 1-2.5-5. */
struct rc_metric *rc_metrics_histogram(struct rc_metrics *metrics, const char *name,
                                       const char *labels, const char *help);

void rc_metric_add(struct rc_metric *metric, uint64_t amount); /* counter */
void rc_metric_set(struct rc_metric *metric, double value);    /* gauge */
void rc_metric_move(struct rc_metric *metric, double by); /* gauge, of several threads */
void rc_metric_observe_ns(struct rc_metric *metric, uint64_t ns);
/* `count` times the same. */
void rc_metric_observe_many_ns(struct rc_metric *metric, uint64_t ns, uint64_t count);
uint64_t
rc_metric_count(const struct rc_metric *metric); /* counter's or histogram's count */

/* Calls `collect` before each rendering, on the rendering thread: for numbers that somebody else
 * keeps and that are only worth reading when they are asked for. At most 8. RC_OK or RC_ETOOBIG. */
int rc_metrics_on_render(struct rc_metrics *metrics, void (*collect)(void *context),
                         void *context);

/* Appends every family in the order of creation. */
void rc_metrics_render(const struct rc_metrics *metrics, struct rc_buffer *out);

#endif

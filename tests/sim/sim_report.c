/* sim_report.c - outcomes of many seeds as one table. */
#include "tests/sim/sim_report.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/sim_state.h"

void report_add(struct report *report, struct outcome *outcome)
{
    struct measure *from = &outcome->measure;
    struct measure *to = &report->measure;

    report->seeds++;
    report->digest = outcome->digest;
    report->virtual_ms += outcome->virtual_ms;
    report->wall_us += outcome->wall_us;
    report->false_failures += outcome->false_failures;
    report->failures_of_the_calm += outcome->failures_of_the_calm;
    if (outcome->memory_per_node > report->memory_per_node) {
        report->memory_per_node = outcome->memory_per_node;
    }
    for (size_t i = 0; i < MEASURE_TIME_COUNT; i++) {
        for (size_t k = 0; k < from->times[i].count; k++) {
            samples_add(&to->times[i], from->times[i].values[k]);
        }
    }
    if (to->seconds == NULL) {
        to->seconds = from->seconds;
        to->second_count = from->second_count;
        from->seconds = NULL;
    }
    to->packets += from->packets;
    to->packet_bytes += from->packet_bytes;
    to->stream_bytes += from->stream_bytes;
    to->streams += from->streams;
    to->events += from->events;
    to->node_seconds += from->node_seconds;
    measure_fini(from);
}

void report_fini(struct report *report)
{
    measure_fini(&report->measure);
}

/* ---- the table */

static void print_times(struct samples *samples, const char *what, FILE *out)
{
    if (samples->count == 0) {
        return;
    }
    (void)fprintf(out, "%-30s %8zu %10.1f %10.1f %10.1f\n", what, samples->count,
                  (double)samples_quantile(samples, 500) / 1000.0,
                  (double)samples_quantile(samples, 990) / 1000.0,
                  (double)samples_quantile(samples, 1000) / 1000.0);
}

static void print_all_times(struct measure *measure, FILE *out)
{
    static const char *const names[MEASURE_TIME_COUNT] = {
        [MEASURE_DETECT] = "dead: one says so",
        [MEASURE_DETECT_LAST] = "dead: the last says so",
        [MEASURE_LEFT_LAST] = "left: the last knows",
        [MEASURE_JOIN_LAST] = "started: the last sees it",
        [MEASURE_CHANGE] = "change: one knows",
        [MEASURE_CHANGE_LAST] = "change: the last knows",
        [MEASURE_HEAL] = "all over: all views right",
    };

    (void)fprintf(out, "%-30s %8s %10s %10s %10s\n", "ms until", "count", "median", "p99",
                  "max");
    for (size_t i = 0; i < MEASURE_TIME_COUNT; i++) {
        print_times(&measure->times[i], names[i], out);
    }
}

void report_print(struct report *report, const struct play_options *o, FILE *out)
{
    struct measure *m = &report->measure;
    double node_seconds = m->node_seconds > 0 ? (double)m->node_seconds : 1.0;
    double wall_s = (double)report->wall_us / 1e6;

    (void)fprintf(
        out, "%s: %u nodes, profile %s, %zu seed%s, %.0f virtual s, digest %016llx\n",
        o->scenario->name, o->nodes, o->profile, report->seeds,
        report->seeds == 1 ? "" : "s", (double)report->virtual_ms / 1000.0,
        (unsigned long long)report->digest);
    (void)fprintf(out, "%-30s %8.1f KB\n", "memory per node",
                  (double)report->memory_per_node / 1024.0);
    (void)fprintf(out, "%-30s %8.2f\n", "packets per node and s",
                  (double)m->packets / node_seconds);
    (void)fprintf(out, "%-30s %8.0f in packets, %.0f in streams\n",
                  "bytes per node and s", (double)m->packet_bytes / node_seconds,
                  (double)m->stream_bytes / node_seconds);
    (void)fprintf(out, "%-30s %8llu (%llu seen by any node)\n",
                  "false failures of the calm",
                  (unsigned long long)report->false_failures,
                  (unsigned long long)report->failures_of_the_calm);
    print_all_times(m, out);
    (void)fprintf(out, "%-30s %8.0f a second; %.1f x real time\n", "events simulated",
                  (double)m->events / wall_s,
                  (double)report->virtual_ms / 1000.0 / wall_s);
}

/* ---- through a pipe */

static bool write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written <= 0) {
            return false;
        }
        at += written;
        size -= (size_t)written;
    }
    return true;
}

static bool read_all(int fd, void *bytes, size_t size)
{
    char *at = bytes;

    while (size > 0) {
        ssize_t got = read(fd, at, size);
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= (size_t)got;
    }
    return true;
}

bool outcome_write(const struct outcome *outcome, int fd)
{
    const struct measure *m = &outcome->measure;
    bool ok = write_all(fd, outcome, sizeof *outcome);

    for (size_t i = 0; ok && i < MEASURE_TIME_COUNT; i++) {
        ok = write_all(fd, m->times[i].values, m->times[i].count * sizeof(uint64_t));
    }
    return ok && write_all(fd, m->seconds, m->second_count * sizeof *m->seconds);
}

bool outcome_read(struct outcome *outcome, int fd)
{
    struct measure *m = &outcome->measure;
    bool ok = read_all(fd, outcome, sizeof *outcome);

    if (!ok) {
        return false;
    }
    m->pending = NULL;
    m->pending_count = 0;
    for (size_t i = 0; i < MEASURE_TIME_COUNT; i++) {
        size_t size = m->times[i].count * sizeof(uint64_t);
        m->times[i].values = sim_memory(malloc(size + 1));
        m->times[i].capacity = m->times[i].count;
        ok = ok && read_all(fd, m->times[i].values, size);
    }
    m->seconds = sim_memory(malloc(m->second_count * sizeof *m->seconds + 1));
    return ok && read_all(fd, m->seconds, m->second_count * sizeof *m->seconds);
}

/* sim_measure.h - what a run is measured by: times, traffic, wrong views over time. */
#ifndef TESTS_SIM_SIM_MEASURE_H
#define TESTS_SIM_SIM_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Durations in us; sorted when asked. */
struct samples {
    uint64_t *values;
    size_t count;
    size_t capacity;
};

void samples_add(struct samples *samples, uint64_t value);
/* The value below which `thousandths` of all lie; 0 when there are none. */
uint64_t samples_quantile(struct samples *samples, unsigned thousandths);
void samples_fini(struct samples *samples);

enum measure_time {
    MEASURE_DETECT,      /* a crash until one observer says failed */
    MEASURE_DETECT_LAST, /* until the last does */
    MEASURE_LEFT_LAST,   /* a leave until the last knows */
    MEASURE_JOIN_LAST,   /* a start until the last sees it alive */
    MEASURE_CHANGE,      /* a change of a service until one observer knows */
    MEASURE_CHANGE_LAST, /* until the last does */
    MEASURE_HEAL,        /* the end of the last fault until all views are right */
    MEASURE_TIME_COUNT
};

/* One virtual second, for the plot. */
struct measure_second {
    uint32_t running;
    uint64_t wrong_pairs;
    uint64_t false_failures;
};

/* Something that began and is over when all know. */
struct measure_pending {
    uint32_t node;
    enum measure_time last; /* what its end is a sample of */
    uint64_t since_ns;
    uint64_t version; /* of a change */
    uint32_t waiting; /* observers that do not know yet */
    uint8_t *knows;   /* of a change, by number */
};

struct measure {
    struct samples times[MEASURE_TIME_COUNT];
    struct measure_second *seconds;
    size_t second_count;
    size_t second_capacity;
    struct measure_pending *pending;
    size_t pending_count;
    size_t pending_capacity;
    uint64_t packets;
    uint64_t packet_bytes;
    uint64_t stream_bytes;
    uint64_t streams;
    uint64_t events;       /* of the simulator */
    uint64_t node_seconds; /* running nodes, summed over seconds */
    uint64_t changes_timed;
};

struct sim;
struct node;

void measure_begin(struct sim *sim, struct node *node, enum measure_time last);
/* Times a change that `node` is about to tell: its record's present version. */
void measure_change(struct sim *sim, struct node *node);
/* `node` may know more now. */
void measure_changes_seen(struct sim *sim, struct node *node);
/* `observer` stands no more between a change and its end. */
void measure_observer_gone(struct sim *sim, const struct node *observer);
void measure_failed(struct sim *sim, const struct node *node);    /* one more said so */
void measure_all_right(struct sim *sim, const struct node *node); /* nobody is wrong */
void measure_second(struct sim *sim);
/* Forgets all counts and times, and what is under way. */
void measure_reset(struct sim *sim);
void measure_fini(struct measure *measure);

#endif

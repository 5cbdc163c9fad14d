/* upstream.h - may this instance be used now, and why not.
 *
 * A pure state machine for one instance, kept by the control thread: discovery
 * says that it is there, workers' counters say how it fares, an operator may drain
 * it, and time does the rest. Passive outlier detection follows Envoy's ideas:
 * a run of gateway failures ejects for base x 2^(n-1), then single trials. */
#ifndef PROXY_UPSTREAM_UPSTREAM_H
#define PROXY_UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

enum upstream_state {
    UPSTREAM_NEW,     /* known, not yet said to be usable */
    UPSTREAM_WARMING, /* usable, weight still growing (slow start) */
    UPSTREAM_UP,      /* usable */
    UPSTREAM_EJECTED, /* failed too often: only if nothing else is left */
    UPSTREAM_TRIAL,   /* half open: one request at a time may try it */
    UPSTREAM_FAILING, /* its checks say no: only when the whole pool panics */
    UPSTREAM_DRAINING, /* no new requests unless nothing else is left; running ones finish */
    UPSTREAM_GONE,     /* left the set; forgotten when idle */
    UPSTREAM_STATE_COUNT
};

/* What a PostgreSQL server is. */
enum upstream_role {
    UPSTREAM_ROLE_NONE,    /* nobody said; or not PostgreSQL */
    UPSTREAM_ROLE_PRIMARY, /* may be written */
    UPSTREAM_ROLE_STANDBY, /* read-only */
    UPSTREAM_ROLE_UNKNOWN, /* should be known, but it does not answer or two disagree */
    UPSTREAM_ROLE_COUNT
};

struct upstream_rules {
    uint32_t slow_start_ms;
    uint32_t failures_max; /* in a row; 0 = never eject */
    uint32_t base_ms;      /* of an ejection; at most 300 s after doubling */
};

struct upstream {
    enum upstream_state state;
    uint64_t since_ms;    /* of this state */
    uint64_t up_since_ms; /* slow start counts from here; 0 = full weight at once */
    uint64_t ejected_until_ms;
    uint32_t ejections; /* in a row; sets the length of the next */
    bool operator_drains;
    bool present; /* in the discovered set */
    bool failing; /* the catalog or our own check says so */
};

/* The counters of instance.h as read at one moment. */
struct upstream_counts {
    uint32_t failures_in_a_row;
    uint32_t trial_successes;
    uint32_t in_flight;
};

/* A new upstream that discovery has just named. `slow` = other instances are already up, so
 * this one begins with little weight; a pool that is new as a whole starts at full weight. */
enum upstream_start { UPSTREAM_START_FULL, UPSTREAM_START_SLOW };
void upstream_init(struct upstream *u, const struct upstream_rules *rules,
                   enum upstream_start start, uint64_t now_ms);

/* Discovery's word: it is in the set, or it has left it. */
void upstream_set_present(struct upstream *u, const struct upstream_rules *rules,
                          uint64_t now_ms);
void upstream_set_absent(struct upstream *u, uint64_t now_ms);

/* The word of checks, the catalog's and our own together. */
enum upstream_verdict { UPSTREAM_PASSES, UPSTREAM_FAILS };
void upstream_judge(struct upstream *u, const struct upstream_rules *rules,
                    enum upstream_verdict verdict, uint64_t now_ms);

/* The operator's word. */
void upstream_drain(struct upstream *u, uint64_t now_ms);
void upstream_undrain(struct upstream *u, const struct upstream_rules *rules,
                      uint64_t now_ms);

/* True if a run of failures asks for ejection; the caller looks at the rest of the pool (never
 * the last usable one) and then calls upstream_eject. `jitter_ppm` 0..100000 lengthens. */
bool upstream_should_eject(const struct upstream *u, const struct upstream_rules *rules,
                           const struct upstream_counts *counts);
void upstream_eject(struct upstream *u, const struct upstream_rules *rules,
                    uint32_t jitter_ppm, uint64_t now_ms);

/* Time passes, counters have moved. Returns true when the state changed: then the caller
 * publishes, and zeroes the instance's failure and trial counters. */
bool upstream_tick(struct upstream *u, const struct upstream_rules *rules,
                   const struct upstream_counts *counts, uint64_t now_ms);

/* When upstream_tick has something to do next; UINT64_MAX = nothing planned. */
uint64_t upstream_deadline_ms(const struct upstream *u,
                              const struct upstream_rules *rules);

bool upstream_is_usable(enum upstream_state state); /* up or warming */
const char *upstream_state_name(enum upstream_state state);
const char *upstream_role_name(enum upstream_role role);

#endif

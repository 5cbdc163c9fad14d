/* h2_abuse.h - frames that cost more than they bring, counted until it is enough.
 *
 * HTTP/2 lets a client make work for nearly nothing: streams opened and reset at once
 * (CVE-2023-44487), settings and pings that want an answer, frames without content. Each kind
 * has a bucket that leaks: a burst is borne, a steady stream above the rate is not. Pure. */
#ifndef PROXY_HTTP2_H2_ABUSE_H
#define PROXY_HTTP2_H2_ABUSE_H

#include <stdbool.h>
#include <stdint.h>

enum h2_nuisance {
    H2_RESETS,  /* streams that the client breaks off */
    H2_FAULTS,  /* streams that we break off, because they break the rules */
    H2_CONTROL, /* pings, settings, priorities, what we do not know */
    H2_WINDOWS, /* window updates beyond what the data sent can explain */
    H2_TINY,    /* data frames with next to nothing in them */
    H2_PIECES,  /* continuation frames, per head */
    H2_NUISANCE_COUNT
};

/* Zeroed at the start. */
struct h2_abuse {
    uint64_t since_ms; /* when the levels were last lowered */
    uint32_t levels[H2_NUISANCE_COUNT];
};

/* Counts one. False if that was one too many. `now_ms` never goes back. */
bool h2_abuse_count(struct h2_abuse *abuse, enum h2_nuisance kind, uint64_t now_ms);

/* Takes back up to `count` of what was counted. */
void h2_abuse_forgive(struct h2_abuse *abuse, enum h2_nuisance kind, uint32_t count);

/* A word for a metric's label: "reset". */
const char *h2_abuse_name(enum h2_nuisance kind);

#endif

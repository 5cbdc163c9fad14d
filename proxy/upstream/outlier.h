/* outlier.h - how often an instance fails, over the last ten seconds, beside the others.
 *
 * A run of failures says that an instance is gone; a rate says that it is ill: every second request
 * fails there while elsewhere nearly all succeed. Envoy's idea, simplified. Pure. */
#ifndef PROXY_UPSTREAM_OUTLIER_H
#define PROXY_UPSTREAM_OUTLIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OUTLIER_SECONDS = 10,
    OUTLIER_VOLUME = 20,  /* uses in the window; fewer say nothing */
    OUTLIER_ILL = 50,     /* percent that succeed: below that it is ill, */
    OUTLIER_HEALTHY = 80, /* if of the pool's median more than that do */
};

struct outlier_window {
    uint32_t ok[OUTLIER_SECONDS];
    uint32_t failed[OUTLIER_SECONDS];
    uint32_t last_ok; /* the counters at the last sample */
    uint32_t last_failed;
    uint32_t next;
    bool begun;
};

/* Takes the counters, which only grow and wrap around, once a second. */
void outlier_sample(struct outlier_window *window, uint32_t ok, uint32_t failed);

/* Percent that succeeded, or -1: too few to tell. */
int outlier_rate(const struct outlier_window *window);

/* Forgets what was. */
void outlier_clear(struct outlier_window *window);

/* True if `rate` is ill while the median of all `rates` (-1 are left out; reordered) is healthy. */
bool outlier_is_ill(int rate, int *rates, size_t count);

#endif

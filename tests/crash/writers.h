/* writers.h - clients of a store that note what was acknowledged, and check it afterwards.
 *
 * Each writer has one request open. Its n-th is one transaction: w/<i> and x/<i> become n (x with
 * bytes behind it), t/<i> is made when n is odd and deleted when it is even. What was noted is on
 * a board that a killed process leaves to its parent. */
#ifndef TESTS_CRASH_WRITERS_H
#define TESTS_CRASH_WRITERS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "agent/store/engine.h"

enum { WRITERS_MAX = 64, WRITERS_WAYS = 1 << 20 };

struct board {
    uint64_t asked[WRITERS_MAX]; /* the last n that was asked for */
    uint64_t acked[WRITERS_MAX]; /* the last n that was answered RC_OK */
    uint64_t revision;           /* the highest of an answer */
    uint64_t refused;            /* answers by what they said */
    uint64_t unknown;
    uint64_t total;                /* answers RC_OK, ever */
    int last_err;                  /* of the last refusal */
    uint64_t micros[WRITERS_WAYS]; /* how long each took, as long as there is room */
    uint64_t micros_count;
};

/* A store on a loop of its own, and as many writers as wanted. */
struct writers;

/* Opens the store in `folder`; says why and ends the program if it cannot. `count` writers wait. */
struct writers *writers_open(const char *folder, struct board *board, unsigned count,
                             unsigned value_max);

/* All write for `ms`, or for ever (0). Refused ones try again after 20 ms. */
void writers_run(struct writers *writers, uint64_t ms);

/* No new requests; waits for the open ones. */
void writers_rest(struct writers *writers);

struct engine_status writers_status(struct writers *writers);

/* Everything on the board must be in the store: false, and says what is not, if it is not so. What
 * was not acknowledged may be there or not, but whole; it is taken for acknowledged from then on. */
bool writers_check(struct writers *writers);

void writers_close(struct writers *writers);

#endif

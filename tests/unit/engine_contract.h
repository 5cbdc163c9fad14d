/* engine_contract.h - what agent/store/engine.h promises, as tests for every engine.
 *
 * A program gives a driver, engine_contract_run() runs all claims against it. With virtual time
 * nothing sleeps; with a real loop the leases are as short as the engine has them. */
#ifndef TESTS_UNIT_ENGINE_CONTRACT_H
#define TESTS_UNIT_ENGINE_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/store/engine.h"

/* Shared: transactions that meet in no key may have the same revision, and others, whose keys
 * are not told, may have some of their own. */
enum engine_contract_revisions { ENGINE_REVISION_EACH, ENGINE_REVISIONS_SHARED };

/* At once: what is open is answered from inside the call that closes; of tests' engines only. */
enum engine_contract_closing { ENGINE_CLOSES_LATER, ENGINE_CLOSES_AT_ONCE };

enum engine_contract_memory { ENGINE_FORGETS, ENGINE_REMEMBERS };

struct CMUnitTest;

struct engine_driver {
    void *context;

    /* Claims of this engine alone, ended by one without a name; NULL: none. A program is one
     * group of tests, as TAP wants one plan. */
    const struct CMUnitTest *own;

    /* An engine over an empty store. Fails the test if it cannot. */
    struct engine *(*open_empty)(void *context);

    /* The same store again, after engine->class->close() has called `on_closed`. NULL in an
     * engine that forgets, whose claims about restarts are then left out. */
    struct engine *(*open_again)(void *context);

    /* Lets it work until `is_done(argument)`, or until `ms` have passed: virtual time, or
     * a real loop. NULL for `is_done`: let the whole time pass. */
    void (*run)(void *context, bool (*is_done)(void *argument), void *argument,
                uint64_t ms);
    uint64_t (*now_ms)(void *context); /* the time that `run` passes */

    enum engine_contract_revisions revisions;
    enum engine_contract_closing closing;
    uint64_t
        patience_ms;   /* how long an answer may take at the worst; 10000 in real time */
    uint64_t lease_ms; /* a lease short enough to wait for, at least lease_min_ms */
    uint64_t late_ms;  /* how much later than that it may end at the worst */
};

/* Runs every claim; what a main() returns. `name` is of the group. */
int engine_contract_run(const char *name, const struct engine_driver *driver);

#endif

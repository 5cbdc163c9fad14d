/* engine_claims.h - the two halves of the contract, for engine_contract.c. */
#ifndef TESTS_UNIT_ENGINE_CLAIMS_H
#define TESTS_UNIT_ENGINE_CLAIMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_trial.h"

#define CLAIM(name)                                    \
    {                                                  \
#name, name, trial_setup, trial_teardown, NULL \
    }

/* Each ends with one that has no name. */
extern const struct CMUnitTest engine_claims_of_keys[];
extern const struct CMUnitTest engine_claims_of_time[];

#endif

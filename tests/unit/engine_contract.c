#include "tests/unit/engine_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_claims.h"

enum { CLAIMS_MAX = 80 };

static size_t collect(struct CMUnitTest *tests, size_t count,
                      const struct CMUnitTest *claims, const struct engine_driver *driver)
{
    for (size_t i = 0; claims[i].name != NULL; i++) {
        assert_true(count < CLAIMS_MAX);
        tests[count] = claims[i];
        tests[count].initial_state = (void *)driver; /* only read */
        count++;
    }
    return count;
}

int engine_contract_run(const char *name, const struct engine_driver *driver)
{
    struct CMUnitTest tests[CLAIMS_MAX];
    size_t count = collect(tests, 0, engine_claims_of_keys, driver);

    count = collect(tests, count, engine_claims_of_time, driver);
    if (driver->own != NULL) {
        count = collect(tests, count, driver->own, driver);
    }
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

/* A catalog, settings and questions made of any bytes: what holds for every answer
 * (tests/unit/dns_trial.h). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dns_trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char why[DNS_TRIAL_WHY_MAX];

    if (dns_trial(bytes, size, why) != 0) {
        (void)fprintf(stderr, "%s\n", why);
        abort();
    }
    return 0;
}

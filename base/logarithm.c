#include "base/logarithm.h"

#include <assert.h>
#include <float.h>
#include <stdint.h>
#include <string.h>

/* x = fraction * 2^exponent (IEEE 754), so ln(x) = ln(fraction) + exponent * ln(2); and
 * ln(f) = 2 * (t + t^3/3 + t^5/5 + ...) with t = (f - 1) / (f + 1). With f in [0.75, 1.5) t is
 * at most 0.2, and what follows the last term is below one unit of the 16th digit. */
double rc_logarithm(double x)
{
    enum { FRACTION_BITS = 52, BIAS = 1023, LAST_TERM = 21 };
    const double ln2 = 0.69314718055994530942;
    uint64_t bits = 0;

    assert(x >= DBL_MIN && x <= DBL_MAX);
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> FRACTION_BITS) - BIAS;
    bits &= (UINT64_C(1) << FRACTION_BITS) - 1;
    bits |= (uint64_t)BIAS << FRACTION_BITS;
    double fraction = 0; /* in [1, 2) */
    memcpy(&fraction, &bits, sizeof fraction);
    if (fraction >= 1.5) {
        fraction /= 2;
        exponent++;
    }
    double t = (fraction - 1) / (fraction + 1);
    double square = t * t;
    double sum = 0;
    for (int term = LAST_TERM; term > 0; term -= 2) {
        sum = sum * square + 1.0 / term;
    }
    return 2 * t * sum + exponent * ln2;
}

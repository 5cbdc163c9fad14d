/* archive_sum_sodium.c - see archive.h. */
#include <sodium.h>

#include "agent/store/archive.h"
#include "base/err.h"

int archive_sum(const void *bytes, size_t size, uint8_t out[ARCHIVE_SUM_SIZE])
{
    if (sodium_init() < 0 ||
        crypto_generichash(out, ARCHIVE_SUM_SIZE, bytes, size, NULL, 0) != 0) {
        return RC_EUNSUPPORTED;
    }
    return RC_OK;
}

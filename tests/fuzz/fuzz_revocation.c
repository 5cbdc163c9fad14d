/* fuzz_revocation.c - any text as a revocation: read or refused; what is read is signed, and is
 * written as it was read. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/link/revocation.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct revocation revocation;
    struct revocation again;
    char text[512];
    char shown[REVOCATION_TEXT_MAX];

    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (revocation_read(text, &revocation) == RC_OK) {
        revocation_show(&revocation, shown);
        assert(revocation_read(shown, &again) == RC_OK);
        assert(memcmp(&revocation, &again, sizeof again) == 0);
    }
    return 0;
}

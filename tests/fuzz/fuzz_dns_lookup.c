/* Any answers to a search for instances. Each is given with two bytes of length before
 * it; the name searched is "a". */
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/err.h"
#include "dns/resolve/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    struct dns_lookup_question question;
    struct dns_lookup *lookup;
    struct dns_result result;

    if (dns_lookup_create("a", 1, &lookup) != RC_OK) {
        return 0;
    }
    while (dns_lookup_next(lookup, &question) == RC_OK) {
        size_t length = rc_cursor_u16(&cursor);
        const uint8_t *answer = rc_cursor_take(&cursor, length);
        dns_lookup_answer(lookup, question.id, answer, answer == NULL ? 0 : length, "-");
    }
    if (dns_lookup_result(lookup, &result) == RC_EAGAIN ||
        (result.verdict == DNS_VERDICT_EMPTY && result.target_count > 0)) {
        abort();
    }
    dns_lookup_destroy(lookup);
    return 0;
}

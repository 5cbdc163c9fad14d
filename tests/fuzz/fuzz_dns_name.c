/* A name at any place of any message: two bytes of offset, then the message. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "dns/wire/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char text[DNS_NAME_TEXT_MAX];
    struct dns_name name;
    struct dns_name again;

    if (size < 2) {
        return 0;
    }
    size_t at = (size_t)bytes[0] << 8 | bytes[1];
    const uint8_t *message = bytes + 2;
    struct rc_cursor cursor = rc_cursor_over(message, size - 2);
    if (rc_cursor_take(&cursor, at) == NULL ||
        dns_name_read(&cursor, message, &name) != RC_OK) {
        return 0;
    }
    require(name.size >= 1 && name.wire[name.size - 1] == 0);
    struct rc_cursor whole = rc_cursor_over(name.wire, name.size);
    require(dns_name_read(&whole, name.wire, &again) == RC_OK);
    require(dns_name_equals(&name, &again) && dns_name_ends_with(&name, &again));
    if (dns_name_to_text(&name, 0, name.label_count, text) > 0) {
        require(dns_name_from_text(text, &again) == RC_OK);
        require(dns_name_equals(&name, &again));
    }
    return 0;
}

/* kv_pairs.c - see kv.h: flags are any 64 bits, JSON's integers here only 63.
 *
 * A key's flags from 2^63 on, as semaphores have them, are wrapped into negative numbers on
 * the way in and unwrapped on the way out. In JSON's text `"Flags":` cannot be but a key. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/cli/kv.h"
#include "base/err.h"
#include "base/text.h"

enum { DIGITS_MAX = 20 };

static const char mark[] = "\"flags\":";

/* Where the number of the next flags begins; NULL: there are none. */
static char *next_number(char *at)
{
    while ((at = strchr(at, '"')) != NULL) {
        if (strncasecmp(at, mark, sizeof mark - 1) == 0) {
            at += sizeof mark - 1;
            return at + strspn(at, " ");
        }
        at++;
    }
    return NULL;
}

json_t *kv_load(const void *bytes, size_t size, json_error_t *why)
{
    struct rc_buffer copy = {0};
    char digits[DIGITS_MAX + 2];
    uint64_t number;

    rc_buffer_append(&copy, bytes, size);
    char *at = copy.err == RC_OK && size > 0 ? next_number((char *)copy.bytes) : NULL;
    for (; at != NULL; at = next_number(at)) {
        size_t length = strspn(at, "0123456789");
        if (length == 0 || length > DIGITS_MAX) {
            continue;
        }
        memcpy(digits, at, length);
        digits[length] = '\0';
        if (rc_text_to_u64(digits, UINT64_MAX, &number) == RC_OK && number > INT64_MAX) {
            /* As long or shorter: the highest has a sign and 19 digits. */
            int written = snprintf(digits, sizeof digits, "%" PRId64, (int64_t)number);
            memset(at, ' ', length);
            memcpy(at, digits, (size_t)written);
        }
    }
    json_t *out = json_loadb(rc_buffer_string(&copy), copy.size, 0, why);
    rc_buffer_fini(&copy);
    return out;
}

void kv_print_line(const char *line, size_t length)
{
    struct rc_buffer copy = {0};

    rc_buffer_append(&copy, line, length);
    char *text = (char *)copy.bytes;
    char *at = length > 0 && copy.err == RC_OK ? next_number(text) : NULL;
    if (at != NULL && *at == '-') {
        char *rest = NULL;
        uint64_t number = (uint64_t)strtoll(at, &rest, 10);
        (void)printf("%.*s%" PRIu64 "%s\n", (int)(at - text), text, number, rest);
    } else {
        (void)printf("%s\n", rc_buffer_string(&copy));
    }
    rc_buffer_fini(&copy);
}

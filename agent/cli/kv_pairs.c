/* kv_pairs.c - see kv.h: flags are any 64 bits, JSON's integers here only 63.
 *
 * A key's flags from 2^63 on, as semaphores have them, are wrapped into negative numbers on
 * the way in and unwrapped on the way out. In JSON's text `"Flags":` cannot be but a key. */
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
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

/* The number at `at` if jansson would not take it; 0: it is none, or it would. */
static uint64_t big_number(const char *at, size_t *length)
{
    char digits[DIGITS_MAX + 1];
    uint64_t number = 0;

    *length = strspn(at, "0123456789");
    if (*length == 0 || *length > DIGITS_MAX) {
        return 0;
    }
    memcpy(digits, at, *length);
    digits[*length] = '\0';
    bool is_number = rc_text_to_u64(digits, UINT64_MAX, &number) == RC_OK;
    return is_number && number > INT64_MAX ? number : 0;
}

json_t *kv_load(const void *bytes, size_t size, json_error_t *why)
{
    struct rc_buffer copy = {0};
    struct rc_buffer wrapped = {0};

    rc_buffer_append(&copy, bytes, size);
    char *rest = copy.err == RC_OK && size > 0 ? (char *)copy.bytes : (char[]){""};
    for (char *at = next_number(rest); at != NULL; at = next_number(rest)) {
        size_t length = 0;
        uint64_t number = big_number(at, &length);
        rc_buffer_append(&wrapped, rest, (size_t)(at - rest));
        rest = at;
        if (number != 0) {
            rc_buffer_format(&wrapped, "%" PRId64, (int64_t)number);
            rest += length;
        }
    }
    rc_buffer_text(&wrapped, rest);
    json_t *out = json_loadb(rc_buffer_string(&wrapped), wrapped.size, 0, why);
    rc_buffer_fini(&copy);
    rc_buffer_fini(&wrapped);
    return out;
}

/* The text with flags that were wrapped as they are. */
static void unwrap(char *text, struct rc_buffer *out)
{
    char *rest = text;

    for (char *at = next_number(text); at != NULL; at = next_number(rest)) {
        rc_buffer_append(out, rest, (size_t)(at - rest));
        rest = at;
        if (*at == '-') {
            uint64_t number = (uint64_t)strtoll(at, &rest, 10);
            rc_buffer_format(out, "%" PRIu64, number);
        }
    }
    rc_buffer_text(out, rest);
}

void kv_write(const json_t *json, size_t how, struct rc_buffer *out)
{
    char *text = json_dumps(json, how | JSON_ENCODE_ANY);

    if (text == NULL) {
        out->err = RC_ENOMEM;
        return;
    }
    unwrap(text, out);
    free(text);
}

void kv_print_line(const char *line, size_t length)
{
    struct rc_buffer copy = {0};
    struct rc_buffer out = {0};

    rc_buffer_append(&copy, line, length);
    if (length > 0 && copy.err == RC_OK) {
        unwrap((char *)copy.bytes, &out);
    }
    (void)printf("%s\n", rc_buffer_string(&out));
    rc_buffer_fini(&copy);
    rc_buffer_fini(&out);
}

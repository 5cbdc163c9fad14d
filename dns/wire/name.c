#include "dns/wire/name.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

enum {
    HEADER_SIZE = 12,
    POINTER_BITS = 0xc0 /* the two high bits of a length byte: RFC 1035 section 4.1.4 */
};

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* Length bytes are at most 63, below every letter, so whole wire forms can be folded. */
static bool same_folded(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i] && fold(a[i]) != fold(b[i])) {
            return false;
        }
    }
    return true;
}

static int add_label(struct dns_name *name, const uint8_t *label, size_t size)
{
    assert(size <= DNS_LABEL_MAX);
    /* One more byte is kept for the root. */
    if (size == 0 || name->size + size + 2 > DNS_NAME_MAX) {
        return RC_EMALFORMED;
    }
    assert(name->label_count < DNS_LABELS_MAX);
    name->starts[name->label_count++] = name->size;
    name->wire[name->size] = (uint8_t)size;
    memcpy(name->wire + name->size + 1, label, size);
    name->size = (uint8_t)(name->size + size + 1);
    return RC_OK;
}

static void end_name(struct dns_name *name)
{
    assert(name->size < DNS_NAME_MAX);
    name->wire[name->size++] = 0;
}

/* Moves `at` to where the pointer leads: to a name that is whole before `limit`, where the
 * one that we read began (RFC 1035 section 4.1.4: a prior occurrence), so there is an end. */
static int follow(struct rc_cursor *at, const uint8_t *message, uint8_t high,
                  size_t *limit)
{
    size_t target = (size_t)(high & ~POINTER_BITS) << 8 | rc_cursor_u8(at);

    if (at->err != RC_OK) {
        return RC_ETRUNCATED;
    }
    if (target < HEADER_SIZE || target >= *limit) {
        return RC_EMALFORMED;
    }
    *at = rc_cursor_over(message, *limit);
    (void)rc_cursor_take(at, target);
    *limit = target;
    return RC_OK;
}

int dns_name_read(struct rc_cursor *cursor, const uint8_t *message, struct dns_name *out)
{
    struct rc_cursor at = *cursor;
    size_t limit = (size_t)(cursor->at - message);
    bool jumped = false;

    out->size = 0;
    out->label_count = 0;
    for (;;) {
        uint8_t length = rc_cursor_u8(&at);
        int err = at.err;
        if (err == RC_OK && (length & POINTER_BITS) == POINTER_BITS) {
            struct rc_cursor here = at;
            err = follow(&at, message, length, &limit);
            if (err == RC_OK && !jumped) {
                (void)rc_cursor_u8(&here);
                *cursor = here;
                jumped = true;
            }
        } else if (err == RC_OK && length > DNS_LABEL_MAX) {
            err = RC_EMALFORMED; /* 01 and 10: RFC 6891 section 5 gave them up */
        } else if (err == RC_OK && length == 0) {
            break;
        } else if (err == RC_OK) {
            const uint8_t *label = rc_cursor_take(&at, length);
            err = label == NULL ? RC_ETRUNCATED : add_label(out, label, length);
        }
        if (err != RC_OK) {
            rc_cursor_fail(cursor, err);
            return err;
        }
    }
    end_name(out);
    if (!jumped) {
        *cursor = at;
    }
    return RC_OK;
}

/* Appends the labels of `text`, without the root. */
static int add_text(struct dns_name *name, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ".");
        if (size > DNS_LABEL_MAX ||
            add_label(name, (const uint8_t *)text, size) != RC_OK) {
            return RC_EMALFORMED;
        }
        text += size;
        text += *text == '.' ? 1 : 0;
    }
    return RC_OK;
}

int dns_name_from_text(const char *text, struct dns_name *out)
{
    out->size = 0;
    out->label_count = 0;
    if (strcmp(text, ".") != 0 && add_text(out, text) != RC_OK) {
        return RC_EMALFORMED;
    }
    end_name(out);
    return RC_OK;
}

int dns_name_under(const char *text, const struct dns_name *suffix, struct dns_name *out)
{
    out->size = 0;
    out->label_count = 0;
    if (*text == '\0' || add_text(out, text) != RC_OK ||
        (size_t)out->size + suffix->size > DNS_NAME_MAX) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < suffix->label_count; i++) {
        out->starts[out->label_count++] = (uint8_t)(suffix->starts[i] + out->size);
    }
    memcpy(out->wire + out->size, suffix->wire, suffix->size);
    out->size = (uint8_t)(out->size + suffix->size);
    return RC_OK;
}

size_t dns_name_to_text(const struct dns_name *name, size_t first, size_t count,
                        char space[DNS_NAME_TEXT_MAX])
{
    size_t size = 0;

    assert(first + count <= name->label_count);
    for (size_t i = first; i < first + count; i++) {
        const uint8_t *label = name->wire + name->starts[i];
        if (i > first) {
            space[size++] = '.';
        }
        for (size_t k = 1; k <= label[0]; k++) {
            if (label[k] == '.' || label[k] == '\0') {
                space[0] = '\0';
                return 0;
            }
            space[size++] = (char)fold(label[k]);
        }
    }
    assert(size < DNS_NAME_TEXT_MAX);
    space[size] = '\0';
    return size;
}

struct rc_span dns_name_label(const struct dns_name *name, size_t i)
{
    assert(i < name->label_count);
    const uint8_t *label = name->wire + name->starts[i];
    return (struct rc_span){.at = (const char *)label + 1, .size = label[0]};
}

bool dns_name_equals(const struct dns_name *a, const struct dns_name *b)
{
    return a->size == b->size && same_folded(a->wire, b->wire, a->size);
}

bool dns_name_ends_with(const struct dns_name *name, const struct dns_name *suffix)
{
    if (name->label_count < suffix->label_count || name->size < suffix->size) {
        return false;
    }
    if (suffix->label_count == 0) {
        return true;
    }
    size_t start = name->starts[name->label_count - suffix->label_count];
    return name->size - start == suffix->size &&
           same_folded(name->wire + start, suffix->wire, suffix->size);
}

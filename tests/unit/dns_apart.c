#include "tests/unit/dns_apart.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/writer.h"

enum { OPT_DATA_MAX = sizeof((struct dns_apart *)NULL)->opt_data };

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static void write_folded(struct rc_writer *out, const struct dns_name *name)
{
    for (size_t i = 0; i < name->size; i++) {
        rc_writer_u8(out, fold(name->wire[i]));
    }
}

int dns_apart_compare(const struct dns_apart_record *a, const struct dns_apart_record *b)
{
    if (a->section != b->section) {
        return a->section < b->section ? -1 : 1;
    }
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare(const void *a, const void *b)
{
    return dns_apart_compare(a, b);
}

bool dns_apart_has_answer(const struct dns_apart *whole,
                          const struct dns_apart_record *record)
{
    return bsearch(record, whole->records, whole->count, sizeof *record, compare) != NULL;
}

/* Names that stand in data, and which bytes stand before them. */
static size_t names_in(uint16_t type, size_t *before)
{
    *before = 0;
    switch (type) {
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_PTR:
        return 1;
    case DNS_TYPE_SOA:
        return 2;
    case DNS_TYPE_SRV:
        *before = 6;
        return 1;
    default:
        return 0;
    }
}

static const char *read_data(struct rc_cursor *cursor, const uint8_t *message,
                             uint16_t type, size_t size, struct rc_writer *out)
{
    const uint8_t *end = cursor->at + size;
    struct dns_name name;
    size_t before;
    size_t names = names_in(type, &before);

    if (before > size) {
        return "data too short for its type";
    }
    rc_writer_bytes(out, rc_cursor_take(cursor, before), before);
    for (size_t i = 0; i < names; i++) {
        const uint8_t *start = cursor->at;
        if (dns_name_read(cursor, message, &name) != RC_OK || cursor->at > end) {
            return "a name in data is broken";
        }
        if (type == DNS_TYPE_SRV && (size_t)(cursor->at - start) != name.size) {
            return "the target of an SRV record is compressed";
        }
        write_folded(out, &name);
    }
    size_t left = (size_t)(end - cursor->at);
    rc_writer_bytes(out, rc_cursor_take(cursor, left), left);
    return type == DNS_TYPE_SOA && left != 20 ? "an SOA of a wrong size" : NULL;
}

static const char *keep_opt(struct rc_cursor *cursor, uint16_t class, uint32_t ttl,
                            size_t size, struct dns_apart *out)
{
    if (out->has_opt) {
        return "two OPT records";
    }
    if (size > OPT_DATA_MAX) {
        return "a huge OPT record";
    }
    out->has_opt = true;
    out->opt_size = class;
    out->opt_ttl = ttl;
    out->opt_data_size = size;
    memcpy(out->opt_data, rc_cursor_take(cursor, size), size);
    return NULL;
}

static const char *read_record(struct rc_cursor *cursor, const uint8_t *message,
                               enum dns_section section, struct rc_writer *space,
                               struct dns_apart *out)
{
    struct dns_apart_record *record = &out->records[out->count];

    struct dns_name owner;

    if (out->count == DNS_APART_RECORDS_MAX) {
        return "more records than a test foresees";
    }
    if (dns_name_read(cursor, message, &owner) != RC_OK) {
        return "a record's owner is broken, or fewer records than counted";
    }
    uint16_t type = rc_cursor_u16(cursor);
    uint16_t class = rc_cursor_u16(cursor);
    uint32_t ttl = rc_cursor_u32(cursor);
    size_t size = rc_cursor_u16(cursor);
    if (cursor->err != RC_OK || rc_cursor_left(cursor) < size) {
        return "a record is cut";
    }
    if (type == DNS_TYPE_OPT) {
        return section == DNS_SECTION_ADDITIONAL && owner.label_count == 0
                   ? keep_opt(cursor, class, ttl, size, out)
                   : "an OPT record where none may be";
    }
    record->section = section;
    record->type = type;
    record->bytes = space->at;
    record->owner_size = owner.size;
    write_folded(space, &owner);
    rc_writer_u16(space, type);
    rc_writer_u16(space, class);
    rc_writer_u32(space, ttl);
    const char *wrong = read_data(cursor, message, type, size, space);
    record->size = (size_t)(space->at - record->bytes);
    out->counts[section]++;
    out->count++;
    return wrong != NULL || space->err == RC_OK ? wrong : "longer than a test foresees";
}

const char *dns_apart_read(const uint8_t *bytes, size_t size, struct dns_apart *out)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    struct rc_writer space = rc_writer_over(out->space, sizeof out->space);
    uint16_t counts[DNS_SECTION_COUNT];

    memset(out->counts, 0, sizeof out->counts);
    out->count = 0;
    out->has_opt = false;
    out->id = rc_cursor_u16(&cursor);
    out->flags = rc_cursor_u16(&cursor);
    uint16_t questions = rc_cursor_u16(&cursor);
    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        counts[s] = rc_cursor_u16(&cursor);
    }
    out->has_question = questions == 1;
    if (cursor.err != RC_OK || questions > 1) {
        return "no header, or too many questions";
    }
    if (out->has_question && dns_name_read(&cursor, bytes, &out->question) != RC_OK) {
        return "the question's name is broken";
    }
    if (out->has_question && rc_cursor_take(&cursor, 4) == NULL) {
        return "the question is cut";
    }
    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        for (size_t i = 0; i < counts[s]; i++) {
            const char *wrong =
                read_record(&cursor, bytes, (enum dns_section)s, &space, out);
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    qsort(out->records, out->count, sizeof out->records[0], compare);
    return rc_cursor_left(&cursor) == 0 ? NULL : "bytes behind the last record";
}

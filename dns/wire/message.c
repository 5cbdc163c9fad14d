#include "dns/wire/message.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"

enum {
    FIELDS_SIZE = 10, /* of a record: type, class, TTL, RDLENGTH */
    OPT_SIZE = 11,    /* root, type, class, TTL, RDLENGTH */
    CLASS_BEFORE_RDLENGTH = 6,
    EDNS_FLAG_DO = 0x8000,
    POINTER = 0xc000,
    POINTER_MAX = 0x3fff,
    QUERIES_PER_MESSAGE = 1 /* RFC 9619 */
};

struct header {
    uint16_t counts[1 + DNS_SECTION_COUNT]; /* question, then the sections */
};

static struct header read_header(struct rc_cursor *cursor, struct dns_query *out)
{
    struct header header;

    out->id = rc_cursor_u16(cursor);
    out->flags = rc_cursor_u16(cursor);
    for (size_t i = 0; i < 1 + DNS_SECTION_COUNT; i++) {
        header.counts[i] = rc_cursor_u16(cursor);
    }
    return header;
}

static int read_question(struct rc_cursor *cursor, const uint8_t *bytes,
                         struct dns_query *out)
{
    const uint8_t *start = cursor->at;

    int err = dns_name_read(cursor, bytes, &out->name);
    if (err != RC_OK) {
        return err;
    }
    out->type = rc_cursor_u16(cursor);
    out->class = rc_cursor_u16(cursor);
    if (cursor->err != RC_OK) {
        return cursor->err;
    }
    out->bytes = start;
    out->question_size = (size_t)(cursor->at - start);
    out->question = DNS_PART_PRESENT;
    return RC_OK;
}

/* RFC 6891 section 6.1: one OPT, owned by the root. A version that we do not know is told
 * before its options are looked at, which may mean something else there. */
static int read_opt(const struct dns_name *owner, uint16_t class, uint32_t ttl,
                    struct rc_span rdata, struct dns_query *out)
{
    if (owner->label_count != 0 || out->edns == DNS_PART_PRESENT) {
        return RC_EMALFORMED;
    }
    unsigned version = ttl >> 16 & 0xff;
    if (version == 0 && rdata.size > 0 &&
        dns_asked_read((const uint8_t *)rdata.at, rdata.size, &out->asked) != RC_OK) {
        out->asked = (struct dns_asked){.cookie = NULL};
        if (out->patience == DNS_PATIENCE_NONE) {
            return RC_EMALFORMED;
        }
    }
    if (version > 0 && out->patience == DNS_PATIENCE_NONE) {
        out->rcode = DNS_RCODE_BADVERS;
    }
    out->edns = DNS_PART_PRESENT;
    out->edns_size = class;
    out->edns_flags = (uint16_t)(ttl & 0xffff);
    return RC_OK;
}

static int read_record(struct rc_cursor *cursor, const uint8_t *bytes,
                       enum dns_section section, struct dns_query *out)
{
    struct dns_name owner;

    int err = dns_name_read(cursor, bytes, &owner);
    if (err != RC_OK) {
        return err;
    }
    uint16_t type = rc_cursor_u16(cursor);
    uint16_t class = rc_cursor_u16(cursor);
    uint32_t ttl = rc_cursor_u32(cursor);
    size_t size = rc_cursor_u16(cursor);
    const uint8_t *rdata = rc_cursor_take(cursor, size);
    if (cursor->err != RC_OK) {
        return cursor->err;
    }
    if (type == DNS_TYPE_TSIG || type == DNS_TYPE_SIG) {
        return RC_EMALFORMED; /* a signature that we cannot check is not to be ignored */
    }
    if (type != DNS_TYPE_OPT) {
        return RC_OK;
    }
    if (section != DNS_SECTION_ADDITIONAL) {
        return RC_EMALFORMED;
    }
    return read_opt(&owner, class, ttl,
                    (struct rc_span){.at = (const char *)rdata, .size = size}, out);
}

/* What stands behind the question: nothing but additional records, and nothing behind
 * them. */
static int read_rest(struct rc_cursor *cursor, const uint8_t *bytes,
                     const struct header *header, struct dns_query *out)
{
    int worst = RC_OK;

    for (int s = DNS_SECTION_ANSWER; s < DNS_SECTION_COUNT; s++) {
        /* A request for an incremental transfer carries the SOA it has (RFC 1995). */
        int is_allowed = s == DNS_SECTION_ADDITIONAL ||
                         (s == DNS_SECTION_AUTHORITY && out->type == DNS_TYPE_IXFR);
        for (unsigned i = 0; i < header->counts[1 + s]; i++) {
            int err = read_record(cursor, bytes, (enum dns_section)s, out);
            worst = err != RC_OK || !is_allowed ? RC_EMALFORMED : worst;
            if (cursor->err != RC_OK) {
                return RC_EMALFORMED;
            }
        }
    }
    return rc_cursor_left(cursor) > 0 ? RC_EMALFORMED : worst;
}

/* Without a question only a cookie can be asked for (RFC 7873 section 5.4). */
static void read_without_question(struct rc_cursor *cursor, const uint8_t *bytes,
                                  const struct header *header, struct dns_query *out)
{
    if (read_rest(cursor, bytes, header, out) != RC_OK ||
        (out->asked.cookie_size == 0 && out->rcode == DNS_RCODE_NOERROR)) {
        out->rcode = DNS_RCODE_FORMERR;
    }
}

static bool is_query(const struct dns_query *query)
{
    unsigned opcode = query->flags & DNS_OPCODE_MASK;
    return opcode == 0 ||
           (opcode == DNS_OPCODE_NOTIFY && query->patience == DNS_PATIENCE_OF_CONSUL);
}

static int read_query(const uint8_t *bytes, size_t size, enum dns_patience patience,
                      struct dns_query *out)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);

    out->patience = patience;
    out->rcode = DNS_RCODE_NOERROR;
    out->question = DNS_PART_MISSING;
    out->question_size = 0;
    out->type = 0;
    out->edns = DNS_PART_MISSING;
    out->asked = (struct dns_asked){.cookie = NULL};
    struct header header = read_header(&cursor, out);
    if (cursor.err != RC_OK || (out->flags & DNS_FLAG_QR) != 0) {
        return RC_EMALFORMED;
    }
    if (!is_query(out)) {
        out->rcode = DNS_RCODE_NOTIMP;
        return RC_OK;
    }
    if (header.counts[0] == 0) {
        read_without_question(&cursor, bytes, &header, out);
        return RC_OK;
    }
    if (header.counts[0] != QUERIES_PER_MESSAGE ||
        read_question(&cursor, bytes, out) != RC_OK) {
        out->rcode = DNS_RCODE_FORMERR;
        out->type = 0;
        return RC_OK;
    }
    int err = read_rest(&cursor, bytes, &header, out);
    if (err != RC_OK || out->type == 0 || out->type == DNS_TYPE_OPT) {
        out->rcode = DNS_RCODE_FORMERR;
    }
    return RC_OK;
}

int dns_query_read(const uint8_t *bytes, size_t size, struct dns_query *out)
{
    return read_query(bytes, size, DNS_PATIENCE_NONE, out);
}

int dns_query_read_as_consul(const uint8_t *bytes, size_t size, struct dns_query *out)
{
    return read_query(bytes, size, DNS_PATIENCE_OF_CONSUL, out);
}

void dns_writer_begin(struct dns_writer *writer, const struct dns_query *query,
                      const struct dns_extras *extras, uint8_t *space, size_t size,
                      enum dns_part compression)
{
    assert(size >= 512);
    writer->reserved =
        query->edns == DNS_PART_PRESENT ? OPT_SIZE + dns_extras_size(extras) : 0;
    writer->bytes = rc_writer_over(space, size - writer->reserved);
    memset(writer->counts, 0, sizeof writer->counts);
    writer->anchor_count = 0;
    writer->compression = compression;
    (void)rc_writer_reserve(&writer->bytes, DNS_HEADER_SIZE);
    if (query->question == DNS_PART_PRESENT) {
        rc_writer_bytes(&writer->bytes, query->bytes, query->question_size);
        writer->anchors[writer->anchor_count++] = DNS_QUESTION_AT;
    }
    assert(writer->bytes.err == RC_OK);
}

enum dns_part dns_writer_set_aside(struct dns_writer *writer, size_t size)
{
    if (rc_writer_left(&writer->bytes) < size) {
        return DNS_PART_MISSING;
    }
    writer->bytes.end -= size;
    writer->reserved += size;
    return DNS_PART_PRESENT;
}

void dns_writer_give_back(struct dns_writer *writer, size_t size)
{
    assert(writer->reserved >= size);
    writer->bytes.end += size;
    writer->reserved -= size;
}

size_t dns_writer_at(const struct dns_writer *writer)
{
    return rc_writer_size(&writer->bytes);
}

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* The offset of the next label of a name that we wrote ourselves, past any pointer. */
static size_t label_at(const struct dns_writer *writer, size_t offset)
{
    const uint8_t *start = writer->bytes.start;

    while ((start[offset] & 0xc0) == 0xc0) {
        offset = (size_t)(start[offset] & 0x3f) << 8 | start[offset + 1];
    }
    return offset;
}

/* True if the message has at `offset` what `name` has from label `first` on. */
static bool stands_at(const struct dns_writer *writer, size_t offset,
                      const struct dns_name *name, size_t first)
{
    const uint8_t *start = writer->bytes.start;

    for (size_t i = first; i < name->label_count; i++) {
        const uint8_t *label = name->wire + name->starts[i];
        offset = label_at(writer, offset);
        for (size_t k = 0; k <= label[0]; k++) {
            if (fold(start[offset + k]) != fold(label[k])) {
                return false;
            }
        }
        offset += (size_t)label[0] + 1;
    }
    return start[label_at(writer, offset)] == 0;
}

/* Where the message has the labels of `name` from `first` on, or 0. */
static size_t find(const struct dns_writer *writer, const struct dns_name *name,
                   size_t first)
{
    for (size_t a = 0; a < writer->anchor_count; a++) {
        size_t offset = label_at(writer, writer->anchors[a]);
        while (writer->bytes.start[offset] != 0) {
            if (stands_at(writer, offset, name, first)) {
                return offset;
            }
            offset = label_at(writer, offset + writer->bytes.start[offset] + 1);
        }
    }
    return 0;
}

static void write_name(struct dns_writer *writer, const struct dns_name *name)
{
    size_t at = dns_writer_at(writer);

    if (writer->compression == DNS_PART_MISSING) {
        rc_writer_bytes(&writer->bytes, name->wire, name->size);
        return;
    }
    for (size_t i = 0; i < name->label_count; i++) {
        size_t offset = find(writer, name, i);
        if (offset != 0) {
            rc_writer_u16(&writer->bytes, (uint16_t)(POINTER | offset));
            break;
        }
        const uint8_t *label = name->wire + name->starts[i];
        rc_writer_bytes(&writer->bytes, label, (size_t)label[0] + 1);
        if (i + 1U == name->label_count) {
            rc_writer_u8(&writer->bytes, 0);
        }
    }
    if (name->label_count == 0) {
        rc_writer_u8(&writer->bytes, 0);
    }
    if (writer->bytes.err == RC_OK && at <= POINTER_MAX - DNS_NAME_MAX &&
        writer->anchor_count < DNS_ANCHORS_MAX) {
        writer->anchors[writer->anchor_count++] = (uint16_t)at;
    }
}

/* All fields between owner and data at once: this is where most of the time goes. */
static void open_fields(struct dns_writer *writer, uint16_t type, uint32_t ttl_s)
{
    uint8_t *fields = rc_writer_reserve(&writer->bytes, FIELDS_SIZE);

    if (fields == NULL) {
        return;
    }
    const uint8_t values[FIELDS_SIZE] = {
        (uint8_t)(type >> 8),  (uint8_t)type,          0,
        DNS_CLASS_IN,          (uint8_t)(ttl_s >> 24), (uint8_t)(ttl_s >> 16),
        (uint8_t)(ttl_s >> 8), (uint8_t)ttl_s,
    };
    memcpy(fields, values, sizeof values);
    writer->rdlength = fields + FIELDS_SIZE - 2;
}

void dns_record_open(struct dns_writer *writer, const struct dns_name *owner,
                     uint16_t type, uint32_t ttl_s)
{
    writer->mark = writer->bytes;
    write_name(writer, owner);
    open_fields(writer, type, ttl_s);
}

void dns_record_open_at(struct dns_writer *writer, size_t owner_at, uint16_t type,
                        uint32_t ttl_s)
{
    writer->mark = writer->bytes;
    if (writer->compression == DNS_PART_PRESENT && owner_at <= POINTER_MAX) {
        rc_writer_u16(&writer->bytes, (uint16_t)(POINTER | owner_at));
    } else {
        size_t at = label_at(writer, owner_at);
        while (writer->bytes.err == RC_OK && writer->bytes.start[at] != 0) {
            size_t size = (size_t)writer->bytes.start[at] + 1;
            rc_writer_bytes(&writer->bytes, writer->bytes.start + at, size);
            at = label_at(writer, at + size);
        }
        rc_writer_u8(&writer->bytes, 0);
    }
    open_fields(writer, type, ttl_s);
}

void dns_record_class(struct dns_writer *writer, uint16_t class)
{
    if (writer->bytes.err == RC_OK) {
        uint8_t *field = writer->rdlength - CLASS_BEFORE_RDLENGTH;
        field[0] = (uint8_t)(class >> 8);
        field[1] = (uint8_t) class;
    }
}

void dns_record_name(struct dns_writer *writer, const struct dns_name *name)
{
    write_name(writer, name);
}

static void forget_anchors(struct dns_writer *writer, size_t from)
{
    while (writer->anchor_count > 0 &&
           writer->anchors[writer->anchor_count - 1] >= from) {
        writer->anchor_count--;
    }
}

enum dns_part dns_record_close(struct dns_writer *writer, enum dns_section section)
{
    if (writer->bytes.err != RC_OK) {
        writer->bytes = writer->mark;
        forget_anchors(writer, dns_writer_at(writer));
        return DNS_PART_MISSING;
    }
    assert(writer->rdlength != NULL);
    size_t size = (size_t)(writer->bytes.at - writer->rdlength) - 2;
    writer->rdlength[0] = (uint8_t)(size >> 8);
    writer->rdlength[1] = (uint8_t)size;
    writer->counts[section]++;
    return DNS_PART_PRESENT;
}

static void write_opt(struct dns_writer *writer, const struct dns_query *query,
                      uint16_t rcode, const struct dns_extras *extras)
{
    struct rc_writer *bytes = &writer->bytes;
    unsigned flags = query->edns_flags & EDNS_FLAG_DO;

    bytes->end += writer->reserved;
    rc_writer_u8(bytes, 0);
    rc_writer_u16(bytes, DNS_TYPE_OPT);
    rc_writer_u16(bytes, query->patience == DNS_PATIENCE_OF_CONSUL ? query->edns_size
                                                                   : DNS_EDNS_SIZE);
    rc_writer_u32(bytes, (uint32_t)(rcode >> 4) << 24 | flags);
    dns_extras_write(extras, bytes);
    writer->counts[DNS_SECTION_ADDITIONAL]++;
}

size_t dns_writer_end(struct dns_writer *writer, const struct dns_query *query,
                      uint16_t flags, uint16_t rcode, const struct dns_extras *extras)
{
    unsigned kept = query->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD | DNS_FLAG_CD);

    if (query->question == DNS_PART_MISSING) {
        kept &= ~(unsigned)DNS_FLAG_CD;
    }
    if (query->edns == DNS_PART_PRESENT) {
        write_opt(writer, query, rcode, extras);
    }
    assert(writer->bytes.err == RC_OK);
    struct rc_writer header = rc_writer_over(writer->bytes.start, DNS_HEADER_SIZE);
    rc_writer_u16(&header, query->id);
    rc_writer_u16(&header, (uint16_t)(DNS_FLAG_QR | kept | flags | (rcode & 0xf)));
    rc_writer_u16(&header, query->question == DNS_PART_PRESENT ? 1 : 0);
    for (int s = DNS_SECTION_ANSWER; s < DNS_SECTION_COUNT; s++) {
        rc_writer_u16(&header, writer->counts[s]);
    }
    return rc_writer_size(&writer->bytes);
}

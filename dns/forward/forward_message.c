#include "dns/forward/forward_message.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"

enum {
    MARK_SIZE = 9,      /* instance and hops */
    TYPE_AND_CLASS = 4, /* behind the name of a question */
    TTL_AND_LENGTH = 6, /* of a record, before its data */
    RDLENGTH_AT = 4,    /* from a record's TTL */
    RECORD_MIN = 11,    /* root, type, class, TTL, length */
    SOA_NUMBERS = 20,   /* at the end of its data; the last one is MINIMUM */
    TYPE_MX = 15,
    RCODE_MASK = 0xf,
    OPCODE_SHIFT = 11,
    TTL_SIGN = INT32_MAX /* above: zero, RFC 2181 section 8 */
};

struct dns_forward_mark dns_forward_mark_read(const struct dns_query *query)
{
    struct dns_forward_mark mark = {.hops = 0};

    if (query->asked.loop_mark_size == MARK_SIZE) {
        struct rc_cursor cursor = rc_cursor_over(query->asked.loop_mark, MARK_SIZE);
        mark.instance = rc_cursor_u64(&cursor);
        mark.hops = rc_cursor_u8(&cursor);
    }
    return mark;
}

static uint8_t fold(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* The name in letters of random case; length bytes are no letters. */
static void write_name(struct rc_writer *writer, const struct dns_name *name,
                       struct rc_random *random)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < name->size; i++) {
        uint8_t byte = fold(name->wire[i]);
        if (i % 64 == 0) {
            bits = rc_random_next(random);
        }
        if (byte >= 'a' && byte <= 'z') {
            byte = (uint8_t)(byte ^ ((bits & 1) << 5));
        }
        bits >>= 1;
        rc_writer_u8(writer, byte);
    }
}

size_t dns_forward_query_write(const struct dns_forward_question *question,
                               const struct dns_forward_mark *mark, enum dns_part edns,
                               struct rc_random *random,
                               uint8_t out[DNS_FORWARD_QUERY_MAX])
{
    struct rc_writer writer = rc_writer_over(out, DNS_FORWARD_QUERY_MAX);
    /* AD asks to be told of validation (RFC 6840 section 5.7). */
    unsigned flags = DNS_FLAG_RD | DNS_FLAG_AD |
                     (question->unchecked == DNS_PART_PRESENT ? DNS_FLAG_CD : 0);

    rc_writer_u16(&writer, 0);
    rc_writer_u16(&writer, (uint16_t)flags);
    rc_writer_u16(&writer, 1);
    rc_writer_u32(&writer, 0);
    rc_writer_u16(&writer, edns == DNS_PART_PRESENT ? 1 : 0);
    write_name(&writer, question->name, random);
    rc_writer_u16(&writer, question->type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (edns == DNS_PART_PRESENT) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, DNS_EDNS_SIZE);
        rc_writer_u32(&writer,
                      question->wants_dnssec == DNS_PART_PRESENT ? DNS_EDNS_DO : 0);
        rc_writer_u16(&writer, 4 + MARK_SIZE);
        rc_writer_u16(&writer, DNS_OPTION_LOOP_MARK);
        rc_writer_u16(&writer, MARK_SIZE);
        rc_writer_u64(&writer, mark->instance);
        rc_writer_u8(&writer, mark->hops);
    }
    assert(writer.err == RC_OK);
    return rc_writer_size(&writer);
}

/* An answer that is being read. */
struct reading {
    struct rc_cursor cursor;
    uint8_t *bytes;
    const uint8_t *question; /* as sent: its name */
    size_t name_size;
    uint16_t *ttl_at;
    uint32_t answers_ttl_s;  /* the smallest of all records */
    uint32_t negative_ttl_s; /* by the SOA in authority */
    enum dns_part soa;
    enum dns_part opt;      /* seen: what follows is not kept */
    enum dns_part answered; /* a record of the type asked, or for ANY any */
    uint16_t type;
    unsigned extended_rcode;
};

struct record {
    size_t at; /* of its owner */
    uint16_t type;
    uint16_t class;
    uint32_t ttl_s;
    size_t ttl_at;
    size_t data_at;
    size_t size;
};

/* Header and question: they must be ours. Counts go to `counts`. */
static int read_head(struct reading *reading, size_t sent_size,
                     uint16_t counts[DNS_SECTION_COUNT], struct dns_kept *out)
{
    struct rc_cursor *cursor = &reading->cursor;

    (void)rc_cursor_u16(cursor); /* the id was matched by who received it */
    uint16_t flags = rc_cursor_u16(cursor);
    uint16_t questions = rc_cursor_u16(cursor);
    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        counts[s] = rc_cursor_u16(cursor);
    }
    size_t question_size = reading->name_size + TYPE_AND_CLASS;
    const uint8_t *question = rc_cursor_take(cursor, question_size);
    assert(DNS_HEADER_SIZE + question_size <= sent_size);
    if (question == NULL || questions != 1 || (flags & DNS_FLAG_QR) == 0 ||
        (flags & DNS_OPCODE_MASK) != 0 ||
        memcmp(question, reading->question, question_size) != 0) {
        return RC_EMALFORMED;
    }
    out->rcode = flags & RCODE_MASK;
    out->authentic = (flags & DNS_FLAG_AD) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    out->cut = (flags & DNS_FLAG_TC) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    out->records_at = DNS_HEADER_SIZE + question_size;
    return RC_OK;
}

/* Names in data that others may compress must be names, since clients follow them: types
 * of RFC 1035 section 3.3 with one name, behind `skip` bytes, and SOA with two. */
static int check_data(const struct reading *reading, const struct record *record)
{
    static const struct {
        uint16_t type;
        uint16_t skip;
        uint16_t names;
        uint16_t rest;
    } shapes[] = {
        {DNS_TYPE_NS, 0, 1, 0},  {DNS_TYPE_CNAME, 0, 1, 0},
        {DNS_TYPE_PTR, 0, 1, 0}, {TYPE_MX, 2, 1, 0},
        {DNS_TYPE_SRV, 6, 1, 0}, {DNS_TYPE_SOA, 0, 2, SOA_NUMBERS},
    };
    struct rc_cursor data =
        rc_cursor_over(reading->bytes, record->data_at + record->size);
    struct dns_name name;

    if (record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA) {
        size_t want = record->type == DNS_TYPE_A ? 4 : 16;
        return record->size == want ? RC_OK : RC_EMALFORMED;
    }
    (void)rc_cursor_take(&data, record->data_at);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shapes[i].type != record->type) {
            continue;
        }
        (void)rc_cursor_take(&data, shapes[i].skip);
        for (unsigned n = 0; n < shapes[i].names && data.err == RC_OK; n++) {
            (void)dns_name_read(&data, reading->bytes, &name);
        }
        (void)rc_cursor_take(&data, shapes[i].rest);
        return data.err == RC_OK && rc_cursor_left(&data) == 0 ? RC_OK : RC_EMALFORMED;
    }
    return RC_OK;
}

/* Where the name of the question is repeated in full, our random letters are taken out. */
static void calm(const struct reading *reading, size_t at)
{
    uint8_t *name = reading->bytes + at;

    if (rc_cursor_left(&reading->cursor) + (size_t)(reading->cursor.at - name) <
            reading->name_size ||
        memcmp(name, reading->question, reading->name_size) != 0) {
        return;
    }
    for (size_t i = 0; i < reading->name_size; i++) {
        name[i] = fold(name[i]);
    }
}

static int read_record(struct reading *reading, struct record *out)
{
    struct rc_cursor *cursor = &reading->cursor;
    struct dns_name owner;

    out->at = (size_t)(cursor->at - reading->bytes);
    if (dns_name_read(cursor, reading->bytes, &owner) != RC_OK) {
        return RC_EMALFORMED;
    }
    out->type = rc_cursor_u16(cursor);
    out->class = rc_cursor_u16(cursor);
    out->ttl_at = (size_t)(cursor->at - reading->bytes);
    out->ttl_s = rc_cursor_u32(cursor);
    out->size = rc_cursor_u16(cursor);
    out->data_at = (size_t)(cursor->at - reading->bytes);
    if (rc_cursor_take(cursor, out->size) == NULL) {
        return RC_EMALFORMED;
    }
    if (out->type == DNS_TYPE_OPT) {
        reading->extended_rcode = out->ttl_s >> 24;
        return owner.label_count == 0 ? RC_OK : RC_EMALFORMED;
    }
    if (out->class != DNS_CLASS_IN || check_data(reading, out) != RC_OK) {
        return RC_EMALFORMED;
    }
    calm(reading, out->at);
    return RC_OK;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void lower_ttl(struct reading *reading, struct record *record, uint32_t max_s)
{
    record->ttl_s = record->ttl_s > TTL_SIGN ? 0 : least(record->ttl_s, max_s);
    struct rc_writer place = rc_writer_over(reading->bytes + record->ttl_at, 4);
    rc_writer_u32(&place, record->ttl_s);
}

/* RFC 2308 section 5: nothing is kept longer than the SOA and its MINIMUM say. */
static void take_soa(struct reading *reading, struct record *record)
{
    struct rc_cursor minimum =
        rc_cursor_over(reading->bytes + record->data_at + record->size - 4, 4);
    uint32_t max_s = least(rc_cursor_u32(&minimum), DNS_FORWARD_NEGATIVE_MAX_S);

    lower_ttl(reading, record, max_s);
    reading->soa = DNS_PART_PRESENT;
    reading->negative_ttl_s = record->ttl_s;
}

/* One record of `section` is to be kept. */
static void keep(struct reading *reading, enum dns_section section, struct record *record,
                 struct dns_kept *out)
{
    lower_ttl(reading, record, DNS_FORWARD_TTL_MAX_S);
    if (section == DNS_SECTION_AUTHORITY && record->type == DNS_TYPE_SOA) {
        take_soa(reading, record);
    }
    if (section == DNS_SECTION_ANSWER &&
        (record->type == reading->type || reading->type == DNS_TYPE_ANY)) {
        reading->answered = DNS_PART_PRESENT;
    }
    reading->answers_ttl_s = least(reading->answers_ttl_s, record->ttl_s);
    reading->ttl_at[out->record_count++] = (uint16_t)(record->ttl_at - out->records_at);
    out->counts[section]++;
    out->size = record->data_at + record->size - out->records_at;
}

/* OPT is for each hop alone. It stands last, or nearly: what follows it is left out, since
 * names in there might point across the gap. */
static int read_records(struct reading *reading, const uint16_t counts[DNS_SECTION_COUNT],
                        struct dns_kept *out)
{
    struct record record;

    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        for (unsigned i = 0; i < counts[s]; i++) {
            if (read_record(reading, &record) != RC_OK ||
                (record.type == DNS_TYPE_OPT &&
                 (s != DNS_SECTION_ADDITIONAL || reading->opt == DNS_PART_PRESENT))) {
                return RC_EMALFORMED;
            }
            if (record.type == DNS_TYPE_OPT) {
                reading->opt = DNS_PART_PRESENT;
            } else if (reading->opt == DNS_PART_MISSING) {
                keep(reading, (enum dns_section)s, &record, out);
            }
        }
    }
    return RC_OK;
}

static uint32_t keep_for(const struct reading *reading, const struct dns_kept *kept)
{
    if (kept->cut == DNS_PART_PRESENT ||
        (kept->rcode != DNS_RCODE_NOERROR && kept->rcode != DNS_RCODE_NXDOMAIN)) {
        return 0;
    }
    if (kept->rcode == DNS_RCODE_NXDOMAIN || reading->answered == DNS_PART_MISSING) {
        return reading->soa == DNS_PART_PRESENT
                   ? least(reading->negative_ttl_s, reading->answers_ttl_s)
                   : 0;
    }
    return reading->answers_ttl_s;
}

int dns_kept_read(uint8_t *bytes, size_t size, const uint8_t *sent, size_t sent_size,
                  uint16_t ttl_at[DNS_KEPT_RECORDS_MAX], struct dns_kept *out)
{
    uint16_t counts[DNS_SECTION_COUNT];
    struct rc_cursor ours = rc_cursor_over(sent, sent_size);
    struct dns_name name;
    struct reading reading = {.bytes = bytes,
                              .cursor = rc_cursor_over(bytes, size),
                              .question = sent + DNS_HEADER_SIZE,
                              .answers_ttl_s = DNS_FORWARD_TTL_MAX_S};

    (void)rc_cursor_take(&ours, DNS_HEADER_SIZE);
    int err = dns_name_read(&ours, sent, &name);
    assert(err == RC_OK); /* we wrote it */
    reading.ttl_at = ttl_at;
    reading.name_size = name.size;
    reading.type = rc_cursor_u16(&ours);
    memset(out, 0, sizeof *out);
    err = read_head(&reading, sent_size, counts, out);
    if (err == RC_OK) {
        err = read_records(&reading, counts, out);
    }
    if (err != RC_OK || rc_cursor_left(&reading.cursor) != 0) {
        return RC_EMALFORMED;
    }
    out->rcode = (uint16_t)(reading.extended_rcode << 4 | out->rcode);
    out->records = bytes + out->records_at;
    out->ttl_at = ttl_at;
    out->ttl_s = keep_for(&reading, out);
    assert(out->record_count <= DNS_KEPT_RECORDS_MAX);
    return RC_OK;
}

/* Where record `i` ends, from `records`. */
static size_t end_of(const struct dns_kept *kept, size_t i)
{
    const uint8_t *length = kept->records + kept->ttl_at[i] + RDLENGTH_AT;

    return (size_t)kept->ttl_at[i] + TTL_AND_LENGTH +
           ((size_t)length[0] << 8 | length[1]);
}

/* How many whole records fit `room`, and their size. */
static size_t fitting(const struct dns_kept *kept, size_t room, size_t *size)
{
    size_t count = 0;

    *size = 0;
    if (kept->size <= room) {
        *size = kept->size;
        return kept->record_count;
    }
    while (count < kept->record_count && end_of(kept, count) <= room) {
        *size = end_of(kept, count);
        count++;
    }
    return count;
}

static void age(uint8_t *records, const struct dns_kept *kept, size_t count,
                int64_t age_s)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = records + kept->ttl_at[i];
        uint32_t ttl_s =
            (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        if (age_s == DNS_FORWARD_AGE_STALE) {
            ttl_s = DNS_FORWARD_STALE_TTL_S;
        } else {
            ttl_s = ttl_s > age_s ? ttl_s - (uint32_t)age_s : 0;
        }
        at[0] = (uint8_t)(ttl_s >> 24);
        at[1] = (uint8_t)(ttl_s >> 16);
        at[2] = (uint8_t)(ttl_s >> 8);
        at[3] = (uint8_t)ttl_s;
    }
}

/* The counts of the sections when only `count` records are there, and TC: if an answer is
 * missing, or what says that there is none (RFC 2181 section 9). */
static enum dns_part share(const struct dns_kept *kept, size_t count,
                           uint16_t counts[DNS_SECTION_COUNT])
{
    size_t left = count;

    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        counts[s] = left < kept->counts[s] ? (uint16_t)left : kept->counts[s];
        left -= counts[s];
    }
    bool is_cut = counts[DNS_SECTION_ANSWER] < kept->counts[DNS_SECTION_ANSWER] ||
                  (kept->counts[DNS_SECTION_ANSWER] == 0 &&
                   counts[DNS_SECTION_AUTHORITY] < kept->counts[DNS_SECTION_AUTHORITY]);
    return is_cut || kept->cut == DNS_PART_PRESENT ? DNS_PART_PRESENT : DNS_PART_MISSING;
}

static size_t finish(struct dns_writer *writer, const struct dns_forward_frame *frame,
                     unsigned flags, uint16_t rcode)
{
    return dns_writer_end(writer, frame->query, (uint16_t)(DNS_FLAG_RA | flags), rcode,
                          frame->extras);
}

size_t dns_kept_write(const struct dns_kept *kept, int64_t age_s,
                      const struct dns_forward_frame *frame, uint8_t *out,
                      enum dns_part *is_cut)
{
    const struct dns_query *query = frame->query;
    struct dns_writer writer;
    size_t size;

    dns_writer_begin(&writer, query, frame->extras, out, frame->limit, DNS_PART_PRESENT);
    size_t count = fitting(kept, rc_writer_left(&writer.bytes), &size);
    uint8_t *records = rc_writer_reserve(&writer.bytes, size);
    assert(records != NULL);
    if (size > 0) {
        memcpy(records, kept->records, size);
        age(records, kept, count, age_s);
    }
    *is_cut = share(kept, count, writer.counts);
    /* Validation is told to those who asked for it (RFC 6840 section 5.8). */
    bool wants_authentic =
        (query->flags & DNS_FLAG_AD) != 0 ||
        (query->edns == DNS_PART_PRESENT && (query->edns_flags & DNS_EDNS_DO) != 0);
    unsigned flags =
        (*is_cut == DNS_PART_PRESENT ? DNS_FLAG_TC : 0U) |
        (wants_authentic && kept->authentic == DNS_PART_PRESENT ? DNS_FLAG_AD : 0U);
    return finish(&writer, frame, flags, kept->rcode);
}

size_t dns_forward_error_write(uint16_t rcode, const struct dns_forward_frame *frame,
                               uint8_t *out)
{
    struct dns_writer writer;

    dns_writer_begin(&writer, frame->query, frame->extras, out, frame->limit,
                     DNS_PART_PRESENT);
    return finish(&writer, frame, 0, rcode);
}

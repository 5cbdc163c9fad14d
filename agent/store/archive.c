/* archive.c - see archive.h. */
#include "agent/store/archive.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const char mark[] = "rollcall-store 1\n";
static const char any_version[] = "rollcall-store ";

enum { HEADER_FIELDS = 5, RECORD_FIELDS = 4 };

void archive_begin(struct rc_buffer *out, const struct archive_header *header)
{
    rc_buffer_text(out, mark);
    rc_pack_write_array(out, HEADER_FIELDS);
    rc_pack_write_number(out, header->revision);
    rc_pack_write_number(out, header->wall_ms);
    rc_pack_write_number(out, header->count);
    rc_pack_write_text(out, header->datacenter);
    rc_pack_write_text(out, header->engine);
}

void archive_add(struct rc_buffer *out, const struct archive_record *record)
{
    const struct rc_pack_bytes table = {(const uint8_t *)record->table.at,
                                        record->table.size};

    rc_pack_write_array(out, RECORD_FIELDS);
    rc_pack_write_bytes(out, table);
    rc_pack_write_bytes(out, record->key);
    rc_pack_write_bytes(out, record->value);
    rc_pack_write_number(out, record->flags);
}

void archive_end(struct rc_buffer *out)
{
    uint8_t sum[ARCHIVE_SUM_SIZE];

    if (out->err == RC_OK && archive_sum(out->bytes, out->size, sum) == RC_OK) {
        rc_buffer_append(out, sum, sizeof sum);
    } else if (out->err == RC_OK) {
        out->err = RC_EUNSUPPORTED;
    }
}

static int refuse(char error[ARCHIVE_ERROR_MAX], int err, const char *text)
{
    (void)snprintf(error, ARCHIVE_ERROR_MAX, "%s", text);
    return err;
}

static void read_text(struct rc_cursor *in, struct rc_pack_items *from,
                      char out[ARCHIVE_NAME_MAX])
{
    struct rc_span text = rc_pack_next_text(in, from);

    if (text.size >= ARCHIVE_NAME_MAX) {
        rc_cursor_fail(in, RC_ETOOBIG);
        return;
    }
    memcpy(out, text.at, text.size);
    out[text.size] = '\0';
}

static void read_header(struct rc_cursor *in, struct archive_header *out)
{
    struct rc_pack_items fields = rc_pack_open(in);

    out->revision = rc_pack_next_number(in, &fields);
    out->wall_ms = rc_pack_next_number(in, &fields);
    out->count = rc_pack_next_number(in, &fields);
    read_text(in, &fields, out->datacenter);
    read_text(in, &fields, out->engine);
    rc_pack_close(in, &fields);
}

int archive_next(struct archive *archive, struct archive_record *out)
{
    struct rc_cursor *in = &archive->records;

    if (rc_cursor_left(in) == 0) {
        return in->err != RC_OK ? in->err : RC_ENOTFOUND;
    }
    struct rc_pack_items fields = rc_pack_open(in);
    out->table = rc_pack_next_text(in, &fields);
    struct rc_span key = rc_pack_next_text(in, &fields);
    struct rc_span value = rc_pack_next_text(in, &fields);
    out->key = (struct rc_pack_bytes){(const uint8_t *)key.at, key.size};
    out->value = (struct rc_pack_bytes){(const uint8_t *)value.at, value.size};
    out->flags = rc_pack_next_number(in, &fields);
    rc_pack_close(in, &fields);
    return in->err;
}

/* Every record is there and whole, before anybody acts on the first. */
static int walk(struct archive archive)
{
    struct archive_record record;
    uint64_t count = 0;
    int err;

    while ((err = archive_next(&archive, &record)) == RC_OK) {
        count++;
    }
    return err == RC_ENOTFOUND && count == archive.header.count ? RC_OK : RC_EMALFORMED;
}

int archive_open(const void *bytes, size_t size, struct archive *out,
                 char error[ARCHIVE_ERROR_MAX])
{
    const uint8_t *at = bytes;
    uint8_t sum[ARCHIVE_SUM_SIZE];
    const size_t head = sizeof mark - 1;

    memset(out, 0, sizeof *out);
    if (size < sizeof any_version - 1 ||
        memcmp(at, any_version, sizeof any_version - 1) != 0) {
        return refuse(error, RC_EMALFORMED, "this is no snapshot of rollcall");
    }
    if (size >= head && memcmp(at, mark, head) != 0) {
        return refuse(error, RC_EUNSUPPORTED,
                      "the snapshot is of a later version of rollcall");
    }
    if (size < head + ARCHIVE_SUM_SIZE) {
        return refuse(error, RC_EMALFORMED, "the snapshot is cut off");
    }
    size_t body = size - ARCHIVE_SUM_SIZE;
    if (archive_sum(bytes, body, sum) != RC_OK ||
        memcmp(sum, at + body, ARCHIVE_SUM_SIZE) != 0) {
        return refuse(error, RC_EMALFORMED,
                      "the snapshot is damaged or cut off: its checksum does not fit");
    }
    out->records = rc_cursor_over(at + head, body - head);
    read_header(&out->records, &out->header);
    if (out->records.err != RC_OK || walk(*out) != RC_OK) {
        return refuse(error, RC_EMALFORMED, "the snapshot's records are not well formed");
    }
    return RC_OK;
}

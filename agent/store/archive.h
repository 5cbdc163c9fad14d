/* archive.h - the whole store as one file: what a snapshot is.
 *
 * Logical, so that it moves between engines and versions: a line that says what it is, a
 * header, the records sorted by table and key, a checksum (BLAKE2b-256) over all of it. What
 * hangs on a session is left out: locks and sessions do not outlive the store they were taken
 * in, keys that go with their session neither. */
#ifndef AGENT_STORE_ARCHIVE_H
#define AGENT_STORE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/store/store.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/pack.h"
#include "base/text.h"

enum {
    ARCHIVE_NAME_MAX = 128,
    ARCHIVE_ERROR_MAX = 192,
    ARCHIVE_SUM_SIZE = 32,
    ARCHIVE_BYTES_MAX = 1 << 30
};

struct archive_header {
    uint64_t revision; /* of the store that it shows */
    uint64_t wall_ms;  /* when it was made, since 1970 */
    uint64_t count;    /* of records */
    char datacenter[ARCHIVE_NAME_MAX];
    char engine[ARCHIVE_NAME_MAX]; /* that it was taken from, for people */
};

struct archive_record {
    struct rc_span table; /* "kv", "queries", ...: store_table_name() */
    struct rc_pack_bytes key;
    struct rc_pack_bytes value;
    uint64_t flags;
};

/* Writing: begin, `count` records in order, end. Failures stick in the buffer. */
void archive_begin(struct rc_buffer *out, const struct archive_header *header);
void archive_add(struct rc_buffer *out, const struct archive_record *record);
void archive_end(struct rc_buffer *out);

/* Reading. */
struct archive {
    struct archive_header header;
    struct rc_cursor records; /* of what is left */
};

/* Tests all of it: form, order of tables' names left aside, count and checksum. RC_OK, or
 * RC_EMALFORMED or RC_EUNSUPPORTED (of a later version) with a line in `error`. Borrows the bytes. */
int archive_open(const void *bytes, size_t size, struct archive *out,
                 char error[ARCHIVE_ERROR_MAX]);

/* RC_OK, RC_ENOTFOUND at the end, RC_EMALFORMED. What is handed out is borrowed from the bytes. */
int archive_next(struct archive *archive, struct archive_record *out);

/* ---- of a store: store_archive.c, store_restore.c */

/* Appends an archive of all that the mirror has now, which is one revision; of `facts` only
 * time, datacenter and engine count. RC_OK, RC_EAGAIN: nothing is loaded yet, RC_ENOMEM. */
int store_archive(const struct store *store, const struct archive_header *facts,
                  struct rc_buffer *out);

/* The table of a record. RC_OK or RC_ENOTFOUND. */
int store_archive_table(struct rc_span name, enum store_table *out);

/* Replaces all there is by what the archive holds; sessions and locks end. The bytes are
 * copied. RC_OK: `done` is told later, once. RC_EMALFORMED, RC_EUNSUPPORTED, RC_ENOMEM: nothing
 * was touched, `error` says why. While it is under way every store of the engine refuses
 * everything, and after one that was cut short until one is complete. */
struct restore_source {
    const void *bytes;
    size_t size;
    const char *by; /* for store_restored_by(): copied, cut to STORE_BY_SIZE */
};
int store_restore(struct store *store, const struct restore_source *source,
                  char error[ARCHIVE_ERROR_MAX], store_done *done, void *context);

/* archive_sum_sodium.c: BLAKE2b-256 (RFC 7693). RC_OK or RC_EUNSUPPORTED. */
int archive_sum(const void *bytes, size_t size, uint8_t out[ARCHIVE_SUM_SIZE]);

#endif

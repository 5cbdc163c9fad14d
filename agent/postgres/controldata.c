#include "agent/postgres/controldata.h"

#include <string.h>

#include "agent/keeper/keeper_record.h"
#include "base/err.h"
#include "base/text.h"

enum {
    PAGE_SIZE_BYTES = 8192,
    PAGE_HEADER = 24,
    SEGMENT_HEADER = 40,     /* of the first page of a segment */
    CHECKPOINT_RECORD = 120, /* 24 + 2 + sizeof(CheckPoint) 88, aligned to 8; since 9.5 */
    VALUE_MAX = 128,
    SEGMENT_USUAL = 16 * 1024 * 1024
};

/* The value behind "name:" at a line's start. False: there is no such line. */
static bool find_in(const char *text, const char *name, char *out, size_t out_size)
{
    size_t size = strlen(name);

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            const char *value = line + size + 1;
            value += strspn(value, " \t");
            size_t length = end != NULL ? (size_t)(end - value) : strlen(value);
            if (length >= out_size) {
                return false;
            }
            memcpy(out, value, length);
            out[length] = '\0';
            return true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static bool find(const char *text, const char *name, char out[VALUE_MAX])
{
    return find_in(text, name, out, VALUE_MAX);
}

static uint64_t find_number(const char *text, const char *name, uint64_t max)
{
    char value[VALUE_MAX];
    uint64_t number = 0;

    return find(text, name, value) && rc_text_to_u64(value, max, &number) == RC_OK
               ? number
               : 0;
}

static uint64_t find_lsn(const char *text, const char *name)
{
    char value[VALUE_MAX];
    uint64_t lsn = 0;

    return find(text, name, value) && keeper_lsn_read(value, &lsn) == RC_OK ? lsn : 0;
}

static bool find_word(const char *text, const char *name, const char *word)
{
    char value[VALUE_MAX];

    return find(text, name, value) && rc_text_equals(value, word);
}

uint64_t controldata_checkpoint_end(uint64_t start, uint64_t segment_size)
{
    uint64_t at = start;
    uint64_t left = CHECKPOINT_RECORD;

    while (left > 0) {
        if (at % PAGE_SIZE_BYTES == 0) {
            at += at % segment_size == 0 ? SEGMENT_HEADER : PAGE_HEADER;
        }
        uint64_t room = PAGE_SIZE_BYTES - at % PAGE_SIZE_BYTES;
        uint64_t part = left < room ? left : room;
        at += part;
        left -= part;
    }
    return at;
}

static uint64_t position(const char *text, bool is_clean_primary)
{
    uint64_t segment = find_number(text, "Bytes per WAL segment", UINT32_MAX);
    uint64_t checkpoint = find_lsn(text, "Latest checkpoint location");

    if (is_clean_primary && checkpoint > 0) {
        return controldata_checkpoint_end(checkpoint,
                                          segment > 0 ? segment : SEGMENT_USUAL);
    }
    return find_lsn(text, "Minimum recovery ending location");
}

int controldata_read(const char *text, size_t size, struct controldata *out)
{
    char state[VALUE_MAX];

    memset(out, 0, sizeof *out);
    if (strnlen(text, size + 1) != size || !find(text, "Database cluster state", state) ||
        !find_in(text, "Database system identifier", out->sysid, sizeof out->sysid)) {
        return RC_EMALFORMED;
    }
    bool is_shut = rc_text_equals(state, "shut down");
    out->is_clean = is_shut || rc_text_equals(state, "shut down in recovery");
    out->was_primary = is_shut || rc_text_equals(state, "in production") ||
                       rc_text_equals(state, "shutting down") ||
                       rc_text_equals(state, "in crash recovery");
    uint64_t tli = find_number(text, "Latest checkpoint's TimeLineID", UINT32_MAX);
    uint64_t end_tli =
        find_number(text, "Min recovery ending loc's timeline", UINT32_MAX);
    out->tli = (uint32_t)(tli > end_tli ? tli : end_tli);
    out->lsn = position(text, is_shut);
    out->is_backup = find_lsn(text, "Backup start location") > 0;
    out->can_rewind = find_word(text, "wal_log_hints setting", "on") ||
                      find_number(text, "Data page checksum version", UINT32_MAX) > 0;
    return RC_OK;
}

/* tags.c - a member's tags <-> the meta bytes in its alive messages. */
#include "agent/gossip/tags.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { META_MAP = 0xff, TAGS_READ_MAX = 256 };

int tags_write(const struct gossip_tag *tags, size_t count, struct rc_buffer *out)
{
    size_t start = out->size;

    for (size_t i = 0; i < count; i++) {
        if (tags[i].key == NULL || tags[i].key[0] == '\0' || tags[i].value == NULL) {
            return RC_EINVAL;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(tags[i].key, tags[k].key) == 0) {
                return RC_EINVAL;
            }
        }
    }
    rc_buffer_byte(out, META_MAP);
    rc_pack_write_map(out, count);
    for (size_t i = 0; i < count; i++) {
        rc_pack_write_text(out, tags[i].key);
        rc_pack_write_text(out, tags[i].value);
    }
    if (out->err != RC_OK) {
        return out->err;
    }
    return out->size - start <= GOSSIP_TAGS_BYTES_MAX ? RC_OK : RC_ETOOBIG;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct gossip_tag *)a)->key,
                  ((const struct gossip_tag *)b)->key);
}

static char *put_text(char *place, struct rc_pack_bytes text)
{
    if (text.size > 0) {
        memcpy(place, text.at, text.size);
    }
    place[text.size] = '\0';
    return place + text.size + 1;
}

static bool is_text(struct rc_pack_bytes text)
{
    return text.size == 0 || memchr(text.at, '\0', text.size) == NULL;
}

static size_t read_map(struct rc_cursor *in, uint32_t pairs, struct gossip_tag *tags,
                       char *strings)
{
    size_t count = 0;

    for (uint32_t i = 0; i < pairs; i++) {
        struct rc_pack_bytes key = rc_pack_read_bytes(in);
        struct rc_pack_bytes value = rc_pack_read_bytes(in);
        if (in->err != RC_OK) {
            return 0;
        }
        if (key.size == 0 || !is_text(key) || !is_text(value)) {
            continue; /* cannot be shown, so it is not there */
        }
        tags[count].key = strings;
        strings = put_text(strings, key);
        tags[count].value = strings;
        strings = put_text(strings, value);
        count++;
    }
    qsort(tags, count, sizeof *tags, by_key);
    return count;
}

int tags_read(struct rc_pack_bytes meta, struct gossip_tag **out, size_t *count)
{
    struct rc_cursor in = rc_cursor_over(meta.at, meta.size);
    bool is_map = meta.size > 0 && rc_cursor_u8(&in) == META_MAP;
    uint32_t pairs = is_map ? rc_pack_read_map(&in) : 1;

    *out = NULL;
    *count = 0;
    if (meta.size == 0 || pairs == 0 || pairs > TAGS_READ_MAX || in.err != RC_OK) {
        return RC_OK;
    }
    /* Strings take no more than the bytes they came in, plus a NUL each. */
    struct gossip_tag *tags =
        malloc(pairs * sizeof *tags + meta.size + 2 * (size_t)pairs + sizeof "role");
    if (tags == NULL) {
        return RC_ENOMEM;
    }
    char *strings = (char *)(tags + pairs);
    if (is_map) {
        *count = read_map(&in, pairs, tags, strings);
    } else if (is_text(meta)) {
        tags[0].key = strings;
        tags[0].value = put_text(strings, rc_pack_text("role"));
        (void)put_text(strings + sizeof "role", meta);
        *count = 1;
    }
    if (*count == 0) {
        free(tags);
        tags = NULL;
    }
    *out = tags;
    return RC_OK;
}

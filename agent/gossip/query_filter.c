/* query_filter.c - whom a query is for: lists of names, and expressions on tags. */
#include "agent/gossip/query_filter.h"

#include <string.h>

#include "agent/gossip/wire.h"
#include "base/err.h"
#include "base/pattern.h"

enum { FILTERS_MAX = 2 * GOSSIP_QUERY_FILTERS_MAX, FILTER_NODES = 0, FILTER_TAG = 1 };

/* ---- Ours. */

static void put_filter(const struct rc_buffer *filter, struct rc_buffer *out)
{
    rc_pack_write_bytes(out, (struct rc_pack_bytes){filter->bytes, filter->size});
    if (filter->err != RC_OK) {
        out->err = filter->err;
    }
}

static int write_nodes(const struct gossip_query *query, struct rc_buffer *out)
{
    struct rc_buffer filter = {0};

    rc_buffer_byte(&filter, FILTER_NODES);
    rc_pack_write_array(&filter, query->node_count);
    for (size_t i = 0; i < query->node_count; i++) {
        if (query->nodes[i][0] == '\0') {
            rc_buffer_fini(&filter);
            return RC_EINVAL;
        }
        rc_pack_write_text(&filter, query->nodes[i]);
    }
    put_filter(&filter, out);
    rc_buffer_fini(&filter);
    return out->err;
}

static int write_tag(const struct gossip_tag *tag, struct rc_buffer *out)
{
    struct rc_buffer filter = {0};
    struct rc_pattern *pattern = NULL;
    const char *why;

    int err = rc_pattern_compile(tag->value, &pattern, &why);
    if (err != RC_OK) {
        return err == RC_ENOMEM ? RC_ENOMEM : RC_EINVAL;
    }
    rc_pattern_destroy(pattern);
    const struct wire_filter_tag wire = {.tag = rc_pack_text(tag->key),
                                         .expression = rc_pack_text(tag->value)};
    rc_buffer_byte(&filter, FILTER_TAG);
    wire_write(&wire_format_filter_tag, &wire, &filter);
    put_filter(&filter, out);
    rc_buffer_fini(&filter);
    return out->err;
}

int query_filter_write(const struct gossip_query *query, struct rc_buffer *out)
{
    size_t count = (query->node_count > 0) + query->tag_count;
    int err = RC_OK;

    if (query->node_count > GOSSIP_QUERY_FILTERS_MAX ||
        query->tag_count > GOSSIP_QUERY_FILTERS_MAX) {
        return RC_ETOOBIG;
    }
    if (count == 0) {
        return RC_OK;
    }
    rc_pack_write_array(out, count);
    if (query->node_count > 0) {
        err = write_nodes(query, out);
    }
    for (size_t i = 0; i < query->tag_count && err == RC_OK; i++) {
        err = write_tag(&query->tags[i], out);
    }
    return err == RC_OK ? out->err : err;
}

/* ---- Theirs. Each is read, judged and written again in one go. */

static enum query_fit judge_nodes(struct rc_cursor *in, const struct gossip_member *self,
                                  struct rc_buffer *filter)
{
    uint32_t count = rc_pack_read_array(in);
    enum query_fit fit = QUERY_FOR_REST;

    rc_buffer_byte(filter, FILTER_NODES);
    rc_pack_write_array(filter, count);
    for (uint32_t i = 0; i < count && in->err == RC_OK; i++) {
        struct rc_pack_bytes name = rc_pack_read_bytes(in);
        rc_pack_write_bytes(filter, name);
        if (rc_pack_equals(name, rc_pack_text(self->said->name))) {
            fit = QUERY_FITS;
        }
    }
    return in->err == RC_OK ? fit : QUERY_FAULTY;
}

/* The safe side: what we cannot compile matches nothing. */
static bool matches(struct rc_pack_bytes expression, const char *value)
{
    char text[RC_PATTERN_BYTES_MAX + 1];
    struct rc_pattern *pattern = NULL;
    const char *why;

    if (expression.size == 0) {
        return true;
    }
    if (expression.size >= sizeof text ||
        memchr(expression.at, '\0', expression.size) != NULL) {
        return false;
    }
    memcpy(text, expression.at, expression.size);
    text[expression.size] = '\0';
    if (rc_pattern_compile(text, &pattern, &why) != RC_OK) {
        return false;
    }
    bool is_in = rc_pattern_is_in(pattern, value, strlen(value));
    rc_pattern_destroy(pattern);
    return is_in;
}

static enum query_fit judge_tag(struct rc_cursor *in, const struct gossip_member *self,
                                struct rc_buffer *filter)
{
    struct wire_filter_tag wire;
    const char *value = "";

    if (wire_read(&wire_format_filter_tag, in, &wire) != RC_OK) {
        return QUERY_FAULTY;
    }
    rc_buffer_byte(filter, FILTER_TAG);
    wire_write(&wire_format_filter_tag, &wire, filter);
    for (size_t i = 0; i < self->said->tag_count; i++) {
        if (rc_pack_equals(rc_pack_text(self->said->tags[i].key), wire.tag)) {
            value = self->said->tags[i].value;
        }
    }
    return matches(wire.expression, value) ? QUERY_FITS : QUERY_FOR_REST;
}

static enum query_fit judge_one(struct rc_pack_bytes raw,
                                const struct gossip_member *self, struct rc_buffer *out)
{
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    struct rc_buffer filter = {0};
    enum query_fit fit = QUERY_FAULTY;

    if (raw.size == 0) {
        return QUERY_FAULTY;
    }
    uint8_t type = rc_cursor_u8(&in);
    if (type == FILTER_NODES) {
        fit = judge_nodes(&in, self, &filter);
    } else if (type == FILTER_TAG) {
        fit = judge_tag(&in, self, &filter);
    } /* else of a later Serf: it matches nobody there either */
    put_filter(&filter, out);
    rc_buffer_fini(&filter);
    return fit;
}

enum query_fit query_filter_judge(struct rc_pack_bytes raw,
                                  const struct gossip_member *self, struct rc_buffer *out)
{
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    uint32_t count = raw.size == 0 ? 0 : rc_pack_read_array(&in);
    enum query_fit fit = QUERY_FITS;

    if (count > FILTERS_MAX || in.err != RC_OK) {
        return QUERY_FAULTY;
    }
    if (count > 0) {
        rc_pack_write_array(out, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        enum query_fit one = judge_one(rc_pack_read_bytes(&in), self, out);
        if (in.err != RC_OK || one == QUERY_FAULTY) {
            return QUERY_FAULTY;
        }
        if (one == QUERY_FOR_REST) {
            fit = QUERY_FOR_REST;
        }
    }
    return out->err == RC_OK ? fit : QUERY_FAULTY;
}

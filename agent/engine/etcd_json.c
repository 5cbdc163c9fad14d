/* etcd_json.c - requests are written by hand: every put passes here. */
#include "agent/engine/etcd_json.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

static void add_base64(struct rc_buffer *out, const uint8_t *bytes, size_t size)
{
    size_t letters = 4 * ((size + 2) / 3);

    if (rc_buffer_reserve(out, letters + 1) == RC_OK && size > 0) {
        rc_text_to_base64(bytes, size, (char *)out->bytes + out->size);
        out->size += letters;
    }
}

/* Prefix and key in one base64 text: whole groups of three first, then what the two share. */
static void add_key(struct rc_buffer *out, struct rc_pack_bytes prefix,
                    struct rc_pack_bytes key)
{
    size_t whole = prefix.size - prefix.size % 3;
    uint8_t seam[3];
    size_t size = 0;
    size_t used = 0;

    add_base64(out, prefix.at, whole);
    while (whole + size < prefix.size) {
        seam[size] = prefix.at[whole + size];
        size++;
    }
    while (size > 0 && size < sizeof seam && used < key.size) {
        seam[size++] = key.at[used++];
    }
    add_base64(out, seam, size);
    if (used < key.size) {
        add_base64(out, key.at + used, key.size - used);
    }
}

/* The first key that no longer begins with prefix and key: the last byte that is not 0xff
 * counted up (etcd API reference, range_end). */
static void add_range_end(struct rc_buffer *out, struct rc_pack_bytes prefix,
                          struct rc_pack_bytes key)
{
    struct rc_pack_bytes *last = key.size > 0 ? &key : &prefix;
    struct rc_pack_bytes before = prefix;

    while (last->size > 0 && last->at[last->size - 1] == 0xff) {
        last->size--;
        last = key.size > 0 ? &key : &prefix;
    }
    if (last->size == 0) {
        rc_buffer_text(out, "AA=="); /* "\0": to the end of all keys */
        return;
    }
    uint8_t next = (uint8_t)(last->at[last->size - 1] + 1);
    struct rc_buffer whole = {0};
    if (last == &key) {
        rc_buffer_append(&whole, before.at, before.size);
    }
    rc_buffer_append(&whole, last->at, last->size - 1);
    rc_buffer_byte(&whole, next);
    if (whole.err == RC_OK) {
        add_base64(out, whole.bytes, whole.size);
    } else {
        out->err = whole.err;
    }
    rc_buffer_fini(&whole);
}

/* ---- transactions ----------------------------------------------------------------- */

static void add_compare(struct rc_buffer *out, struct rc_pack_bytes prefix,
                        const struct engine_compare *compare)
{
    static const struct {
        const char *target;
        const char *field;
    } targets[] = {
        [ENGINE_CREATE_REVISION] = {"CREATE", "create_revision"},
        [ENGINE_MOD_REVISION] = {"MOD", "mod_revision"},
        [ENGINE_LEASE] = {"LEASE", "lease"},
        [ENGINE_PREFIX_MOD_REVISION] = {"MOD", "mod_revision"},
    };
    static const char *const relations[] = {
        [ENGINE_EQUAL] = "EQUAL",
        [ENGINE_NOT_EQUAL] = "NOT_EQUAL",
        [ENGINE_LESS] = "LESS",
        [ENGINE_GREATER] = "GREATER",
    };

    rc_buffer_text(out, "{\"key\":\"");
    add_key(out, prefix, compare->key);
    if (compare->target == ENGINE_PREFIX_MOD_REVISION) {
        rc_buffer_text(out, "\",\"range_end\":\"");
        add_range_end(out, prefix, compare->key);
    }
    rc_buffer_format(out, "\",\"target\":\"%s\",\"result\":\"%s\",\"%s\":\"%llu\"}",
                     targets[compare->target].target, relations[compare->relation],
                     targets[compare->target].field, (unsigned long long)compare->number);
}

static void add_put(struct rc_buffer *out, struct rc_pack_bytes prefix,
                    const struct engine_op *op)
{
    rc_buffer_text(out, "{\"request_put\":{\"key\":\"");
    add_key(out, prefix, op->key);
    rc_buffer_text(out, "\",\"value\":\"");
    add_base64(out, op->value.at, op->value.size);
    if (op->lease != 0) {
        rc_buffer_format(out, "\",\"lease\":\"%llu", (unsigned long long)op->lease);
    }
    rc_buffer_text(out, "\"}}");
}

static void add_delete(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       const struct engine_op *op)
{
    rc_buffer_text(out, "{\"request_delete_range\":{\"key\":\"");
    add_key(out, prefix, op->key);
    if (op->verb == ENGINE_DELETE_PREFIX) {
        rc_buffer_text(out, "\",\"range_end\":\"");
        add_range_end(out, prefix, op->key);
    }
    rc_buffer_text(out, "\"}}");
}

static void add_branch(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       const struct engine_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            rc_buffer_byte(out, ',');
        }
        if (ops[i].verb == ENGINE_PUT) {
            add_put(out, prefix, &ops[i]);
        } else {
            add_delete(out, prefix, &ops[i]);
        }
    }
}

void etcd_json_txn(struct rc_buffer *out, struct rc_pack_bytes prefix,
                   const struct engine_txn *txn)
{
    rc_buffer_text(out, "{\"compare\":[");
    for (size_t i = 0; i < txn->compare_count; i++) {
        if (i > 0) {
            rc_buffer_byte(out, ',');
        }
        add_compare(out, prefix, &txn->compares[i]);
    }
    rc_buffer_text(out, "],\"success\":[");
    add_branch(out, prefix, txn->then, txn->then_count);
    rc_buffer_text(out, "],\"failure\":[");
    add_branch(out, prefix, txn->otherwise, txn->otherwise_count);
    rc_buffer_text(out, "]}");
}

void etcd_json_nest_begin(struct rc_buffer *out)
{
    rc_buffer_text(out, "{\"success\":[");
}

void etcd_json_nest_add(struct rc_buffer *out, const struct rc_buffer *txn)
{
    if (out->size > 0 && out->bytes[out->size - 1] == '}') {
        rc_buffer_byte(out, ',');
    }
    rc_buffer_text(out, "{\"request_txn\":");
    rc_buffer_append(out, txn->bytes, txn->size);
    rc_buffer_byte(out, '}');
}

void etcd_json_nest_end(struct rc_buffer *out)
{
    rc_buffer_text(out, "]}");
}

/* ---- reading ---------------------------------------------------------------------- */

void etcd_json_page(struct rc_buffer *out, struct rc_pack_bytes prefix,
                    struct rc_pack_bytes from, uint64_t revision, uint64_t limit)
{
    rc_buffer_text(out, "{\"key\":\"");
    add_base64(out, from.at, from.size);
    rc_buffer_text(out, "\",\"range_end\":\"");
    add_range_end(out, prefix, (struct rc_pack_bytes){0});
    rc_buffer_format(out, "\",\"revision\":\"%llu\",\"limit\":\"%llu\"}",
                     (unsigned long long)revision, (unsigned long long)limit);
}

void etcd_json_barrier(struct rc_buffer *out, struct rc_pack_bytes prefix)
{
    rc_buffer_text(out, "{\"key\":\"");
    add_base64(out, prefix.at, prefix.size);
    rc_buffer_text(out, "\",\"limit\":\"1\",\"count_only\":true}");
}

void etcd_json_watch(struct rc_buffer *out, struct rc_pack_bytes prefix,
                     uint64_t from_revision)
{
    rc_buffer_text(out, "{\"create_request\":{\"key\":\"");
    add_base64(out, prefix.at, prefix.size);
    rc_buffer_text(out, "\",\"range_end\":\"");
    add_range_end(out, prefix, (struct rc_pack_bytes){0});
    rc_buffer_format(out,
                     "\",\"start_revision\":\"%llu\",\"progress_notify\":true,"
                     "\"fragment\":true}}",
                     (unsigned long long)from_revision);
}

void etcd_json_put(struct rc_buffer *out, struct rc_pack_bytes prefix, const char *key)
{
    rc_buffer_text(out, "{\"key\":\"");
    add_key(out, prefix, rc_pack_text(key));
    rc_buffer_text(out, "\"}");
}

void etcd_json_number(struct rc_buffer *out, const char *name, uint64_t value)
{
    rc_buffer_format(out, "{\"%s\":\"%llu\"}", name, (unsigned long long)value);
}

void etcd_json_login(struct rc_buffer *out, const char *user, const char *password)
{
    struct rc_json json = rc_json_over(out, 0);

    rc_json_object(&json);
    rc_json_put_string(&json, "name", user);
    rc_json_put_string(&json, "password", password);
    rc_json_object_end(&json);
}

#include "agent/http/kv_pair.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* Straight into the answer: values are up to half a megabyte. */
static void put_value(struct rc_json *json, struct rc_pack_bytes value)
{
    rc_json_key(json, "Value");
    if (value.size == 0) {
        rc_json_null(json);
        return;
    }
    rc_json_raw(json, "\"");
    size_t size = 4 * ((value.size + 2) / 3);
    if (rc_buffer_reserve(json->out, size + 1) == RC_OK) {
        rc_text_to_base64(value.at, value.size,
                          (char *)json->out->bytes + json->out->size);
        json->out->size += size;
    }
    rc_buffer_byte(json->out, '"');
}

void kv_pair_render(struct rc_json *json, const struct store_pair *pair,
                    enum kv_value value)
{
    const struct rc_pack_bytes none = {0};

    rc_json_object(json);
    rc_json_put_u64(json, "LockIndex", pair->lock_index);
    rc_json_key(json, "Key");
    rc_json_string_bytes(json, pair->key.at, pair->key.size);
    rc_json_put_u64(json, "Flags", pair->flags);
    put_value(json, value == KV_WITH_VALUE ? pair->value : none);
    if (pair->session != NULL) {
        rc_json_put_string(json, "Session", pair->session);
    }
    if (pair->term != 0) {
        rc_json_put_u64(json, "Term", pair->term);
    }
    rc_json_put_u64(json, "CreateIndex", pair->create_index);
    rc_json_put_u64(json, "ModifyIndex", pair->modify_index);
    rc_json_object_end(json);
}

static bool has_control_bytes(struct rc_pack_bytes key)
{
    for (size_t i = 0; i < key.size; i++) {
        if (key.at[i] < 0x20 || key.at[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool has_dot_segment(struct rc_pack_bytes key)
{
    size_t start = 0;

    for (size_t i = 0; i <= key.size; i++) {
        if (i < key.size && key.at[i] != '/') {
            continue;
        }
        size_t size = i - start;
        if ((size == 1 || size == 2) && memcmp(key.at + start, "..", size) == 0) {
            return true;
        }
        start = i + 1;
    }
    return false;
}

const char *kv_pair_refuses(struct rc_pack_bytes key)
{
    if (key.size == 0) {
        return "Missing key name";
    }
    if (key.size > STORE_KEY_MAX) {
        return "Invalid key name: longer than 4096 bytes";
    }
    if (key.at[0] == '/') {
        return "Invalid key name: it must not begin with a '/'";
    }
    if (!rc_text_is_utf8(key.at, key.size)) {
        return "Invalid key name: it is not UTF-8";
    }
    if (has_control_bytes(key)) {
        return "Invalid key name: it has control characters";
    }
    return has_dot_segment(key)
               ? "Invalid key name: '.' and '..' are no segments of a key"
               : NULL;
}

bool kv_pair_is_session_id(const char *text)
{
    return strlen(text) == STORE_ID_SIZE - 1;
}

#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/kv_pair.h"
#include "agent/http/permit.h"
#include "agent/http/store_query.h"
#include "base/text.h"

/* A name at most as long as a key can be asked with a NUL behind it. */
enum { NAME_SPACE = STORE_KEY_MAX + 1 };

static bool has(const struct http_exchange *x, const char *name)
{
    return target_parameter(&x->target, name) != NULL;
}

/* Nothing there: the headers stay, clients wait on their index. */
static void answer_nothing(struct http_exchange *x)
{
    rc_buffer_clear(&x->out);
    x->status = 404;
    x->content_type = NULL;
}

static bool shows(struct http_api *api, struct http_exchange *x, struct rc_pack_bytes key)
{
    char name[NAME_SPACE];

    if (key.size >= sizeof name) {
        return false;
    }
    memcpy(name, key.at, key.size);
    name[key.size] = '\0';
    return permit_shows(api, x, PERMIT_KEY, name);
}

/* The bytes themselves, made harmless for a browser that is led here. */
static void answer_raw(struct http_exchange *x, const struct store_pair *pair)
{
    rc_buffer_clear(&x->out);
    rc_buffer_append(&x->out, pair->value.at, pair->value.size);
    x->status = 200;
    x->content_type = "text/plain; charset=utf-8";
    exchange_header(x, "X-Content-Type-Options", "nosniff");
    exchange_header(x, "Content-Security-Policy", "sandbox");
}

static void answer_pair(struct http_exchange *x, const struct store_pair *pair)
{
    if (has(x, "raw")) {
        answer_raw(x, pair);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    kv_pair_render(&json, pair, KV_WITH_VALUE);
    rc_json_array_end(&json);
    exchange_json_end(x);
}

static void answer_one(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_KV, STORE_ONE, rc_pack_text(x->argument)};
    struct store_pair pair;

    if (store_query_must_wait(api, x, &view)) {
        return;
    }
    if (store_read(api->store, STORE_KV, view.name, &pair)) {
        answer_pair(x, &pair);
    } else {
        answer_nothing(x);
    }
}

static void answer_tree(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_KV, STORE_UNDER, rc_pack_text(x->argument)};
    struct rc_pack_bytes after = {0};
    struct store_pair pair;
    size_t count = 0;

    if (store_query_must_wait(api, x, &view)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next(api->store, STORE_KV, view.name, after, &pair)) {
        after = pair.key;
        if (!shows(api, x, pair.key)) {
            continue;
        }
        if (count++ == 0 && has(x, "raw")) {
            answer_raw(x, &pair);
            return;
        }
        kv_pair_render(&json, &pair, KV_WITH_VALUE);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
    if (count == 0) {
        answer_nothing(x);
    }
}

/* Up to and with the separator's first appearance behind the prefix, or all of it. */
static size_t cut_at(struct rc_pack_bytes key, size_t prefix_size, const char *separator)
{
    size_t size = strlen(separator);

    if (size == 0) {
        return key.size;
    }
    const uint8_t *at =
        memmem(key.at + prefix_size, key.size - prefix_size, separator, size);
    return at != NULL ? (size_t)(at - key.at) + size : key.size;
}

static const char *separator_of(const struct http_exchange *x)
{
    const char *separator = target_parameter(&x->target, "separator");

    if (separator == NULL) {
        separator = target_parameter(&x->target, "seperator"); /* Consul takes it too */
    }
    return separator != NULL ? separator : "";
}

static void answer_keys(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_KV, STORE_UNDER, rc_pack_text(x->argument)};
    const char *separator = separator_of(x);
    struct rc_pack_bytes after = {0};
    struct rc_pack_bytes last = {0};
    struct store_pair pair;

    if (store_query_must_wait(api, x, &view)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next(api->store, STORE_KV, view.name, after, &pair)) {
        after = pair.key;
        size_t size = cut_at(pair.key, view.name.size, separator);
        bool again = last.at != NULL && last.size == size &&
                     memcmp(last.at, pair.key.at, size) == 0;
        if (!again && shows(api, x, pair.key)) {
            last = (struct rc_pack_bytes){pair.key.at, size};
            rc_json_string_bytes(&json, last.at, last.size);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
    if (last.at == NULL && view.name.size > 0) {
        answer_nothing(x);
    }
}

void kv_answer_get(struct http_api *api, struct http_exchange *x)
{
    bool keys = has(x, "keys");
    bool tree = keys || has(x, "recurse");
    const struct store_view view = {STORE_KV, tree ? STORE_UNDER : STORE_ONE,
                                    rc_pack_text(x->argument)};

    if (!tree && !permit(api, x, PERMIT_KEY, x->argument, PERMIT_READ)) {
        return;
    }
    if (!store_query_begin_keys(api, x, &view)) {
        return;
    }
    if (!tree && x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing key name");
    } else if (keys) {
        answer_keys(api, x);
    } else if (tree) {
        answer_tree(api, x);
    } else {
        answer_one(api, x);
    }
}

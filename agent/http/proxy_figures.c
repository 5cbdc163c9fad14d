/* proxy_figures.c - what a proxy says of itself, field by field: nothing else of an answer is told
 * again, so that whatever else answers at an address is not shown to anybody. */
#include <string.h>

#include <jansson.h>

#include "agent/http/proxy_book.h"
#include "base/err.h"
#include "base/json.h"

enum { TEXT_MAX = 512, FIELDS_MAX = 12 };

enum kind { TEXT, NUMBER, YES_NO };

struct field {
    const char *name; /* NULL ends */
    enum kind kind;
};

static const struct field of_listener[] = {
    {"Address", TEXT}, {"Mode", TEXT}, {"Pool", TEXT}, {"Connections", NUMBER}, {0}};
static const struct field of_route[] = {{"Route", TEXT},
                                        {"Host", TEXT},
                                        {"Path", TEXT},
                                        {"Match", TEXT},
                                        {"Pool", TEXT},
                                        {"PerSecond", NUMBER},
                                        {"P50Ms", NUMBER},
                                        {"Errors5xxPerSecond", NUMBER},
                                        {"P95Ms", NUMBER},
                                        {"P99Ms", NUMBER},
                                        {0}};
static const struct field of_instance[] = {
    {"ID", TEXT},          {"Address", TEXT}, {"State", TEXT},
    {"PerSecond", NUMBER}, {"P50Ms", NUMBER}, {"ErrorsPerSecond", NUMBER},
    {"P95Ms", NUMBER},     {"P99Ms", NUMBER}, {0}};
static const struct field of_pool[] = {{"Pool", TEXT}, {"Service", TEXT}, {0}};
static const struct field of_proxy[] = {{"Version", TEXT},
                                        {"UptimeMs", NUMBER},
                                        {"Draining", YES_NO},
                                        {"Truncated", YES_NO},
                                        {0}};

static void put_text(struct rc_json *json, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = text != NULL ? strlen(text) : 0;

    if (size > TEXT_MAX) { /* not within a character */
        size = TEXT_MAX;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    rc_json_string_bytes(json, text != NULL ? text : "", size);
}

static void put_fields(struct rc_json *json, const json_t *object,
                       const struct field *fields)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        const json_t *value = json_object_get(object, f->name);
        rc_json_key(json, f->name);
        switch (f->kind) {
        case TEXT:
            put_text(json, value);
            break;
        case NUMBER:
            rc_json_double(json, json_number_value(value));
            break;
        case YES_NO:
            rc_json_bool(json, json_is_true(value));
            break;
        }
    }
}

static void put_list(struct rc_json *json, const json_t *parent, const char *name,
                     const struct field *fields)
{
    const json_t *list = json_object_get(parent, name);
    size_t count = json_array_size(list);

    rc_json_key(json, name);
    rc_json_array(json);
    for (size_t i = 0; i < count && i < PROXY_BOOK_ITEMS_MAX; i++) {
        rc_json_object(json);
        put_fields(json, json_array_get(list, i), fields);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_pools(struct rc_json *json, const json_t *root)
{
    const json_t *list = json_object_get(root, "Pools");
    size_t count = json_array_size(list);

    rc_json_key(json, "Pools");
    rc_json_array(json);
    for (size_t i = 0; i < count && i < PROXY_BOOK_ITEMS_MAX; i++) {
        const json_t *pool = json_array_get(list, i);
        rc_json_object(json);
        put_fields(json, pool, of_pool);
        put_list(json, pool, "Instances", of_instance);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

int proxy_book_clean(const void *text, size_t size, struct rc_buffer *out)
{
    json_error_t why;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);

    if (!json_is_string(json_object_get(root, "Version")) ||
        !json_is_array(json_object_get(root, "Routes")) ||
        !json_is_array(json_object_get(root, "Pools"))) {
        json_decref(root);
        return RC_EMALFORMED;
    }
    struct rc_json json = rc_json_over(out, 0);
    rc_json_object(&json);
    put_fields(&json, root, of_proxy);
    put_list(&json, root, "Listeners", of_listener);
    put_list(&json, root, "Routes", of_route);
    put_pools(&json, root);
    rc_json_object_end(&json);
    json_decref(root);
    return out->err;
}

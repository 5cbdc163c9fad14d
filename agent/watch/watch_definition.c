#include "agent/watch/watch_definition.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* A list, or one text without its brackets. */
static int read_texts(struct definition_reader *reader,
                      const struct definition_value *value, void *place)
{
    if (!json_is_string(value->json)) {
        return definition_list_type.read(reader, value, place);
    }
    json_t *list = json_pack("[O]", value->json);
    struct definition_value one = *value;
    one.json = list;
    int err = list != NULL ? definition_list_type.read(reader, &one, place) : RC_ENOMEM;
    json_decref(list);
    return err;
}

static void release_texts(void *place)
{
    definition_list_type.release(place);
}

static int copy_texts(const void *from, void *place)
{
    return definition_list_type.copy(from, place);
}

static int write_texts(const void *place, json_t **out)
{
    return definition_list_type.write(place, out);
}

static const struct definition_field_type texts_type = {
    .go_type = "[]string",
    .words = "a string or a list of strings",
    .read = read_texts,
    .release = release_texts,
    .copy = copy_texts,
    .write = write_texts,
};

#define FIELD(name, snake, type, member)                                      \
    {                                                                         \
        name, snake, NULL, &(type), offsetof(struct watch_definition, member) \
    }
#define IGNORED(name, snake)       \
    {                              \
        name, snake, NULL, NULL, 0 \
    }

/* What http_handler_config holds; read into the same struct. */
static const struct definition_field http_fields[] = {
    FIELD("Path", "path", definition_text_type, path),
    FIELD("Method", "method", definition_text_type, method),
    FIELD("Header", "header", definition_header_type, header),
    FIELD("Timeout", "timeout", definition_duration_type, http_timeout_ms),
    FIELD("TLSSkipVerify", "tls_skip_verify", definition_bool_type, tls_skip_verify),
};

static const struct definition_table http_table = {
    "api.HTTPHandlerConfig", http_fields, sizeof http_fields / sizeof http_fields[0]};

static const struct definition_field_type http_type;

static int read_http(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    if (!json_is_object(value->json)) {
        return definition_wrong_type(reader, value, &http_type);
    }
    return definition_table_read(&http_table, reader, value->json, place);
}

static void release_http(void *place)
{
    definition_table_release(&http_table, place);
}

static int copy_http(const void *from, void *place)
{
    return definition_table_copy(&http_table, from, place);
}

static int write_http(const void *place, json_t **out)
{
    *out = definition_table_write(&http_table, place);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

static const struct definition_field_type http_type = {
    .go_type = "struct",
    .words = "a block",
    .read = read_http,
    .release = release_http,
    .copy = copy_http,
    .write = write_http,
};

static const struct definition_field fields[] = {
    FIELD("Type", "type", definition_text_type, type_text),
    FIELD("Name", "name", definition_text_type, name),
    FIELD("Service", "service", definition_text_type, service),
    FIELD("Tag", "tag", texts_type, tags),
    FIELD("State", "state", definition_text_type, state),
    FIELD("PassingOnly", "passingonly", definition_bool_type, passing_only),
    FIELD("Key", "key", definition_text_type, key),
    FIELD("Prefix", "prefix", definition_text_type, prefix),
    FIELD("Token", "token", definition_text_type, token),
    FIELD("HandlerType", "handler_type", definition_text_type, handler_type),
    FIELD("Handler", "handler", definition_text_type, handler),
    FIELD("Args", "args", texts_type, args),
    FIELD("Timeout", "timeout", definition_duration_type, timeout_ms),
    {"HTTPHandlerConfig", "http_handler_config", NULL, &http_type, 0},
    IGNORED("Datacenter", "datacenter"),
};

static const struct definition_table table = {"api.Watch", fields,
                                              sizeof fields / sizeof fields[0]};

/* The old form of args becomes the new one. */
static int settle_shell(struct watch_definition *watch)
{
    json_t *json = json_pack("{s:[sss]}", "args", "/bin/sh", "-c", watch->handler);
    struct definition_fault fault = {0};
    struct definition_reader reader = {DEFINITION_FILE, &fault};

    int err =
        json != NULL ? definition_table_read(&table, &reader, json, watch) : RC_ENOMEM;
    json_decref(json);
    free(watch->handler);
    watch->handler = NULL;
    return err;
}

static int settle_handler(struct watch_definition *watch, const char **fault)
{
    const char *type = watch->handler_type;
    bool is_script = type == NULL || type[0] == '\0' || rc_text_equals(type, "script");

    watch->is_http = rc_text_equals(type, "http");
    if (!is_script && !watch->is_http) {
        *fault = "Handler type must be script or http";
    } else if (is_script && (watch->args.count == 0 || watch->args.items[0][0] == '\0')) {
        *fault = "Script handlers want args: the program and its arguments";
    } else if (is_script && watch->path != NULL) {
        *fault = "http_handler_config wants handler_type = \"http\"";
    } else if (watch->is_http && (watch->path == NULL || watch->path[0] == '\0')) {
        *fault = "Requires 'path' to be set"; /* Consul's */
    } else if (watch->is_http && !rc_text_starts_with(watch->path, "http://") &&
               !rc_text_starts_with(watch->path, "https://")) {
        *fault = "path must be an http:// or https:// URL";
    } else if (watch->is_http && watch->args.count > 0) {
        *fault = "args are for handlers of type script";
    } else if (watch->is_http && watch->type == WATCH_QUERY) {
        *fault = "queries are answered by scripts only";
    } else {
        return RC_OK;
    }
    return RC_EINVAL;
}

static int settle(struct definition_reader *reader, const json_t *json,
                  struct watch_definition *watch)
{
    char fault[WATCH_FAULT_MAX];
    const char *text = fault;

    int err = watch_type_parse(watch->type_text, &watch->type, fault);
    if (err == RC_OK) {
        struct watch_question question = watch_definition_question(watch);
        err = watch_question_check(&question, fault);
    }
    if (err == RC_OK && (watch->type == WATCH_KEY_PREFIX ? watch->key : watch->prefix)) {
        text = watch->type == WATCH_KEY_PREFIX ? "Invalid parameter: key"
                                               : "Invalid parameter: prefix";
        err = RC_EINVAL;
    }
    if (err == RC_OK && watch->handler != NULL && watch->args.count > 0) {
        text = "Only one of handler and args can be given";
        err = RC_EINVAL;
    }
    if (err == RC_OK && watch->handler != NULL && settle_shell(watch) != RC_OK) {
        return RC_ENOMEM;
    }
    if (err == RC_OK) {
        err = settle_handler(watch, &text);
    }
    return err == RC_OK ? RC_OK
                        : definition_invalid(reader, json, NULL, "watches: %s", text);
}

int watch_definition_read(struct definition_reader *reader, const json_t *json,
                          struct watch_definition *out)
{
    struct watch_definition watch = {0};

    int err = definition_table_read(&table, reader, json, &watch);
    if (err == RC_OK) {
        err = settle(reader, json, &watch);
    }
    if (err != RC_OK) {
        watch_definition_fini(&watch);
        return err;
    }
    *out = watch;
    return RC_OK;
}

void watch_definition_fini(struct watch_definition *watch)
{
    definition_table_release(&table, watch);
    *watch = (struct watch_definition){0};
}

int watch_definition_copy(const struct watch_definition *from,
                          struct watch_definition *out)
{
    *out = (struct watch_definition){0};
    int err = definition_table_copy(&table, from, out);
    if (err != RC_OK) {
        watch_definition_fini(out);
        return err;
    }
    out->type = from->type;
    out->is_http = from->is_http;
    return RC_OK;
}

bool watch_definition_equals(const struct watch_definition *a,
                             const struct watch_definition *b)
{
    json_t *left = definition_table_write(&table, a);
    json_t *right = definition_table_write(&table, b);
    bool same = left != NULL && right != NULL && json_equal(left, right) == 1;

    json_decref(left);
    json_decref(right);
    return same;
}

uint64_t watch_definition_timeout_ms(const struct watch_definition *watch)
{
    uint64_t own_ms = watch->is_http ? watch->http_timeout_ms : watch->timeout_ms;

    if (own_ms > 0) {
        return own_ms;
    }
    return watch->is_http ? WATCH_HTTP_MS : WATCH_SCRIPT_MS;
}

struct watch_question watch_definition_question(const struct watch_definition *watch)
{
    return (struct watch_question){
        .type = watch->type,
        .name = watch->name,
        .service = watch->service,
        .state = watch->state,
        .key = watch->type == WATCH_KEY_PREFIX ? watch->prefix : watch->key,
        .token = watch->token,
        .tags = (const char *const *)watch->tags.items,
        .tag_count = watch->tags.count,
        .passing_only = watch->passing_only,
    };
}

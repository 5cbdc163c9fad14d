/* prepared_read.c - see prepared.h: a definition brought into its one form. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/prepared/prepared.h"
#include "base/err.h"
#include "base/text.h"

static const uint64_t ns_per_s = 1000000000;

/* Go decodes without regard to letter case. */
static const json_t *field(const json_t *object, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (rc_span_equals_nocase(rc_span_of(key), name)) {
            return json_is_null(value) ? NULL : value;
        }
    }
    return NULL;
}

static int refuse(char error[PREPARED_ERROR_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(char error[PREPARED_ERROR_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(error, PREPARED_ERROR_MAX, format, arguments);
    va_end(arguments);
    return RC_EINVAL;
}

static int wrong_type(char error[PREPARED_ERROR_MAX], const char *name, const char *type)
{
    (void)snprintf(error, PREPARED_ERROR_MAX,
                   "Request decode failed: a value of type %s is wanted for %s", type,
                   name);
    return RC_EINVAL;
}

/* What a field holds. */
enum kind { TEXT, SWITCH, NUMBER, TEXTS, PAIRS };

struct place {
    const char *name;
    enum kind kind;
};

static bool all_texts(const json_t *value)
{
    size_t i;
    json_t *item;
    const char *key;

    json_array_foreach((json_t *)value, i, item)
    {
        if (!json_is_string(item)) {
            return false;
        }
    }
    json_object_foreach((json_t *)value, key, item)
    {
        if (!json_is_string(item)) {
            return false;
        }
    }
    return true;
}

static json_t *default_of(enum kind kind)
{
    switch (kind) {
    case TEXT:
        return json_string("");
    case SWITCH:
        return json_false();
    case NUMBER:
        return json_integer(0);
    case TEXTS:
    case PAIRS:
        break;
    }
    return json_null();
}

static bool fits(const json_t *value, enum kind kind)
{
    switch (kind) {
    case TEXT:
        return json_is_string(value);
    case SWITCH:
        return json_is_boolean(value);
    case NUMBER:
        return json_is_integer(value);
    case TEXTS:
        return json_is_array(value) && all_texts(value);
    case PAIRS:
        return json_is_object(value) && all_texts(value);
    }
    return false;
}

static const char *words_of(enum kind kind)
{
    static const char *const words[] = {
        [TEXT] = "string",
        [SWITCH] = "bool",
        [NUMBER] = "int",
        [TEXTS] = "[]string",
        [PAIRS] = "map[string]string",
    };
    return words[kind];
}

static int take(json_t *out, const json_t *given, const struct place *places,
                size_t count, char error[PREPARED_ERROR_MAX])
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = field(given, places[i].name);
        if (value != NULL && !fits(value, places[i].kind)) {
            return wrong_type(error, places[i].name, words_of(places[i].kind));
        }
        json_t *kept = value != NULL ? json_deep_copy(value) : default_of(places[i].kind);
        if (json_object_set_new(out, places[i].name, kept) != 0) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

/* A block of its own, empty when it is missing. RC_OK with `*out` owned by `whole`. */
static int open_block(json_t *whole, const char *name, const json_t *given, json_t **out,
                      char error[PREPARED_ERROR_MAX])
{
    if (given != NULL && !json_is_object(given)) {
        return wrong_type(error, name, "struct");
    }
    *out = json_object();
    return json_object_set_new(whole, name, *out) == 0 ? RC_OK : RC_ENOMEM;
}

static int take_service(json_t *whole, const json_t *given,
                        char error[PREPARED_ERROR_MAX])
{
    static const struct place first[] = {{"Service", TEXT}};
    static const struct place failover[] = {{"NearestN", NUMBER}, {"Datacenters", TEXTS}};
    static const struct place rest[] = {
        {"OnlyPassing", SWITCH}, {"IgnoreCheckIDs", TEXTS}, {"Near", TEXT},
        {"Tags", TEXTS},         {"NodeMeta", PAIRS},       {"ServiceMeta", PAIRS},
        {"Connect", SWITCH}};
    json_t *service = NULL;
    json_t *block = NULL;

    int err = open_block(whole, "Service", given, &service, error);
    if (err == RC_OK) {
        err = take(service, given, first, 1, error);
    }
    const json_t *over = field(given, "Failover");
    if (err == RC_OK) {
        err = open_block(service, "Failover", over, &block, error);
    }
    if (err == RC_OK) {
        err = take(block, over, failover, 2, error);
    }
    return err == RC_OK ? take(service, given, rest, sizeof rest / sizeof rest[0], error)
                        : err;
}

static int take_all(json_t *out, const json_t *given, char error[PREPARED_ERROR_MAX])
{
    static const struct place heads[] = {
        {"ID", TEXT}, {"Name", TEXT}, {"Session", TEXT}, {"Token", TEXT}};
    static const struct place template[] = {
        {"Type", TEXT}, {"Regexp", TEXT}, {"RemoveEmptyTags", SWITCH}};
    static const struct place dns[] = {{"TTL", TEXT}};
    json_t *block = NULL;

    int err = take(out, given, heads, sizeof heads / sizeof heads[0], error);
    if (err == RC_OK) {
        err = open_block(out, "Template", field(given, "Template"), &block, error);
    }
    if (err == RC_OK) {
        err = take(block, field(given, "Template"), template,
                   sizeof template / sizeof template[0], error);
    }
    if (err == RC_OK) {
        err = take_service(out, field(given, "Service"), error);
    }
    if (err == RC_OK) {
        err = open_block(out, "DNS", field(given, "DNS"), &block, error);
    }
    return err == RC_OK ? take(block, field(given, "DNS"), dns, 1, error) : err;
}

/* ---- What makes sense. */

static const char *text_at(const json_t *query, const char *block, const char *name)
{
    const json_t *from = block != NULL ? json_object_get(query, block) : query;
    const char *text = json_string_value(json_object_get(from, name));
    return text != NULL ? text : "";
}

static int check_ttl(const char *text, char error[PREPARED_ERROR_MAX])
{
    uint64_t ns;

    if (text[0] == '-') {
        return refuse(error, "Invalid prepared query: Bad DNS TTL '%s', must be >=0",
                      text);
    }
    if (text[0] != '\0' && rc_text_to_duration_ns(text, &ns) != RC_OK) {
        return refuse(error,
                      "Invalid prepared query: Bad DNS TTL '%s': time: invalid duration "
                      "\"%s\"",
                      text, text);
    }
    return RC_OK;
}

static int check_template(const json_t *query, char error[PREPARED_ERROR_MAX])
{
    const char *type = text_at(query, "Template", "Type");
    char why[PREPARED_ERROR_MAX];

    if (type[0] == '\0') {
        return RC_OK;
    }
    if (strcmp(type, "name_prefix_match") != 0) {
        return refuse(error, "Invalid prepared query: Bad Template.Type '%s'", type);
    }
    const char *pattern = text_at(query, "Template", "Regexp");
    if (pattern[0] != '\0' && prepared_pattern_check(pattern, why) != RC_OK) {
        return refuse(error, "Invalid prepared query: Bad Regexp: %s", why);
    }
    return RC_OK;
}

static int check(const json_t *query, char error[PREPARED_ERROR_MAX])
{
    const json_t *failover =
        json_object_get(json_object_get(query, "Service"), "Failover");
    json_int_t nearest = json_integer_value(json_object_get(failover, "NearestN"));

    if (prepared_name(query)[0] == '\0' && prepared_session(query)[0] == '\0' &&
        !prepared_is_template(query)) {
        return refuse(error, "Invalid prepared query: Must be bound to a session");
    }
    if (strlen(prepared_name(query)) >= PREPARED_NAME_MAX) {
        return refuse(error, "Invalid prepared query: Name is longer than 255 bytes");
    }
    if (text_at(query, NULL, "Token")[0] != '\0') {
        return refuse(error,
                      "Invalid prepared query: a Token would be kept in clear; whoever "
                      "executes a query uses a token of its own");
    }
    if (text_at(query, "Service", "Service")[0] == '\0') {
        return refuse(error,
                      "Invalid prepared query: Must provide a Service name to query");
    }
    if (nearest < 0) {
        return refuse(error, "Invalid prepared query: Bad NearestN '%lld', must be >= 0",
                      (long long)nearest);
    }
    int err = check_ttl(text_at(query, "DNS", "TTL"), error);
    return err == RC_OK ? check_template(query, error) : err;
}

int prepared_read(const json_t *given, json_t **out, char error[PREPARED_ERROR_MAX])
{
    json_t *query = json_object();

    error[0] = '\0';
    *out = NULL;
    if (!json_is_object(given)) {
        json_decref(query);
        return wrong_type(error, "the query", "struct");
    }
    int err = query != NULL ? take_all(query, given, error) : RC_ENOMEM;
    if (err == RC_OK) {
        err = check(query, error);
    }
    if (err != RC_OK) {
        json_decref(query);
        return err;
    }
    *out = query;
    return RC_OK;
}

const char *prepared_id(const json_t *query)
{
    return text_at(query, NULL, "ID");
}

const char *prepared_name(const json_t *query)
{
    return text_at(query, NULL, "Name");
}

const char *prepared_session(const json_t *query)
{
    return text_at(query, NULL, "Session");
}

bool prepared_is_template(const json_t *query)
{
    return text_at(query, "Template", "Type")[0] != '\0';
}

const char *prepared_near(const json_t *query)
{
    return text_at(query, "Service", "Near");
}

bool prepared_dns_ttl(const json_t *query, uint32_t *out)
{
    const char *text = text_at(query, "DNS", "TTL");
    uint64_t ns = 0;

    if (text[0] == '\0' || rc_text_to_duration_ns(text, &ns) != RC_OK) {
        return false;
    }
    uint64_t seconds = ns / ns_per_s;
    *out = seconds < INT32_MAX ? (uint32_t)seconds : INT32_MAX; /* RFC 2181 section 8 */
    return true;
}

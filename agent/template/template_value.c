#include "agent/template/template_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

static const char record_mark[] = "";

json_t *template_value_record(const char *what)
{
    json_t *record = json_object();

    if (record != NULL &&
        json_object_set_new(record, record_mark, json_string(what)) != 0) {
        json_decref(record);
        record = NULL;
    }
    return record;
}

json_t *template_value_text(const void *bytes, size_t size)
{
    return json_stringn_nocheck(size > 0 ? bytes : "", size);
}

struct rc_span template_value_span(const json_t *text)
{
    return json_is_string(text)
               ? (struct rc_span){json_string_value(text), json_string_length(text)}
               : (struct rc_span){"", 0};
}

const char *template_value_kind(const json_t *value)
{
    const char *record = json_string_value(json_object_get(value, record_mark));

    if (record != NULL) {
        return record;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "a map";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "nothing";
}

bool template_value_is_true(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
        return json_integer_value(value) != 0;
    case JSON_REAL:
        return json_real_value(value) < 0 || json_real_value(value) > 0;
    case JSON_TRUE:
        return true;
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return false;
}

long template_value_size(const json_t *value)
{
    if (json_is_string(value)) {
        return (long)json_string_length(value);
    }
    if (json_is_array(value)) {
        return (long)json_array_size(value);
    }
    if (json_is_object(value)) {
        return (long)json_object_size(value) -
               (json_object_get(value, record_mark) != NULL ? 1 : 0);
    }
    return -1;
}

/* ---- Fields. */

static const char *nearest_field(const json_t *record, const char *name)
{
    unsigned best = 4;
    const char *found = NULL;
    const char *key;
    json_t *field;

    json_object_foreach((json_t *)record, key, field)
    {
        unsigned distance = rc_text_distance(key, name);
        if (key[0] != '\0' && distance < best) {
            best = distance;
            found = key;
        }
    }
    return found;
}

int template_value_field(const json_t *value, struct rc_span name, json_t **out,
                         char why[TEMPLATE_WHY_MAX])
{
    char key[128];

    (void)snprintf(key, sizeof key, "%.*s", (int)(name.size < 127 ? name.size : 127),
                   name.at);
    if (!json_is_object(value)) {
        (void)snprintf(why, TEMPLATE_WHY_MAX, "%s has no field %s",
                       template_value_kind(value), key);
        return RC_EINVAL;
    }
    *out = name.size < sizeof key ? json_object_get(value, key) : NULL;
    if (*out != NULL) {
        return RC_OK;
    }
    if (json_object_get(value, record_mark) != NULL) {
        const char *close = nearest_field(value, key);
        (void)snprintf(why, TEMPLATE_WHY_MAX, "%s has no field %s%s%s%s",
                       template_value_kind(value), key,
                       close != NULL ? ": do you mean " : "", close != NULL ? close : "",
                       close != NULL ? "?" : "");
        return RC_EINVAL;
    }
    *out = json_null();
    return RC_OK;
}

/* ---- Comparing. */

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static int compare_spans(struct rc_span a, struct rc_span b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int first = shared > 0 ? memcmp(a.at, b.at, shared) : 0;

    return first != 0 ? sign(first) : (a.size > b.size) - (a.size < b.size);
}

static int compare_numbers(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a);
        json_int_t y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    double x = json_number_value(a);
    double y = json_number_value(b);
    return (x > y) - (x < y);
}

int template_value_compare(const json_t *a, const json_t *b,
                           enum template_comparison comparison, int *out,
                           char why[TEMPLATE_WHY_MAX])
{
    if (json_is_string(a) && json_is_string(b)) {
        *out = compare_spans(template_value_span(a), template_value_span(b));
        return RC_OK;
    }
    if (json_is_number(a) && json_is_number(b)) {
        *out = compare_numbers(a, b);
        return RC_OK;
    }
    bool is_equality = comparison == TEMPLATE_EQUALITY;
    if (is_equality && json_is_boolean(a) && json_is_boolean(b)) {
        *out = json_is_true(a) == json_is_true(b) ? 0 : 1;
        return RC_OK;
    }
    if (is_equality && (json_is_null(a) || json_is_null(b))) {
        *out = json_is_null(a) && json_is_null(b) ? 0 : 1;
        return RC_OK;
    }
    (void)snprintf(why, TEMPLATE_WHY_MAX, "%s and %s cannot be compared",
                   template_value_kind(a), template_value_kind(b));
    return RC_EINVAL;
}

/* ---- As text. */

/* The shortest form that reads back, with an exponent from 1e+06 and below 1e-04, as Go's %v. */
static void put_real(double number, struct rc_buffer *out)
{
    enum { DIGITS_MAX = 17, LARGE = 6, SMALL = -4 };
    char space[40];
    int digits = 0;

    do {
        (void)snprintf(space, sizeof space, "%.*e", digits, number);
        double back = strtod(space, NULL);
        if (!(back < number) && !(back > number)) {
            break;
        }
    } while (++digits < DIGITS_MAX);
    const char *e = strchr(space, 'e');
    int exponent = e != NULL ? (int)strtol(e + 1, NULL, 10) : 0;
    if (exponent >= SMALL && exponent < LARGE) {
        int places = digits > exponent ? digits - exponent : 0;
        (void)snprintf(space, sizeof space, "%.*f", places, number);
    }
    rc_buffer_text(out, space);
}

static int print_plain(const json_t *value, struct rc_buffer *out)
{
    struct rc_span text = template_value_span(value);

    switch (json_typeof(value)) {
    case JSON_STRING:
        rc_buffer_append(out, text.at, text.size);
        return RC_OK;
    case JSON_INTEGER:
        rc_buffer_format(out, "%" PRId64, (int64_t)json_integer_value(value));
        return RC_OK;
    case JSON_REAL:
        put_real(json_real_value(value), out);
        return RC_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        rc_buffer_text(out, json_is_true(value) ? "true" : "false");
        return RC_OK;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return RC_EINVAL;
}

static int print_list(const json_t *list, struct rc_buffer *out)
{
    int err = RC_OK;

    rc_buffer_byte(out, '[');
    for (size_t i = 0; i < json_array_size(list) && err == RC_OK; i++) {
        rc_buffer_text(out, i > 0 ? " " : "");
        err = print_plain(json_array_get(list, i), out);
    }
    rc_buffer_byte(out, ']');
    return err;
}

int template_value_print(const json_t *value, struct rc_buffer *out,
                         char why[TEMPLATE_WHY_MAX])
{
    int err = json_is_array(value) ? print_list(value, out) : print_plain(value, out);

    if (err != RC_OK && json_is_null(value)) {
        (void)rc_text_put(
            why, TEMPLATE_WHY_MAX,
            "there is no value here: give one with `or VALUE \"default\"`, or "
            "test with if or with");
    } else if (err != RC_OK) {
        (void)snprintf(
            why, TEMPLATE_WHY_MAX,
            "%s cannot be written as it is: name a field, use range, or toJSON",
            json_is_array(value) ? "a list of such" : template_value_kind(value));
    }
    return err;
}

/* ---- As JSON, without recursion: what is open is on a stack. */

struct open_value {
    const json_t *value;
    json_t *keys; /* owned; of objects, in order */
    size_t next;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *template_value_keys(const json_t *object)
{
    size_t count = 0;
    const char *key;
    json_t *field;
    json_t *out = json_array();
    const char **keys = calloc(json_object_size(object) + 1, sizeof *keys);

    if (keys == NULL || out == NULL) {
        free(keys);
        json_decref(out);
        return NULL;
    }
    json_object_foreach((json_t *)object, key, field)
    {
        if (key[0] != '\0') {
            keys[count++] = key;
        }
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(out, json_string_nocheck(keys[i]));
    }
    free(keys);
    return out;
}

static void write_plain(struct rc_json *json, const json_t *value)
{
    struct rc_span text = template_value_span(value);

    switch (json_typeof(value)) {
    case JSON_STRING:
        rc_json_string_bytes(json, text.at, text.size);
        break;
    case JSON_INTEGER:
        rc_json_i64(json, json_integer_value(value));
        break;
    case JSON_REAL:
        rc_json_double(json, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        rc_json_bool(json, json_is_true(value));
        break;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        rc_json_null(json);
        break;
    }
}

static int open_value(struct rc_json *json, const json_t *value, struct open_value *out)
{
    *out = (struct open_value){.value = value};
    if (json_is_array(value)) {
        rc_json_array(json);
        return RC_OK;
    }
    out->keys = template_value_keys(value);
    rc_json_object(json);
    return out->keys != NULL ? RC_OK : RC_ENOMEM;
}

/* The next one inside of `open`, its key written; NULL: there is none, and it is closed. */
static const json_t *next_inside(struct rc_json *json, struct open_value *open)
{
    if (json_is_array(open->value)) {
        if (open->next < json_array_size(open->value)) {
            return json_array_get(open->value, open->next++);
        }
        rc_json_array_end(json);
        return NULL;
    }
    if (open->next < json_array_size(open->keys)) {
        const char *key = json_string_value(json_array_get(open->keys, open->next++));
        rc_json_key(json, key);
        return json_object_get(open->value, key);
    }
    rc_json_object_end(json);
    return NULL;
}

int template_value_write_json(const json_t *value, unsigned indent, struct rc_buffer *out)
{
    struct open_value stack[TEMPLATE_JSON_DEPTH_MAX];
    struct rc_json json = rc_json_over(out, indent);
    size_t depth = 0;
    int err = RC_OK;

    for (;;) {
        if (json_is_array(value) || json_is_object(value)) {
            if (depth == TEMPLATE_JSON_DEPTH_MAX) {
                err = RC_ETOOBIG;
                break;
            }
            err = open_value(&json, value, &stack[depth++]);
            if (err != RC_OK) {
                break;
            }
        } else {
            write_plain(&json, value);
        }
        value = NULL;
        while (depth > 0 && (value = next_inside(&json, &stack[depth - 1])) == NULL) {
            json_decref(stack[--depth].keys);
        }
        if (value == NULL) {
            break;
        }
    }
    while (depth > 0) {
        json_decref(stack[--depth].keys);
    }
    return err != RC_OK ? err : out->err;
}

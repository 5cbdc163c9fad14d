/* definition_type.c - the types that fields of definitions have: how each is read, copied,
 * written and released. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/definition_field.h"
#include "base/err.h"
#include "base/text.h"

/* --- text: an empty string is the same as none, as in Go */

static int set_text(char **place, const char *text)
{
    free(*place);
    *place = NULL;
    if (text == NULL || text[0] == '\0') {
        return RC_OK;
    }
    *place = rc_text_copy(text);
    return *place != NULL ? RC_OK : RC_ENOMEM;
}

static int read_text(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &definition_text_type);
    }
    return set_text(place, json_string_value(value->json));
}

static void release_text(void *place)
{
    (void)set_text(place, NULL);
}

static int copy_text(const void *from, void *place)
{
    char *const *text = from;
    return set_text(place, *text);
}

static int write_text(const void *place, json_t **out)
{
    char *const *text = place;

    if (*text == NULL) {
        return RC_OK;
    }
    *out = json_string(*text);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_text_type = {
    .go_type = "string",
    .words = "a string",
    .read = read_text,
    .release = release_text,
    .copy = copy_text,
    .write = write_text,
};

/* --- lists of strings: empty strings count */

static void release_list(void *place)
{
    struct definition_list *list = place;

    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct definition_list){0};
}

static int add_to_list(struct definition_list *list, const char *text)
{
    char *copy = rc_text_copy(text);
    void *items = list->items;
    char **item =
        copy != NULL ? definition_grow(&items, &list->count, sizeof *item) : NULL;

    if (item == NULL) {
        free(copy);
        return RC_ENOMEM;
    }
    list->items = items;
    *item = copy;
    return RC_OK;
}

/* The fault of element `index` of a list that wants strings. */
static int refuse_element(struct definition_reader *reader,
                          const struct definition_value *list, size_t index,
                          const json_t *element)
{
    char key[64];

    if (reader->style == DEFINITION_FILE) {
        (void)snprintf(key, sizeof key, "%zu", index);
        return definition_malformed(reader, list->json, key,
                                    "%s must be a list of strings", list->key);
    }
    struct definition_value value = {list->parent, list->key, list->field_name, element};
    return definition_wrong_type(reader, &value, &definition_text_type);
}

static int read_list(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    struct definition_list *list = place;
    size_t index = 0;
    json_t *element = NULL;

    if (!json_is_array(value->json)) {
        return definition_wrong_type(reader, value, &definition_list_type);
    }
    release_list(list);
    json_array_foreach(value->json, index, element)
    {
        if (!json_is_string(element)) {
            return refuse_element(reader, value, index, element);
        }
        if (add_to_list(list, json_string_value(element)) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int copy_list(const void *from, void *place)
{
    const struct definition_list *list = from;

    for (size_t i = 0; i < list->count; i++) {
        if (add_to_list(place, list->items[i]) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int write_list(const void *place, json_t **out)
{
    const struct definition_list *list = place;

    if (list->count == 0) {
        return RC_OK;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) != 0) {
            json_decref(array);
            return RC_ENOMEM;
        }
    }
    *out = array;
    return array != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_list_type = {
    .go_type = "[]string",
    .words = "a list",
    .read = read_list,
    .release = release_list,
    .copy = copy_list,
    .write = write_list,
};

/* --- maps from string to string, and from string to strings */

static void release_pairs(void *place)
{
    struct definition_pairs *pairs = place;

    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].key);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (struct definition_pairs){0};
}

static int add_pair(struct definition_pairs *pairs, const char *key, const char *text)
{
    void *items = pairs->items;
    struct definition_pair *pair = definition_grow(&items, &pairs->count, sizeof *pair);

    if (pair == NULL) {
        return RC_ENOMEM;
    }
    pairs->items = items;
    pair->key = rc_text_copy(key);
    pair->value = rc_text_copy(text);
    return pair->key != NULL && pair->value != NULL ? RC_OK : RC_ENOMEM;
}

static int read_pairs(struct definition_reader *reader,
                      const struct definition_value *value, void *place)
{
    const char *key = NULL;
    json_t *child = NULL;
    json_t *object = (json_t *)value->json; /* only read */

    if (!json_is_object(object)) {
        return definition_wrong_type(reader, value, &definition_pairs_type);
    }
    release_pairs(place);
    json_object_foreach(object, key, child)
    {
        if (!json_is_string(child)) {
            struct definition_value inner = {object, key, value->field_name, child};
            return definition_wrong_type(reader, &inner, &definition_text_type);
        }
        if (add_pair(place, key, json_string_value(child)) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int copy_pairs(const void *from, void *place)
{
    const struct definition_pairs *pairs = from;

    for (size_t i = 0; i < pairs->count; i++) {
        if (add_pair(place, pairs->items[i].key, pairs->items[i].value) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int write_pairs(const void *place, json_t **out)
{
    const struct definition_pairs *pairs = place;

    if (pairs->count == 0) {
        return RC_OK;
    }
    json_t *object = json_object();
    for (size_t i = 0; i < pairs->count; i++) {
        const struct definition_pair *pair = &pairs->items[i];
        if (json_object_set_new(object, pair->key, json_string(pair->value)) != 0) {
            json_decref(object);
            return RC_ENOMEM;
        }
    }
    *out = object;
    return object != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_pairs_type = {
    .go_type = "map[string]string",
    .words = "a block",
    .read = read_pairs,
    .release = release_pairs,
    .copy = copy_pairs,
    .write = write_pairs,
};

/* One header: a list of values; in a file one value may stand without its list. */
static int read_header_values(struct definition_reader *reader,
                              const struct definition_value *value,
                              struct definition_pairs *pairs)
{
    size_t index = 0;
    json_t *element = NULL;

    if (json_is_string(value->json) && reader->style == DEFINITION_FILE) {
        return add_pair(pairs, value->key, json_string_value(value->json));
    }
    if (!json_is_array(value->json)) {
        return definition_wrong_type(reader, value, &definition_list_type);
    }
    json_array_foreach(value->json, index, element)
    {
        if (!json_is_string(element)) {
            return refuse_element(reader, value, index, element);
        }
        if (add_pair(pairs, value->key, json_string_value(element)) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int read_header(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    const char *key = NULL;
    json_t *child = NULL;
    json_t *object = (json_t *)value->json; /* only read */

    if (!json_is_object(object)) {
        return definition_wrong_type(reader, value, &definition_header_type);
    }
    release_pairs(place);
    json_object_foreach(object, key, child)
    {
        struct definition_value inner = {object, key, value->field_name, child};
        int err = read_header_values(reader, &inner, place);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static int write_header(const void *place, json_t **out)
{
    const struct definition_pairs *pairs = place;

    if (pairs->count == 0) {
        return RC_OK;
    }
    json_t *object = json_object();
    for (size_t i = 0; i < pairs->count; i++) {
        const struct definition_pair *pair = &pairs->items[i];
        json_t *values = json_object_get(object, pair->key);
        if (values == NULL && json_object_set_new(object, pair->key, json_array()) == 0) {
            values = json_object_get(object, pair->key);
        }
        if (json_array_append_new(values, json_string(pair->value)) != 0) {
            json_decref(object);
            return RC_ENOMEM;
        }
    }
    *out = object;
    return object != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_header_type = {
    .go_type = "map[string][]string",
    .words = "a block",
    .read = read_header,
    .release = release_pairs,
    .copy = copy_pairs,
    .write = write_header,
};

/* --- tagged addresses */

static const struct definition_field address_fields[] = {
    {"Address", "address", NULL, &definition_text_type,
     offsetof(struct definition_address, address)},
    {"Port", "port", NULL, &definition_int_type,
     offsetof(struct definition_address, port)},
};

static const struct definition_table address_table = {
    "structs.ServiceAddress", address_fields,
    sizeof address_fields / sizeof address_fields[0]};

static void release_addresses(void *place)
{
    struct definition_addresses *addresses = place;

    for (size_t i = 0; i < addresses->count; i++) {
        free(addresses->items[i].tag);
        free(addresses->items[i].address);
    }
    free(addresses->items);
    *addresses = (struct definition_addresses){0};
}

static struct definition_address *add_address(struct definition_addresses *addresses,
                                              const char *tag)
{
    void *items = addresses->items;
    struct definition_address *address =
        definition_grow(&items, &addresses->count, sizeof *address);

    if (address == NULL) {
        return NULL;
    }
    addresses->items = items;
    address->tag = rc_text_copy(tag);
    return address->tag != NULL ? address : NULL;
}

static int read_addresses(struct definition_reader *reader,
                          const struct definition_value *value, void *place)
{
    const char *key = NULL;
    json_t *child = NULL;
    json_t *object = (json_t *)value->json; /* only read */

    if (!json_is_object(object)) {
        return definition_wrong_type(reader, value, &definition_addresses_type);
    }
    release_addresses(place);
    json_object_foreach(object, key, child)
    {
        if (!json_is_object(child)) {
            struct definition_value inner = {object, key, value->field_name, child};
            return definition_wrong_type(reader, &inner, &definition_addresses_type);
        }
        struct definition_address *address = add_address(place, key);
        if (address == NULL) {
            return RC_ENOMEM;
        }
        int err = definition_table_read(&address_table, reader, child, address);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static int copy_addresses(const void *from, void *place)
{
    const struct definition_addresses *addresses = from;

    for (size_t i = 0; i < addresses->count; i++) {
        struct definition_address *address = add_address(place, addresses->items[i].tag);
        if (address == NULL || definition_table_copy(&address_table, &addresses->items[i],
                                                     address) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int write_addresses(const void *place, json_t **out)
{
    const struct definition_addresses *addresses = place;

    if (addresses->count == 0) {
        return RC_OK;
    }
    json_t *object = json_object();
    for (size_t i = 0; i < addresses->count; i++) {
        const struct definition_address *address = &addresses->items[i];
        json_t *child = definition_table_write(&address_table, address);
        if (json_object_set_new(object, address->tag, child) != 0) {
            json_decref(object);
            return RC_ENOMEM;
        }
    }
    *out = object;
    return object != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_addresses_type = {
    .go_type = "map[string]structs.ServiceAddress",
    .words = "a block",
    .read = read_addresses,
    .release = release_addresses,
    .copy = copy_addresses,
    .write = write_addresses,
};

/* --- plain values */

static int read_bool(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    if (!json_is_boolean(value->json)) {
        return definition_wrong_type(reader, value, &definition_bool_type);
    }
    *(bool *)place = json_is_true(value->json);
    return RC_OK;
}

static int write_bool(const void *place, json_t **out)
{
    *out = *(const bool *)place ? json_true() : NULL;
    return RC_OK;
}

const struct definition_field_type definition_bool_type = {
    .go_type = "bool",
    .words = "true or false",
    .plain_size = sizeof(bool),
    .read = read_bool,
    .write = write_bool,
};

static int read_int(struct definition_reader *reader,
                    const struct definition_value *value, void *place)
{
    if (json_is_real(value->json) && reader->style == DEFINITION_API) {
        return definition_malformed(
            reader, value->parent, value->key,
            "json: cannot unmarshal number %.15g into Go struct field .%s of type int",
            json_real_value(value->json), value->field_name);
    }
    if (!json_is_integer(value->json)) {
        return definition_wrong_type(reader, value, &definition_int_type);
    }
    *(int64_t *)place = json_integer_value(value->json);
    return RC_OK;
}

static int write_int(const void *place, json_t **out)
{
    int64_t number = *(const int64_t *)place;

    *out = number != 0 ? json_integer(number) : NULL;
    return number == 0 || *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_int_type = {
    .go_type = "int",
    .words = "a whole number",
    .plain_size = sizeof(int64_t),
    .read = read_int,
    .write = write_int,
};

/* --- durations */

/* Rounded up: a positive duration must not become zero, which means none. Only the longest
 * (292 years) is rounded down: what is written must be readable as nanoseconds again. */
static uint64_t to_ms(uint64_t ns)
{
    uint64_t ms = ns / 1000000;

    return ns % 1000000 > 0 && ms < INT64_MAX / 1000000 ? ms + 1 : ms;
}

/* Go's words for a duration it cannot read (time.ParseDuration). */
static int refuse_duration(struct definition_reader *reader,
                           const struct definition_value *value, const char *text)
{
    size_t number = strspn(text, "0123456789.");
    size_t unit = strcspn(text + number, "0123456789.");

    if (number > 0 && text[number] == '\0') {
        return definition_malformed(reader, value->parent, value->key,
                                    "time: missing unit in duration \"%s\"", text);
    }
    if (number > 0 && strspn(text, ".") < number) {
        return definition_malformed(reader, value->parent, value->key,
                                    "time: unknown unit \"%.*s\" in duration \"%s\"",
                                    (int)unit, text + number, text);
    }
    return definition_malformed(reader, value->parent, value->key,
                                "time: invalid duration \"%s\"", text);
}

/* A negative duration is read and counts as none: what needs one then says so. */
static int read_duration(struct definition_reader *reader,
                         const struct definition_value *value, void *place)
{
    uint64_t ns = 0;

    if (json_is_integer(value->json)) {
        json_int_t number = json_integer_value(value->json);
        *(uint64_t *)place = number > 0 ? to_ms((uint64_t)number) : 0;
        return RC_OK;
    }
    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &definition_duration_type);
    }
    const char *text = json_string_value(value->json);
    if (text[0] == '\0' && reader->style == DEFINITION_FILE) {
        *(uint64_t *)place = 0;
        return RC_OK;
    }
    bool is_negative = text[0] == '-';
    if (rc_text_to_duration_ns(text + is_negative, &ns) != RC_OK) {
        return refuse_duration(reader, value, text);
    }
    *(uint64_t *)place = is_negative ? 0 : to_ms(ns);
    return RC_OK;
}

static int write_duration(const void *place, json_t **out)
{
    uint64_t ms = *(const uint64_t *)place;
    char text[32];

    if (ms == 0) {
        return RC_OK;
    }
    rc_text_from_duration_ns(ms * 1000000, text, sizeof text);
    *out = json_string(text);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type definition_duration_type = {
    .go_type = "time.Duration",
    .words = "a duration such as \"10s\"",
    .plain_size = sizeof(uint64_t),
    .read = read_duration,
    .write = write_duration,
};

/* definition_field.c - the walk over a table of fields. */
#include "agent/catalog/definition_field.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static void set_fault(struct definition_reader *reader, const json_t *parent,
                      const char *key, const char *text)
{
    struct definition_fault *fault = reader->fault;

    (void)rc_text_put(fault->text, sizeof fault->text, text);
    rc_text_to_line(fault->text, sizeof fault->text);
    (void)rc_text_put(fault->key, sizeof fault->key, key != NULL ? key : "");
    fault->parent = parent;
}

int definition_malformed(struct definition_reader *reader, const json_t *parent,
                         const char *key, const char *format, ...)
{
    char text[DEFINITION_ERROR_MAX];
    int used = 0;
    va_list arguments;

    if (reader->style == DEFINITION_API) {
        used = snprintf(text, sizeof text, "Request decode failed: ");
    }
    va_start(arguments, format);
    (void)vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    set_fault(reader, parent, key, text);
    return RC_EMALFORMED;
}

int definition_invalid(struct definition_reader *reader, const json_t *parent,
                       const char *key, const char *format, ...)
{
    char text[DEFINITION_ERROR_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    set_fault(reader, parent, key, text);
    return RC_EINVAL;
}

static const struct {
    const char *go;
    const char *words;
} json_types[] = {
    [JSON_OBJECT] = {"object", "a block"},  [JSON_ARRAY] = {"array", "a list"},
    [JSON_STRING] = {"string", "a string"}, [JSON_INTEGER] = {"number", "a number"},
    [JSON_REAL] = {"number", "a number"},   [JSON_TRUE] = {"bool", "true"},
    [JSON_FALSE] = {"bool", "false"},       [JSON_NULL] = {"null", "null"},
};

int definition_wrong_type(struct definition_reader *reader,
                          const struct definition_value *value,
                          const struct definition_field_type *type)
{
    json_type found = json_typeof(value->json);

    if (reader->style == DEFINITION_FILE) {
        return definition_malformed(reader, value->parent, value->key,
                                    "%s must be %s, not %s", value->key, type->words,
                                    json_types[found].words);
    }
    return definition_malformed(
        reader, value->parent, value->key,
        "json: cannot unmarshal %s into Go struct field .%s of type %s",
        json_types[found].go, value->field_name, type->go_type);
}

int definition_read_blocks(struct definition_reader *reader,
                           const struct definition_value *value,
                           const struct definition_field_type *type,
                           int (*add)(struct definition_reader *reader,
                                      const json_t *block, void *place),
                           void *place)
{
    size_t index = 0;
    json_t *element = NULL;

    if (json_is_object(value->json)) {
        return add(reader, value->json, place);
    }
    if (!json_is_array(value->json)) {
        return definition_wrong_type(reader, value, type);
    }
    json_array_foreach(value->json, index, element)
    {
        int err = json_is_object(element)
                      ? add(reader, element, place)
                      : definition_malformed(reader, value->parent, value->key,
                                             "%s must be a list of blocks", value->key);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* Same letters, whatever their case and the underscores between them. */
static bool names_match(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "_");
        b += strspn(b, "_");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) {
            return false;
        }
        if (*a == '\0') {
            return true;
        }
    }
}

static const struct definition_field *find_field(const struct definition_table *table,
                                                 const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct definition_field *field = &table->fields[i];
        if (names_match(key, field->name) ||
            (field->alias != NULL && names_match(key, field->alias))) {
            return field;
        }
    }
    return NULL;
}

static int refuse_unknown(const struct definition_table *table,
                          struct definition_reader *reader, const json_t *parent,
                          const char *key)
{
    const char *nearest = NULL;
    unsigned least = 3; /* further away is another word, not a slip */

    if (reader->style == DEFINITION_API) {
        return definition_malformed(reader, parent, key, "json: unknown field \"%s\"",
                                    key);
    }
    for (size_t i = 0; i < table->count; i++) {
        unsigned distance = rc_text_distance(key, table->fields[i].snake);
        if (distance < least) {
            least = distance;
            nearest = table->fields[i].snake;
        }
    }
    if (nearest == NULL) {
        return definition_malformed(reader, parent, key, "invalid config key %s", key);
    }
    return definition_malformed(reader, parent, key,
                                "invalid config key %s; did you mean %s?", key, nearest);
}

int definition_table_read(const struct definition_table *table,
                          struct definition_reader *reader, const json_t *json, void *out)
{
    const char *key = NULL;
    json_t *child = NULL;

    if (json == NULL || json_is_null(json)) {
        return RC_OK;
    }
    if (!json_is_object(json)) {
        const char *found = json_types[json_typeof(json)].go;
        return definition_malformed(reader, NULL, NULL,
                                    "json: cannot unmarshal %s into Go value of type %s",
                                    found, table->go_type);
    }
    json_t *object = (json_t *)json; /* jansson's walk asks for it, and changes nothing */
    json_object_foreach(object, key, child)
    {
        const struct definition_field *field = find_field(table, key);
        if (field == NULL) {
            return refuse_unknown(table, reader, json, key);
        }
        if (field->type == NULL || json_is_null(child)) {
            continue;
        }
        struct definition_value value = {json, key, field->name, child};
        int err = field->type->read(reader, &value, (char *)out + field->offset);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

void definition_table_release(const struct definition_table *table, void *value)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct definition_field *field = &table->fields[i];
        if (field->type != NULL && field->type->release != NULL) {
            field->type->release((char *)value + field->offset);
        }
    }
}

int definition_table_copy(const struct definition_table *table, const void *from,
                          void *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct definition_field *field = &table->fields[i];
        if (field->type == NULL) {
            continue;
        }
        const char *source = (const char *)from + field->offset;
        char *place = (char *)out + field->offset;
        if (field->type->plain_size > 0) {
            memcpy(place, source, field->type->plain_size);
        } else if (field->type->copy(source, place) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

json_t *definition_table_write(const struct definition_table *table, const void *value)
{
    json_t *object = json_object();

    for (size_t i = 0; i < table->count && object != NULL; i++) {
        const struct definition_field *field = &table->fields[i];
        json_t *child = NULL;
        if (field->type == NULL) {
            continue;
        }
        int err = field->type->write((const char *)value + field->offset, &child);
        if (err == RC_OK && child != NULL &&
            json_object_set_new(object, field->name, child) != 0) {
            err = RC_ENOMEM;
        }
        if (err != RC_OK) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

void *definition_grow(void **items, size_t *count, size_t size)
{
    char *grown = realloc(*items, (*count + 1) * size);

    if (grown == NULL) {
        return NULL;
    }
    *items = grown;
    memset(grown + *count * size, 0, size);
    return grown + (*count)++ * size;
}

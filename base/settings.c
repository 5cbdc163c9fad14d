/* settings.c - configuration text to a tree, with an explicit stack instead of recursion. */
#include "base/settings.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/settings_token.h"
#include "base/table.h"
#include "base/text.h"

enum { DEPTH_MAX = 32, FILE_MAX_BYTES = 1048576, KEY_MAX = 256 };

enum { PLACE_NAME_MAX = sizeof(uintptr_t) + KEY_MAX };

/* How a value came under its key: blocks may be repeated, assignments may not. */
enum origin { ASSIGNED, BLOCK };

struct place {
    struct place *next; /* of all places, for the end */
    unsigned line;
    unsigned column;
    enum origin origin;
};

struct rc_settings {
    char *name;
    json_t *root;
    struct rc_table *places; /* by address of the parent, then the key */
    struct place *first;
};

/* A container that is being filled. Its json_t belongs to the tree. */
struct frame {
    json_t *container;
    size_t count;     /* items so far */
    bool after_comma; /* a comma was the last thing read */
    bool is_braced;   /* ends with } or ]; otherwise with the file */
};

struct parser {
    struct rc_settings *settings;
    struct rc_tokens tokens;
    bool is_json; /* strict: quoted keys, colons, commas */
    bool takes_empty_keys;
    struct frame frames[DEPTH_MAX];
    size_t depth;
    char *error;
};

/* Where the next value goes. */
struct slot {
    char key[KEY_MAX]; /* "" in an array */
    unsigned line;
    unsigned column;
    enum origin origin;
    char label[KEY_MAX]; /* of a block, if it has one */
    bool has_label;
};

static int refuse(struct parser *parser, unsigned line, unsigned column,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

static int refuse(struct parser *parser, unsigned line, unsigned column,
                  const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)snprintf(parser->error, RC_SETTINGS_ERROR_MAX, "%.200s:%u:%u: %s",
                   parser->settings->name, line, column, text);
    rc_text_to_line(parser->error, RC_SETTINGS_ERROR_MAX);
    return RC_EMALFORMED;
}

static int next_token(struct parser *parser, struct rc_token *out)
{
    struct rc_tokens *tokens = &parser->tokens;
    int err = rc_tokens_next(tokens, out);

    if (err == RC_EMALFORMED) {
        return refuse(parser, tokens->error_line, tokens->error_column, "%s",
                      tokens->error);
    }
    return err;
}

static int refuse_token(struct parser *parser, const struct rc_token *token,
                        const char *wanted)
{
    if (token->type == RC_TOKEN_NAME) {
        int size = token->text.size < 60 ? (int)token->text.size : 60;
        return refuse(parser, token->line, token->column, "expected %s, found %.*s",
                      wanted, size, token->text.at);
    }
    return refuse(parser, token->line, token->column, "expected %s, found %s", wanted,
                  rc_token_name(token->type));
}

/* The name of a place in the table: the parent's address, then the key. */
static size_t place_name(const json_t *parent, const char *key,
                         uint8_t name[PLACE_NAME_MAX])
{
    uintptr_t address = (uintptr_t)parent;
    size_t size = key != NULL ? strnlen(key, KEY_MAX) : 0;

    memcpy(name, &address, sizeof address);
    if (size > 0) {
        memcpy(name + sizeof address, key, size);
    } else if (key != NULL) { /* the key "" is not the container itself */
        name[sizeof address] = '\0';
        size = 1;
    }
    return sizeof address + size;
}

static struct place *find_place(const struct rc_settings *settings, const json_t *parent,
                                const char *key)
{
    uint8_t name[PLACE_NAME_MAX];
    size_t size = place_name(parent, key, name);

    return rc_table_get_bytes(settings->places, name, size);
}

static int add_place(struct rc_settings *settings, const json_t *parent, const char *key,
                     const struct slot *slot)
{
    uint8_t name[PLACE_NAME_MAX];
    size_t size = place_name(parent, key, name);
    struct place *place = calloc(1, sizeof *place);

    if (place == NULL ||
        rc_table_put_bytes(settings->places, name, size, place, NULL) != RC_OK) {
        free(place);
        return RC_ENOMEM;
    }
    *place = (struct place){settings->first, slot->line, slot->column, slot->origin};
    settings->first = place;
    return RC_OK;
}

/* Puts a block under a key that has blocks already: the second turns them into an array. */
static int put_again(json_t *parent, const char *key, json_t *value)
{
    json_t *before = json_object_get(parent, key);

    if (json_is_array(before)) {
        return json_array_append_new(before, value) == 0 ? RC_OK : RC_ENOMEM;
    }
    json_t *array = json_array();
    if (array == NULL || json_array_append(array, before) != 0 ||
        json_array_append(array, value) != 0 ||
        json_object_set(parent, key, array) != 0) {
        json_decref(array);
        json_decref(value);
        return RC_ENOMEM;
    }
    json_decref(array);
    json_decref(value);
    return RC_OK;
}

/* Puts `value` (taken) where `slot` says. */
static int put_in_object(struct parser *parser, const struct slot *slot, json_t *value)
{
    json_t *parent = parser->frames[parser->depth - 1].container;
    const struct place *before = find_place(parser->settings, parent, slot->key);

    if (before != NULL && before->origin == BLOCK && slot->origin == BLOCK) {
        return put_again(parent, slot->key, value);
    }
    if (before != NULL) {
        json_decref(value);
        return refuse(parser, slot->line, slot->column,
                      "duplicate key %s, first given in line %u", slot->key,
                      before->line);
    }
    if (json_object_set_new(parent, slot->key, value) != 0) {
        return RC_ENOMEM;
    }
    return add_place(parser->settings, parent, slot->key, slot);
}

static int put(struct parser *parser, const struct slot *slot, json_t *value)
{
    struct frame *frame = &parser->frames[parser->depth - 1];
    char index[24];

    frame->count++;
    frame->after_comma = false;
    if (value == NULL) {
        return RC_ENOMEM;
    }
    if (json_is_object(frame->container)) {
        return put_in_object(parser, slot, value);
    }
    (void)snprintf(index, sizeof index, "%zu", frame->count - 1);
    if (json_array_append_new(frame->container, value) != 0) {
        return RC_ENOMEM;
    }
    return add_place(parser->settings, frame->container, index, slot);
}

/* Puts a new object or array and makes it the one that is filled next. */
static int open_container(struct parser *parser, const struct slot *slot, json_t *value)
{
    if (value == NULL) {
        return RC_ENOMEM;
    }
    if (parser->depth == DEPTH_MAX) {
        json_decref(value);
        return refuse(parser, slot->line, slot->column, "nested deeper than %d levels",
                      DEPTH_MAX);
    }
    json_incref(value);
    int err = put(parser, slot, value);
    json_decref(value); /* the tree keeps it, if it could be put */
    if (err != RC_OK) {
        return err;
    }
    parser->frames[parser->depth++] =
        (struct frame){.container = value, .is_braced = true};
    return add_place(parser->settings, value, NULL, slot);
}

static int take_number(struct parser *parser, const struct slot *slot,
                       const struct rc_token *token)
{
    char text[64];
    char *end = NULL;

    if (token->text.size >= sizeof text) {
        return refuse(parser, token->line, token->column, "this number is too long");
    }
    memcpy(text, token->text.at, token->text.size);
    text[token->text.size] = '\0';
    errno = 0;
    if (strpbrk(text, ".eE") != NULL) {
        double real = strtod(text, &end);
        if (errno != 0) {
            return refuse(parser, token->line, token->column,
                          "this number is out of range");
        }
        return put(parser, slot, json_real(real));
    }
    long long integer = strtoll(text, &end, 10);
    if (errno != 0) {
        return refuse(parser, token->line, token->column, "this number is out of range");
    }
    return put(parser, slot, json_integer(integer));
}

static int take_word(struct parser *parser, const struct slot *slot,
                     const struct rc_token *token)
{
    if (rc_span_equals(token->text, "true")) {
        return put(parser, slot, json_true());
    }
    if (rc_span_equals(token->text, "false")) {
        return put(parser, slot, json_false());
    }
    if (rc_span_equals(token->text, "null")) {
        return put(parser, slot, json_null());
    }
    return refuse_token(parser, token, "a value (text stands in quotes)");
}

/* The value that begins with `token`; a container is only opened. */
static int take_value(struct parser *parser, const struct slot *slot,
                      const struct rc_token *token)
{
    switch (token->type) {
    case RC_TOKEN_STRING:
        return put(parser, slot, json_stringn(token->text.at, token->text.size));
    case RC_TOKEN_NUMBER:
        return take_number(parser, slot, token);
    case RC_TOKEN_NAME:
        return take_word(parser, slot, token);
    case RC_TOKEN_BRACE_OPEN:
        return open_container(parser, slot, json_object());
    case RC_TOKEN_BRACKET_OPEN:
        return open_container(parser, slot, json_array());
    case RC_TOKEN_END:
    case RC_TOKEN_BRACE_CLOSE:
    case RC_TOKEN_BRACKET_CLOSE:
    case RC_TOKEN_COMMA:
    case RC_TOKEN_EQUALS:
    case RC_TOKEN_COLON:
    case RC_TOKEN_TYPE_COUNT:
        break;
    }
    return refuse_token(parser, token, "a value");
}

static int copy_word(struct parser *parser, const struct rc_token *token,
                     char space[KEY_MAX])
{
    bool is_wanting = token->text.size == 0 && !parser->takes_empty_keys;

    if (is_wanting || token->text.size >= KEY_MAX) {
        return refuse(parser, token->line, token->column, "this key is %s",
                      token->text.size == 0 ? "empty" : "too long");
    }
    memcpy(space, token->text.at, token->text.size);
    space[token->text.size] = '\0';
    return RC_OK;
}

static bool is_word(const struct rc_token *token)
{
    return token->type == RC_TOKEN_STRING || token->type == RC_TOKEN_NAME;
}

/* A block's label is its name: service "web" {} is service { name = "web" }. */
static int open_block(struct parser *parser, struct slot *slot)
{
    slot->origin = BLOCK;
    int err = open_container(parser, slot, json_object());
    if (err != RC_OK || !slot->has_label) {
        return err;
    }
    struct slot name = {.key = "name", .line = slot->line, .column = slot->column};
    return put(parser, &name, json_string(slot->label));
}

/* What follows a key: a sign and a value, or a block with or without a label. */
static int take_after_key(struct parser *parser, struct slot *slot)
{
    struct rc_token token;
    int err = next_token(parser, &token);

    if (err != RC_OK) {
        return err;
    }
    if (token.type == RC_TOKEN_COLON ||
        (token.type == RC_TOKEN_EQUALS && !parser->is_json)) {
        err = next_token(parser, &token);
        return err == RC_OK ? take_value(parser, slot, &token) : err;
    }
    if (parser->is_json) {
        return refuse_token(parser, &token, "a colon after the key");
    }
    if (is_word(&token)) {
        slot->has_label = true;
        err = copy_word(parser, &token, slot->label);
        err = err == RC_OK ? next_token(parser, &token) : err;
    }
    if (err != RC_OK) {
        return err;
    }
    if (token.type != RC_TOKEN_BRACE_OPEN) {
        return refuse_token(parser, &token, "= or { after the key");
    }
    return open_block(parser, slot);
}

/* A comma: only behind an item, never two. */
static int take_comma(struct parser *parser, const struct rc_token *token)
{
    struct frame *frame = &parser->frames[parser->depth - 1];

    if (frame->count == 0 || frame->after_comma) {
        return refuse_token(parser, token, "an item before the comma");
    }
    frame->after_comma = true;
    return RC_OK;
}

static int close_container(struct parser *parser, const struct rc_token *token)
{
    const struct frame *frame = &parser->frames[parser->depth - 1];

    if (frame->after_comma && parser->is_json) {
        return refuse_token(parser, token, "an item after the comma");
    }
    parser->depth--;
    return RC_OK;
}

static int refuse_end(struct parser *parser, const struct rc_token *token)
{
    const json_t *open = parser->frames[parser->depth - 1].container;
    const struct place *place = find_place(parser->settings, open, NULL);

    assert(place != NULL);
    return refuse(parser, token->line, token->column,
                  "the file ends, but what begins in line %u is not closed", place->line);
}

static int object_step(struct parser *parser, const struct rc_token *token)
{
    const struct frame *frame = &parser->frames[parser->depth - 1];

    if (token->type == (frame->is_braced ? RC_TOKEN_BRACE_CLOSE : RC_TOKEN_END)) {
        return close_container(parser, token);
    }
    if (token->type == RC_TOKEN_COMMA) {
        return take_comma(parser, token);
    }
    if (parser->is_json && frame->count > 0 && !frame->after_comma) {
        return refuse_token(parser, token, "a comma or }");
    }
    if (!is_word(token) || (parser->is_json && token->type == RC_TOKEN_NAME)) {
        return refuse_token(parser, token, parser->is_json ? "a key in quotes" : "a key");
    }
    struct slot slot = {.line = token->line, .column = token->column, .origin = ASSIGNED};
    int err = copy_word(parser, token, slot.key);
    return err == RC_OK ? take_after_key(parser, &slot) : err;
}

static int array_step(struct parser *parser, const struct rc_token *token)
{
    const struct frame *frame = &parser->frames[parser->depth - 1];

    if (token->type == RC_TOKEN_BRACKET_CLOSE) {
        return close_container(parser, token);
    }
    if (token->type == RC_TOKEN_COMMA) {
        return take_comma(parser, token);
    }
    if (frame->count > 0 && !frame->after_comma) {
        return refuse_token(parser, token, "a comma or ]");
    }
    struct slot slot = {.line = token->line, .column = token->column, .origin = ASSIGNED};
    return take_value(parser, &slot, token);
}

static int fill(struct parser *parser)
{
    struct rc_token token;

    while (parser->depth > 0) {
        int err = next_token(parser, &token);
        if (err != RC_OK) {
            return err;
        }
        const struct frame *frame = &parser->frames[parser->depth - 1];
        if (token.type == RC_TOKEN_END && frame->is_braced) {
            return refuse_end(parser, &token);
        }
        bool in_object = json_is_object(frame->container);
        err = in_object ? object_step(parser, &token) : array_step(parser, &token);
        if (err != RC_OK) {
            return err;
        }
    }
    if (!parser->is_json) {
        return RC_OK;
    }
    int err = next_token(parser, &token);
    if (err == RC_OK && token.type != RC_TOKEN_END) {
        return refuse_token(parser, &token, "the end of the file");
    }
    return err;
}

/* JSON begins with a brace; the block syntax has none around the whole. */
static int begin(struct parser *parser)
{
    struct rc_tokens before = parser->tokens;
    struct rc_token token;

    parser->depth = 1;
    parser->frames[0] = (struct frame){.container = parser->settings->root};
    int err = next_token(parser, &token);
    if (err != RC_OK) {
        return err;
    }
    if (token.type == RC_TOKEN_BRACE_OPEN) {
        parser->is_json = true;
        parser->frames[0].is_braced = true;
        parser->tokens.comments = RC_COMMENTS_REFUSED;
    } else {
        before.content =
            parser->tokens.content; /* it may have been allocated meanwhile */
        parser->tokens = before;
    }
    struct slot slot = {.line = token.line, .column = token.column};
    return add_place(parser->settings, parser->settings->root, NULL, &slot);
}

static struct rc_settings *create(const char *name)
{
    struct rc_settings *settings = calloc(1, sizeof *settings);

    if (settings == NULL) {
        return NULL;
    }
    settings->name = rc_text_copy(name);
    settings->root = json_object();
    /* The keys hold addresses, which nobody outside can choose. */
    settings->places = rc_table_create(0);
    if (settings->name == NULL || settings->root == NULL || settings->places == NULL) {
        rc_settings_destroy(settings);
        return NULL;
    }
    return settings;
}

enum keys { KEYS_NOT_EMPTY, KEYS_ANY };

static int parse(const char *name, struct rc_span text, enum keys keys,
                 struct rc_settings **out, char error[RC_SETTINGS_ERROR_MAX])
{
    assert(name != NULL && (text.at != NULL || text.size == 0));
    if (text.size > FILE_MAX_BYTES) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX, "%s:1:1: larger than 1 MiB", name);
        return RC_ETOOBIG;
    }
    struct parser parser = {
        .settings = create(name), .error = error, .takes_empty_keys = keys == KEYS_ANY};
    error[0] = '\0';
    if (parser.settings == NULL) {
        return RC_ENOMEM;
    }
    rc_tokens_init(&parser.tokens, text.at != NULL ? text.at : "", text.size);
    int err = begin(&parser);
    if (err == RC_OK) {
        err = fill(&parser);
    }
    rc_tokens_fini(&parser.tokens);
    if (err != RC_OK) {
        rc_settings_destroy(parser.settings);
        return err;
    }
    *out = parser.settings;
    return RC_OK;
}

int rc_settings_parse(const char *name, const char *text, size_t size,
                      struct rc_settings **out, char error[RC_SETTINGS_ERROR_MAX])
{
    return parse(name, (struct rc_span){text, size}, KEYS_NOT_EMPTY, out, error);
}

int rc_settings_parse_names(const char *name, const char *text, size_t size,
                            struct rc_settings **out, char error[RC_SETTINGS_ERROR_MAX])
{
    return parse(name, (struct rc_span){text, size}, KEYS_ANY, out, error);
}

int rc_settings_load(const char *path, struct rc_settings **out,
                     char error[RC_SETTINGS_ERROR_MAX])
{
    struct rc_buffer text = {0};
    char reason[96] = "";

    errno = 0;
    int err = rc_file_read(path, FILE_MAX_BYTES, &text);
    if (err == RC_EIO || err == RC_ENOTFOUND) {
        const char *why = strerror_r(errno, reason, sizeof reason);
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX, "%s: cannot be read: %s", path, why);
        rc_text_to_line(error, RC_SETTINGS_ERROR_MAX);
        err = RC_EIO;
    } else if (err == RC_ETOOBIG) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX, "%s:1:1: larger than 1 MiB", path);
    } else if (err == RC_OK) {
        err = rc_settings_parse(path, rc_buffer_string(&text), text.size, out, error);
    }
    rc_buffer_fini(&text);
    return err;
}

void rc_settings_destroy(struct rc_settings *settings)
{
    if (settings == NULL) {
        return;
    }
    for (struct place *place = settings->first; place != NULL;) {
        struct place *next = place->next;
        free(place);
        place = next;
    }
    rc_table_destroy(settings->places);
    json_decref(settings->root);
    free(settings->name);
    free(settings);
}

json_t *rc_settings_root(const struct rc_settings *settings)
{
    return settings->root;
}

void rc_settings_where(const struct rc_settings *settings, const json_t *parent,
                       const char *key, char *space, size_t size)
{
    const struct place *place = find_place(settings, parent, key);

    if (place == NULL) { /* a key that is missing: say where it should be */
        place = find_place(settings, parent, NULL);
    }
    if (place == NULL) {
        (void)snprintf(space, size, "%s", settings->name);
    } else {
        (void)snprintf(space, size, "%s:%u:%u", settings->name, place->line,
                       place->column);
    }
}

/* prepared_render.c - see prepared.h: templates.
 *
 * Expressions are matched by the C library's (POSIX extended, leftmost longest), because they
 * have groups; what RE2 writes otherwise is translated, what has no equal is refused, so that
 * an expression means here what it means in Consul or is not taken. */
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/prepared/prepared.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/pattern.h"
#include "base/text.h"

enum { GROUPS_MAX = 16 };

/* ---- Expressions. */

/* One escape behind a backslash; false: it has no equal. */
static bool translate_escape(char c, bool in_set, struct rc_buffer *out)
{
    static const struct {
        char name;
        const char *set;
        const char *alone;
    } classes[] = {
        {'d', "0-9", "[0-9]"},
        {'w', "[:alnum:]_", "[[:alnum:]_]"},
        {'s', " \t\n\f\r", "[ \t\n\f\r]"},
        {'D', NULL, "[^0-9]"},
        {'W', NULL, "[^[:alnum:]_]"},
        {'S', NULL, "[^ \t\n\f\r]"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].name == c) {
            const char *text = in_set ? classes[i].set : classes[i].alone;
            rc_buffer_text(out, text != NULL ? text : "");
            return text != NULL;
        }
    }
    if (isalnum((unsigned char)c)) {
        return false;
    }
    if (!in_set) {
        rc_buffer_byte(out, '\\');
    }
    rc_buffer_byte(out, (uint8_t)c);
    return true;
}

static bool translate(const char *text, struct rc_buffer *out)
{
    bool in_set = false;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\') {
            at++;
            if (*at == '\0' || !translate_escape(*at, in_set, out)) {
                return false;
            }
            continue;
        }
        bool repeats = at > text && strchr("*+?}", at[-1]) != NULL;
        if (!in_set && (strncmp(at, "(?", 2) == 0 || (*at == '?' && repeats))) {
            return false; /* groups that do not count, flags, lazy repeats */
        }
        in_set = in_set ? *at != ']' : *at == '[';
        rc_buffer_byte(out, (uint8_t)*at);
    }
    return out->err == RC_OK;
}

/* RC_OK: `out` is to be ended by regfree(). */
static int compile(const char *text, regex_t *out, char error[PREPARED_ERROR_MAX])
{
    struct rc_pattern *known = NULL;
    struct rc_buffer posix = {0};
    const char *why = "";

    int err = rc_pattern_compile(text, &known, &why);
    rc_pattern_destroy(known);
    if (err != RC_OK) {
        (void)snprintf(error, PREPARED_ERROR_MAX, "error parsing regexp: %s", why);
        return RC_EINVAL;
    }
    int result = -1;
    if (translate(text, &posix)) {
        result = regcomp(out, rc_buffer_string(&posix), REG_EXTENDED);
    }
    rc_buffer_fini(&posix);
    if (result != 0) {
        (void)snprintf(error, PREPARED_ERROR_MAX,
                       "error parsing regexp: (?..), lazy repeats and escapes other than "
                       "\\d \\w \\s are not known here: `%.64s`",
                       text);
        return RC_EINVAL;
    }
    return RC_OK;
}

int prepared_pattern_check(const char *text, char error[PREPARED_ERROR_MAX])
{
    regex_t regex;

    int err = compile(text, &regex, error);
    if (err == RC_OK) {
        regfree(&regex);
    }
    return err;
}

/* ---- Variables. */

struct variables {
    const char *full;
    size_t prefix_size;
    regmatch_t groups[GROUPS_MAX];
    size_t group_count; /* 0: there is no expression */
};

static void put_match(const struct variables *v, const char *number, size_t size,
                      struct rc_buffer *out)
{
    char text[8];
    uint64_t n = 0;

    if (size == 0 || size >= sizeof text) {
        return;
    }
    memcpy(text, number, size);
    text[size] = '\0';
    if (rc_text_to_u64(text, GROUPS_MAX - 1, &n) == RC_OK && n < v->group_count &&
        v->groups[n].rm_so >= 0) {
        rc_buffer_append(out, v->full + v->groups[n].rm_so,
                         (size_t)(v->groups[n].rm_eo - v->groups[n].rm_so));
    }
}

/* What stands between "${" and "}"; what is not known becomes nothing. */
static void put_variable(const struct variables *v, struct rc_span name,
                         struct rc_buffer *out)
{
    static const char match[] = "match(";
    const size_t head = sizeof match - 1;

    if (rc_span_equals(name, "name.full")) {
        rc_buffer_text(out, v->full);
    } else if (rc_span_equals(name, "name.prefix")) {
        rc_buffer_append(out, v->full, v->prefix_size);
    } else if (rc_span_equals(name, "name.suffix")) {
        rc_buffer_text(out, v->full + v->prefix_size);
    } else if (name.size > head + 1 && strncmp(name.at, match, head) == 0 &&
               name.at[name.size - 1] == ')') {
        put_match(v, name.at + head, name.size - head - 1, out);
    }
}

static json_t *fill_text(const struct variables *v, const char *text)
{
    struct rc_buffer out = {0};

    while (*text != '\0') {
        const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
        if (end != NULL) {
            put_variable(v, (struct rc_span){text + 2, (size_t)(end - text) - 2}, &out);
            text = end + 1;
        } else {
            rc_buffer_byte(&out, (uint8_t)*text++);
        }
    }
    json_t *filled = out.err == RC_OK ? json_string(rc_buffer_string(&out)) : NULL;
    rc_buffer_fini(&out);
    return filled;
}

static int fill_list(const struct variables *v, json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *filled = fill_text(v, json_string_value(json_array_get(list, i)));
        if (filled == NULL || json_array_set_new(list, i, filled) != 0) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int fill_block(const struct variables *v, json_t *block)
{
    const char *key;
    json_t *value;
    void *next;
    int err = RC_OK;

    json_object_foreach_safe(block, next, key, value)
    {
        if (json_is_string(value)) {
            json_t *filled = fill_text(v, json_string_value(value));
            err = filled != NULL && json_object_set_new(block, key, filled) == 0
                      ? RC_OK
                      : RC_ENOMEM;
        } else if (json_is_array(value)) {
            err = fill_list(v, value);
        }
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static void drop_empty(json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        if (json_string_length(json_array_get(list, i)) == 0) {
            (void)json_array_remove(list, i);
        }
    }
}

static int fill(const struct variables *v, json_t *query)
{
    static const char *const blocks[] = {"Failover", "NodeMeta", "ServiceMeta"};
    json_t *service = json_object_get(query, "Service");

    int err = fill_block(v, service);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0] && err == RC_OK; i++) {
        err = fill_block(v, json_object_get(service, blocks[i]));
    }
    if (json_is_true(
            json_object_get(json_object_get(query, "Template"), "RemoveEmptyTags"))) {
        drop_empty(json_object_get(service, "Tags"));
    }
    return err;
}

static int match(const json_t *query, const char *name, struct variables *v)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(query, "Template"), "Regexp"));
    char error[PREPARED_ERROR_MAX];
    regex_t regex;

    if (text == NULL || text[0] == '\0') {
        return RC_OK;
    }
    if (compile(text, &regex, error) != RC_OK) {
        return RC_ENOTFOUND; /* stored by somebody who knows more expressions */
    }
    int err = regexec(&regex, name, GROUPS_MAX, v->groups, 0) == 0 ? RC_OK : RC_ENOTFOUND;
    v->group_count = regex.re_nsub + 1 < GROUPS_MAX ? regex.re_nsub + 1 : GROUPS_MAX;
    regfree(&regex);
    if (err != RC_OK) {
        v->group_count = 0; /* Consul: variables of a match that is none are empty */
        err = RC_OK;
    }
    return err;
}

size_t prepared_template_fit(const json_t *query, const char *name,
                             enum prepared_case letters)
{
    const char *prefix = prepared_name(query);
    size_t size = strlen(prefix);

    if (!prepared_is_template(query) || strlen(name) < size) {
        return 0;
    }
    struct rc_span head = {.at = name, .size = size};
    bool fits = letters == PREPARED_CASE_FOLDED ? rc_span_equals_nocase(head, prefix)
                                                : rc_span_equals(head, prefix);
    return fits ? size + 1 : 0;
}

int prepared_render(const json_t *query, const char *name, json_t **out)
{
    struct variables v = {.full = name};

    *out = NULL;
    if (strlen(name) >= PREPARED_NAME_MAX) {
        return RC_ENOTFOUND;
    }
    json_t *copy = json_deep_copy(query);
    int err = copy != NULL ? RC_OK : RC_ENOMEM;
    if (err == RC_OK && prepared_is_template(query)) {
        v.prefix_size = strlen(prepared_name(query));
        err = match(query, name, &v);
        if (err == RC_OK) {
            err = fill(&v, copy);
        }
        if (err == RC_OK) {
            err = json_object_set_new(copy, "Name", json_string(name)) == 0 ? RC_OK
                                                                            : RC_ENOMEM;
        }
    }
    if (err != RC_OK) {
        json_decref(copy);
        return err;
    }
    *out = copy;
    return RC_OK;
}

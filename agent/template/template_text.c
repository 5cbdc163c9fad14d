/* template_text.c - texts put together and taken apart: functions of templates. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "base/err.h"
#include "base/pattern.h"

enum { WIDTH_MAX = 1000, SPACES_MAX = 1000 };

/* Go's Print puts spaces between operands when neither is a text. */
BUILTIN(print)
{
    struct rc_buffer text = {0};
    int err = RC_OK;

    for (size_t i = 0; i < count && err == RC_OK; i++) {
        if (i > 0 && !json_is_string(arguments[i]) && !json_is_string(arguments[i - 1])) {
            rc_buffer_byte(&text, ' ');
        }
        err = builtin_written(call, arguments[i], &text);
    }
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

BUILTIN(println)
{
    struct rc_buffer text = {0};
    int err = RC_OK;

    for (size_t i = 0; i < count && err == RC_OK; i++) {
        rc_buffer_text(&text, i > 0 ? " " : "");
        err = builtin_written(call, arguments[i], &text);
    }
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    rc_buffer_byte(&text, '\n');
    return builtin_give_text(call, &text, out);
}

/* ---- printf: %v %s %d %x %q %% with -, 0 and a width. */

struct verb {
    bool is_left;
    bool has_zeros;
    size_t width;
    char letter;
};

static bool read_verb(struct rc_span format, size_t *at, struct verb *out)
{
    *out = (struct verb){.width = 0};
    for (; *at < format.size; (*at)++) {
        char byte = format.at[*at];
        if (byte == '-') {
            out->is_left = true;
        } else if (byte == '0' && out->width == 0) {
            out->has_zeros = true;
        } else if (byte >= '0' && byte <= '9') {
            out->width = out->width * 10 + (size_t)(byte - '0');
            if (out->width > WIDTH_MAX) {
                return false;
            }
        } else {
            out->letter = byte;
            (*at)++;
            return true;
        }
    }
    return false;
}

static void quote(struct rc_span text, struct rc_buffer *out)
{
    rc_buffer_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        char space[4];
        char byte = text.at[i];
        if (byte == '"' || byte == '\\') {
            rc_buffer_byte(out, '\\');
            rc_buffer_byte(out, (uint8_t)byte);
        } else {
            rc_buffer_append(out, space, rc_text_show_byte(byte, space));
        }
    }
    rc_buffer_byte(out, '"');
}

static int write_verb(struct template_call *call, const struct verb *verb,
                      const json_t *value, struct rc_buffer *out)
{
    if (verb->letter == 'v' || verb->letter == 's') {
        return builtin_written(call, value, out);
    }
    if (verb->letter == 'q' && json_is_string(value)) {
        quote(template_value_span(value), out);
        return RC_OK;
    }
    if ((verb->letter == 'd' || verb->letter == 'x') && json_is_integer(value)) {
        json_int_t number = json_integer_value(value);
        if (verb->letter == 'd') {
            rc_buffer_format(out, "%" PRId64, (int64_t)number);
        } else {
            rc_buffer_format(out, "%s%" PRIx64, number < 0 ? "-" : "",
                             number < 0 ? -(uint64_t)number : (uint64_t)number);
        }
        return RC_OK;
    }
    return builtin_fail(call, "%%%c does not write %s", verb->letter,
                        template_value_kind(value));
}

static void pad(const struct verb *verb, struct rc_span text, struct rc_buffer *out)
{
    size_t missing = verb->width > text.size ? verb->width - text.size : 0;
    bool has_zeros = verb->has_zeros && !verb->is_left && verb->letter != 'q';
    bool is_negative =
        has_zeros && verb->letter != 's' && text.size > 0 && *text.at == '-';

    if (is_negative) {
        rc_buffer_byte(out, '-');
        text.at++;
        text.size--;
    }
    for (size_t i = 0; !verb->is_left && i < missing; i++) {
        rc_buffer_byte(out, has_zeros ? '0' : ' ');
    }
    rc_buffer_append(out, text.at, text.size);
    for (size_t i = 0; verb->is_left && i < missing; i++) {
        rc_buffer_byte(out, ' ');
    }
}

static int format_one(struct template_call *call, struct rc_span format, size_t *at,
                      const json_t *value, struct rc_buffer *out)
{
    struct verb verb;
    struct rc_buffer piece = {0};

    if (!read_verb(format, at, &verb) || strchr("vsdxq", verb.letter) == NULL) {
        return builtin_fail(call,
                            "knows %%v %%s %%d %%x %%q and %%%%, with - 0 and a width");
    }
    if (value == NULL) {
        return builtin_fail(call, "has fewer values than places");
    }
    int err = write_verb(call, &verb, value, &piece);
    if (err == RC_OK) {
        err = piece.err;
        pad(&verb, (struct rc_span){rc_buffer_string(&piece), piece.size}, out);
    }
    rc_buffer_fini(&piece);
    return err;
}

BUILTIN(printf)
{
    struct rc_span format;
    struct rc_buffer text = {0};
    size_t used = 1;

    int err = builtin_text(call, arguments[0], &format);
    for (size_t at = 0; err == RC_OK && at < format.size;) {
        if (format.at[at] != '%') {
            rc_buffer_byte(&text, (uint8_t)format.at[at++]);
        } else if (at + 1 < format.size && format.at[at + 1] == '%') {
            rc_buffer_byte(&text, '%');
            at += 2;
        } else {
            at++;
            err = format_one(call, format, &at, used < count ? arguments[used] : NULL,
                             &text);
            used++;
        }
    }
    if (err == RC_OK && used < count) {
        err = builtin_fail(call, "has more values than places");
    }
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

/* ---- Apart and together. */

static int add_piece(struct template_call *call, const char *at, size_t size,
                     json_t *list)
{
    int err = builtin_spend(call, size + sizeof(json_t));

    if (err == RC_OK && json_array_append_new(list, template_value_text(at, size)) != 0) {
        err = RC_ENOMEM;
    }
    return err;
}

/* Go's Split: between empty separators stands one character; here, one byte. */
BUILTIN(split)
{
    struct rc_span separator;
    struct rc_span text;
    json_t *list = json_array();

    (void)count;
    int err = builtin_text(call, arguments[0], &separator);
    if (err == RC_OK) {
        err = builtin_text(call, arguments[1], &text);
    }
    const char *at = err == RC_OK ? text.at : NULL;
    const char *end = err == RC_OK ? text.at + text.size : NULL;
    while (err == RC_OK && separator.size == 0 && at < end) {
        err = add_piece(call, at++, 1, list);
    }
    while (err == RC_OK && separator.size > 0) {
        const char *found = memmem(at, (size_t)(end - at), separator.at, separator.size);
        err = add_piece(call, at, (size_t)((found != NULL ? found : end) - at), list);
        if (found == NULL) {
            break;
        }
        at = found + separator.size;
    }
    if (err != RC_OK) {
        json_decref(list);
        return err;
    }
    return builtin_give(list, out);
}

BUILTIN(join)
{
    struct rc_span separator;
    struct rc_buffer text = {0};

    (void)count;
    int err = builtin_text(call, arguments[0], &separator);
    if (err == RC_OK && !json_is_array(arguments[1])) {
        err =
            builtin_fail(call, "wants a list, not %s", template_value_kind(arguments[1]));
    }
    for (size_t i = 0; err == RC_OK && i < json_array_size(arguments[1]); i++) {
        rc_buffer_append(&text, separator.at, i > 0 ? separator.size : 0);
        err = builtin_written(call, json_array_get(arguments[1], i), &text);
    }
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

static int replace(struct template_call *call, const struct rc_span *of,
                   struct rc_buffer *text)
{
    const char *at = of[2].at;
    const char *end = at + of[2].size;
    const char *found;
    size_t left = call->work_left;

    while (of[0].size > 0 &&
           (found = memmem(at, (size_t)(end - at), of[0].at, of[0].size)) != NULL) {
        rc_buffer_append(text, at, (size_t)(found - at));
        rc_buffer_append(text, of[1].at, of[1].size);
        at = found + of[0].size;
        if (text->size > left) {
            return builtin_spend(call, text->size);
        }
    }
    rc_buffer_append(text, at, (size_t)(end - at));
    return RC_OK;
}

BUILTIN(replace_all)
{
    struct rc_span of[3];
    struct rc_buffer text = {0};
    int err = RC_OK;

    (void)count;
    for (size_t i = 0; i < 3 && err == RC_OK; i++) {
        err = builtin_text(call, arguments[i], &of[i]);
    }
    if (err == RC_OK) {
        err = replace(call, of, &text);
    }
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

BUILTIN(regex_match)
{
    struct rc_span expression;
    struct rc_span text;
    struct rc_pattern *pattern = NULL;
    const char *why = NULL;

    (void)count;
    int err = builtin_text(call, arguments[0], &expression);
    if (err == RC_OK) {
        err = builtin_text(call, arguments[1], &text);
    }
    if (err == RC_OK) {
        err = builtin_spend(call, text.size);
    }
    if (err == RC_OK) {
        err = rc_pattern_compile(expression.at, &pattern, &why);
        if (err == RC_EMALFORMED || err == RC_ETOOBIG) {
            err = builtin_fail(call, "%s", why);
        }
    }
    if (err != RC_OK) {
        return err;
    }
    bool is_in = rc_pattern_is_in(pattern, text.at, text.size);
    rc_pattern_destroy(pattern);
    return builtin_give(json_boolean(is_in), out);
}

/* Before every line that is not empty. */
BUILTIN(indent)
{
    json_int_t spaces = 0;
    struct rc_span from;
    struct rc_buffer text = {0};

    (void)count;
    int err = builtin_whole(call, arguments[0], &spaces);
    if (err == RC_OK && (spaces < 0 || spaces > SPACES_MAX)) {
        err = builtin_fail(call, "wants 0 to %d spaces", SPACES_MAX);
    }
    if (err == RC_OK) {
        err = builtin_text(call, arguments[1], &from);
    }
    if (err != RC_OK) {
        return err;
    }
    text.max = call->work_left > 0 ? call->work_left : 1;
    for (size_t i = 0; i < from.size; i++) {
        bool is_start = i == 0 || from.at[i - 1] == '\n';
        for (json_int_t s = 0; is_start && from.at[i] != '\n' && s < spaces; s++) {
            rc_buffer_byte(&text, ' ');
        }
        rc_buffer_byte(&text, (uint8_t)from.at[i]);
    }
    return builtin_give_text(call, &text, out);
}

/* ---- Letters and ends. */

static int map_letters(struct template_call *call, const json_t *argument, char first,
                       json_t **out)
{
    struct rc_span from;
    struct rc_buffer text = {0};

    int err = builtin_text(call, argument, &from);
    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < from.size; i++) { /* of ASCII: names here have no others */
        char byte = from.at[i];
        bool is_one = byte >= first && byte <= first + ('z' - 'a');
        rc_buffer_byte(&text, (uint8_t)(is_one ? byte ^ 0x20 : byte));
    }
    return builtin_give_text(call, &text, out);
}

BUILTIN(to_lower)
{
    (void)count;
    return map_letters(call, arguments[0], 'A', out);
}

BUILTIN(to_upper)
{
    (void)count;
    return map_letters(call, arguments[0], 'a', out);
}

static int give_part(struct template_call *call, const char *at, size_t size,
                     json_t **out)
{
    int err = builtin_spend(call, size);

    return err == RC_OK ? builtin_give(template_value_text(at, size), out) : err;
}

static bool is_space(char byte)
{
    static const char spaces[] = {' ', '\t', '\r', '\n', '\v', '\f'};

    return memchr(spaces, byte, sizeof spaces) != NULL;
}

BUILTIN(trim_space)
{
    struct rc_span text;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err != RC_OK) {
        return err;
    }
    while (text.size > 0 && is_space(*text.at)) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && is_space(text.at[text.size - 1])) {
        text.size--;
    }
    return give_part(call, text.at, text.size, out);
}

static int two_texts(struct template_call *call, json_t *const *arguments,
                     struct rc_span of[2])
{
    int err = builtin_text(call, arguments[0], &of[0]);

    return err == RC_OK ? builtin_text(call, arguments[1], &of[1]) : err;
}

BUILTIN(trim_prefix)
{
    struct rc_span of[2];

    (void)count;
    int err = two_texts(call, arguments, of);
    if (err != RC_OK) {
        return err;
    }
    bool has = of[1].size >= of[0].size && memcmp(of[1].at, of[0].at, of[0].size) == 0;
    size_t skipped = has ? of[0].size : 0;
    return give_part(call, of[1].at + skipped, of[1].size - skipped, out);
}

BUILTIN(trim_suffix)
{
    struct rc_span of[2];

    (void)count;
    int err = two_texts(call, arguments, of);
    if (err != RC_OK) {
        return err;
    }
    size_t rest = of[1].size >= of[0].size ? of[1].size - of[0].size : 0;
    bool has =
        of[1].size >= of[0].size && memcmp(of[1].at + rest, of[0].at, of[0].size) == 0;
    return give_part(call, of[1].at, has ? rest : of[1].size, out);
}

/* template_escape.c - values for other languages: functions of templates.
 *
 * What is in a catalog or a store was written by others. These make one word of it, whatever it
 * is, or refuse. */
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "base/err.h"

enum { JSON_INDENT = 2 };

/* All arguments, as print writes them. */
static int write_all(struct template_call *call, json_t *const *arguments, size_t count,
                     struct rc_buffer *space)
{
    int err = RC_OK;

    for (size_t i = 0; i < count && err == RC_OK; i++) {
        err = builtin_written(call, arguments[i], space);
    }
    if (err == RC_OK) {
        err = space->err;
    }
    return err;
}

/* POSIX shell, 2.2.2: in single quotes everything but a single quote is itself. */
BUILTIN(shell_quote)
{
    struct rc_buffer from = {0};
    struct rc_buffer text = {0};

    int err = write_all(call, arguments, count, &from);
    if (err == RC_OK && memchr(rc_buffer_string(&from), '\0', from.size) != NULL) {
        err = builtin_fail(call, "no shell knows a word with a NUL byte");
    }
    rc_buffer_byte(&text, '\'');
    for (size_t i = 0; err == RC_OK && i < from.size; i++) {
        if (from.bytes[i] == '\'') {
            rc_buffer_text(&text, "'\\''");
        } else {
            rc_buffer_byte(&text, from.bytes[i]);
        }
    }
    rc_buffer_byte(&text, '\'');
    rc_buffer_fini(&from);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

/* One byte of a word of nginx's configuration. */
static void put_for_nginx(uint8_t byte, struct rc_buffer *text)
{
    static const char plain[] = "\"\\\n\r\t";
    static const char letters[] = "\"\\nrt";
    const char *special = memchr(plain, byte, sizeof plain - 1);

    if (special != NULL) {
        rc_buffer_byte(text, '\\');
        byte = (uint8_t)letters[special - plain];
    }
    rc_buffer_byte(text, byte);
}

/* nginx's configuration: a word in double quotes, with the escapes that its reader knows. It
 * has none for the dollar sign, which begins a variable. */
BUILTIN(nginx_quote)
{
    struct rc_buffer from = {0};
    struct rc_buffer text = {0};

    int err = write_all(call, arguments, count, &from);
    if (err == RC_OK && memchr(rc_buffer_string(&from), '\0', from.size) != NULL) {
        err = builtin_fail(call, "nginx has no way to write a NUL byte");
    } else if (err == RC_OK && memchr(rc_buffer_string(&from), '$', from.size) != NULL) {
        err = builtin_fail(call, "nginx has no way to write a $ that is no variable");
    }
    rc_buffer_byte(&text, '"');
    for (size_t i = 0; err == RC_OK && i < from.size; i++) {
        put_for_nginx(from.bytes[i], &text);
    }
    rc_buffer_byte(&text, '"');
    rc_buffer_fini(&from);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

/* Go's template.HTMLEscapeString. */
BUILTIN(html)
{
    static const struct {
        char byte;
        const char *text;
    } names[] = {{'&', "&amp;"}, {'<', "&lt;"},   {'>', "&gt;"},
                 {'"', "&#34;"}, {'\'', "&#39;"}, {'\0', "\xef\xbf\xbd"}};
    struct rc_buffer from = {0};
    struct rc_buffer text = {0};

    int err = write_all(call, arguments, count, &from);
    for (size_t i = 0; err == RC_OK && i < from.size; i++) {
        size_t k = 0;
        while (k < sizeof names / sizeof names[0] &&
               names[k].byte != (char)from.bytes[i]) {
            k++;
        }
        if (k < sizeof names / sizeof names[0]) {
            rc_buffer_text(&text, names[k].text);
        } else {
            rc_buffer_byte(&text, from.bytes[i]);
        }
    }
    rc_buffer_fini(&from);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

/* Go's url.QueryEscape: RFC 3986's unreserved bytes as they are, a space as a plus. */
BUILTIN(url_query)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~";
    struct rc_buffer from = {0};
    struct rc_buffer text = {0};

    int err = write_all(call, arguments, count, &from);
    for (size_t i = 0; err == RC_OK && i < from.size; i++) {
        uint8_t byte = from.bytes[i];
        if (memchr(plain, byte, sizeof plain - 1) != NULL) {
            rc_buffer_byte(&text, byte);
        } else if (byte == ' ') {
            rc_buffer_byte(&text, '+');
        } else {
            rc_buffer_format(&text, "%%%02X", byte);
        }
    }
    rc_buffer_fini(&from);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    return builtin_give_text(call, &text, out);
}

/* Go's net.JoinHostPort: an IPv6 address in brackets. */
BUILTIN(host_port)
{
    struct rc_buffer host = {0};
    struct rc_buffer port = {0};
    struct rc_buffer text = {0};

    (void)count;
    int err = builtin_written(call, arguments[0], &host);
    if (err == RC_OK) {
        err = builtin_written(call, arguments[1], &port);
    }
    if (err == RC_OK) {
        bool is_v6 = memchr(rc_buffer_string(&host), ':', host.size) != NULL;
        rc_buffer_text(&text, is_v6 ? "[" : "");
        rc_buffer_append(&text, host.bytes, host.size);
        rc_buffer_text(&text, is_v6 ? "]:" : ":");
        rc_buffer_append(&text, port.bytes, port.size);
        err = builtin_give_text(call, &text, out);
    }
    rc_buffer_fini(&host);
    rc_buffer_fini(&port);
    return err;
}

static int give_json(struct template_call *call, const json_t *value, unsigned indent,
                     json_t **out)
{
    struct rc_buffer text = {0};

    text.max = call->work_left > 0 ? call->work_left : 1;
    int err = template_value_write_json(value, indent, &text);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return builtin_fail(call, "this is too deep or too large for JSON");
    }
    return builtin_give_text(call, &text, out);
}

BUILTIN(to_json)
{
    (void)count;
    return give_json(call, arguments[0], 0, out);
}

BUILTIN(to_json_pretty)
{
    (void)count;
    return give_json(call, arguments[0], JSON_INDENT, out);
}

BUILTIN(base64_encode)
{
    struct rc_span from;

    (void)count;
    int err = builtin_text(call, arguments[0], &from);
    if (err == RC_OK) {
        err = builtin_spend(call, from.size * 2);
    }
    if (err != RC_OK) {
        return err;
    }
    char *space = malloc(4 * ((from.size + 2) / 3) + 1);
    if (space == NULL) {
        return RC_ENOMEM;
    }
    rc_text_to_base64(from.at, from.size, space);
    err = builtin_give(template_value_text(space, strlen(space)), out);
    free(space);
    return err;
}

BUILTIN(base64_decode)
{
    struct rc_span from;
    size_t size = 0;

    (void)count;
    int err = builtin_text(call, arguments[0], &from);
    if (err == RC_OK) {
        err = builtin_spend(call, from.size);
    }
    if (err != RC_OK) {
        return err;
    }
    uint8_t *space = malloc(from.size + 1);
    if (space == NULL) {
        return RC_ENOMEM;
    }
    err = memchr(from.at, '\0', from.size) == NULL
              ? rc_text_from_base64(from.at, space, from.size + 1, &size)
              : RC_EMALFORMED;
    err = err == RC_OK ? builtin_give(template_value_text(space, size), out)
                       : builtin_fail(call, "this is no base64");
    free(space);
    return err;
}

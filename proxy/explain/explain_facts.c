/* explain_facts.c - see explain_facts.h; and how they are shown. */
#include "proxy/explain/explain_facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proxy/explain/explain.h"

enum { LINE_MAX_BYTES = 12 * 1024, NAME_WIDTH = 16 };

__attribute__((format(printf, 1, 0))) static json_t *say(const char *format,
                                                         va_list arguments)
{
    char line[LINE_MAX_BYTES];
    /* The checker forgets va_start when it looks at several files. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(line, sizeof line, format, arguments);
    rc_text_to_line(line, sizeof line);
    json_t *made = json_string(line);
    return made != NULL ? made : json_string("(not UTF-8)");
}

void explain_put(struct explanation *e, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)json_object_set_new(e->facts, name, say(format, arguments));
    va_end(arguments);
}

void explain_add(struct explanation *e, const char *name, const char *format, ...)
{
    va_list arguments;
    json_t *lines = json_object_get(e->facts, name);
    if (lines == NULL) {
        (void)json_object_set_new(e->facts, name, json_array());
        lines = json_object_get(e->facts, name);
    }
    va_start(arguments, format);
    (void)json_array_append_new(lines, say(format, arguments));
    va_end(arguments);
}

static void put_line(struct rc_buffer *out, const char *name, const char *value)
{
    rc_buffer_format(out, "%-*s %s\n", NAME_WIDTH, name, value != NULL ? value : "");
}

void explain_text(const struct explanation *explanation, struct rc_buffer *out)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(explanation->facts, name, value)
    {
        char shown[64];
        (void)rc_text_put(shown, sizeof shown, name);
        for (char *at = shown; *at != '\0'; at++) {
            *at = (char)(*at == '_' ? ' ' : *at);
        }
        if (!json_is_array(value)) {
            put_line(out, shown, json_string_value(value));
            continue;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            put_line(out, i == 0 ? shown : "",
                     json_string_value(json_array_get(value, i)));
        }
    }
}

void explain_json(const struct explanation *explanation, struct rc_buffer *out)
{
    char *text = json_dumps(explanation->facts, JSON_INDENT(2));
    rc_buffer_text(out, text != NULL ? text : "{}");
    rc_buffer_byte(out, '\n');
    free(text);
}

void explain_destroy(struct explanation *explanation)
{
    if (explanation != NULL) {
        json_decref(explanation->facts);
        free(explanation);
    }
}

#include "agent/cli/say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buffer.h"

enum { DEL = 0x7f, C1_LEAD = 0xc2, C1_LAST = 0x9f };

static bool stays(char byte, enum cli_lines lines)
{
    return lines == CLI_MANY_LINES && (byte == '\n' || byte == '\t');
}

void cli_clean(char *text, enum cli_lines lines)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        unsigned char next = (unsigned char)at[1];
        if (byte == C1_LEAD && next >= 0x80 && next <= C1_LAST) {
            at++;
            *to++ = '?';
        } else if ((byte < ' ' || byte == DEL) && !stays(*at, lines)) {
            *to++ = '?';
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

void cli_error(const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    if (text.size > 0) {
        cli_clean((char *)text.bytes, CLI_MANY_LINES);
    }
    (void)fprintf(stderr, "%s\n", rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

/* Any text as a format of the access log, and behind its first NUL any bytes as values: it is
 * refused with a place, or makes one line of plain text in which no value ends its quotes. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/log/access_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that the line has whatever the values are. */
static bool is_own(const char *text, uint8_t byte)
{
    return byte != '\0' && strchr(text, byte) != NULL;
}

static void check_line(const char *text, const uint8_t *line, size_t size)
{
    assert(size > 0 && line[size - 1] == '\n');
    for (size_t i = 0; i + 1 < size; i++) {
        bool plain = line[i] >= 0x20 && line[i] < 0x7f;
        assert(plain || is_own(text, line[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log_template compiled;
    static uint8_t line[64 * 1024];
    char text[LOG_TEMPLATE_MAX + 2];
    char name[32];
    size_t column = 0;
    size_t length = strnlen((const char *)data, size);
    size_t kept = length < sizeof text - 1 ? length : sizeof text - 1;

    (void)snprintf(text, sizeof text, "%.*s", (int)kept, (const char *)data);
    int err = log_template_parse(text, &compiled, &column, name);
    if (err != RC_OK) {
        assert(err == RC_ETOOBIG || column < kept);
        return 0;
    }
    struct rc_span value = {"", 0};
    if (length < size) {
        value = (struct rc_span){(const char *)data + length + 1, size - length - 1};
        value.size = value.size < 256 ? value.size : 256;
    }
    struct access_log_entry entry = {.client = value,
                                     .method = value,
                                     .host = value,
                                     .path = value,
                                     .sni = value,
                                     .request_id = value,
                                     .traceparent = value,
                                     .agent = value,
                                     .wall_ms = size,
                                     .status = (unsigned)size};
    struct rc_writer out = rc_writer_over(line, sizeof line);
    if (access_log_template(&entry, &compiled, &out) == RC_OK) {
        check_line(text, line, rc_writer_size(&out));
    }
    return 0;
}

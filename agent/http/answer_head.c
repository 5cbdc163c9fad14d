#include "agent/http/answer_head.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

void answer_date(uint64_t wall_ms, char out[ANSWER_DATE_SIZE])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 8099) {
        seconds = 0;
        (void)gmtime_r(&seconds, &parts);
    }
    (void)snprintf(out, ANSWER_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                   days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
                   1900 + parts.tm_year, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

void answer_head_begin(struct rc_buffer *out, unsigned status, const char *reason,
                       const char *date)
{
    rc_buffer_format(out, "HTTP/1.1 %u ", status);
    rc_buffer_text(out, reason);
    rc_buffer_text(out, "\r\n");
    answer_head_add(out, "Date", date);
}

static bool is_clean(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return false;
        }
    }
    return true;
}

void answer_head_add(struct rc_buffer *out, const char *name, const char *value)
{
    if (name[0] == '\0' || strpbrk(name, ": ") != NULL || !is_clean(name) ||
        !is_clean(value)) {
        return;
    }
    rc_buffer_text(out, name);
    rc_buffer_text(out, ": ");
    rc_buffer_text(out, value);
    rc_buffer_text(out, "\r\n");
}

void answer_head_end(struct rc_buffer *out, unsigned status, size_t body_size,
                     enum answer_after after)
{
    if (status >= 200 && status != 204 && status != 304) {
        rc_buffer_format(out, "Content-Length: %zu\r\n", body_size);
    }
    if (after == ANSWER_CLOSES) {
        rc_buffer_text(out, "Connection: close\r\n");
    }
    rc_buffer_text(out, "\r\n");
}

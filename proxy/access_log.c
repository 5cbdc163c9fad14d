/* access_log.c - the two forms of a line. */
#include "proxy/access_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char who_letters[ACCESS_LOG_WHO_COUNT] = {
    [ACCESS_LOG_NOBODY] = '-', [ACCESS_LOG_CLIENT] = 'C', [ACCESS_LOG_INSTANCE] = 'S',
    [ACCESS_LOG_PROXY] = 'P',  [ACCESS_LOG_TIME] = 'T',
};

static const char phase_letters[ACCESS_LOG_PHASE_COUNT] = {
    [ACCESS_LOG_NO_PHASE] = '-', [ACCESS_LOG_REQUEST] = 'R', [ACCESS_LOG_QUEUE] = 'Q',
    [ACCESS_LOG_CONNECT] = 'C',  [ACCESS_LOG_HEAD] = 'H',    [ACCESS_LOG_DATA] = 'D',
    [ACCESS_LOG_TUNNEL] = 'T',
};

static void put_text(struct rc_writer *out, const char *text)
{
    rc_writer_bytes(out, text, strlen(text));
}

static void put_format(struct rc_writer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_format(struct rc_writer *out, const char *format, ...)
{
    char space[256];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(space, sizeof space, format, arguments);
    va_end(arguments);
    assert(size >= 0 && (size_t)size < sizeof space);
    rc_writer_bytes(out, space, (size_t)size);
}

/* Escapes what ends a string in JSON or in the combined form; other bytes that are not plain
 * ASCII become \u00XX, so a line is valid JSON and free of control bytes whatever came in. */
static void put_escaped(struct rc_writer *out, struct rc_span text)
{
    size_t run = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.at[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            continue;
        }
        rc_writer_bytes(out, text.at + run, i - run);
        put_format(out, byte == '"' || byte == '\\' ? "\\%c" : "\\u%04x", byte);
        run = i + 1;
    }
    rc_writer_bytes(out, text.at + run, text.size - run);
}

static void put_member(struct rc_writer *out, const char *name, struct rc_span value)
{
    put_format(out, "\"%s\":\"", name);
    put_escaped(out, value);
    put_text(out, "\",");
}

static double milliseconds(uint64_t us)
{
    return (double)us / 1000.0;
}

int access_log_json(const struct access_log_entry *entry, struct rc_writer *out)
{
    char time[25];

    rc_text_from_wall_ms(entry->wall_ms, time);
    put_format(out, "{\"time\":\"%s\",", time);
    put_member(out, "client", entry->client);
    put_member(out, "method", entry->method);
    put_member(out, "host", entry->host);
    put_member(out, "path", entry->path);
    put_format(out, "\"status\":%u,\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",",
               entry->status, entry->bytes_in, entry->bytes_out);
    put_member(out, "pool", entry->pool);
    put_member(out, "instance", entry->instance);
    put_format(out, "\"attempts\":%" PRIu32 ",\"total_ms\":%.3f,\"connect_ms\":%.3f,",
               entry->attempts, milliseconds(entry->total_us),
               milliseconds(entry->connect_us));
    put_format(out, "\"first_byte_ms\":%.3f,\"reused\":%s,\"ended\":\"%c%c\",",
               milliseconds(entry->first_byte_us), entry->reused ? "true" : "false",
               who_letters[entry->who], phase_letters[entry->phase]);
    put_text(out, "\"request_id\":\"");
    put_escaped(out, entry->request_id);
    put_text(out, "\"}\n");
    return out->err;
}

/* "2006-01-02T15:04:05.000Z" as "02/Jan/2006:15:04:05 +0000". */
static void put_clf_time(struct rc_writer *out, uint64_t wall_ms)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char time[25];

    rc_text_from_wall_ms(wall_ms, time);
    unsigned month = (unsigned)(time[5] - '0') * 10 + (unsigned)(time[6] - '0');
    assert(month >= 1 && month <= 12);
    put_format(out, "[%.2s/%s/%.4s:%.8s +0000]", time + 8, months[month - 1], time,
               time + 11);
}

static void put_or_dash(struct rc_writer *out, struct rc_span text)
{
    put_text(out, " \"");
    put_escaped(out, text.size > 0 ? text : rc_span_of("-"));
    put_text(out, "\"");
}

/* Apache's combined form, and behind it instance, milliseconds and how it ended. */
int access_log_combined(const struct access_log_entry *entry, struct rc_writer *out)
{
    put_escaped(out, entry->client);
    put_text(out, " - - ");
    put_clf_time(out, entry->wall_ms);
    put_text(out, " \"");
    put_escaped(out, entry->method);
    put_text(out, " ");
    put_escaped(out, entry->path);
    put_format(out, " HTTP/1.1\" %u %" PRIu64, entry->status, entry->bytes_out);
    put_or_dash(out, entry->referrer);
    put_or_dash(out, entry->agent);
    put_text(out, " ");
    put_escaped(out, entry->instance);
    put_format(out, " %.3f %c%c\n", milliseconds(entry->total_us),
               who_letters[entry->who], phase_letters[entry->phase]);
    return out->err;
}

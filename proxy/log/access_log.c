/* access_log.c - the forms of a line. */
#include "proxy/log/access_log.h"

#include <assert.h>
#include <stddef.h>
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

/* At least `digits` of them. By hand: a line has a dozen numbers, and printf takes its time. */
static void put_digits(struct rc_writer *out, uint64_t number, unsigned digits)
{
    char space[20];
    size_t at = sizeof space;

    do {
        space[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || sizeof space - at < digits);
    rc_writer_bytes(out, space + at, sizeof space - at);
}

static void put_number(struct rc_writer *out, uint64_t number)
{
    put_digits(out, number, 1);
}

/* Thousandths as a decimal number: "1.500". */
static void put_thousandths(struct rc_writer *out, uint64_t number)
{
    put_digits(out, number / 1000, 1);
    rc_writer_u8(out, '.');
    put_digits(out, number % 1000, 3);
}

/* Where text stands: what ends it there must be escaped. */
enum place { IN_JSON, IN_QUOTES, BARE };

static void put_escape(struct rc_writer *out, uint8_t byte, enum place place)
{
    static const char hex[] = "0123456789abcdef";

    if (byte == '"' || byte == '\\') {
        rc_writer_u8(out, '\\');
        rc_writer_u8(out, byte);
        return;
    }
    put_text(out, place == IN_JSON ? "\\u00" : "\\x");
    rc_writer_u8(out, (uint8_t)hex[byte >> 4]);
    rc_writer_u8(out, (uint8_t)hex[byte & 15]);
}

/* Escapes quotes, backslashes and all that is not plain ASCII, so a line is free of control
 * bytes (and valid JSON) whatever came in. */
static void put_escaped(struct rc_writer *out, struct rc_span text, enum place place)
{
    uint8_t lowest = place == BARE ? 0x21 : 0x20;
    size_t run = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.at[i];
        if (byte >= lowest && byte < 0x7f && byte != '"' && byte != '\\') {
            continue;
        }
        rc_writer_bytes(out, text.at + run, i - run);
        put_escape(out, byte, place);
        run = i + 1;
    }
    rc_writer_bytes(out, text.at + run, text.size - run);
}

static void put_name(struct rc_writer *out, const char *name)
{
    rc_writer_u8(out, '"');
    put_text(out, name);
    put_text(out, "\":");
}

static void put_member(struct rc_writer *out, const char *name, struct rc_span value)
{
    put_name(out, name);
    rc_writer_u8(out, '"');
    put_escaped(out, value, IN_JSON);
    put_text(out, "\",");
}

/* What most requests do not have is left out. */
static void put_optional(struct rc_writer *out, const char *name, struct rc_span value)
{
    if (value.size > 0) {
        put_member(out, name, value);
    }
}

static void put_count(struct rc_writer *out, const char *name, uint64_t value)
{
    put_name(out, name);
    put_number(out, value);
    rc_writer_u8(out, ',');
}

static void put_ms(struct rc_writer *out, const char *name, uint64_t us)
{
    put_name(out, name);
    put_thousandths(out, us);
    rc_writer_u8(out, ',');
}

static void put_letters(const struct access_log_entry *entry, struct rc_writer *out)
{
    rc_writer_u8(out, (uint8_t)who_letters[entry->who]);
    rc_writer_u8(out, (uint8_t)phase_letters[entry->phase]);
}

static void put_optional_members(const struct access_log_entry *entry,
                                 struct rc_writer *out)
{
    put_optional(out, "reason", rc_span_of(refusal_word(entry->refusal)));
    put_optional(out, "tls", entry->tls);
    put_optional(out, "sni", entry->sni);
    put_optional(out, "trace_id", entry->trace_id);
    put_optional(out, "traceparent", entry->traceparent);
    put_optional(out, "referrer", entry->referrer);
    put_optional(out, "agent", entry->agent);
}

int access_log_json(const struct access_log_entry *entry, struct rc_writer *out)
{
    char time[25];

    rc_text_from_wall_ms(entry->wall_ms, time);
    put_text(out, "{\"time\":\"");
    put_text(out, time);
    put_text(out, "\",");
    put_member(out, "client", entry->client);
    put_member(out, "listener", entry->listener);
    put_member(out, "protocol", entry->protocol);
    put_member(out, "method", entry->method);
    put_member(out, "host", entry->host);
    put_member(out, "path", entry->path);
    put_count(out, "status", entry->status);
    put_count(out, "bytes_in", entry->bytes_in);
    put_count(out, "bytes_out", entry->bytes_out);
    put_member(out, "route", entry->route);
    put_member(out, "pool", entry->pool);
    put_member(out, "instance", entry->instance);
    put_count(out, "attempts", entry->attempts);
    put_ms(out, "total_ms", entry->total_us);
    put_ms(out, "connect_ms", entry->connect_us);
    put_ms(out, "first_byte_ms", entry->first_byte_us);
    put_ms(out, "upstream_ms", entry->upstream_us);
    put_text(out, entry->reused ? "\"reused\":true," : "\"reused\":false,");
    put_text(out, "\"ended\":\"");
    put_letters(entry, out);
    put_text(out, "\",");
    put_optional_members(entry, out);
    put_text(out, "\"request_id\":\"");
    put_escaped(out, entry->request_id, IN_JSON);
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
    rc_writer_u8(out, '[');
    rc_writer_bytes(out, time + 8, 2);
    rc_writer_u8(out, '/');
    put_text(out, months[month - 1]);
    rc_writer_u8(out, '/');
    rc_writer_bytes(out, time, 4);
    rc_writer_u8(out, ':');
    rc_writer_bytes(out, time + 11, 8);
    put_text(out, " +0000]");
}

static void put_or_dash(struct rc_writer *out, struct rc_span text)
{
    put_text(out, " \"");
    put_escaped(out, text.size > 0 ? text : rc_span_of("-"), IN_QUOTES);
    put_text(out, "\"");
}

/* Apache's combined form, and behind it instance, milliseconds and how it ended. */
int access_log_combined(const struct access_log_entry *entry, struct rc_writer *out)
{
    put_escaped(out, entry->client, BARE);
    put_text(out, " - - ");
    put_clf_time(out, entry->wall_ms);
    put_text(out, " \"");
    put_escaped(out, entry->method, IN_QUOTES);
    put_text(out, " ");
    put_escaped(out, entry->path, IN_QUOTES);
    put_text(out, " ");
    put_escaped(out, entry->protocol, IN_QUOTES);
    put_text(out, "\" ");
    put_number(out, entry->status);
    put_text(out, " ");
    put_number(out, entry->bytes_out);
    put_or_dash(out, entry->referrer);
    put_or_dash(out, entry->agent);
    put_text(out, " ");
    put_escaped(out, entry->instance, BARE);
    put_text(out, " ");
    put_thousandths(out, entry->total_us);
    put_text(out, " ");
    put_letters(entry, out);
    put_text(out, "\n");
    return out->err;
}

/* --- by a template --- */

enum kind { KIND_SPECIAL, KIND_SPAN, KIND_U64, KIND_MS };

#define SPAN(member)                                         \
    {                                                        \
        KIND_SPAN, offsetof(struct access_log_entry, member) \
    }
#define U64(member)                                         \
    {                                                       \
        KIND_U64, offsetof(struct access_log_entry, member) \
    }
#define MS(member)                                         \
    {                                                      \
        KIND_MS, offsetof(struct access_log_entry, member) \
    }
#define SPECIAL         \
    {                   \
        KIND_SPECIAL, 0 \
    }

static const struct {
    enum kind kind;
    size_t offset;
} fields[LOG_FIELD_COUNT] = {
    [LOG_FIELD_TEXT] = SPECIAL,
    [LOG_FIELD_TIME] = SPECIAL,
    [LOG_FIELD_EPOCH] = SPECIAL,
    [LOG_FIELD_CLF_TIME] = SPECIAL,
    [LOG_FIELD_CLIENT] = SPAN(client),
    [LOG_FIELD_LISTENER] = SPAN(listener),
    [LOG_FIELD_PROTOCOL] = SPAN(protocol),
    [LOG_FIELD_SCHEME] = SPAN(scheme),
    [LOG_FIELD_TLS] = SPAN(tls),
    [LOG_FIELD_SNI] = SPAN(sni),
    [LOG_FIELD_METHOD] = SPAN(method),
    [LOG_FIELD_HOST] = SPAN(host),
    [LOG_FIELD_PATH] = SPAN(path),
    [LOG_FIELD_STATUS] = SPECIAL,
    [LOG_FIELD_BYTES_IN] = U64(bytes_in),
    [LOG_FIELD_BYTES_OUT] = U64(bytes_out),
    [LOG_FIELD_ROUTE] = SPAN(route),
    [LOG_FIELD_POOL] = SPAN(pool),
    [LOG_FIELD_INSTANCE] = SPAN(instance),
    [LOG_FIELD_ATTEMPTS] = SPECIAL,
    [LOG_FIELD_REUSED] = SPECIAL,
    [LOG_FIELD_TOTAL_MS] = MS(total_us),
    [LOG_FIELD_CONNECT_MS] = MS(connect_us),
    [LOG_FIELD_FIRST_BYTE_MS] = MS(first_byte_us),
    [LOG_FIELD_UPSTREAM_MS] = MS(upstream_us),
    [LOG_FIELD_ENDED] = SPECIAL,
    [LOG_FIELD_REASON] = SPECIAL,
    [LOG_FIELD_REQUEST_ID] = SPAN(request_id),
    [LOG_FIELD_TRACE_ID] = SPAN(trace_id),
    [LOG_FIELD_TRACEPARENT] = SPAN(traceparent),
    [LOG_FIELD_REFERRER] = SPAN(referrer),
    [LOG_FIELD_AGENT] = SPAN(agent),
};

static void put_value(struct rc_writer *out, struct rc_span text,
                      const struct log_piece *piece)
{
    put_escaped(out, text.size > 0 ? text : rc_span_of("-"),
                piece->quoted ? IN_QUOTES : BARE);
}

static void put_special(const struct access_log_entry *entry,
                        const struct log_piece *piece, struct rc_writer *out)
{
    char time[25];

    if (piece->field == LOG_FIELD_TIME) {
        rc_text_from_wall_ms(entry->wall_ms, time);
        put_text(out, time);
    } else if (piece->field == LOG_FIELD_EPOCH) {
        put_thousandths(out, entry->wall_ms);
    } else if (piece->field == LOG_FIELD_CLF_TIME) {
        put_clf_time(out, entry->wall_ms);
    } else if (piece->field == LOG_FIELD_STATUS) {
        put_number(out, entry->status);
    } else if (piece->field == LOG_FIELD_ATTEMPTS) {
        put_number(out, entry->attempts);
    } else if (piece->field == LOG_FIELD_REUSED) {
        put_number(out, entry->reused ? 1 : 0);
    } else if (piece->field == LOG_FIELD_ENDED) {
        put_letters(entry, out);
    } else {
        assert(piece->field == LOG_FIELD_REASON);
        put_value(out, rc_span_of(refusal_word(entry->refusal)), piece);
    }
}

static void put_piece(const struct access_log_entry *entry, const struct log_piece *piece,
                      struct rc_writer *out)
{
    const char *member = (const char *)entry + fields[piece->field].offset;
    struct rc_span text;
    uint64_t number = 0;

    switch (fields[piece->field].kind) {
    case KIND_SPECIAL:
        put_special(entry, piece, out);
        return;
    case KIND_SPAN:
        memcpy(&text, member, sizeof text);
        put_value(out, text, piece);
        return;
    case KIND_U64:
        memcpy(&number, member, sizeof number);
        put_number(out, number);
        return;
    case KIND_MS:
        memcpy(&number, member, sizeof number);
        put_thousandths(out, number);
        return;
    }
}

int access_log_template(const struct access_log_entry *entry,
                        const struct log_template *log_template, struct rc_writer *out)
{
    for (size_t i = 0; i < log_template->count; i++) {
        const struct log_piece *piece = &log_template->pieces[i];
        assert(piece->field < LOG_FIELD_COUNT);
        if (piece->field == LOG_FIELD_TEXT) {
            rc_writer_bytes(out, log_template->text + piece->at, piece->size);
        } else {
            put_piece(entry, piece, out);
        }
    }
    rc_writer_u8(out, '\n');
    return out->err;
}

/* log_template.c - see log_template.h. */
#include "proxy/config/log_template.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { NAME_MAX_BYTES = 32 };

static const char *const names[LOG_FIELD_COUNT] = {
    [LOG_FIELD_TEXT] = "",
    [LOG_FIELD_TIME] = "time",
    [LOG_FIELD_EPOCH] = "epoch",
    [LOG_FIELD_CLF_TIME] = "clf_time",
    [LOG_FIELD_CLIENT] = "client",
    [LOG_FIELD_LISTENER] = "listener",
    [LOG_FIELD_PROTOCOL] = "protocol",
    [LOG_FIELD_SCHEME] = "scheme",
    [LOG_FIELD_TLS] = "tls",
    [LOG_FIELD_SNI] = "sni",
    [LOG_FIELD_METHOD] = "method",
    [LOG_FIELD_HOST] = "host",
    [LOG_FIELD_PATH] = "path",
    [LOG_FIELD_STATUS] = "status",
    [LOG_FIELD_BYTES_IN] = "bytes_in",
    [LOG_FIELD_BYTES_OUT] = "bytes_out",
    [LOG_FIELD_ROUTE] = "route",
    [LOG_FIELD_POOL] = "pool",
    [LOG_FIELD_INSTANCE] = "instance",
    [LOG_FIELD_ATTEMPTS] = "attempts",
    [LOG_FIELD_REUSED] = "reused",
    [LOG_FIELD_TOTAL_MS] = "total_ms",
    [LOG_FIELD_CONNECT_MS] = "connect_ms",
    [LOG_FIELD_FIRST_BYTE_MS] = "first_byte_ms",
    [LOG_FIELD_UPSTREAM_MS] = "upstream_ms",
    [LOG_FIELD_ENDED] = "ended",
    [LOG_FIELD_REASON] = "reason",
    [LOG_FIELD_REQUEST_ID] = "request_id",
    [LOG_FIELD_TRACE_ID] = "trace_id",
    [LOG_FIELD_TRACEPARENT] = "traceparent",
    [LOG_FIELD_REFERRER] = "referrer",
    [LOG_FIELD_AGENT] = "agent",
};

const char *log_field_name(enum log_field field)
{
    assert(field < LOG_FIELD_COUNT);
    return names[field];
}

const char *log_field_nearest(const char *name)
{
    unsigned best = LOG_FIELD_TEXT + 1;

    for (unsigned i = best + 1; i < LOG_FIELD_COUNT; i++) {
        if (rc_text_distance(name, names[i]) < rc_text_distance(name, names[best])) {
            best = i;
        }
    }
    return names[best];
}

/* How one piece of the text was read. */
struct reader {
    const char *text;
    size_t at;
    bool quoted;
    struct log_template *out;
};

static int push(struct reader *r, struct log_piece piece)
{
    if (r->out->count == LOG_TEMPLATE_PIECES_MAX) {
        return RC_ETOOBIG;
    }
    r->out->pieces[r->out->count++] = piece;
    return RC_OK;
}

/* Text up to the next `$`, or one `$` of two. */
static int take_text(struct reader *r, size_t size)
{
    for (size_t i = r->at; i < r->at + size; i++) {
        r->quoted = r->quoted != (r->text[i] == '"');
    }
    struct log_piece piece = {
        .field = LOG_FIELD_TEXT, .at = (uint16_t)r->at, .size = (uint16_t)size};
    r->at += size;
    return push(r, piece);
}

static size_t name_size(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

/* `$name` or `${name}`; r->at stands on the dollar. */
static int take_field(struct reader *r, char *name)
{
    size_t braces = r->text[r->at + 1] == '{' ? 1 : 0;
    const char *begin = r->text + r->at + 1 + braces;
    size_t size = name_size(begin);

    name[0] = '\0';
    if (size == 0 || (braces > 0 && begin[size] != '}')) {
        return RC_EMALFORMED;
    }
    size_t kept = size < NAME_MAX_BYTES - 1 ? size : NAME_MAX_BYTES - 1;
    memcpy(name, begin, kept);
    name[kept] = '\0';
    for (unsigned i = LOG_FIELD_TEXT + 1; i < LOG_FIELD_COUNT; i++) {
        if (rc_text_equals(names[i], name) && size == kept) {
            r->at += 1 + size + 2 * braces;
            return push(r, (struct log_piece){.field = (uint8_t)i, .quoted = r->quoted});
        }
    }
    return RC_EMALFORMED;
}

int log_template_parse(const char *text, struct log_template *out, size_t *column,
                       char *name)
{
    struct reader r = {.text = text, .out = out};
    int err = rc_text_put(out->text, sizeof out->text, text);

    out->count = 0;
    name[0] = '\0';
    while (err == RC_OK && text[r.at] != '\0') {
        size_t plain = strcspn(text + r.at, "$");
        *column = r.at;
        for (size_t i = r.at; i < r.at + plain; i++) {
            if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
                *column = i;
                return RC_EMALFORMED; /* a line stays one line */
            }
        }
        if (plain > 0) {
            err = take_text(&r, plain);
        } else if (text[r.at + 1] == '$') {
            r.at++;
            err = take_text(&r, 1);
        } else {
            err = take_field(&r, name);
        }
    }
    return err;
}

bool log_template_has(const struct log_template *log_template, enum log_field field)
{
    for (size_t i = 0; i < log_template->count; i++) {
        if (log_template->pieces[i].field == (uint8_t)field) {
            return true;
        }
    }
    return false;
}

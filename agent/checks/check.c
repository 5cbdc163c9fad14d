/* check.c - thresholds, damping, TTL and the cutting of output. */
#include "agent/checks/check.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum {
    FALL_SOON_MS = 15000, /* falling within this time of a recovery is flapping */
    FALLS_FREE = 2,       /* that many are taken as they come */
    FALLS_MAX = 16
};

static const char *const role_names[CHECK_ROLE_COUNT] = {
    [CHECK_ROLE_NONE] = "",
    [CHECK_ROLE_PRIMARY] = "primary",
    [CHECK_ROLE_STANDBY] = "standby",
};

const char *check_role_name(enum check_role role)
{
    assert(role < CHECK_ROLE_COUNT);
    return role_names[role];
}

/* How many bytes the well-formed character at the start of `at` has; 0: none. */
static size_t character_size(const uint8_t *at, size_t left)
{
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    return size <= left && rc_text_is_utf8(at, size) ? size : 0;
}

static bool is_control(uint8_t byte)
{
    return (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f;
}

static void append_clean(struct rc_buffer *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t step = character_size(bytes + i, size - i);
        if (step == 0 || (step == 1 && is_control(bytes[i]))) {
            rc_buffer_byte(out, bytes[i] == '\r' ? ' ' : '?');
            i++;
            continue;
        }
        rc_buffer_append(out, bytes + i, step);
        i += step;
    }
}

/* The rest of a character that the cut went through is no use to anybody. */
static size_t skip_continuation(const uint8_t *bytes, size_t size)
{
    size_t skip = 0;

    while (skip < size && skip < 3 && (bytes[skip] & 0xc0) == 0x80) {
        skip++;
    }
    return skip;
}

static size_t drop_unfinished(const uint8_t *bytes, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        uint8_t byte = bytes[size - back];
        if ((byte & 0xc0) == 0x80) {
            continue;
        }
        return byte >= 0xc0 && character_size(bytes + size - back, back) == 0
                   ? size - back
                   : size;
    }
    return size;
}

void check_clean_output(struct rc_buffer *out, const void *bytes, size_t size,
                        size_t total, size_t max, enum check_keep keep)
{
    const uint8_t *at = bytes;
    size_t kept = size < max ? size : max;

    rc_buffer_clear(out);
    total = total > size ? total : size;
    if (keep == CHECK_KEEP_FIRST_MARKED) {
        if (kept < total) {
            kept = drop_unfinished(at, kept);
        }
        append_clean(out, at, kept);
        if (kept < total) {
            rc_buffer_format(out, " ... (captured %zu of %zu bytes)", kept, total);
        }
        return;
    }
    if (size > kept) {
        at += size - kept;
        size_t skip = skip_continuation(at, kept);
        at += skip;
        kept -= skip;
    }
    if (keep == CHECK_KEEP_LAST_MARKED && kept < total) {
        rc_buffer_format(out, "Captured %zu of %zu bytes\n...\n", kept, total);
    }
    append_clean(out, at, kept);
}

static size_t output_max(const struct check *check)
{
    uint32_t max = check->options.output_max;

    return max == 0 || max > CHECK_OUTPUT_MAX ? CHECK_OUTPUT_MAX : max;
}

void check_init(struct check *check, const struct check_options *options, uint64_t now_ms)
{
    *check = (struct check){
        .options = *options,
        .status = options->initial,
        .observed = options->initial,
        .since_ms = now_ms,
        .observed_since_ms = now_ms,
        .ttl_at_ms = options->ttl_ms > 0 ? now_ms + options->ttl_ms : UINT64_MAX,
    };
}

void check_fini(struct check *check)
{
    rc_buffer_fini(&check->output);
}

void check_restore(struct check *check, const struct check_result *was, uint64_t since_ms,
                   uint64_t ttl_at_ms)
{
    check->status = was->status;
    check->observed = was->status;
    check->role_seen = was->role;
    check->role = was->status == CHECK_CRITICAL ? CHECK_ROLE_NONE : was->role;
    check->since_ms = since_ms;
    check->observed_since_ms = since_ms;
    if (check->options.ttl_ms > 0) {
        check->ttl_at_ms = ttl_at_ms;
    }
    check_clean_output(&check->output, was->output, was->output_size, was->output_total,
                       output_max(check) + 128, check->options.keep);
}

void check_reconfigure(struct check *check, const struct check_options *options,
                       uint64_t now_ms)
{
    check->options = *options;
    check->ttl_at_ms = options->ttl_ms > 0 ? now_ms + options->ttl_ms : UINT64_MAX;
}

/* How long a check that keeps falling must stay well before it counts: doubling. */
static uint64_t hold_ms(const struct check *check)
{
    if (check->falls <= FALLS_FREE) {
        return 0;
    }
    uint64_t hold = (uint64_t)CHECK_CHANGE_EVERY_MS << (check->falls - FALLS_FREE);
    return hold < CHECK_HOLD_MAX_MS ? hold : CHECK_HOLD_MAX_MS;
}

static bool is_damped(const struct check *check)
{
    enum check_role next =
        check->observed == CHECK_CRITICAL ? CHECK_ROLE_NONE : check->role_seen;

    /* Who may be written to must never be told late. */
    return !check->options.undamped && check->options.ttl_ms == 0 && check->has_changed &&
           next == check->role;
}

/* When damping lets `observed` become the status. */
static uint64_t settles_at_ms(const struct check *check)
{
    if (!is_damped(check)) {
        return 0;
    }
    uint64_t at = check->since_ms + CHECK_CHANGE_EVERY_MS;
    if (check->observed < check->status) {
        uint64_t well_at = check->observed_since_ms + hold_ms(check);
        at = well_at > at ? well_at : at;
    }
    return at;
}

/* The only place where the status changes. */
static void become(struct check *check, enum check_status next, uint64_t now_ms)
{
    assert(next != check->status);
    if (next > check->status) {
        bool soon = check->has_changed && now_ms < check->since_ms + FALL_SOON_MS;
        check->falls = !soon                      ? 1
                       : check->falls < FALLS_MAX ? check->falls + 1
                                                  : FALLS_MAX;
    }
    check->status = next;
    check->since_ms = now_ms;
    check->has_changed = true;
}

static unsigned settle(struct check *check, uint64_t now_ms)
{
    unsigned news = CHECK_NEWS_NONE;

    if (check->observed != check->status && now_ms >= settles_at_ms(check)) {
        become(check, check->observed, now_ms);
        rc_buffer_consume(&check->output, check->held_size);
        check->held_size = 0;
        news |= CHECK_NEWS_STATUS;
    }
    enum check_role role =
        check->status == CHECK_CRITICAL ? CHECK_ROLE_NONE : check->role_seen;
    if (role != check->role) {
        check->role = role;
        news |= CHECK_NEWS_ROLE;
    }
    return news;
}

static void see(struct check *check, enum check_status status, uint64_t now_ms)
{
    if (status != check->observed) {
        check->observed = status;
        check->observed_since_ms = now_ms;
    }
}

/* One result is enough if no threshold asks for more; the first one always is. */
static bool counts(const struct check *check, enum check_status status)
{
    if (!check->has_result || check->options.ttl_ms > 0) {
        return true;
    }
    return status == CHECK_CRITICAL
               ? check->failures >= check->options.failures_before_critical
               : check->successes >= check->options.success_before_passing;
}

static unsigned put_output(struct check *check, const struct check_result *result)
{
    struct rc_buffer next = {0};

    check_clean_output(&next, result->output, result->output_size, result->output_total,
                       output_max(check), check->options.keep);
    if (strcmp(rc_buffer_string(&next),
               rc_buffer_string(&check->output) + check->held_size) == 0) {
        rc_buffer_fini(&next);
        return CHECK_NEWS_NONE;
    }
    rc_buffer_fini(&check->output);
    check->output = next;
    check->held_size = 0;
    return CHECK_NEWS_OUTPUT;
}

/* Says in the output why a check whose probe succeeds is not shown as well. */
static void explain_hold(struct check *check)
{
    struct rc_buffer text = {0};

    if (check->observed >= check->status) {
        rc_buffer_consume(&check->output, check->held_size);
        check->held_size = 0;
        return;
    }
    if (check->held_size > 0) {
        return;
    }
    rc_buffer_format(&text, "Flapping: shown as %s until it stays well for %us. ",
                     check_status_name(check->status),
                     (unsigned)(hold_ms(check) < CHECK_CHANGE_EVERY_MS
                                    ? 1
                                    : hold_ms(check) / CHECK_CHANGE_EVERY_MS));
    check->held_size = text.size;
    rc_buffer_text(&text, rc_buffer_string(&check->output));
    if (text.err != RC_OK) {
        check->held_size = 0;
        rc_buffer_fini(&text);
        return;
    }
    rc_buffer_fini(&check->output);
    check->output = text;
}

unsigned check_observe(struct check *check, const struct check_result *result,
                       uint64_t now_ms)
{
    assert(result->status < CHECK_STATUS_COUNT);
    if (result->status == CHECK_CRITICAL) {
        check->failures = check->failures < UINT32_MAX ? check->failures + 1 : UINT32_MAX;
        check->successes = 0;
    } else {
        check->successes =
            check->successes < UINT32_MAX ? check->successes + 1 : UINT32_MAX;
        check->failures = 0;
    }
    if (check->options.ttl_ms > 0) {
        check->ttl_at_ms = now_ms + check->options.ttl_ms;
    }
    if (!counts(check, result->status)) {
        return CHECK_NEWS_NONE;
    }
    check->has_result = true;
    check->role_seen = result->role;
    see(check, result->status, now_ms);
    unsigned news = put_output(check, result);
    news |= settle(check, now_ms);
    explain_hold(check);
    return news;
}

static unsigned expire(struct check *check, uint64_t now_ms)
{
    static const char follows[] = "TTL expired (last output before timeout follows): ";
    struct rc_buffer text = {0};

    rc_buffer_text(&text, check->output.size > 0 ? follows : "TTL expired");
    rc_buffer_text(&text, rc_buffer_string(&check->output));
    rc_buffer_fini(&check->output);
    check->output = text;
    check->ttl_at_ms = UINT64_MAX;
    see(check, CHECK_CRITICAL, now_ms);
    return CHECK_NEWS_OUTPUT | settle(check, now_ms);
}

unsigned check_tick(struct check *check, uint64_t now_ms)
{
    if (check->options.ttl_ms > 0 && now_ms >= check->ttl_at_ms) {
        return expire(check, now_ms);
    }
    return settle(check, now_ms);
}

uint64_t check_deadline_ms(const struct check *check)
{
    uint64_t at = check->ttl_at_ms;

    if (check->observed != check->status && settles_at_ms(check) < at) {
        at = settles_at_ms(check);
    }
    return at;
}

uint64_t check_overdue_ms(const struct check *check)
{
    if (check->status != CHECK_CRITICAL || check->options.deregister_after_ms == 0) {
        return UINT64_MAX;
    }
    return check->since_ms + check->options.deregister_after_ms;
}

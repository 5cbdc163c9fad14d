#include "agent/warden/warden_wire.h"

#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/pack.h"

int warden_order_argument(struct warden_order *order, const char *text)
{
    size_t size = strlen(text) + 1;

    if (order->argument_count == WARDEN_ARGUMENTS_MAX ||
        size > sizeof order->words - order->words_size) {
        return RC_ETOOBIG;
    }
    memcpy(order->words + order->words_size, text, size);
    order->words_size += size;
    order->argument_count++;
    return RC_OK;
}

/* ---- Writing. */

static void write_arguments(const struct warden_order *order, struct rc_buffer *out)
{
    size_t at = 0;

    rc_pack_write_array(out, order->argument_count);
    for (size_t i = 0; i < order->argument_count; i++) {
        rc_pack_write_text(out, order->words + at);
        at += strlen(order->words + at) + 1;
    }
}

void warden_order_write(const struct warden_order *order, struct rc_buffer *out)
{
    rc_pack_write_array(out, 9);
    rc_pack_write_number(out, WARDEN_WIRE_VERSION);
    rc_pack_write_number(out, (uint64_t)order->kind);
    rc_pack_write_number(out, order->number);
    rc_pack_write_number(out, order->term);
    rc_pack_write_number(out, order->deadline_ms);
    rc_pack_write_number(out, (uint64_t)order->pid);
    rc_pack_write_text(out, order->session);
    rc_pack_write_text(out, order->data_dir);
    write_arguments(order, out);
}

void warden_echo_write(const struct warden_echo *echo, struct rc_buffer *out)
{
    const struct warden *w = &echo->warden;

    rc_pack_write_array(out, 18);
    rc_pack_write_number(out, WARDEN_WIRE_VERSION);
    rc_pack_write_number(out, (uint64_t)echo->warden_pid);
    rc_pack_write_number(out, echo->boot_ms);
    rc_pack_write_number(out, (uint64_t)w->state);
    rc_pack_write_number(out, (uint64_t)w->cause);
    rc_pack_write_number(out,
                         (uint64_t)((int64_t)w->exit_status + 1)); /* -1: not known */
    rc_pack_write_number(out, (uint64_t)w->pid);
    rc_pack_write_number(out, w->is_adopted ? 1 : 0);
    rc_pack_write_number(out, w->since_ms);
    rc_pack_write_number(out, w->term);
    rc_pack_write_number(out, w->deadline_ms);
    rc_pack_write_text(out, w->session);
    rc_pack_write_number(out, w->kept_term);
    rc_pack_write_number(out, w->last_number);
    rc_pack_write_number(out, (uint64_t)w->last_answer);
    rc_pack_write_number(out, w->kills);
    rc_pack_write_text(out, w->problem);
    rc_pack_write_number(out, w->runs);
}

/* ---- Reading. */

struct reader {
    struct rc_cursor in;
    struct rc_pack_items items;
};

static struct reader open_message(const void *bytes, size_t size)
{
    struct reader r = {.in = rc_cursor_over(bytes, size)};

    r.items = rc_pack_open(&r.in);
    if (rc_pack_next_number(&r.in, &r.items) < WARDEN_WIRE_VERSION) {
        rc_cursor_fail(&r.in, RC_EMALFORMED);
    }
    return r;
}

static uint64_t next_number(struct reader *r)
{
    return rc_pack_next_number(&r->in, &r->items);
}

/* A number below `limit`. */
static unsigned next_choice(struct reader *r, unsigned limit)
{
    uint64_t number = next_number(r);

    if (number >= limit) {
        rc_cursor_fail(&r->in, RC_EMALFORMED);
        return 0;
    }
    return (unsigned)number;
}

static int64_t next_pid(struct reader *r)
{
    uint64_t number = next_number(r);

    if (number > INT32_MAX) {
        rc_cursor_fail(&r->in, RC_EMALFORMED);
        return 0;
    }
    return (int64_t)number;
}

static void put_text(struct reader *r, struct rc_span text, char *space, size_t size)
{
    if (text.size >= size) {
        rc_cursor_fail(&r->in, RC_ETOOBIG);
        return;
    }
    if (memchr(text.at, '\0', text.size) != NULL) {
        rc_cursor_fail(&r->in, RC_EMALFORMED);
        return;
    }
    memcpy(space, text.at, text.size);
    space[text.size] = '\0';
}

static void next_text(struct reader *r, char *space, size_t size)
{
    put_text(r, rc_pack_next_text(&r->in, &r->items), space, size);
}

static void next_arguments(struct reader *r, struct warden_order *out)
{
    struct rc_pack_items words = rc_pack_next_array(&r->in, &r->items);

    while (words.left > 0 && r->in.err == RC_OK) {
        struct rc_span text = rc_pack_next_text(&r->in, &words);
        size_t room = sizeof out->words - out->words_size;
        if (out->argument_count == WARDEN_ARGUMENTS_MAX) {
            rc_cursor_fail(&r->in, RC_ETOOBIG);
            return;
        }
        put_text(r, text, out->words + out->words_size, room);
        if (r->in.err == RC_OK) {
            out->words_size += text.size + 1;
            out->argument_count++;
        }
    }
}

int warden_order_parse(const void *bytes, size_t size, struct warden_order *out)
{
    struct reader r = open_message(bytes, size);

    memset(out, 0, sizeof *out);
    out->kind = (enum warden_order_kind)next_choice(&r, WARDEN_ORDER_COUNT);
    out->number = next_number(&r);
    out->term = next_number(&r);
    out->deadline_ms = next_number(&r);
    out->pid = next_pid(&r);
    next_text(&r, out->session, sizeof out->session);
    next_text(&r, out->data_dir, sizeof out->data_dir);
    next_arguments(&r, out);
    rc_pack_close(&r.in, &r.items);
    return r.in.err;
}

int warden_echo_parse(const void *bytes, size_t size, struct warden_echo *out)
{
    struct reader r = open_message(bytes, size);
    struct warden *w = &out->warden;

    memset(out, 0, sizeof *out);
    out->warden_pid = next_pid(&r);
    out->boot_ms = next_number(&r);
    w->state = (enum warden_state)next_choice(&r, WARDEN_STATE_COUNT);
    w->cause = (enum warden_cause)next_choice(&r, WARDEN_CAUSE_COUNT);
    w->exit_status = (int)next_choice(&r, INT32_MAX) - 1;
    w->pid = next_pid(&r);
    w->is_adopted = next_choice(&r, 2) != 0;
    w->since_ms = next_number(&r);
    w->term = next_number(&r);
    w->deadline_ms = next_number(&r);
    next_text(&r, w->session, sizeof w->session);
    w->kept_term = next_number(&r);
    w->last_number = next_number(&r);
    w->last_answer = (enum warden_answer)next_choice(&r, WARDEN_ANSWER_COUNT);
    w->kills = next_number(&r);
    next_text(&r, w->problem, sizeof w->problem);
    w->runs = next_number(&r);
    rc_pack_close(&r.in, &r.items);
    return r.in.err;
}

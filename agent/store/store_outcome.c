/* store_outcome.c - what became of a request, as bytes: kept while the engine is asked, and
 * under req/ for whoever asks again.
 *
 * [1 done, 0 not; print of the request; term; [operation, words, ...]; [[operation, key, value, flags, lock index,
 * create index, modify index, term, session], ...]] */
#include <string.h>

#include "agent/store/store_plan.h"
#include "base/err.h"

enum { OUTCOME_KEPT_MAX = 64 << 10, OUTCOME_TOO_LARGE = 2 };

static struct rc_pack_bytes with_nul(const char *text)
{
    struct rc_pack_bytes bytes = rc_pack_text(text);

    bytes.size++;
    return bytes;
}

static void write_result(struct rc_buffer *out, const struct store_result *result)
{
    const struct store_pair *pair = &result->pair;

    rc_pack_write_array(out, 9);
    rc_pack_write_number(out, result->op);
    rc_pack_write_bytes(out, pair->key);
    rc_pack_write_bytes(out, pair->value);
    rc_pack_write_number(out, pair->flags);
    rc_pack_write_number(out, pair->lock_index);
    rc_pack_write_number(out, pair->create_index);
    rc_pack_write_number(out, pair->modify_index);
    rc_pack_write_number(out, pair->term);
    if (pair->session == NULL) {
        rc_pack_write_nil(out);
    } else {
        rc_pack_write_bytes(out, with_nul(pair->session));
    }
}

void store_outcome_write(struct store_plan *plan)
{
    struct rc_buffer *out = &plan->buffer;

    rc_buffer_clear(out);
    rc_pack_write_array(out, 5);
    rc_pack_write_number(out, plan->failure_count == 0);
    rc_pack_write_number(out, plan->request->print);
    rc_pack_write_number(out, plan->term);
    rc_pack_write_array(out, plan->failure_count * 2);
    for (size_t i = 0; i < plan->failure_count; i++) {
        rc_pack_write_number(out, plan->failures[i].op);
        rc_pack_write_bytes(out, with_nul(plan->failures[i].what));
    }
    rc_pack_write_array(out, plan->result_count);
    for (size_t i = 0; i < plan->result_count; i++) {
        write_result(out, &plan->results[i]);
    }
}

struct rc_pack_bytes store_outcome_short(struct rc_pack_bytes record)
{
    static const uint8_t too_large[] = {0x91, OUTCOME_TOO_LARGE};

    return record.size <= OUTCOME_KEPT_MAX
               ? record
               : (struct rc_pack_bytes){.at = too_large, .size = sizeof too_large};
}

/* A text that was written with its NUL; NULL for nil or nonsense. */
static const char *read_string(struct rc_cursor *in, struct rc_pack_items *items)
{
    struct rc_span span = rc_pack_next_text(in, items);

    return span.size > 0 && span.at[span.size - 1] == '\0' ? span.at : NULL;
}

static uint64_t or_this(uint64_t number, uint64_t placeholder, uint64_t revision)
{
    return number == placeholder ? revision : number;
}

static void read_failures(struct store_plan *plan, struct rc_cursor *in,
                          struct rc_pack_items *outer)
{
    struct rc_pack_items list = rc_pack_next_array(in, outer);

    while (list.left >= 2 && in->err == RC_OK && plan->failure_count < STORE_OPS_MAX) {
        uint64_t op = rc_pack_next_number(in, &list);
        const char *what = read_string(in, &list);
        plan->failures[plan->failure_count++] =
            (struct store_failure){.op = (size_t)op, .what = what != NULL ? what : ""};
    }
    rc_pack_close(in, &list);
}

static void read_result(struct store_plan *plan, struct rc_cursor *in,
                        struct rc_pack_items *list, uint64_t revision)
{
    struct rc_pack_items items = rc_pack_next_array(in, list);
    size_t op = (size_t)rc_pack_next_number(in, &items);
    struct rc_span key = rc_pack_next_text(in, &items);
    struct rc_span value = rc_pack_next_text(in, &items);
    struct store_pair pair = {
        .key = {.at = (const uint8_t *)key.at, .size = key.size},
        .value = {.at = (const uint8_t *)value.at, .size = value.size}};

    pair.flags = rc_pack_next_number(in, &items);
    pair.lock_index = rc_pack_next_number(in, &items);
    pair.create_index = or_this(rc_pack_next_number(in, &items), MOD_OF_THIS, revision);
    pair.modify_index = or_this(rc_pack_next_number(in, &items), MOD_OF_THIS, revision);
    pair.term = or_this(rc_pack_next_number(in, &items), TERM_OF_THIS, revision);
    pair.session = read_string(in, &items);
    rc_pack_close(in, &items);
    if (in->err == RC_OK) {
        plan_result(plan, op, &pair);
    }
}

bool store_outcome_is_of(struct rc_pack_bytes bytes, uint64_t print)
{
    struct rc_cursor in = rc_cursor_over(bytes.at, bytes.size);
    struct rc_pack_items items = rc_pack_open(&in);
    bool is_short = items.left < 2;

    (void)rc_pack_next_number(&in, &items);
    return is_short || rc_pack_next_number(&in, &items) == print;
}

int store_outcome_replay(struct store_plan *plan, struct rc_pack_bytes bytes,
                         uint64_t revision, struct store_outcome *out)
{
    struct rc_cursor in = rc_cursor_over(bytes.at, bytes.size);
    struct rc_pack_items items = rc_pack_open(&in);
    uint64_t how = rc_pack_next_number(&in, &items);
    (void)rc_pack_next_number(&in, &items); /* the print */
    uint64_t term = or_this(rc_pack_next_number(&in, &items), TERM_OF_THIS, revision);

    plan->err = RC_OK;
    plan->failure_count = 0;
    plan->result_count = 0;
    read_failures(plan, &in, &items);
    struct rc_pack_items list = rc_pack_next_array(&in, &items);
    while (list.left > 0 && in.err == RC_OK) {
        read_result(plan, &in, &list, revision);
    }
    rc_pack_close(&in, &list);
    rc_pack_close(&in, &items);
    if (in.err != RC_OK || how > OUTCOME_TOO_LARGE) {
        return in.err != RC_OK ? in.err : RC_EMALFORMED;
    }
    *out = (struct store_outcome){.err = plan->err,
                                  .text = "",
                                  .succeeded = how == 1,
                                  .revision = revision,
                                  .term = term,
                                  .failures = plan->failures,
                                  .failure_count = plan->failure_count,
                                  .results = plan->results,
                                  .result_count = plan->result_count};
    if (how == OUTCOME_TOO_LARGE) {
        out->err = RC_EUNKNOWN;
        out->text = "it was done, but what it read was too much to be kept";
    }
    return RC_OK;
}

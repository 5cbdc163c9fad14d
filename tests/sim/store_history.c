/* store_history.c - histories in memory and in files; each key is judged alone. */
#include "tests/sim/store_history.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const verbs[HISTORY_VERB_COUNT] = {
    "put", "cas", "delete", "delete-cas", "get", "stale", "lock", "unlock"};
static const char *const results[HISTORY_RESULT_COUNT] = {"true", "false", "unknown",
                                                          "delay"};

void history_add(struct history *history, const struct history_op *op)
{
    if (history->count == history->capacity) {
        size_t capacity = history->capacity == 0 ? 256 : history->capacity * 2;
        struct history_op *ops = realloc(history->ops, capacity * sizeof *ops);
        if (ops == NULL) {
            abort();
        }
        history->ops = ops;
        history->capacity = capacity;
    }
    history->ops[history->count++] = *op;
}

void history_fini(struct history *history)
{
    free(history->ops);
    *history = (struct history){.ops = NULL};
}

static const char *or_dash(const char *text)
{
    return text[0] == '\0' ? "-" : text;
}

void history_write(const struct history_op *op, FILE *file)
{
    char back[24] = "-";

    if (op->back != HISTORY_NEVER) {
        (void)snprintf(back, sizeof back, "%llu", (unsigned long long)op->back);
    }
    (void)fprintf(file, "%llu %s %u %s %s %s %llu %s %s %llu %s %s %llu\n",
                  (unsigned long long)op->call, back, op->client, verbs[op->verb],
                  op->key, or_dash(op->value), (unsigned long long)op->arg,
                  or_dash(op->session), results[op->result],
                  (unsigned long long)op->index, or_dash(op->seen),
                  or_dash(op->seen_session), (unsigned long long)op->term);
}

/* ---- reading */

static bool take_number(const char *text, uint64_t nothing, uint64_t *out)
{
    if (strcmp(text, "-") == 0) {
        *out = nothing;
        return true;
    }
    return rc_text_to_u64(text, UINT64_MAX, out) == 0;
}

static bool take_name(const char *text, const char *const *names, unsigned count,
                      unsigned *out)
{
    for (*out = 0; *out < count; (*out)++) {
        if (strcmp(text, names[*out]) == 0) {
            return true;
        }
    }
    return false;
}

static bool take_text(const char *text, char *space, size_t size)
{
    return rc_text_put(space, size, strcmp(text, "-") == 0 ? "" : text) == 0;
}

enum { FIELDS = 13 };

static bool take_fields(char fields[FIELDS][64], struct history_op *op)
{
    uint64_t client = 0;
    unsigned verb = 0;
    unsigned result = 0;
    bool is_good = take_number(fields[0], 0, &op->call) &&
                   take_number(fields[1], HISTORY_NEVER, &op->back) &&
                   take_number(fields[2], 0, &client) &&
                   take_name(fields[3], verbs, HISTORY_VERB_COUNT, &verb) &&
                   take_text(fields[4], op->key, sizeof op->key) &&
                   take_text(fields[5], op->value, sizeof op->value) &&
                   take_number(fields[6], 0, &op->arg) &&
                   take_text(fields[7], op->session, sizeof op->session) &&
                   take_name(fields[8], results, HISTORY_RESULT_COUNT, &result) &&
                   take_number(fields[9], 0, &op->index) &&
                   take_text(fields[10], op->seen, sizeof op->seen) &&
                   take_text(fields[11], op->seen_session, sizeof op->seen_session) &&
                   take_number(fields[12], 0, &op->term);

    op->client = (unsigned)client;
    op->verb = (enum history_verb)verb;
    op->result = (enum history_result)result;
    return is_good && op->call <= op->back;
}

static size_t split(const char *text, char fields[FIELDS][64])
{
    size_t count = 0;
    size_t size = 0;

    for (; *text != '\0' && count < FIELDS; text++) {
        bool is_space = *text == ' ' || *text == '\n';
        if (!is_space && size < 63) {
            fields[count][size++] = *text;
            fields[count][size] = '\0';
        } else if (is_space && size > 0) {
            count++;
            size = 0;
        }
    }
    return count + (size > 0);
}

bool history_read(struct history *history, FILE *file, size_t *line)
{
    char text[1024];
    char fields[FIELDS][64];

    for (*line = 1; fgets(text, sizeof text, file) != NULL; (*line)++) {
        struct history_op op = {.call = 0};
        if (text[0] == '#' || text[0] == '\n') {
            continue;
        }
        if (split(text, fields) != FIELDS || !take_fields(fields, &op)) {
            return false;
        }
        history_add(history, &op);
    }
    return true;
}

/* ---- judging */

void verdict_fail(struct verdict *verdict, const struct history_op *op, const char *what)
{
    char space[384] = "";
    FILE *file = fmemopen(space, sizeof space - 1, "w");

    if (file != NULL) {
        history_write(op, file);
        (void)fclose(file);
    }
    verdict->is_good = false;
    (void)snprintf(verdict->why, sizeof verdict->why, "%s: %s", what, space);
}

static int by_key_then_call(const void *a, const void *b)
{
    const struct history_op *one = a;
    const struct history_op *other = b;
    int order = strcmp(one->key, other->key);

    if (order != 0) {
        return order;
    }
    if (one->call != other->call) {
        return one->call < other->call ? -1 : 1;
    }
    return one->back < other->back ? -1 : one->back > other->back;
}

void history_check(struct history *history, size_t every, struct verdict *verdict)
{
    size_t keys = 0;

    *verdict = (struct verdict){.is_good = true};
    if (history->count > 0) {
        qsort(history->ops, history->count, sizeof *history->ops, by_key_then_call);
    }
    for (size_t i = 0, n = 0; i < history->count && verdict->is_good; i += n, keys++) {
        const struct history_op *ops = history->ops + i;
        for (n = 1; i + n < history->count && strcmp(ops[n].key, ops->key) == 0;) {
            n++;
        }
        if (witness_key(ops, n, verdict) && every > 0 && keys % every == 0) {
            (void)search_key(ops, n, verdict);
        }
    }
}

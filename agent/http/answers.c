#include "agent/http/answers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/acl/subject.h"
#include "agent/http/exchange.h"
#include "base/err.h"

struct answer {
    struct rc_buffer question;
    struct rc_buffer body;
};

struct answers {
    struct answer kept[ANSWERS_MAX];
    size_t count;
    size_t next; /* the one to give way */
    uint64_t index;
    struct rc_buffer question; /* of the exchange at hand */
};

struct answers *answers_create(void)
{
    return calloc(1, sizeof(struct answers));
}

void answers_destroy(struct answers *answers)
{
    if (answers == NULL) {
        return;
    }
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        rc_buffer_fini(&answers->kept[i].question);
        rc_buffer_fini(&answers->kept[i].body);
    }
    rc_buffer_fini(&answers->question);
    free(answers);
}

/* Parameters that decide when and with which headers to answer, not what. */
static bool is_about_time(const char *name)
{
    static const char *const names[] = {"index", "wait", "stale", "consistent", "cached"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Path and parameters with their NULs, so that no two questions look the same. */
static void write_question(const struct http_exchange *x, struct rc_buffer *out)
{
    /* Who may see different things asks different questions. */
    uint64_t audience = x->subject != NULL ? x->subject->serial + 1 : 0;

    rc_buffer_clear(out);
    rc_buffer_append(out, &audience, sizeof audience);
    rc_buffer_append(out, x->target.path, strlen(x->target.path) + 1);
    for (size_t i = 0; i < x->target.parameter_count; i++) {
        const struct target_parameter *p = &x->target.parameters[i];
        if (!is_about_time(p->name)) {
            rc_buffer_append(out, p->name, strlen(p->name) + 1);
            rc_buffer_append(out, p->value, strlen(p->value) + 1);
        }
    }
}

bool answers_recall(struct answers *answers, struct http_exchange *x, uint64_t index)
{
    if (answers == NULL) {
        return false;
    }
    if (answers->index != index) {
        answers->count = 0;
        answers->next = 0;
        answers->index = index;
    }
    write_question(x, &answers->question);
    for (size_t i = 0; i < answers->count; i++) {
        const struct answer *answer = &answers->kept[i];
        if (answer->question.size == answers->question.size &&
            memcmp(answer->question.bytes, answers->question.bytes,
                   answer->question.size) == 0) {
            (void)exchange_json(x);
            rc_buffer_append(&x->out, answer->body.bytes, answer->body.size);
            return true;
        }
    }
    return false;
}

void answers_keep(struct answers *answers, const struct http_exchange *x, uint64_t index)
{
    assert(x->status == 200);

    if (answers == NULL || answers->index != index || x->out.size > ANSWER_BYTES_MAX ||
        x->is_filtered) { /* that must be said in a header, which is not kept */
        return;
    }
    struct answer *answer = &answers->kept[answers->next];
    write_question(x, &answer->question);
    rc_buffer_clear(&answer->body);
    rc_buffer_append(&answer->body, x->out.bytes, x->out.size);
    if (answer->question.err != RC_OK || answer->body.err != RC_OK) {
        rc_buffer_clear(
            &answer->question); /* matches nothing: a question is never empty */
        rc_buffer_clear(&answer->body);
    }
    answers->next = (answers->next + 1) % ANSWERS_MAX;
    answers->count += answers->count < ANSWERS_MAX ? 1 : 0;
}

#include "base/pattern.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/postfix.h"

struct instruction {
    enum step_kind kind;
    uint16_t set;
    int next; /* an instruction; while the program is built, the next exit of a chain */
    int other;
};

struct rc_pattern {
    struct postfix postfix;
    struct instruction program[RC_PATTERN_STEPS_MAX + 1]; /* at most one a step */
    int program_size;
    int start;
    /* For matching: two lists of states, and in which round each was put in. */
    int now[RC_PATTERN_STEPS_MAX + 1];
    int soon[RC_PATTERN_STEPS_MAX + 1];
    int pending[2 * RC_PATTERN_STEPS_MAX + 2];
    uint32_t round_of[RC_PATTERN_STEPS_MAX + 1];
    uint32_t round;
};

/* ---- Postfix to program. A fragment has one entry, and exits chained through the fields
 * that are not yet known: `next` and `other` of instructions, told apart by sign. */

struct fragment {
    int start;
    int exits; /* first of the chain: +i is `next` of i-1, -i is `other`; 0 ends it */
};

static int *exit_field(struct rc_pattern *p, int exit)
{
    size_t at = (size_t)abs(exit);

    assert(at > 0 && at <= RC_PATTERN_STEPS_MAX + 1);
    return exit > 0 ? &p->program[at - 1].next : &p->program[at - 1].other;
}

static void connect(struct rc_pattern *p, int exits, int target)
{
    while (exits != 0) {
        int *field = exit_field(p, exits);
        exits = *field;
        *field = target;
    }
}

static int append(struct rc_pattern *p, int exits, int more)
{
    int at = exits;

    while (*exit_field(p, at) != 0) {
        at = *exit_field(p, at);
    }
    *exit_field(p, at) = more;
    return exits;
}

static int add(struct rc_pattern *p, enum step_kind kind, uint16_t set)
{
    p->program[p->program_size] = (struct instruction){.kind = kind, .set = set};
    return p->program_size++;
}

/* The loops and options: a split in front of or behind `f`. */
static struct fragment build_repeat(struct rc_pattern *p, enum step_kind kind,
                                    struct fragment f)
{
    int split = add(p, STEP_SPLIT, 0);

    p->program[split].next = f.start;
    if (kind == STEP_MAYBE) {
        return (struct fragment){split, append(p, f.exits, -(split + 1))};
    }
    connect(p, f.exits, split);
    return (struct fragment){kind == STEP_PLUS ? f.start : split, -(split + 1)};
}

static struct fragment build_or(struct rc_pattern *p, struct fragment a,
                                struct fragment b)
{
    int split = add(p, STEP_SPLIT, 0);

    p->program[split].next = a.start;
    p->program[split].other = b.start;
    return (struct fragment){split, append(p, a.exits, b.exits)};
}

static void build(struct rc_pattern *p)
{
    struct fragment stack[RC_PATTERN_STEPS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < p->postfix.step_count; i++) {
        const struct step *step = &p->postfix.steps[i];
        if (step->kind == STEP_CONCATENATE) {
            assert(count >= 2);
            count--;
            connect(p, stack[count - 1].exits, stack[count].start);
            stack[count - 1].exits = stack[count].exits;
        } else if (step->kind == STEP_OR) {
            assert(count >= 2);
            count--;
            stack[count - 1] = build_or(p, stack[count - 1], stack[count]);
        } else if (step->kind == STEP_STAR || step->kind == STEP_PLUS ||
                   step->kind == STEP_MAYBE) {
            assert(count >= 1);
            stack[count - 1] = build_repeat(p, step->kind, stack[count - 1]);
        } else {
            int at = add(p, step->kind, step->set);
            stack[count++] = (struct fragment){at, at + 1};
        }
    }
    assert(count == 1);
    p->start = stack[0].start;
    connect(p, stack[0].exits, add(p, STEP_FOUND, 0));
}

int rc_pattern_compile(const char *text, struct rc_pattern **out, const char **why)
{
    if (strlen(text) > RC_PATTERN_BYTES_MAX) {
        *why = "expression too large";
        return RC_ETOOBIG;
    }
    struct rc_pattern *pattern = calloc(1, sizeof *pattern);
    if (pattern == NULL) {
        return RC_ENOMEM;
    }
    int err = postfix_read(text, &pattern->postfix, why);
    if (err != RC_OK) {
        free(pattern);
        return err;
    }
    build(pattern);
    *out = pattern;
    return RC_OK;
}

void rc_pattern_destroy(struct rc_pattern *pattern)
{
    free(pattern);
}

/* ---- Matching. */

struct place {
    int before; /* the byte before, -1 at the start */
    int after;  /* the byte after, -1 at the end */
};

static bool holds(enum step_kind kind, struct place place)
{
    bool is_edge = byte_set_is_word(place.before) != byte_set_is_word(place.after);

    switch (kind) {
    case STEP_BEGIN:
        return place.before < 0;
    case STEP_END:
        return place.after < 0;
    case STEP_WORD_EDGE:
        return is_edge;
    case STEP_NO_WORD_EDGE:
        return !is_edge;
    case STEP_EMPTY:
        return true;
    case STEP_SET:
    case STEP_CONCATENATE:
    case STEP_OR:
    case STEP_STAR:
    case STEP_PLUS:
    case STEP_MAYBE:
    case STEP_SPLIT:
    case STEP_FOUND:
        break;
    }
    return false;
}

/* Puts `state` and what it reaches without a byte into `list`. True if the end is among it. */
static bool reach(struct rc_pattern *p, int state, struct place place, int *list,
                  size_t *count)
{
    size_t waiting = 0;

    p->pending[waiting++] = state;
    while (waiting > 0) {
        int at = p->pending[--waiting];
        const struct instruction *instruction = &p->program[at];
        if (p->round_of[at] == p->round) {
            continue;
        }
        p->round_of[at] = p->round;
        if (instruction->kind == STEP_FOUND) {
            return true;
        }
        if (instruction->kind == STEP_SET) {
            list[(*count)++] = at;
        } else if (instruction->kind == STEP_SPLIT) {
            p->pending[waiting++] = instruction->other;
            p->pending[waiting++] = instruction->next;
        } else if (holds(instruction->kind, place)) {
            p->pending[waiting++] = instruction->next;
        }
    }
    return false;
}

bool rc_pattern_is_in(struct rc_pattern *p, const char *text, size_t size)
{
    int *now = p->now;
    int *soon = p->soon;
    size_t now_count = 0;

    p->round = 0;
    memset(p->round_of, 0, sizeof p->round_of);
    for (size_t i = 0; i <= size; i++) {
        struct place place = {
            .before = i > 0 ? (unsigned char)text[i - 1] : -1,
            .after = i < size ? (unsigned char)text[i] : -1,
        };
        size_t soon_count = 0;
        p->round++;
        for (size_t s = 0; s < now_count; s++) {
            const struct instruction *instruction = &p->program[now[s]];
            if (byte_set_has(&p->postfix.sets[instruction->set],
                             (unsigned char)place.before) &&
                reach(p, instruction->next, place, soon, &soon_count)) {
                return true;
            }
        }
        if (reach(p, p->start, place, soon, &soon_count)) { /* it may begin anywhere */
            return true;
        }
        int *other = now;
        now = soon;
        soon = other;
        now_count = soon_count;
    }
    return false;
}

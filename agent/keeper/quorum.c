/* quorum.c - one step at a time from one rule of confirmation to the next. */
#include "agent/keeper/quorum.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper.h"
#include "base/err.h"
#include "base/text.h"
#include "base/writer.h"

bool quorum_set_has(const struct quorum_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool quorum_set_add(struct quorum_set *set, const char *name)
{
    size_t at = 0;

    while (at < set->count && strcmp(set->names[at], name) < 0) {
        at++;
    }
    if (at < set->count && strcmp(set->names[at], name) == 0) {
        return true;
    }
    if (set->count == KEEPER_MEMBERS_MAX) {
        return false;
    }
    memmove(set->names[at + 1], set->names[at], (set->count - at) * sizeof *set->names);
    set->count++;
    return rc_text_put(set->names[at], sizeof set->names[at], name) == RC_OK;
}

bool quorum_set_within(const struct quorum_set *small, const struct quorum_set *large)
{
    for (size_t i = 0; i < small->count; i++) {
        if (!quorum_set_has(large, small->names[i])) {
            return false;
        }
    }
    return true;
}

bool quorum_set_equals(const struct quorum_set *a, const struct quorum_set *b)
{
    return a->count == b->count && quorum_set_within(a, b);
}

int quorum_of(const struct quorum_set *members, int k)
{
    int count = (int)members->count;

    return k < 1 || k > count ? KEEPER_QUORUM_NEVER : count + 1 - k;
}

/* The least k whose every set meets every electing set of the record; 0: it elects nobody, so
 * all are covered. */
static int covered_k(const struct quorum_record *record)
{
    return record->q == KEEPER_QUORUM_NEVER ? 0
                                            : (int)record->members.count + 1 - record->q;
}

static bool is_same_record(const struct quorum_record *a, const struct quorum_record *b)
{
    return a->q == b->q && quorum_set_equals(&a->members, &b->members);
}

static void write_step(struct quorum_next *out, const struct quorum_record *record)
{
    out->step = QUORUM_WRITE;
    out->record = *record;
}

/* Step 1: harder to elect, for what is acknowledged now and what will be. */
static void widen(const struct quorum_now *now, const struct quorum_names *wish,
                  struct quorum_next *out)
{
    struct quorum_record wide = now->record;
    int k = covered_k(&now->record);

    for (size_t i = 0; i < wish->names.count; i++) {
        if (!quorum_set_add(&wide.members, wish->names.names[i])) {
            out->step = QUORUM_REST; /* no room: nothing is changed */
            return;
        }
    }
    wide.q = quorum_of(&wide.members, wish->k < k ? wish->k : k);
    write_step(out, &wide);
}

/* Between an asynchronous cluster, whose record promises nothing, and the others. */
static bool crosses(const struct quorum_now *now, enum quorum_alone alone,
                    struct quorum_next *out)
{
    bool is_anybody = now->record.q == 0;
    struct quorum_record record = {.q =
                                       alone == QUORUM_ANYBODY ? 0 : KEEPER_QUORUM_NEVER};

    if (is_anybody == (alone == QUORUM_ANYBODY)) {
        return false;
    }
    write_step(out, &record);
    return true;
}

void quorum_step(const struct quorum_now *now, const struct quorum_names *wish,
                 enum quorum_alone alone, struct quorum_next *out)
{
    *out = (struct quorum_next){.step = QUORUM_REST, .names = *wish};
    assert(alone == QUORUM_NOBODY || wish->k == 0);
    if (crosses(now, alone, out)) {
        return;
    }
    bool is_set = now->names_are_known && now->names.k == wish->k &&
                  quorum_set_equals(&now->names.names, &wish->names);
    if (!is_set) {
        bool is_covered = alone == QUORUM_ANYBODY ||
                          (quorum_set_within(&wish->names, &now->record.members) &&
                           wish->k >= covered_k(&now->record));
        if (is_covered) {
            out->step = QUORUM_SET;
        } else {
            widen(now, wish, out);
        }
        return;
    }
    struct quorum_record final = {.members = wish->names,
                                  .q = quorum_of(&wish->names, wish->k)};
    if (alone == QUORUM_ANYBODY || is_same_record(&final, &now->record)) {
        return;
    }
    if (wish->k > 0 && final.q != KEEPER_QUORUM_NEVER && !now->is_caught_up) {
        out->step = QUORUM_CATCH;
        return;
    }
    write_step(out, &final);
}

static void put(struct rc_writer *writer, const char *text)
{
    rc_writer_bytes(writer, text, strlen(text));
}

int quorum_show(const struct quorum_names *names, char *space, size_t size)
{
    struct rc_writer writer = rc_writer_over(space, size);
    char head[24];

    if (names->k > 0 && names->names.count == 0) {
        return rc_text_put(space, size, KEEPER_BLOCKED_NAMES);
    }
    (void)snprintf(head, sizeof head, "ANY %d (", names->k);
    put(&writer, names->k > 0 ? head : "");
    for (size_t i = 0; names->k > 0 && i < names->names.count; i++) {
        put(&writer, i > 0 ? ", \"" : "\"");
        put(&writer, names->names.names[i]);
        put(&writer, "\"");
    }
    put(&writer, names->k > 0 ? ")" : "");
    rc_writer_bytes(&writer, "", 1);
    return writer.err;
}

/* offenders.c - who sends what we refuse. */
#include "agent/gossip/offenders.h"

#include <stdlib.h>

enum { NS_IN_MS = 1000000 };

static const uint64_t tell_every_ns = (uint64_t)OFFENDERS_TELL_EVERY_MS * NS_IN_MS;

void offenders_fini(struct offenders *offenders)
{
    free(offenders->rows);
    *offenders = (struct offenders){0};
}

static bool is_less(const struct offender *a, const struct offender *b)
{
    return a->count != b->count ? a->count < b->count : a->last_ns < b->last_ns;
}

/* The row of these two, or the one to take for them. */
static struct offender *row_for(struct offenders *offenders,
                                const struct rc_address *address,
                                enum gossip_refusal reason)
{
    struct offender *least = &offenders->rows[0];

    for (size_t i = 0; i < OFFENDERS_MAX; i++) {
        struct offender *row = &offenders->rows[i];
        if (row->count > 0 && row->reason == reason &&
            rc_address_equals(&row->address, address)) {
            return row;
        }
        if (is_less(row, least)) {
            least = row;
        }
    }
    *least = (struct offender){.address = *address, .reason = reason};
    return least;
}

static bool may_tell(struct offenders *offenders, uint64_t now_ns)
{
    if (offenders->tells == 0 || now_ns - offenders->tells_since_ns >= tell_every_ns) {
        offenders->tells_since_ns = now_ns;
        offenders->tells = 0;
    }
    if (offenders->tells == OFFENDERS_TELLS_MAX) {
        return false;
    }
    offenders->tells++;
    return true;
}

const struct offender *offenders_note(struct offenders *offenders,
                                      const struct rc_address *address,
                                      enum gossip_refusal reason, uint64_t now_ns)
{
    if (offenders->rows == NULL) {
        offenders->rows = calloc(OFFENDERS_MAX, sizeof *offenders->rows);
    }
    if (offenders->rows == NULL) {
        return NULL;
    }
    struct offender *row = row_for(offenders, address, reason);
    row->count++;
    row->last_ns = now_ns;
    bool is_due = row->told_ns == 0 || now_ns - row->told_ns >= tell_every_ns;
    if (!is_due || !may_tell(offenders, now_ns)) {
        return NULL;
    }
    row->told_ns = now_ns;
    return row;
}

const struct offender *offenders_at(const struct offenders *offenders, size_t rank)
{
    for (size_t i = 0; offenders->rows != NULL && i < OFFENDERS_MAX; i++) {
        const struct offender *row = &offenders->rows[i];
        size_t above = 0;
        for (size_t k = 0; k < OFFENDERS_MAX; k++) {
            const struct offender *other = &offenders->rows[k];
            bool is_tie = !is_less(other, row) && !is_less(row, other);
            above += is_less(row, other) || (is_tie && k < i);
        }
        if (above == rank) {
            return row->count > 0 ? row : NULL;
        }
    }
    return NULL;
}

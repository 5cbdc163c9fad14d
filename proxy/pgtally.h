/* pgtally.h - what all threads know together of one pool's PostgreSQL sessions.
 *
 * Until when the word about the primary counts, how many clients are held, and what became of
 * sessions. Relaxed atomics: any thread reads and counts. Reference-counted like an instance, as
 * it outlives snapshots and configurations. */
#ifndef PROXY_PGTALLY_H
#define PROXY_PGTALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum pgtally_event {
    PGTALLY_OPENED,     /* sessions that reached a server */
    PGTALLY_CUT_TERM,   /* cut: the term, the holder or its right to be written changed */
    PGTALLY_CUT_VIEW,   /* cut: too long without a word about the primary */
    PGTALLY_CUT_COMMIT, /* cut: a commit was not confirmed by a standby */
    PGTALLY_LEFT,       /* ended: its server is no longer to be read */
    PGTALLY_HELD,       /* clients that had to wait for a server */
    PGTALLY_SERVED,     /* of those, how many got one */
    PGTALLY_EXPIRED,    /* and how many waited in vain */
    PGTALLY_REFUSED,    /* too many waited already */
    PGTALLY_CANCELS,    /* cancel requests sent on */
    PGTALLY_CANCELS_LOST,      /* cancel requests for nobody we know */
    PGTALLY_CANCELS_DENIED,    /* cancel requests, or too many of them, that go nowhere */
    PGTALLY_TLS_FAILED,        /* clients whose TLS came to nothing, or too late */
    PGTALLY_SERVER_TLS_FAILED, /* clients refused as their server's TLS did */
    PGTALLY_EVENT_COUNT
};

struct pgtally {
    _Atomic uint32_t references;
    _Atomic uint32_t waiting; /* held now */
    /* ms of rc_clock_boot_ms; after that no byte goes to the primary. UINT64_MAX: no limit. */
    _Atomic uint64_t counts_until_ms;
    _Atomic uint64_t events[PGTALLY_EVENT_COUNT];
    _Atomic uint64_t waited_ms; /* of those who were served, in sum */
    _Atomic uint64_t waited_max_ms;
};

/* One reference. NULL when memory is out. */
struct pgtally *pgtally_create(void);
struct pgtally *pgtally_retain(struct pgtally *tally);
void pgtally_release(struct pgtally *tally); /* NULL is allowed */

void pgtally_count(struct pgtally *tally, enum pgtally_event event);
void pgtally_note_wait(struct pgtally *tally, uint64_t ms); /* counts SERVED */

uint64_t pgtally_events(const struct pgtally *tally, enum pgtally_event event);
const char *pgtally_event_name(enum pgtally_event event); /* "cut_term" */

#endif

/* pgtally.h - what all threads know together of one pool's PostgreSQL sessions.
 *
 * Until when the word about the primary counts, how many sessions stand where, how long clients
 * were held, and what became of them. Relaxed atomics: any thread reads and counts.
 * Reference-counted like an instance, as it outlives snapshots and configurations. */
#ifndef PROXY_UPSTREAM_PGTALLY_H
#define PROXY_UPSTREAM_PGTALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum pgtally_event {
    PGTALLY_OPENED,     /* sessions that reached a server */
    PGTALLY_CUT_TERM,   /* cut: the term, the holder or its right to be written changed */
    PGTALLY_CUT_VIEW,   /* cut: too long without a word about the primary */
    PGTALLY_CUT_COMMIT, /* cut: a commit was not confirmed by a standby */
    PGTALLY_LEFT,       /* ended: its server is no longer to be read */
    PGTALLY_IDLE,       /* ended: nothing passed for too long */
    PGTALLY_HELD,       /* clients that had to wait for a server */
    PGTALLY_SERVED,     /* of those, how many got one */
    PGTALLY_EXPIRED,    /* and how many waited in vain */
    PGTALLY_REFUSED,    /* too many waited already */
    PGTALLY_REFUSED_START,   /* that was no start of a session */
    PGTALLY_REFUSED_SLOW,    /* it took too long to say who it is */
    PGTALLY_REFUSED_CLEAR,   /* it came in the clear where TLS is wanted */
    PGTALLY_REFUSED_FAR,     /* its server is elsewhere, and the way there in the clear */
    PGTALLY_REFUSED_BINDING, /* its password is bound to a certificate not the server's */
    PGTALLY_CANCELS,         /* cancel requests sent on */
    PGTALLY_CANCELS_LOST,    /* cancel requests for nobody we know */
    PGTALLY_CANCELS_DENIED,  /* cancel requests, or too many of them, that go nowhere */
    PGTALLY_TLS_FAILED,      /* clients whose TLS came to nothing, or too late */
    PGTALLY_SERVER_TLS_FAILED, /* clients refused as their server's TLS did */
    PGTALLY_EVENT_COUNT
};

/* Where a session stands. */
enum pgtally_state {
    PGTALLY_STARTING,   /* its client has not yet said who it is */
    PGTALLY_WAITING,    /* held */
    PGTALLY_CONNECTING, /* on the way to a server that has not greeted it yet */
    PGTALLY_OPEN,
    PGTALLY_CANCELLING, /* no session, but a cancel request on its way */
    PGTALLY_STATE_COUNT
};

/* For what clients are held: a crowd of readers must not keep writers from being held. */
enum pgtally_line { PGTALLY_WRITERS, PGTALLY_READERS, PGTALLY_LINE_COUNT };

/* Upper bounds of the histogram, in ms; one more takes what is above them all. */
enum { PGTALLY_BOUND_COUNT = 10 };

struct pgtally {
    _Atomic uint32_t references;
    _Atomic uint32_t sessions[PGTALLY_STATE_COUNT]; /* now */
    _Atomic uint32_t held[PGTALLY_LINE_COUNT];      /* of those that wait */
    /* ms of rc_clock_boot_ms; after that no byte goes to the primary. UINT64_MAX: no limit. */
    _Atomic uint64_t counts_until_ms;
    _Atomic uint64_t events[PGTALLY_EVENT_COUNT];
    _Atomic uint64_t waits[PGTALLY_BOUND_COUNT + 1]; /* of those who were served */
    _Atomic uint64_t waited_ms;                      /* of the same, in sum */
    _Atomic uint64_t waited_max_ms;
};

/* One reference. NULL when memory is out. */
struct pgtally *pgtally_create(void);
struct pgtally *pgtally_retain(struct pgtally *tally);
void pgtally_release(struct pgtally *tally); /* NULL is allowed */

void pgtally_count(struct pgtally *tally, enum pgtally_event event);
void pgtally_note_wait(struct pgtally *tally, uint64_t ms); /* counts SERVED */

/* A session comes to a state, or leaves one. */
void pgtally_enter(struct pgtally *tally, enum pgtally_state state);
void pgtally_leave(struct pgtally *tally, enum pgtally_state state);
uint32_t pgtally_sessions(const struct pgtally *tally, enum pgtally_state state);

/* A client is held, and so many are now; or it is not any more. */
uint32_t pgtally_hold(struct pgtally *tally, enum pgtally_line line);
void pgtally_let_go(struct pgtally *tally, enum pgtally_line line);
uint32_t pgtally_held(const struct pgtally *tally, enum pgtally_line line);

uint64_t pgtally_events(const struct pgtally *tally, enum pgtally_event event);

/* How many waits ended within bound `index`, those of smaller ones included; index
 * PGTALLY_BOUND_COUNT: all of them. */
uint64_t pgtally_waits_within(const struct pgtally *tally, unsigned index);
uint32_t pgtally_bound_ms(unsigned index); /* below PGTALLY_BOUND_COUNT */

const char *pgtally_event_name(enum pgtally_event event); /* "cut_term" */
const char *pgtally_state_name(enum pgtally_state state); /* "waiting" */

#endif

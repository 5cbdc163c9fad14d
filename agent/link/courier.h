/* courier.h - which server is asked, and what happens to a request whose server fails.
 *
 * One server at a time, the nearest that answers, until its link breaks; then the next. A request
 * that was never sent fails at once when nobody can be reached; one that was sent and whose
 * answer was lost with the link is asked again, under the same id, for COURIER_PATIENCE_MS: the
 * servers see to it that it happens once. A request that waits at a server (a blocking query)
 * moves just so.
 *
 * Pure: what is to be done comes out as actions. */
#ifndef AGENT_LINK_COURIER_H
#define AGENT_LINK_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/link/link_message.h"
#include "base/address.h"

enum {
    COURIER_PLACES_MAX = 64,
    COURIER_PATIENCE_MS = 5000, /* for whom an answer was lost */
    COURIER_SHUNNED_MS = 1000,  /* a server that failed, while there are others */
    COURIER_RETRY_MS = 250,
    COURIER_TRIES_MAX = 8,
    COURIER_IDLE_MS = 600 * 1000 /* a link nobody has used for so long is closed */
};

struct courier;

struct courier_place {
    char name[LINK_NAME_MAX + 1];
    struct rc_address address;
    double distance_s; /* round trip, as gossip estimates it; HUGE_VAL: unknown */
};

enum courier_action_type {
    COURIER_DIAL,      /* `place`: open a link, then courier_up() or courier_down() */
    COURIER_SEND,      /* `request` over the link, then courier_sent() */
    COURIER_TAKE_BACK, /* `number` on the link: nobody waits for it */
    COURIER_CLOSE,     /* the link; courier_down() is not to be called */
    COURIER_FAIL       /* `ticket` with 500 and `text` */
};

struct courier_action {
    enum courier_action_type type;
    const struct courier_place *place; /* these: borrowed until the next call */
    const struct link_request *request;
    uint64_t ticket;
    uint32_t number;
    const char *text; /* static */
};

struct courier_counts {
    uint64_t asked;
    uint64_t answered;
    uint64_t failed;
    uint64_t moved; /* asked again, elsewhere or over a new link */
};

/* NULL when memory is out. `seed` breaks ties between servers that are equally near. */
struct courier *courier_create(uint64_t seed);
void courier_destroy(struct courier *courier); /* NULL is allowed */

/* The servers there are, as gossip sees them; copied. More than COURIER_PLACES_MAX are cut. */
void courier_set_places(struct courier *courier, const struct courier_place *places,
                        size_t count);

/* Takes a request; its id is the same for all tries. Copied. RC_OK: COURIER_FAIL or
 * courier_answered() ends it; RC_ENOMEM. `ticket` is the caller's, never 0. */
int courier_ask(struct courier *courier, uint64_t now_ms,
                const struct link_request *request, uint64_t ticket);

/* Nobody waits for it any more. */
void courier_forget(struct courier *courier, uint64_t ticket);

/* What to do now; false: nothing. Called after every call of the others until it is false. */
bool courier_next(struct courier *courier, uint64_t now_ms, struct courier_action *out);

/* It was sent under this number; `number` 0: it cannot be sent. */
void courier_sent(struct courier *courier, uint64_t ticket, uint32_t number);

/* The link that was dialed is up; is broken, or could not be made. */
void courier_up(struct courier *courier, uint64_t now_ms);
void courier_down(struct courier *courier, uint64_t now_ms);

/* The link was ended by us: it is made anew, and what was asked is asked again. */
void courier_renew(struct courier *courier, uint64_t now_ms);

/* An answer has come: the ticket it is for, 0: nobody's. It is forgotten. */
uint64_t courier_answered(struct courier *courier, uint64_t now_ms, uint32_t number);

/* The server will not do it: another one is asked. */
void courier_refused(struct courier *courier, uint64_t now_ms, uint32_t number);

uint64_t courier_deadline_ms(const struct courier *courier); /* UINT64_MAX: none */

/* The server whose link is up, else NULL. */
const struct courier_place *courier_current(const struct courier *courier);
size_t courier_open_count(const struct courier *courier);
struct courier_counts courier_counts(const struct courier *courier);

#endif

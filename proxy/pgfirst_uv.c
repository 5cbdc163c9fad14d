/* pgfirst_uv.c - what a client says before it has a server: TLS, start-up packet, cancel request. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/postgres_state_uv.h"

enum { CANCEL_LIMIT_MS = 2000, GUESSES_A_SECOND = 50 };

/* --- cancel requests --- */

/* The request goes to its server as it is; the client's end follows the last server's. */
static void on_cancel_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    s->dial = NULL;
    if (err != RC_OK || relay_attach(s->relay, fd) != RC_OK ||
        relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size) != RC_OK) {
        pgfirst_cancel_next(s);
        return;
    }
    session_count(s, PGTALLY_CANCELS);
}

void pgfirst_cancel_next(struct session *s)
{
    struct cancel_tour *tour = s->tour;
    if (tour == NULL || tour->at == tour->count) {
        session_end(s, RELAY_ORDERLY);
        return;
    }
    relay_detach(s->relay);
    s->dial = dial_start(s->postgres->worker->loop, &tour->places[tour->at++].server,
                         CANCEL_LIMIT_MS, on_cancel_dialed, s);
    if (s->dial == NULL) {
        session_end(s, RELAY_ORDERLY);
    }
}

/* A session that could be written under a term that is gone has been cut: nobody is there to be
 * cancelled, and whoever has the server now has nothing to do with it. */
static size_t drop_gone_terms(const struct session *s, struct cancel_tour *tour)
{
    const struct snapshot_pool *pool = session_pool(s);
    size_t kept = 0;
    for (size_t i = 0; i < tour->count; i++) {
        uint64_t term = tour->places[i].term;
        if (pool != NULL && (!pool->managed || term == 0 || term == pool->term)) {
            tour->places[kept++] = tour->places[i];
        }
    }
    return kept;
}

static void find_places(struct session *s, const struct pgwire_first *first,
                        struct cancel_tour *tour)
{
    struct cancel_map *map = s->postgres->worker->cancels;
    if (cancel_map_find(map, first->pid, first->key, first->key_size, &tour->places[0]) ==
        RC_OK) {
        tour->count = 1;
    } else if (ramp_take(&s->postgres->guesses, GUESSES_A_SECOND, rc_clock_ms())) {
        tour->count = cancel_map_guess(map, &s->peer, tour->places);
    }
    tour->count = drop_gone_terms(s, tour);
}

static void begin_cancel(struct session *s, const struct pgwire_first *first)
{
    const struct snapshot_pool *pool = session_pool(s);
    s->tour = calloc(1, sizeof *s->tour);
    if (s->tour == NULL || pool == NULL) {
        session_end(s, RELAY_ORDERLY);
        return;
    }
    s->tally = s->tally != NULL ? s->tally : pgtally_retain(pool->tally);
    find_places(s, first, s->tour);
    if (s->tour->count == 0) {
        session_count(s, PGTALLY_CANCELS_LOST);
        session_end(s, RELAY_ORDERLY);
        return;
    }
    s->early.size = first->size;
    session_enter(s, STAGE_CANCEL);
    s->deadline_ms = rc_clock_ms() + POSTGRES_START_LIMIT_MS;
    relay_set_ends(s->relay, RELAY_ENDS_TOLD);
    relay_read_client(s->relay,
                      RELAY_REST); /* some close at once: it is said all the same */
    pgfirst_cancel_next(s);
}

/* --- encryption --- */

static bool passes_tls(const struct session *s)
{
    const struct snapshot_pool *pool = session_pool(s);
    switch (session_config(s)->tls) {
    case CONFIG_TLS_AUTO:
        return pool != NULL && pool->managed;
    case CONFIG_TLS_PASS:
        return true;
    case CONFIG_TLS_REFUSE:
        break;
    }
    return false;
}

/* 'N': not here; the client may go on in the clear. Each may be asked once. */
static bool refuse_encryption(struct session *s, const struct pgwire_first *first)
{
    bool *refused = first->kind == PGWIRE_SSL ? &s->ssl_refused : &s->gss_refused;
    if (*refused || relay_send(s->relay, RELAY_CLIENT, "N", 1) != RC_OK) {
        return false;
    }
    *refused = true;
    rc_buffer_consume(&s->early, first->size);
    return true;
}

/* The server is to answer. What stands behind the request already was sent by somebody who cannot
 * know the answer, perhaps not by the client at all (CVE-2021-23214): refused. */
static void ask_server_for_tls(struct session *s, const struct pgwire_first *first)
{
    if (s->early.size > first->size) {
        session_refuse(s, "08P01", "rollcall-proxy: bytes behind SSLRequest");
        return;
    }
    s->veil = VEIL_ASKED;
    pgqueue_join(s);
}

static void begin_startup(struct session *s, const struct pgwire_first *first)
{
    s->replication = first->replication;
    if (session_config(s)->split && !first->replication &&
        pgwire_route_of(first) == PGWIRE_ROUTE_READ) {
        s->wants_read = true;
        (void)pgwire_strip_route(&s->early, first); /* cannot fail: it gets shorter */
    }
    pgqueue_join(s);
}

/* Reads on in what the client has sent. True when there may be more to read. */
static bool read_first(struct session *s)
{
    struct pgwire_first first;
    pgwire_read_first(s->early.bytes, s->early.size, &first);
    switch (first.kind) {
    case PGWIRE_MORE:
        return false;
    case PGWIRE_SSL:
        if (passes_tls(s) && !s->ssl_refused) {
            ask_server_for_tls(s, &first);
            return false;
        }
        if (refuse_encryption(s, &first)) {
            return s->early.size > 0;
        }
        break;
    case PGWIRE_GSSENC:
        if (refuse_encryption(s, &first)) {
            return s->early.size > 0;
        }
        break;
    case PGWIRE_CANCEL:
        begin_cancel(s, &first);
        return false;
    case PGWIRE_STARTUP:
        begin_startup(s, &first);
        return false;
    case PGWIRE_DIRECT_TLS:
        if (passes_tls(s) && !s->ssl_refused) {
            s->veil = VEIL_DIRECT;
            pgqueue_join(s);
        } else {
            session_end(s, RELAY_ORDERLY);
        }
        return false;
    case PGWIRE_BAD:
        break;
    }
    session_refuse(s, "08P01",
                   "rollcall-proxy: this is no start of a PostgreSQL session");
    return false;
}

enum relay_verdict pgfirst_receive(struct session *s, const uint8_t *bytes, size_t size)
{
    if (s->veil == VEIL_ASKED) {
        return session_refuse_now(s, "08P01", "rollcall-proxy: bytes behind SSLRequest");
    }
    rc_buffer_append(&s->early, bytes, size);
    if (s->early.err != RC_OK) {
        return session_refuse_now(s, "08P01",
                                  "rollcall-proxy: too much before the start");
    }
    if (s->stage != STAGE_FIRST) {
        return RELAY_TAKEN; /* goes to the server behind the start-up packet */
    }
    bool more = true;
    while (more) {
        more = read_first(s); /* may end the session: then it says false */
    }
    return RELAY_TAKEN;
}

/* pgcancel_uv.c - cancel requests: to the server of their session, and to no other. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/postgres/postgres_state_uv.h"

enum { CANCEL_LIMIT_MS = 2000, GUESSES_A_SECOND = 50 };

void pgcancel_send(struct session *s)
{
    if (relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size) != RC_OK) {
        pgcancel_next(s);
        return;
    }
    session_count(s, PGTALLY_CANCELS);
}

/* The request goes to its server as it is; the client's end follows the last server's. */
static void on_cancel_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    s->dial = NULL;
    if (err == RC_OK && session_tell_client(s, fd) != RC_OK) {
        (void)close(fd);
        err = RC_EIO;
    }
    if (err != RC_OK || relay_attach(s->relay, fd) != RC_OK) {
        pgcancel_next(s);
    } else if (!pgsecure_ask_server(s)) {
        pgcancel_send(s);
    }
}

void pgcancel_next(struct session *s)
{
    struct cancel_tour *tour = s->tour;
    if (tour == NULL || tour->at == tour->count) {
        session_end(s, RELAY_ORDERLY);
        return;
    }
    relay_detach(s->relay);
    s->server_tls = SERVER_TLS_NONE;
    s->dial = dial_start(s->postgres->worker->loop, &tour->places[tour->at++].server,
                         CANCEL_LIMIT_MS, on_cancel_dialed, s);
    if (s->dial == NULL) {
        session_end(s, RELAY_ORDERLY);
    }
}

static size_t drop_gone_terms(const struct session *s, struct cancel_tour *tour)
{
    const struct snapshot_pool *pool = session_pool(s);
    size_t kept = 0;
    for (size_t i = 0; i < tour->count; i++) {
        if (pool != NULL && pgroute_may_cancel(pool, tour->places[i].term)) {
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

static bool is_denied(const struct session *s)
{
    const struct config_listener *config = session_config(s);
    uint32_t workers = s->postgres->worker->snapshot->config->worker_threads;
    uint32_t rate = config->cancel_rate;
    rate = rate > 0 && workers > 1 ? (rate + workers - 1) / workers : rate;
    return config->cancel == CONFIG_CANCEL_DENY ||
           !ramp_take(&s->postgres->cancels, rate, rc_clock_ms());
}

void pgcancel_begin(struct session *s, const struct pgwire_first *first)
{
    const struct snapshot_pool *pool = session_pool(s);
    s->tour = calloc(1, sizeof *s->tour);
    if (s->tour == NULL || pool == NULL) {
        session_end(s, RELAY_ORDERLY);
        return;
    }
    if (is_denied(s)) { /* without a word, like a server that finds no such session */
        session_count(s, PGTALLY_CANCELS_DENIED);
        session_end(s, RELAY_ORDERLY);
        return;
    }
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
    pgcancel_next(s);
}

/* pgfirst_uv.c - what a client says before it has a server: TLS, start-up packet, cancel request. */
#include "base/clock.h"
#include "base/err.h"
#include "proxy/postgres/postgres_state_uv.h"

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
    case CONFIG_TLS_END:
        break;
    }
    return false;
}

static bool ends_tls(const struct session *s)
{
    return session_config(s)->tls == CONFIG_TLS_END &&
           worker_listener_tls(s->listener) != NULL;
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
        session_refuse_for(s, PGTALLY_REFUSED_START, "08P01",
                           "rollcall-proxy: bytes behind SSLRequest");
        return;
    }
    s->veil = VEIL_ASKED;
    pgqueue_join(s);
}

/* How it came here is as its listener wants it. Else the client is told, and false. */
static bool came_well(struct session *s)
{
    const struct config_listener *config = session_config(s);
    const struct tls *tls = relay_tls(s->relay, RELAY_CLIENT);
    if (config->tls == CONFIG_TLS_END && !config->tls_optional && !s->secured) {
        session_refuse_for(s, PGTALLY_REFUSED_CLEAR, "28000",
                           "rollcall-proxy: this listener wants TLS");
        return false;
    }
    if (s->direct && tls != NULL && !tls_agreed_on_postgresql(tls)) {
        session_refuse_for(s, PGTALLY_REFUSED_START, "08P01",
                           "rollcall-proxy: TLS without a request for it needs ALPN "
                           "\"postgresql\"");
        return false;
    }
    return true;
}

static void begin_startup(struct session *s, const struct pgwire_first *first)
{
    if (!came_well(s)) {
        return;
    }
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
        if (ends_tls(s)) {
            pgsecure_client(s, &first);
            return false;
        }
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
        pgcancel_begin(s, &first);
        return false;
    case PGWIRE_STARTUP:
        begin_startup(s, &first);
        return false;
    case PGWIRE_DIRECT_TLS:
        if (ends_tls(s)) {
            pgsecure_client(s, &first);
        } else if (passes_tls(s) && !s->ssl_refused) {
            s->veil = VEIL_DIRECT;
            pgqueue_join(s);
        } else {
            session_end(s, RELAY_ORDERLY);
        }
        return false;
    case PGWIRE_BAD:
        break;
    }
    session_refuse_for(s, PGTALLY_REFUSED_START, "08P01",
                       "rollcall-proxy: this is no start of a PostgreSQL session");
    return false;
}

enum relay_verdict pgfirst_receive(struct session *s, const uint8_t *bytes, size_t size)
{
    if (s->veil == VEIL_ASKED) {
        session_count(s, PGTALLY_REFUSED_START);
        return session_refuse_now(s, "08P01", "rollcall-proxy: bytes behind SSLRequest");
    }
    rc_buffer_append(&s->early, bytes, size);
    if (s->early.err != RC_OK) {
        session_count(s, PGTALLY_REFUSED_START);
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

/* pgsecure_uv.c - TLS that ends here: towards the client, and anew towards the server. */
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/postgres/postgres_state_uv.h"

enum { WORDS_A_SECOND = 1 };

static const char ssl_request[] = {0, 0, 0, 8, 0x04, (char)0xd2, 0x16, 0x2f};

/* --- the client's side --- */

void pgsecure_client_failed(struct session *s)
{
    const struct tls *tls = relay_tls(s->relay, RELAY_CLIENT);
    char peer[RC_ADDRESS_TEXT_MAX];
    if (!s->secured || tls == NULL || tls_is_open(tls) || s->told_tls_failed) {
        return;
    }
    s->told_tls_failed = true;
    session_count(s, PGTALLY_TLS_FAILED);
    if (ramp_take(&s->postgres->words, WORDS_A_SECOND, rc_clock_ms())) {
        rc_address_format_ip(&s->peer, peer);
        rc_log(RC_LOG_INFO, "proxy", "TLS with a client at %s came to nothing: %s", peer,
               tls_problem(tls)[0] != '\0' ? tls_problem(tls)
                                           : "it went, or took too long");
    }
}

void pgsecure_client(struct session *s, const struct pgwire_first *first)
{
    bool direct = first->kind == PGWIRE_DIRECT_TLS;
    if (s->secured || (!direct && s->early.size > first->size)) {
        session_refuse_for(s, PGTALLY_REFUSED_START, "08P01",
                           s->secured ? "rollcall-proxy: TLS within TLS"
                                      : "rollcall-proxy: bytes behind SSLRequest");
        return;
    }
    struct tls *tls = tls_accept(worker_listener_tls(s->listener));
    if (tls == NULL) {
        session_refuse(s, "53200", "rollcall-proxy: out of memory");
        return;
    }
    if (!direct && relay_send(s->relay, RELAY_CLIENT, "S", 1) != RC_OK) {
        tls_destroy(tls);
        session_end(s, RELAY_RESET);
        return;
    }
    s->secured = true;
    s->direct = direct;
    s->deadline_ms = rc_clock_ms() + session_config(s)->tls_limit_ms;
    int err = relay_secure(s->relay, RELAY_CLIENT, tls, s->early.bytes,
                           direct ? s->early.size : 0);
    rc_buffer_clear(&s->early);
    if (err != RC_OK) {
        pgsecure_client_failed(s);
        session_end(s, RELAY_ORDERLY);
    }
}

/* --- the server's side --- */

static enum relay_verdict refuse_server(struct session *s, const char *why)
{
    struct rc_buffer text = {0};
    session_count(s, PGTALLY_SERVER_TLS_FAILED);
    rc_buffer_format(&text, "rollcall-proxy: TLS with server %s came to nothing: %s",
                     s->instance != NULL ? s->instance->id : "", why);
    if (ramp_take(&s->postgres->words, WORDS_A_SECOND, rc_clock_ms())) {
        rc_log(RC_LOG_WARN, "proxy", "%s", rc_buffer_string(&text));
    }
    session_refuse(s, "08006", rc_buffer_string(&text));
    rc_buffer_fini(&text);
    return RELAY_OVER;
}

bool pgsecure_may_use(struct session *s, const struct instance *instance)
{
    const struct snapshot_pool *pool = session_pool(s);
    if (!s->secured || pool->tls != NULL || rc_address_is_loopback(&instance->address)) {
        return true;
    }
    session_refuse_for(
        s, PGTALLY_REFUSED_FAR, "08004",
        "rollcall-proxy: TLS ends here, and the server is on another machine: "
        "its pool needs server_tls");
    return false;
}

bool pgsecure_ask_server(struct session *s)
{
    const struct snapshot_pool *pool = session_pool(s);
    if (pool == NULL || pool->tls == NULL || s->veil != VEIL_NONE) {
        return false;
    }
    s->server_tls = SERVER_TLS_ASKED;
    s->binding = BINDING_UNKNOWN;
    /* If it is gone already, the relay tells so as well. */
    (void)relay_send(s->relay, RELAY_SERVER, ssl_request, sizeof ssl_request);
    return true;
}

static const struct rc_address *server_of(const struct session *s)
{
    return s->stage == STAGE_CANCEL ? &s->tour->places[s->tour->at - 1].server
                                    : &s->instance->address;
}

static enum relay_verdict give_up(struct session *s, const char *why)
{
    if (s->stage == STAGE_CANCEL) {
        pgcancel_next(s);
        return RELAY_TAKEN;
    }
    return refuse_server(s, why);
}

enum relay_verdict pgsecure_server_answers(struct session *s, const uint8_t *bytes,
                                           size_t size)
{
    const struct snapshot_pool *pool = session_pool(s);
    if (size != 1 || bytes[0] != 'S' || pool == NULL || pool->tls == NULL) {
        return give_up(s, bytes[0] == 'N' ? "it offers none" : "it does not answer so");
    }
    struct tls *tls = tls_connect(pool->tls, TLS_SPEAKS_POSTGRESQL,
                                  pool->config->server_name, server_of(s));
    if (tls == NULL) {
        return give_up(s, "out of memory");
    }
    if (relay_secure(s->relay, RELAY_SERVER, tls, NULL, 0) != RC_OK) {
        return give_up(s, "it went away");
    }
    s->server_tls = SERVER_TLS_ON;
    if (s->stage == STAGE_CANCEL) {
        pgcancel_send(s);
    } else {
        pgserver_begin(s);
    }
    return RELAY_TAKEN;
}

bool pgsecure_server_failed(struct session *s)
{
    const struct tls *tls = relay_tls(s->relay, RELAY_SERVER);
    if (s->server_tls != SERVER_TLS_ON || tls == NULL || tls_problem(tls)[0] == '\0') {
        return false;
    }
    (void)refuse_server(s, tls_problem(tls));
    return true;
}

/* --- passwords that are bound to a certificate --- */

/* The server checks that the client saw its certificate, but the client saw ours (RFC 5929): the
 * password would be refused as wrong. Better to say why. */
static enum relay_verdict refuse_binding(struct session *s)
{
    session_count(s, PGTALLY_REFUSED_BINDING);
    return session_refuse_now(
        s, "28000",
        "rollcall-proxy: this client binds its password to the certificate that it sees "
        "(SCRAM-SHA-256-PLUS), which is not the server's, as TLS ends here: let both have one "
        "certificate, let TLS pass, or connect with channel_binding=disable");
}

enum relay_verdict pgsecure_client_answers(struct session *s, const uint8_t *bytes,
                                           size_t size)
{
    const struct tls *ours = relay_tls(s->relay, RELAY_CLIENT);
    const struct tls *theirs = relay_tls(s->relay, RELAY_SERVER);
    if (s->binding == BINDING_FITS || ours == NULL || theirs == NULL ||
        tls_shows_same(ours, theirs)) {
        s->binding = BINDING_FITS;
        return RELAY_PASS;
    }
    rc_buffer_append(&s->notice, bytes, size);
    enum pgwire_binding found = pgwire_read_binding(s->notice.bytes, s->notice.size);
    if (found == PGWIRE_BINDING_MORE && s->notice.err == RC_OK) {
        return RELAY_TAKEN;
    }
    if (found == PGWIRE_BINDING_PLUS) {
        return refuse_binding(s);
    }
    s->binding = BINDING_FITS;
    int err = relay_send(s->relay, RELAY_SERVER, s->notice.bytes, s->notice.size);
    rc_buffer_fini(&s->notice);
    if (err != RC_OK) {
        session_end(s, RELAY_RESET);
        return RELAY_OVER;
    }
    return RELAY_TAKEN;
}

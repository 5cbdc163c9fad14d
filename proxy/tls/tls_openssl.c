/* tls_openssl.c - see tls_openssl.h. OpenSSL reads from and writes to memory only. */
#include "proxy/tls/tls_openssl.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/tls/tls_context_openssl.h"

enum {
    EARLY_MAX = 128 * 1024,   /* given to tls_send before the handshake is done */
    WIRE_KEPT_MAX = 4 * 1024, /* a larger buffer of an idle connection is given back */
};

/* ALPN of PostgreSQL 17, as it stands on the wire. */
static const unsigned char alpn[] = "\x0apostgresql";
enum { ALPN_SIZE = sizeof alpn - 1 };

struct tls {
    struct tls_context *context; /* one reference */
    SSL *ssl;
    BIO *in;                /* over bytes that are borrowed; owned by ssl */
    BIO *out;               /* what is to be sent; owned by ssl */
    struct rc_buffer early; /* text that waits for the handshake */
    bool open;
    bool failed;
    bool ended; /* we have said that no more comes */
    char problem[TLS_PROBLEM_MAX];
};

/* --- connections --- */

/* What comes next from the peer. Read only: the bytes stay where they are. */
static bool set_input(struct tls *tls, const void *bytes, size_t size)
{
    const struct tls_library *l = &tls->context->library;
    assert(size <= INT_MAX);
    BIO *in = l->BIO_new_mem_buf(bytes, (int)size);
    if (in == NULL) {
        return false;
    }
    /* Its end is no end of the connection, only of what is here. */
    (void)l->BIO_ctrl(in, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, NULL);
    l->SSL_set0_rbio(tls->ssl, in);
    tls->in = in;
    return true;
}

static bool set_output(struct tls *tls)
{
    const struct tls_library *l = &tls->context->library;
    BIO *out = l->BIO_new(l->BIO_s_mem());
    if (out == NULL) {
        return false;
    }
    l->SSL_set0_wbio(tls->ssl, out);
    tls->out = out;
    return true;
}

/* What OpenSSL wants to be sent goes behind what is there. */
static void take_output(struct tls *tls, struct rc_buffer *wire)
{
    const struct tls_library *l = &tls->context->library;
    char *bytes = NULL;
    long size = l->BIO_ctrl(tls->out, BIO_CTRL_INFO, 0, (void *)&bytes);
    if (size <= 0) {
        return;
    }
    rc_buffer_append(wire, bytes, (size_t)size);
    (void)l->BIO_ctrl(tls->out, BIO_CTRL_RESET, 0, NULL);
    if (tls->open && size > WIRE_KEPT_MAX) {
        (void)set_output(tls); /* else it keeps the larger one */
    }
}

static struct tls *make_connection(struct tls_context *context)
{
    struct tls *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->context = tls_context_retain(context);
    made->early.max = EARLY_MAX;
    made->ssl = context->library.SSL_new(context->ssl);
    if (made->ssl == NULL || !set_input(made, "", 0) || !set_output(made)) {
        tls_destroy(made);
        return NULL;
    }
    (void)context->library.SSL_set_options(made->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return made;
}

struct tls *tls_accept(struct tls_context *context)
{
    struct tls *made = make_connection(context);
    if (made != NULL) {
        context->library.SSL_set_accept_state(made->ssl);
    }
    return made;
}

struct tls *tls_connect(struct tls_context *context, enum tls_speaks speaks,
                        const char *name, const struct rc_address *address)
{
    const struct tls_library *l = &context->library;
    struct tls *made = make_connection(context);
    if (made == NULL) {
        return NULL;
    }
    l->SSL_set_connect_state(made->ssl);
    bool spoken = speaks != TLS_SPEAKS_POSTGRESQL ||
                  l->SSL_set_alpn_protos(made->ssl, alpn, ALPN_SIZE) == 0;
    if (!spoken || tls_context_await(l, made->ssl, name, address) != RC_OK) {
        tls_destroy(made); /* never without a name to verify */
        return NULL;
    }
    return made;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    if (tls->ssl != NULL) {
        tls->context->library.SSL_free(tls->ssl); /* with both BIOs */
    }
    tls_context_release(tls->context);
    rc_buffer_fini(&tls->early);
    free(tls);
}

void tls_receive(struct tls *tls, const uint8_t *bytes, size_t size)
{
    if (!tls->failed && !set_input(tls, bytes, size)) {
        tls->failed = true;
        (void)rc_text_put(tls->problem, sizeof tls->problem, "out of memory");
    }
}

static enum tls_step fail(struct tls *tls)
{
    const struct tls_library *l = &tls->context->library;
    long verdict = l->SSL_get_verify_result(tls->ssl);
    const char *why = verdict != X509_V_OK ? l->X509_verify_cert_error_string(verdict)
                                           : tls_context_reason(l);
    tls->failed = true;
    (void)rc_text_put(tls->problem, sizeof tls->problem, why);
    l->ERR_clear_error();
    return TLS_STEP_FAILED;
}

/* What a call that did not succeed means. */
static enum tls_step outcome(struct tls *tls, int result)
{
    switch (tls->context->library.SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_STEP_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_STEP_ENDED;
    default:
        return fail(tls);
    }
}

static int seal(struct tls *tls, const void *text, size_t size)
{
    const struct tls_library *l = &tls->context->library;
    assert(size <= INT_MAX);
    l->ERR_clear_error();
    /* All of it at once: memory takes everything. */
    return size == 0 || l->SSL_write(tls->ssl, text, (int)size) == (int)size ? RC_OK
                                                                             : RC_ECLOSED;
}

static enum tls_step shake_hands(struct tls *tls)
{
    int result = tls->context->library.SSL_do_handshake(tls->ssl);
    if (result != 1) {
        return outcome(tls, result);
    }
    tls->open = true;
    int err = seal(tls, tls->early.bytes, tls->early.size);
    rc_buffer_fini(&tls->early);
    return err == RC_OK ? TLS_STEP_TEXT : fail(tls);
}

static enum tls_step advance(struct tls *tls, uint8_t *text, size_t *size)
{
    const struct tls_library *l = &tls->context->library;
    l->ERR_clear_error();
    if (!tls->open) {
        enum tls_step step = shake_hands(tls);
        if (step != TLS_STEP_TEXT) {
            return step;
        }
    }
    int count = l->SSL_read(tls->ssl, text, (int)*size);
    if (count <= 0) {
        return outcome(tls, count);
    }
    *size = (size_t)count;
    return TLS_STEP_TEXT;
}

enum tls_step tls_next(struct tls *tls, uint8_t *text, size_t *size,
                       struct rc_buffer *wire)
{
    assert(*size > 0 && *size <= INT_MAX);
    if (tls->failed) {
        return TLS_STEP_FAILED;
    }
    enum tls_step step = advance(tls, text, size);
    take_output(tls, wire); /* an alert too */
    if (step != TLS_STEP_TEXT && !tls->failed) {
        (void)set_input(tls, "", 0); /* the borrowed bytes go */
    }
    return step;
}

int tls_send(struct tls *tls, const void *text, size_t size, struct rc_buffer *wire)
{
    if (tls->failed || tls->ended) {
        return RC_ECLOSED;
    }
    if (!tls->open) {
        rc_buffer_append(&tls->early, text, size);
        return tls->early.err;
    }
    int err = seal(tls, text, size);
    take_output(tls, wire);
    return err == RC_OK ? wire->err : err;
}

void tls_end(struct tls *tls, struct rc_buffer *wire)
{
    const struct tls_library *l = &tls->context->library;
    if (!tls->open || tls->failed || tls->ended) {
        return;
    }
    tls->ended = true;
    l->ERR_clear_error();
    (void)l->SSL_shutdown(tls->ssl); /* says so; what the peer answers does not matter */
    l->ERR_clear_error();
    take_output(tls, wire);
}

bool tls_is_open(const struct tls *tls)
{
    return tls->open;
}

bool tls_agreed_on_postgresql(const struct tls *tls)
{
    const unsigned char *chosen = NULL;
    unsigned size = 0;
    tls->context->library.SSL_get0_alpn_selected(tls->ssl, &chosen, &size);
    return size > 0;
}

bool tls_shows_same(const struct tls *ours, const struct tls *theirs)
{
    const struct tls_library *l = &ours->context->library;
    const X509 *own = l->SSL_get_certificate(ours->ssl);
    X509 *shown = l->SSL_get1_peer_certificate(theirs->ssl);
    bool same = own != NULL && shown != NULL && l->X509_cmp(own, shown) == 0;
    l->X509_free(shown);
    return same;
}

const char *tls_problem(const struct tls *tls)
{
    return tls->problem;
}

/* tls_context_openssl.c - see tls_openssl.h and tls_context_openssl.h. */
#include "proxy/tls/tls_context_openssl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/tls/tls_site_openssl.h"

/* ALPN of PostgreSQL 17, as it stands on the wire. */
static const unsigned char alpn[] = "\x0apostgresql";
enum { ALPN_SIZE = sizeof alpn - 1 };

/* The cheapest of those that are good goes first. */
static const char suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* Of TLS 1.2: forward secrecy and authenticated encryption only. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

struct tls_context *tls_context_retain(struct tls_context *context)
{
    (void)atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context != NULL &&
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) {
        if (context->site != NULL) {
            tls_site_destroy(context->site); /* with the SSL_CTX */
        } else if (context->ssl != NULL) {
            context->library.SSL_CTX_free(context->ssl);
        }
        free(context);
    }
}

/* A key under a password: nobody is here to type it. */
static int no_password(char *space, int size, int writing, void *context)
{
    (void)writing;
    (void)context;
    if (size > 0) {
        space[0] = '\0';
    }
    return -1;
}

/* Who speaks ALPN must speak of PostgreSQL: else a browser's page could be talked into talking to us. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned size, void *context)
{
    (void)ssl;
    (void)context;
    for (unsigned at = 0; at < size; at += 1U + offered[at]) {
        if (size - at >= ALPN_SIZE && memcmp(offered + at, alpn, ALPN_SIZE) == 0) {
            *out = offered + at + 1;
            *out_size = alpn[0];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

const char *tls_context_reason(const struct tls_library *l)
{
    const char *words = l->ERR_reason_error_string(l->ERR_peek_error());
    return words != NULL ? words : "not understood";
}

SSL_CTX *tls_context_new_ssl(const struct tls_library *l)
{
    char groups[] = "X25519:P-256:P-384";
    l->ERR_clear_error();
    SSL_CTX *made = l->SSL_CTX_new(l->TLS_method());
    if (made == NULL ||
        l->SSL_CTX_ctrl(made, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL) !=
            1 ||
        l->SSL_CTX_set_cipher_list(made, ciphers) != 1 ||
        l->SSL_CTX_set_ciphersuites(made, suites) != 1 ||
        l->SSL_CTX_ctrl(made, SSL_CTRL_SET_GROUPS_LIST, 0, groups) != 1) {
        l->SSL_CTX_free(made);
        return NULL;
    }
    (void)l->SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_PRIORITIZE_CHACHA);
    (void)l->SSL_CTX_set_num_tickets(made, 0);
    (void)l->SSL_CTX_ctrl(made, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    (void)l->SSL_CTX_ctrl(made, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL);
    l->SSL_CTX_set_default_passwd_cb(made, no_password);
    return made;
}

int tls_context_make(struct tls_context **out, char problem[TLS_PROBLEM_MAX])
{
    struct tls_context *made = calloc(1, sizeof *made);
    problem[0] = '\0';
    if (made == NULL) {
        return RC_ENOMEM;
    }
    atomic_init(&made->references, 1);
    int err = tls_library_load(&made->library, problem, TLS_PROBLEM_MAX);
    if (err != RC_OK) {
        free(made);
        return err;
    }
    *out = made;
    return RC_OK;
}

/* With an SSL_CTX in it. */
static int make_context(struct tls_context **out, char problem[TLS_PROBLEM_MAX])
{
    struct tls_context *made = NULL;
    int err = tls_context_make(&made, problem);
    if (err != RC_OK) {
        return err;
    }
    made->ssl = tls_context_new_ssl(&made->library);
    if (made->ssl == NULL) {
        tls_context_release(made);
        return RC_ENOMEM;
    }
    (void)made->library.SSL_CTX_set_options(made->ssl, SSL_OP_NO_TICKET);
    *out = made;
    return RC_OK;
}

int tls_context_file_fault(const struct tls_library *l, const char *what,
                           const char *path, char problem[TLS_PROBLEM_MAX])
{
    const char *why =
        access(path, R_OK) != 0 ? strerrordesc_np(errno) : tls_context_reason(l);
    (void)snprintf(problem, TLS_PROBLEM_MAX, "%s %s: %s", what, path, why);
    return RC_EINVAL;
}

/* The key is one, but of another certificate. */
static bool is_strange_key(const struct tls_library *l)
{
    switch (ERR_GET_REASON(l->ERR_peek_error())) {
    case X509_R_KEY_VALUES_MISMATCH:
    case X509_R_KEY_TYPE_MISMATCH:
    case SSL_R_NO_CERTIFICATE_ASSIGNED:
        return true;
    default:
        return false;
    }
}

int tls_context_use(const struct tls_library *l, SSL_CTX *ssl, const char *certificate,
                    const char *key, char problem[TLS_PROBLEM_MAX])
{
    int err = RC_OK;
    l->ERR_clear_error();
    if (l->SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) {
        err = tls_context_file_fault(l, "certificate", certificate, problem);
    } else if (l->SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
               l->SSL_CTX_check_private_key(ssl) != 1) {
        err = tls_context_file_fault(l, "key", key, problem);
        if (access(key, R_OK) == 0 && is_strange_key(l)) {
            (void)snprintf(problem, TLS_PROBLEM_MAX,
                           "key %.120s: does not belong to certificate %.120s: name the "
                           "one that it was made with",
                           key, certificate);
        }
    }
    l->ERR_clear_error();
    return err;
}

int tls_context_serve(const char *certificate, const char *key, struct tls_context **out,
                      char problem[TLS_PROBLEM_MAX])
{
    struct tls_context *made = NULL;
    int err = make_context(&made, problem);
    if (err != RC_OK) {
        return err;
    }
    err = tls_context_use(&made->library, made->ssl, certificate, key, problem);
    if (err != RC_OK) {
        tls_context_release(made);
        return err;
    }
    made->library.SSL_CTX_set_alpn_select_cb(made->ssl, choose_protocol, NULL);
    *out = made;
    return RC_OK;
}

int tls_context_trust(const char *ca, struct tls_context **out,
                      char problem[TLS_PROBLEM_MAX])
{
    struct tls_context *made = NULL;
    int err = make_context(&made, problem);
    if (err != RC_OK) {
        return err;
    }
    const struct tls_library *l = &made->library;
    l->ERR_clear_error();
    int trusted = rc_text_equals(ca, "system")
                      ? l->SSL_CTX_set_default_verify_paths(made->ssl)
                      : l->SSL_CTX_load_verify_file(made->ssl, ca);
    if (trusted != 1) {
        err = tls_context_file_fault(l, "ca", ca, problem);
        l->ERR_clear_error();
        tls_context_release(made);
        return err;
    }
    l->SSL_CTX_set_verify(made->ssl, SSL_VERIFY_PEER, NULL);
    *out = made;
    return RC_OK;
}

int tls_context_await(const struct tls_library *l, SSL *ssl, const char *name,
                      const struct rc_address *address)
{
    char text[256];
    if (name[0] == '\0') {
        return l->X509_VERIFY_PARAM_set1_ip(l->SSL_get0_param(ssl), address->ip,
                                            rc_address_ip_size(address)) == 1
                   ? RC_OK
                   : RC_EINVAL;
    }
    return rc_text_put(text, sizeof text, name) == RC_OK &&
                   l->SSL_set1_host(ssl, name) == 1 &&
                   l->SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
                               TLSEXT_NAMETYPE_host_name, text) == 1
               ? RC_OK
               : RC_EINVAL;
}

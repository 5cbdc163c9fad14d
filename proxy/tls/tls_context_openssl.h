/* tls_context_openssl.h - what a context is made of: private to *_openssl.c of this folder. */
#ifndef PROXY_TLS_TLS_CONTEXT_OPENSSL_H
#define PROXY_TLS_TLS_CONTEXT_OPENSSL_H

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/tls/tls_library_openssl.h"
#include "proxy/tls/tls_openssl.h"

struct tls_site;

struct tls_context {
    _Atomic uint32_t references;
    struct tls_library library;
    SSL_CTX *ssl;
    struct tls_site
        *site; /* owned; several certificates: tls_site_openssl.h; else NULL */
};

/* One reference and no SSL_CTX yet. RC_OK, RC_ENOTFOUND or RC_ENOMEM. */
int tls_context_make(struct tls_context **out, char problem[TLS_PROBLEM_MAX]);

/* What all of ours have in common: TLS 1.2 and later, forward secrecy, no renegotiation, no
 * compression, keys without a password. NULL when memory is out. */
SSL_CTX *tls_context_new_ssl(const struct tls_library *l);

/* Reads a certificate with its chain, and its key. RC_OK or RC_EINVAL with the reason. */
int tls_context_use(const struct tls_library *l, SSL_CTX *ssl, const char *certificate,
                    const char *key, char problem[TLS_PROBLEM_MAX]);

/* "WHAT PATH: why", by errno or by OpenSSL. RC_EINVAL. */
int tls_context_file_fault(const struct tls_library *l, const char *what,
                           const char *path, char problem[TLS_PROBLEM_MAX]);

/* What OpenSSL has to say about what went wrong first: the rest follows from it. Static. */
const char *tls_context_reason(const struct tls_library *l);

/* Whose certificate is awaited: of `name`, or of the address when it is empty. RC_OK, RC_EINVAL. */
int tls_context_await(const struct tls_library *l, SSL *ssl, const char *name,
                      const struct rc_address *address);

#endif

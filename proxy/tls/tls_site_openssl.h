/* tls_site_openssl.h - the certificates of one listener, and which of them a client is shown.
 *
 * A context with many certificates: by the name that a client asks for (SNI), RSA and ECDSA side by
 * side; ALPN; sessions resumed by tickets under keys that all listeners share; 0-RTT off. */
#ifndef PROXY_TLS_TLS_SITE_OPENSSL_H
#define PROXY_TLS_TLS_SITE_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"
#include "proxy/tls/tls_openssl.h"
#include "proxy/tls/tls_tickets.h"

struct tls_site;

/* Reads every certificate that `listener->secure` names; `tickets` is retained. RC_OK with one
 * reference; else RC_EINVAL, RC_ENOTFOUND (no libssl) or RC_ENOMEM with the reason in words, and
 * in `*line` where it stands in the file. */
int tls_site_create(const struct config_listener *listener, struct tls_tickets *tickets,
                    struct tls_context **out, char problem[TLS_PROBLEM_MAX],
                    unsigned *line);

/* By the last tls_context_release only. NULL is allowed. */
void tls_site_destroy(struct tls_site *site);

/* One certificate of a context, for people. */
struct tls_fact {
    const char *file; /* its path; borrowed from the configuration; NULL = of postgres */
    char name[256];   /* the first that it is for */
    int64_t ends_s;   /* seconds since 1970 */
    unsigned line;
};

/* How many; 0 where a context (NULL is allowed) has none of its own. One that is not a site's tells
 * when its certificate ends, and no more. */
size_t tls_site_count(const struct tls_context *context);
void tls_site_fact(const struct tls_context *context, size_t index, struct tls_fact *out);

#endif

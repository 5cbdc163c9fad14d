/* certificates.h - the certificates that a configuration names, read from their files.
 *
 * Beside a configuration as long as it is in force; a reload reads them anew, and sessions keep
 * those that they began with. */
#ifndef PROXY_TLS_CERTIFICATES_H
#define PROXY_TLS_CERTIFICATES_H

#include <stddef.h>

#include "proxy/config/config.h"
#include "proxy/tls/tls_openssl.h"
#include "proxy/tls/tls_tickets.h"

struct certificates {
    struct tls_context **listeners; /* one an entry of config->listeners; NULL = no TLS */
    struct tls_context **pools;  /* one an entry of config->pools; NULL = in the clear */
    struct tls_tickets *tickets; /* one reference */
    size_t listener_count;
    size_t pool_count;
};

/* Reads what `config` names. `tickets` are those that sealed sessions so far, NULL at the start
 * (retained); `name` is what messages call its file. RC_OK: owned by the caller.
 * Else RC_EINVAL, RC_ENOTFOUND or RC_ENOMEM, with "name:line: what is wrong" in `error`. */
int certificates_load(const struct config *config, const char *name,
                      struct tls_tickets *tickets, struct certificates **out,
                      char error[CONFIG_ERROR_MAX]);
void certificates_destroy(struct certificates *certificates); /* NULL is allowed */

#endif

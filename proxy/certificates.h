/* certificates.h - the certificates that a configuration names, read from their files.
 *
 * Beside a configuration as long as it is in force; a reload reads them anew, and sessions keep
 * those that they began with. */
#ifndef PROXY_CERTIFICATES_H
#define PROXY_CERTIFICATES_H

#include <stddef.h>

#include "proxy/config.h"
#include "proxy/tls_openssl.h"

struct certificates {
    struct tls_context **listeners; /* one an entry of config->listeners; NULL = no TLS */
    struct tls_context **pools; /* one an entry of config->pools; NULL = in the clear */
    size_t listener_count;
    size_t pool_count;
};

/* Reads what `config` names; `name` is what messages call its file. RC_OK: owned by the caller.
 * Else RC_EINVAL, RC_ENOTFOUND or RC_ENOMEM, with "name:line: what is wrong" in `error`. */
int certificates_load(const struct config *config, const char *name,
                      struct certificates **out, char error[CONFIG_ERROR_MAX]);
void certificates_destroy(struct certificates *certificates); /* NULL is allowed */

/* The line of the first listener whose own certificate has ended; 0 = none has. */
unsigned certificates_expired_line(const struct certificates *certificates,
                                   const struct config *config);

#endif

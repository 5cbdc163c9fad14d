/* expiry.h - when certificates end: counted down, and warned of in time. */
#ifndef PROXY_TLS_EXPIRY_H
#define PROXY_TLS_EXPIRY_H

#include <stdint.h>

#include "base/buffer.h"
#include "proxy/tls/certificates.h"

enum { EXPIRY_WARN_DAYS = 14, EXPIRY_WARN_EVERY_MS = 24 * 3600 * 1000 };

/* Appends the family rollcall_proxy_certificate_expires_seconds: until each listener's certificates
 * end, below 0 once they have. Without any it is named all the same. `now_s` is since 1970. */
void expiry_metrics(const struct certificates *certificates, const struct config *config,
                    int64_t now_s, struct rc_buffer *out);

/* Walks those that have ended or will within EXPIRY_WARN_DAYS; zeroed at the start. */
struct expiry_walk {
    size_t listener;
    size_t index;
};

/* Writes what is to be said of the next one into `text`; `*line` is where it stands in the file.
 * False when there are no more. */
bool expiry_next(struct expiry_walk *walk, const struct certificates *certificates,
                 const struct config *config, int64_t now_s, struct rc_buffer *text,
                 unsigned *line);

#endif

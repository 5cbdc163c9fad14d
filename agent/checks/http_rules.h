/* http_rules.h - where an HTTP check may go, and what it makes of the answer.
 *
 * Shared by the two ways of asking: http_uv.c (plain HTTP to an IP address, which needs
 * no library) and http_curl.c (the rest). Texts are Consul's. Pure. */
#ifndef AGENT_CHECKS_HTTP_RULES_H
#define AGENT_CHECKS_HTTP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/checks/check.h"
#include "base/address.h"
#include "base/buffer.h"

enum { HTTP_HOST_MAX = 300 };

/* A URL that http_uv.c can ask for by itself. */
struct http_target {
    struct rc_address address; /* with the port */
    bool is_localhost;         /* named so: ::1 is tried when 127.0.0.1 refuses */
    char host[HTTP_HOST_MAX];  /* for the Host header, as in the URL */
    const char *path;          /* in the URL; "" is "/"; never NULL */
    size_t path_size;          /* up to a fragment */
};

/* True for http:// with an IP address or "localhost", without user, and without bytes
 * that do not belong into a request line. Everything else is libcurl's. `out` borrows
 * `url`. */
bool http_rules_parse(const char *url, struct http_target *out);

/* Appends the whole request. Headers of the check replace ours of the same name. */
void http_rules_request(const struct http_target *target,
                        const struct check_definition *wanted, struct rc_buffer *out);

/* Link-local addresses, where clouds keep their secrets (security.md K3, R11). */
bool http_rules_is_denied(const struct rc_address *address);
extern const char http_rules_denied[]; /* why */

/* What is said of an answer that takes too long. */
extern const char http_rules_late[];

/* 2xx passing, 429 warning, all else critical. */
enum check_status http_rules_judge(long code);

/* True if the check names that header, whatever its letter case. */
bool http_rules_has_header(const struct check_definition *wanted, const char *name);

/* The URL without user and password; owned by the caller. NULL when memory is out. */
char *http_rules_public_url(const char *url);

/* Appends `HTTP GET url: 200 OK Output: body`, the body's end if it is long. */
void http_rules_say_answer(struct rc_buffer *out, const char *method, const char *url,
                           const char *status, const struct rc_buffer *body);

/* Appends `Get "url": reason`. */
void http_rules_say_failure(struct rc_buffer *out, const char *method, const char *url,
                            const char *reason);

#endif

/* client.h - one request to an agent, and its answer. */
#ifndef AGENT_CLI_CLIENT_H
#define AGENT_CLI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buffer.h"

struct cli_client_flags;

struct cli_request {
    const char *method; /* "GET", "PUT" */
    const char *path;   /* with query, already escaped: "/v1/agent/members" */
    const char *body;   /* NULL: none */
    size_t body_size;   /* 0: up to its NUL */
    long timeout_ms;    /* for all of it; 0: as long as it takes */
    /* Gets the answer piece by piece instead of `body` in the answer; for streams that do not
     * end by themselves. Returning false ends the request. */
    bool (*piece)(void *context, const char *bytes, size_t size);
    void *context;
};

struct cli_answer {
    long status;           /* of HTTP; 0 when there was none */
    uint64_t index;        /* X-Consul-Index; 0 without */
    struct rc_buffer body; /* owned: rc_buffer_fini() */
    char error[512];       /* why there was none, or what status and body say */
};

/* RC_OK for a status of 200 to 299; otherwise `out->error` holds what to tell the user. In all
 * cases the caller ends `out->body`. */
int cli_ask(const struct cli_client_flags *flags, const struct cli_request *request,
            struct cli_answer *out);

/* GET with a JSON answer: RC_OK with `*out` owned by the caller (json_decref). Otherwise it has
 * told on stderr: "WHAT: why". */
int cli_get_json(const struct cli_client_flags *flags, const char *path, const char *what,
                 json_t **out);

/* The same for PUT; `body` may be NULL. */
int cli_put_json(const struct cli_client_flags *flags, const char *path, const char *body,
                 const char *what, json_t **out);

/* PUT without an answer of interest: RC_OK, or it has told on stderr. */
int cli_put(const struct cli_client_flags *flags, const char *path, const char *body,
            const char *what);

/* Appends `text` escaped for a path or a query (RFC 3986 section 2.3). */
void cli_escape(struct rc_buffer *out, const char *text);

#endif

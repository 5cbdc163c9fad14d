/* watch_definition.h - a watch as somebody has written it: what it looks at, and its handler.
 *
 * A block `watches` of the configuration with Consul's keys: type, name, service, tag, state,
 * passingonly, key, prefix, token (of these two), handler_type (script or http), args (or the old
 * handler, a line for the shell), http_handler_config { path method header
 * timeout tls_skip_verify }; `timeout`, of a script, is ours. `datacenter` is read
 * and means nothing here. Nothing but files makes watches: the API cannot. Pure. */
#ifndef AGENT_WATCH_WATCH_DEFINITION_H
#define AGENT_WATCH_WATCH_DEFINITION_H

#include "agent/catalog/definition_field.h"
#include "agent/watch/watch_question.h"

enum { WATCHES_MAX = 64, WATCH_SCRIPT_MS = 60 * 1000, WATCH_HTTP_MS = 10 * 1000 };

/* Strings are owned, NULL when not given. */
struct watch_definition {
    char *type_text;
    char *name;
    char *service;
    struct definition_list tags;
    char *state;
    char *key;
    char *prefix; /* of keys */
    char *token;
    char *handler_type; /* "script" (also NULL) or "http" */
    char *handler;      /* Consul's old form of args: a line for the shell */
    struct definition_list args;
    char *path; /* http: where to send */
    char *method;
    struct definition_pairs header;
    uint64_t http_timeout_ms;
    uint64_t timeout_ms;
    enum watch_type type; /* of `type_text` */
    bool passing_only;
    bool tls_skip_verify;
    bool is_http;
};

/* Reads one block. RC_OK with `*out` to be ended by watch_definition_fini(); RC_EMALFORMED or
 * RC_EINVAL with the reader's fault set; RC_ENOMEM. */
int watch_definition_read(struct definition_reader *reader, const json_t *json,
                          struct watch_definition *out);
void watch_definition_fini(struct watch_definition *watch);

/* A deep copy. RC_OK or RC_ENOMEM (`*out` is zeroed). */
int watch_definition_copy(const struct watch_definition *from,
                          struct watch_definition *out);
bool watch_definition_equals(const struct watch_definition *a,
                             const struct watch_definition *b);

/* How long its handler may run. */
uint64_t watch_definition_timeout_ms(const struct watch_definition *watch);

/* What it looks at; borrows from `watch`. */
struct watch_question watch_definition_question(const struct watch_definition *watch);

#endif

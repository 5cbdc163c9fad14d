/* watch_reply.h - what an agent answered to /v1/health/service/NAME: head and instances.
 *
 * We ask by HTTP/1.0, so an answer is a head and a body of Content-Length bytes, or all
 * until the close; never chunked. The body is Consul's JSON. Pure. */
#ifndef PROXY_DISCOVER_WATCH_REPLY_H
#define PROXY_DISCOVER_WATCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/upstream/lineup.h"

enum { WATCH_REPLY_MAX = 8 << 20 };

struct watch_reply {
    unsigned status;
    uint64_t index;   /* X-Consul-Index; 0 = none */
    const char *body; /* borrowed from the bytes */
    size_t body_size;
};

/* Reads what has come so far. RC_OK when it is whole, RC_EAGAIN when more must come,
 * RC_EMALFORMED when it is no answer of HTTP/1, RC_ETOOBIG. `ended`: nothing more will come. */
enum watch_end { WATCH_OPEN, WATCH_ENDED };
int watch_reply_parse(const void *bytes, size_t size, enum watch_end end,
                      struct watch_reply *out);

/* The instances of a body, only those with `tag` unless it is "". Instances without a port or
 * with a name for an address are left out. `*entries` is owned by the caller, who frees it
 * with free(). RC_OK, RC_EMALFORMED, RC_ENOMEM. */
int watch_reply_entries(const struct watch_reply *reply, const char *tag,
                        struct lineup_entry **entries, size_t *count);

/* What is asked: `start`, a name that is escaped, and `rest`, such as "/v1/health/service/", "db" and
 * "?passing&". */
struct watch_question {
    const char *start;
    char name[CONFIG_NAME_MAX];
    const char *rest;            /* ends in '?' or '&' */
    char token[CONFIG_NAME_MAX]; /* "" = none */
    uint64_t index;
    uint32_t wait_ms;
};

/* Appends the request. */
void watch_reply_ask(struct rc_buffer *out, const struct watch_question *question);

#endif

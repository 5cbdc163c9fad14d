/* pgprobe.h - asks a PostgreSQL server what it is, over one standing connection.
 *
 * Its start-up parameters carry in_hot_standby (14 and later); an empty query a moment later
 * makes the server report a change before ReadyForQuery, with no right to any SQL. A server that
 * says primary is asked for its timeline as well. Pure: bytes in, bytes and a role out. */
#ifndef PROXY_DISCOVER_PGPROBE_H
#define PROXY_DISCOVER_PGPROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "proxy/discover/scram_sodium.h"
#include "proxy/upstream/upstream.h"

enum { PGPROBE_SEND_MAX = 1024 }; /* most that stands in `out` at once */

enum pgprobe_state {
    PGPROBE_STARTING, /* until the first ReadyForQuery */
    PGPROBE_IDLE,
    PGPROBE_ASKING,   /* an empty query is under way */
    PGPROBE_TIMELINE, /* the timeline is asked for */
    PGPROBE_FAILED,   /* close the connection; `problem` says why */
};

struct pgprobe {
    enum pgprobe_state state;
    enum upstream_role role; /* UNKNOWN until the server said it */
    uint32_t timeline;       /* 0 = unknown */
    const char *problem;     /* static, in words */
    struct rc_buffer in;
    struct rc_buffer out; /* to be sent, then cleared by the caller */
    const char *password; /* borrowed; "" = none */
    struct scram scram;   /* while a password is proven by SCRAM-SHA-256 */
    bool server_says_standby;
    bool server_spoke; /* of in_hot_standby at all */
};

/* Starts a conversation: the start-up packet stands in `out`. `password` must outlive it; `nonce`
 * is new for each conversation, printable, without commas, below SCRAM_NONCE_MAX; copied. */
void pgprobe_init(struct pgprobe *probe, const char *user, const char *database,
                  const char *password, const char *nonce);
void pgprobe_fini(struct pgprobe *probe);

/* Bytes from the server. Afterwards look at state, role and out. */
void pgprobe_receive(struct pgprobe *probe, const void *bytes, size_t size);

/* Time to ask again. Returns false when the last question is still unanswered. */
bool pgprobe_ask(struct pgprobe *probe);

#endif

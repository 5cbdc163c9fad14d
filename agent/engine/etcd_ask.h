/* etcd_ask.h - one request and one answer, from whichever member has it.
 *
 * Goes to the member that is chosen now. What was not sent, or was refused without being done,
 * is tried at every other member once; what may have been done is never sent again if it
 * writes. Logs in when etcd has users, and again when the token has run out. Pure: the edge does
 * the sending. */
#ifndef AGENT_ENGINE_ETCD_ASK_H
#define AGENT_ENGINE_ETCD_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_answer.h"
#include "agent/engine/etcd_edge.h"
#include "agent/engine/etcd_endpoints.h"
#include "base/buffer.h"

enum etcd_asked { ETCD_READS, ETCD_WRITES };

struct etcd_outcome {
    int err;                      /* as in engine_answer; RC_ECONFLICT: compacted */
    const char *text;             /* why; "" on RC_OK */
    struct rc_pack_bytes message; /* RC_OK: what was answered; borrowed */
};
typedef void etcd_ask_done(void *context, const struct etcd_outcome *outcome);

enum etcd_login { ETCD_LOGIN_NONE, ETCD_LOGIN_WANTED, ETCD_LOGIN_ASKED, ETCD_LOGIN_DONE };

struct etcd_ask;

struct etcd_asker {
    const struct etcd_edge *edge; /* borrowed, like all of these */
    struct etcd_endpoints *endpoints;
    const char *user; /* NULL: none */
    const char *password;
    uint32_t request_ms;

    enum etcd_login login; /* ETCD_LOGIN_WANTED at first if there is a user */
    char token[ETCD_TOKEN_MAX];
    bool is_led; /* the last that needed the whole cluster was answered */
    struct etcd_ask *first;
    struct etcd_call *login_call;
    size_t login_endpoint;
};

/* Asks. `body` is taken, and emptied. RC_OK, and `done` is called once, later; or RC_ENOMEM and
 * it never is. */
int etcd_ask(struct etcd_asker *asker, enum etcd_asked what, const char *method,
             struct rc_buffer *body, etcd_ask_done *done, void *context);

/* Ends all: RC_EUNKNOWN for writes that were sent, RC_ECLOSED for the rest. `done` is called
 * from inside. */
void etcd_asker_close(struct etcd_asker *asker);

#endif

/* forward_uv.h - requests from agents without an engine to servers, and back.
 *
 * Joins links (who carries), gossip (which servers there are) and the HTTP interface (who asks,
 * who answers). An agent forwards; a server also listens and serves. serve_uv.c is the half of
 * a server; forward_places_uv.c knows which servers there are, forward_keys_uv.c whom to trust,
 * forward_words_uv.c tells. */
#ifndef AGENT_FORWARD_UV_H
#define AGENT_FORWARD_UV_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/gossip/gossip.h"
#include "agent/http/http.h"
#include "agent/link/courier.h"
#include "agent/link/link_uv.h"
#include "agent/link/revocation.h"
#include "agent/link_settings.h"
#include "base/json.h"

struct agent_config;
struct forwarder;
struct rc_metrics;

struct forwarder_options {
    struct uv_loop_s *loop;
    const struct gossip *gossip; /* these: borrowed until it is closed */
    const char *node_name;
    const char *datacenter;
    struct rc_metrics *metrics;
    const struct agent_config *config; /* borrowed during the call */
    const struct rc_address *listen;   /* NULL: not a server */
    const struct gossip_key *keys;     /* of the pool; copied */
    size_t key_count;
    const struct revocation_list *revoked; /* borrowed until it is closed */

    /* Whether requests can be answered here: there is an engine. */
    bool (*serves)(void *context);

    /* The reply to what was forwarded under a ticket of FORWARDER_OWN, which may be used again from
     * inside; also from inside forwarder_forward(). Borrowed during the call. */
    void (*replied)(void *context, http_ticket ticket, const struct http_reply *reply);
    void *context;
};

/* For what the agent itself asks: this bit and any number, no ticket of the HTTP interface. One
 * request at a time under each; that of prepared queries is the last. */
#define FORWARDER_OWN        ((http_ticket)1 << 63)
#define FORWARDER_OWN_TICKET ((http_ticket)UINT64_MAX)

enum { FORWARDER_ERROR_MAX = LINK_SETTINGS_ERROR_MAX };

/* RC_OK, or an error with one line in `error`. */
int forwarder_start(const struct forwarder_options *options,
                    char error[FORWARDER_ERROR_MAX], struct forwarder **out);

/* Where replies go and requests are served; NULL: nowhere any more. */
void forwarder_set_http(struct forwarder *forwarder, struct http *http);

/* The pool's keys have changed. */
void forwarder_set_keys(struct forwarder *forwarder, const struct gossip_key *keys,
                        size_t count);

/* Whether what the settings say of links makes sense, their files too. RC_OK, or an error with
 * one line. */
int forwarder_check(const struct agent_config *config, char error[FORWARDER_ERROR_MAX]);

/* Takes over settings that were checked; if a file has changed since, all stays as it was. */
void forwarder_reload(struct forwarder *forwarder, const struct agent_config *config);

/* `revoked` has more: links to those and of those end. */
void forwarder_revoked_changed(struct forwarder *forwarder);

/* Whether link.server_public_keys has this one. */
bool forwarder_pins(const struct forwarder *forwarder,
                    const uint8_t key[CREDENTIAL_PUBLIC_SIZE]);

/* Signs with our own credential; false: there is none. */
bool forwarder_sign(const struct forwarder *forwarder,
                    const uint8_t key[CREDENTIAL_PUBLIC_SIZE], struct revocation *out);

/* Somebody came or went, or says something else of himself. */
void forwarder_members_changed(struct forwarder *forwarder);

/* Whether the pool has a server besides us. */
bool forwarder_knows_server(const struct forwarder *forwarder);

/* http_operations.forward and .forget. */
void forwarder_forward(struct forwarder *forwarder, const struct http_relay *relay,
                       http_ticket ticket);
void forwarder_forget(struct forwarder *forwarder, http_ticket ticket);

/* Says to the log what protects the links. */
void forwarder_tell(const struct forwarder *forwarder);

/* The object that agent/self shows, every value a string. */
void forwarder_describe(const struct forwarder *forwarder, struct rc_json *json);

/* NULL is allowed: nothing happens. Open requests get no reply. */
void forwarder_close(struct forwarder *forwarder, void (*on_closed)(void *context),
                     void *context);

#endif

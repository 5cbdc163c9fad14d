/* warden_client.h - the agent's end of the talk with a warden: found, started when there is none,
 * and found again. */
#ifndef AGENT_WARDEN_WARDEN_CLIENT_H
#define AGENT_WARDEN_WARDEN_CLIENT_H

#include "agent/warden/warden_wire.h"

struct uv_loop_s;
struct warden_client;

struct warden_client_options {
    struct uv_loop_s *loop;
    const char *socket; /* path; copied */

    /* Nobody is there: starts one. Called at most once a second. */
    void (*start)(void *context);
    void (*told)(void *context, const struct warden_echo *echo);
    void (*lost)(void *context); /* it has gone; looked for again */
    void *context;
};

/* RC_OK or RC_ENOMEM. */
int warden_client_start(const struct warden_client_options *options,
                        struct warden_client **out);
void warden_client_close(struct warden_client *client); /* NULL is allowed */

/* Reads what it has said by now: after having been held up oneself. */
void warden_client_read(struct warden_client *client);

/* Sends an order, whose number it sets and returns; 0: there is no warden now, or it does not
 * read. */
uint64_t warden_client_order(struct warden_client *client, struct warden_order *order);

#endif

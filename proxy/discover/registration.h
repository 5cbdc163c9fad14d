/* registration.h - this proxy as a service of its agent: what is asked, and what is answered.
 *
 * Consul's PUT /v1/agent/service/register with an HTTP check on the figures' /health, and its kin.
 * The agent is asked now and then whether it still knows us: one that was started anew with an
 * empty folder does not. Pure. */
#ifndef PROXY_DISCOVER_REGISTRATION_H
#define PROXY_DISCOVER_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/buffer.h"
#include "proxy/config/config.h"

enum registration_step {
    REGISTRATION_LOOK, /* does the agent know us as we are? */
    REGISTRATION_PUT,
    REGISTRATION_REMOVE,
    REGISTRATION_STEP_COUNT
};

struct registration {
    char name[CONFIG_NAME_MAX];
    char id[CONFIG_NAME_MAX + 8];      /* the name and the port */
    char address[RC_ADDRESS_TEXT_MAX]; /* "": the node's, as we listen on all */
    uint16_t port;
    char check[RC_ADDRESS_TEXT_MAX + 32]; /* URL */
    const char *version;                  /* static */
    char token[CONFIG_NAME_MAX];
};

/* Of a configuration with register and figures; copied, but `version`, which is static. */
void registration_of(const struct config *config, const char *version,
                     struct registration *out);

/* Appends the whole request of a step. */
void registration_ask(const struct registration *registration,
                      enum registration_step step, struct rc_buffer *out);

/* True if an answer to REGISTRATION_LOOK says that all stands as it should. */
bool registration_stands(const struct registration *registration, unsigned status,
                         const char *body, size_t size);

#endif

/* advertise.h - which address of this machine the others should use. */
#ifndef AGENT_ADVERTISE_H
#define AGENT_ADVERTISE_H

#include <stddef.h>

#include "base/address.h"

/* Picks the address to tell others when we listen on all of them: the only private IPv4
 * address, or else the only public one. RC_OK; RC_ENOTFOUND when there is none and RC_ECONFLICT
 * when there are several, with one line in `error` that says what to set. */
int advertise_pick(struct rc_address *out, char *error, size_t error_size);

#endif

/* admission.h - may this connection come in? The limits of a listener that know no request. */
#ifndef PROXY_LIMIT_ADMISSION_H
#define PROXY_LIMIT_ADMISSION_H

#include "proxy/limit/limits.h"
#include "proxy/limit/refusal.h"

/* Asks the listener's `limit connections`, and, but in mode http, `limit rate`. REFUSAL_NONE: it
 * may, and `grant` (to be given back by limit_leave) is its place; else why not. */
enum refusal admission_judge(const struct config_listener *listener,
                             const struct limits *limits, const struct rc_address *peer,
                             uint64_t now_us, struct limit_grant *grant);

#endif

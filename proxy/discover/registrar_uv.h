/* registrar_uv.h - keeps this proxy registered at its agent, for as long as it serves.
 *
 * Looks every few seconds whether the agent knows us as we are, and registers us if not: at the
 * start, after the agent was away, after an upgrade. What fails is tried again, and told once. */
#ifndef PROXY_DISCOVER_REGISTRAR_UV_H
#define PROXY_DISCOVER_REGISTRAR_UV_H

#include <stdint.h>

#include <uv.h>

#include "proxy/config/config.h"

struct registrar;

/* REGISTRAR_STAYS: another process has taken over, and is registered under the same id. */
enum registrar_end { REGISTRAR_LEAVES, REGISTRAR_STAYS };

/* `config` is only borrowed during the call; `version` is static. NULL when memory is out. */
struct registrar *registrar_start(uv_loop_t *loop, const struct config *config,
                                  const char *version, uint64_t seed);

/* Deregisters if it leaves and was registered, which may keep the loop running for a second at
 * most; its memory goes with the last handle. NULL is allowed. */
void registrar_close(struct registrar *registrar, enum registrar_end end);

#endif

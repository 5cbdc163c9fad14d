/* bus_systemd.h - asking systemd over D-Bus, without ever waiting for it.
 *
 * One connection to the system bus, opened when it is first needed and again after it broke.
 * libsystemd is loaded then, too: a machine without it, without a bus or without systemd says so
 * in the error of each request. Interfaces: org.freedesktop.systemd1(5). */
#ifndef AGENT_CHECKS_BUS_SYSTEMD_H
#define AGENT_CHECKS_BUS_SYSTEMD_H

#include <stdint.h>

#include "agent/checks/unit.h"

enum { BUS_ERROR_MAX = 400 };

struct uv_loop_s;
struct bus;
struct bus_request;

/* Opens nothing yet. NULL when memory is out. */
struct bus *bus_open(struct uv_loop_s *loop);

/* Ends all requests, without a word, and frees it. NULL is allowed. */
void bus_close(struct bus *bus);

/* Asks how a unit (by its complete name) stands. `done` is called once, later, with its state, or
 * NULL and why not: both borrowed. NULL when memory is out. */
struct bus_request *bus_look(struct bus *bus, const char *unit,
                             void (*done)(void *context, const struct unit_state *state,
                                          const char *error),
                             void *context);

/* How a restart has ended. */
enum bus_outcome {
    BUS_RESTARTED,
    BUS_FAILED,
    BUS_LEFT_ALONE /* its unit is not in a state that a restart is for: unit_left_alone() */
};

/* Stops and starts a service and waits for how that ends, `timeout_ms` at most. `done` is called
 * once, later; `text` says why not, and what to do: borrowed, NULL when it runs again. */
struct bus_request *bus_restart(struct bus *bus, const char *unit, uint64_t timeout_ms,
                                void (*done)(void *context, enum bus_outcome outcome,
                                             const char *text),
                                void *context);

/* Nobody waits for it any more. Not from inside its `done`, after which it is gone. */
void bus_forget(struct bus_request *request);

#endif

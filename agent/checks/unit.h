/* unit.h - a unit of systemd: its name, and what its state means for a check.
 *
 * Pure. Names: systemd.unit(5), "Unit File and Names"; states and properties:
 * org.freedesktop.systemd1(5). */
#ifndef AGENT_CHECKS_UNIT_H
#define AGENT_CHECKS_UNIT_H

#include <stdbool.h>

#include "agent/catalog/check_status.h"
#include "base/buffer.h"

enum { UNIT_NAME_MAX = 255, UNIT_WORD_MAX = 64 };

/* The name as systemd wants it: with ".service" where no kind of unit is named. RC_OK, or RC_EINVAL:
 * it is no name of a unit, or one of a template without an instance. */
int unit_name_complete(const char *name, char out[UNIT_NAME_MAX + 1]);

bool unit_is_service(const char *name); /* a complete one */

/* What systemd says about a unit, word for word. */
struct unit_state {
    char load[UNIT_WORD_MAX];   /* LoadState: "loaded", "not-found", ... */
    char active[UNIT_WORD_MAX]; /* ActiveState: "active", "failed", ... */
    char sub[UNIT_WORD_MAX];    /* SubState: "running", "auto-restart", ... */
    char result[UNIT_WORD_MAX]; /* Result, of services: "success", "signal", ... */
    uint32_t restarts; /* NRestarts, of services: by systemd itself, since it started */
    bool is_service;   /* the last two are there */
};

struct unit_rules {
    enum check_status starting; /* how "activating" and "reloading" count */
    uint32_t max_restarts;      /* more are a warning; 0: any number will do */
};

/* How that counts, with words for people appended to `text`. */
enum check_status unit_judge(const struct unit_state *state, const char *name,
                             const struct unit_rules *rules, struct rc_buffer *text);

/* Why a restart is not for a unit in that state, in words behind its name; NULL: it is. Somebody
 * stopped it, or it ended by itself and well; or systemd is about to start or stop it. */
const char *unit_left_alone(const struct unit_state *state);

#endif

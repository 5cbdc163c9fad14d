/* control_state_uv.h - what the control thread is made of. For control_uv.c, which begins, changes and
 * ends it, and control_admin_uv.c, which shows it; for nobody else. */
#ifndef PROXY_CONTROL_STATE_UV_H
#define PROXY_CONTROL_STATE_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/metrics.h"
#include "base/random.h"
#include "dns/resolve/resolve_ares.h"
#include "proxy/admin/admin_uv.h"
#include "proxy/control_uv.h"
#include "proxy/discover/registrar_uv.h"
#include "proxy/pools_uv.h"
#include "proxy/postgres/cancel_map.h"
#include "proxy/renewal.h"
#include "proxy/upgrade_uv.h"
#include "proxy/wishes_uv.h"
#include "proxy/worker/handed_uv.h"

enum { WORKERS_MAX = 64 };

/* In the order in which they may follow. */
enum control_phase {
    PHASE_ARRIVING, /* about to replace another process: learns who is there first */
    PHASE_RUNNING,
    PHASE_GRACE,
    PHASE_REPLACED, /* another process accepts */
    PHASE_DRAINING,
    PHASE_STOPPING,
    PHASE_CLOSED
};

struct control {
    uv_loop_t *loop;
    const char *config_path;
    const struct worker_protocol *const *protocols;
    struct snapshot_config *shared;
    struct snapshot *snapshot; /* the last one published */
    struct pools *pools;
    struct wishes *wishes; /* pools that workers want */
    uint64_t pools_told;   /* revision of the pools in the last snapshot */
    struct worker *workers[WORKERS_MAX];
    size_t worker_count;
    struct rc_random random;
    struct rc_metrics *metrics;
    struct cancel_map *cancels;
    struct dns_resolver *resolver;
    struct admin_loop *admin;
    struct admin_loop *figures;
    struct registrar *registrar; /* NULL: we are not in the catalog */
    uint64_t started_ms;
    struct handed handed;    /* copies of all listening sockets */
    int *waiting_fds;        /* the workers' own, while PHASE_ARRIVING */
    char *program;           /* its file; NULL = unknown */
    struct upgrade *upgrade; /* the last one, until the next */
    uv_async_t failed;       /* from workers: look at the counters now */
    uv_timer_t tick;
    uint32_t hangups; /* how often a reload was asked for */
    enum control_phase phase;
    uint64_t phase_since_ms;
    struct renewal renewal;
};

/* Sends the state as it is now to every worker; `fds` are the new sockets of one worker after the
 * other (taken), or NULL when no listener is new. */
void control_publish(struct control *control, const int *fds);

/* Opens the admin port and that of figures, on the sockets that were handed to us if there are
 * such, and registers us. RC_OK, RC_ENOMEM, or RC_EIO with one clear line in `error`. */
int control_open_admin(struct control *control, char error[CONTROL_ERROR_MAX]);
void control_close_admin(struct control *control, enum registrar_end end);

#endif

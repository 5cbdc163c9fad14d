/* control_admin_uv.c - what the admin port asks of the control thread, and its orders. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"
#include "base/version.h"
#include "proxy/admin/admin_figures.h"
#include "proxy/admin/admin_traffic.h"
#include "proxy/connections_uv.h"
#include "proxy/control_state_uv.h"
#include "proxy/tls/expiry.h"
#include "proxy/worker/worker_uv.h"

static const struct config *config_of(const struct control *control)
{
    return control->shared->config;
}

static bool is_ready(void *context)
{
    const struct control *control = context;
    return pools_are_known(control->pools) && control->phase == PHASE_RUNNING;
}

/* Calls `put` with the state as it is now. */
static void tell(struct control *control, struct rc_buffer *out,
                 void (*put)(const struct admin_view *, struct rc_buffer *))
{
    uint32_t connections[WORKERS_MAX];
    size_t count = pools_count(control->pools);
    struct admin_pool *pools = calloc(count + 1, sizeof *pools);
    if (pools == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct pool *pool = pools_at(control->pools, i);
        pools[i].config = pools_config(control->pools, i);
        pools[i].lineup = pool_lineup(pool);
        pools[i].view = pool_view(pool);
        pools[i].shown = snapshot_find_pool(control->snapshot, pool_name(pool));
    }
    for (size_t i = 0; i < control->worker_count; i++) {
        connections[i] = worker_connections(control->workers[i]);
    }
    struct admin_view view = {
        .pools = pools,
        .pool_count = count,
        .config = config_of(control),
        .meters = &control->shared->meters,
        .connections = connections,
        .worker_count = control->worker_count,
        .generation = control->snapshot->generation,
        .now_ms = rc_clock_ms(),
        .started_ms = control->started_ms,
        .now_boot_ms = rc_clock_boot_ms(),
        .draining = control->phase > PHASE_RUNNING,
    };
    put(&view, out);
    free(pools);
}

static void put_upstreams(void *context, struct rc_buffer *out)
{
    tell(context, out, admin_pages_upstreams);
}

static void put_routes(void *context, struct rc_buffer *out)
{
    tell(context, out, admin_traffic_routes);
}

static void put_figures(void *context, struct rc_buffer *out)
{
    tell(context, out, admin_figures_tell);
}

static void put_connections(void *context, size_t offset, size_t limit,
                            struct rc_buffer *out)
{
    const struct control *control = context;
    connections_tell(control->workers, control->worker_count, offset, limit, out);
}

static void put_metrics(void *context, struct rc_buffer *out)
{
    const struct control *control = context;
    rc_metrics_render(control->metrics, out);
    tell(context, out, admin_pages_metrics);
    expiry_metrics(control->shared->certificates, config_of(control),
                   (int64_t)(rc_clock_wall_ms() / 1000), out);
}

static void put_config(void *context, struct rc_buffer *out)
{
    config_print(config_of(context), out);
}

static int take_order(void *context, const struct admin_order *order)
{
    struct control *control = context;
    for (size_t i = 0; i < pools_count(control->pools); i++) {
        struct pool *pool = pools_at(control->pools, i);
        if (rc_text_equals(pool_name(pool), order->pool)) {
            int err =
                lineup_order(pool_lineup(pool), order->id, order->order, rc_clock_ms());
            control_publish(control, NULL);
            rc_log(RC_LOG_INFO, "proxy", "pool %s: %s %s by the operator", order->pool,
                   order->order == LINEUP_DRAIN ? "drain" : "undrain", order->id);
            return err;
        }
    }
    return RC_ENOTFOUND;
}

static void take_reload(void *context)
{
    control_reload(context);
}

static void take_upgrade(void *context)
{
    control_upgrade(context);
}

/* The socket that we were handed, or a new one. */
static int port_socket(struct control *control, const struct rc_address *address, int *fd)
{
    int handed = handed_nth(&control->handed, address, 0);
    if (handed >= 0) {
        *fd = fcntl(handed, F_DUPFD_CLOEXEC, 0);
        return *fd >= 0 ? RC_OK : RC_EIO;
    }
    int err = admin_listen(address, fd);
    return err == RC_OK ? handed_add(&control->handed, address, *fd) : err;
}

static int open_port(struct control *control, enum admin_scope scope,
                     const struct rc_address *address, struct admin_loop **out,
                     char error[CONTROL_ERROR_MAX])
{
    const struct admin_hooks hooks = {
        control,    is_ready,    put_upstreams, put_metrics, put_routes,  put_connections,
        put_config, put_figures, take_order,    take_reload, take_upgrade};
    if (address->family == RC_ADDRESS_NONE) {
        return RC_OK;
    }
    int fd = -1;
    int err = port_socket(control, address, &fd);
    if (err == RC_EIO) {
        char text[RC_ADDRESS_TEXT_MAX];
        rc_address_format(address, text);
        (void)snprintf(error, CONTROL_ERROR_MAX, "cannot listen on %s %s: %s",
                       scope == ADMIN_ALL ? "admin" : "figures", text,
                       strerrordesc_np(errno));
    }
    return err == RC_OK ? admin_loop_start(control->loop, fd, scope, &hooks, out) : err;
}

int control_open_admin(struct control *control, char error[CONTROL_ERROR_MAX])
{
    const struct config *config = config_of(control);
    int err = open_port(control, ADMIN_ALL, &config->admin, &control->admin, error);
    if (err == RC_OK) {
        err =
            open_port(control, ADMIN_FIGURES, &config->figures, &control->figures, error);
    }
    if (err == RC_OK && config->register_name[0] != '\0') {
        control->registrar = registrar_start(control->loop, config, ROLLCALL_VERSION,
                                             rc_random_next(&control->random));
        err = control->registrar != NULL ? RC_OK : RC_ENOMEM;
    }
    return err;
}

void control_close_admin(struct control *control, enum registrar_end end)
{
    admin_loop_close(control->admin);
    admin_loop_close(control->figures);
    registrar_close(control->registrar, end);
    control->admin = NULL;
    control->figures = NULL;
    control->registrar = NULL;
}

/* serve_uv.c - see serve_uv.h. */
#include "proxy/serve_uv.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include <uv.h>

#include "base/err.h"
#include "base/signals_uv.h"
#include "proxy/control_uv.h"
#include "proxy/http/http_uv.h"
#include "proxy/postgres/postgres_uv.h"
#include "proxy/tcp/tcp_uv.h"

static const struct worker_protocol *const protocols[CONFIG_MODE_COUNT] = {
    [CONFIG_HTTP] = &http_protocol,
    [CONFIG_TCP] = &tcp_protocol,
    [CONFIG_POSTGRES] = &postgres_protocol,
};

static void on_signal(void *context, int number)
{
    struct control **control = context;
    if (number == SIGHUP) {
        control_reload(*control);
    } else if (number == SIGUSR2) {
        control_upgrade(*control);
    } else {
        control_stop(*control);
    }
}

/* Two descriptors a session: the usual soft limit of 1024, for programs that use select(), would end
 * with the first few hundred clients. */
static void take_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int serve(const char *path, struct config *config, struct certificates *certificates)
{
    uv_loop_t loop;
    struct rc_signals signals;
    struct control *control = NULL;
    char error[CONTROL_ERROR_MAX];
    struct control_options options = {.config_path = path,
                                      .config = config,
                                      .certificates = certificates,
                                      .protocols = protocols};

    take_descriptors();
    if (uv_loop_init(&loop) != 0) {
        certificates_destroy(certificates);
        config_destroy(config);
        return RC_EIO;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (rc_signals_open(&signals, &loop, SIGUSR2, on_signal, (void *)&control) != RC_OK) {
        (void)fprintf(stderr, "%s: signals cannot be watched\n", path);
        certificates_destroy(certificates);
        config_destroy(config);
        (void)uv_loop_close(&loop);
        return RC_EIO;
    }
    int err = control_start(&loop, &options, &control, error);
    if (err != RC_OK) {
        (void)fprintf(stderr, "%s: %s\n", path,
                      error[0] != '\0' ? error : rc_strerror(err));
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* until control has stopped */
    rc_signals_close(&signals, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    control_destroy(control);
    (void)uv_loop_close(&loop);
    return err;
}

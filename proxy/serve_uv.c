/* serve_uv.c - see serve_uv.h. */
#include "proxy/serve_uv.h"

#include <signal.h>
#include <stdio.h>

#include <uv.h>

#include "base/err.h"
#include "proxy/control_uv.h"
#include "proxy/http_uv.h"
#include "proxy/postgres_uv.h"
#include "proxy/tcp_uv.h"

static const struct worker_protocol *const protocols[CONFIG_MODE_COUNT] = {
    [CONFIG_HTTP] = &http_protocol,
    [CONFIG_TCP] = &tcp_protocol,
    [CONFIG_POSTGRES] = &postgres_protocol,
};

struct signals {
    uv_signal_t handles[3];
    struct control *control;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    if (number == SIGHUP) {
        control_reload(signals->control);
    } else {
        control_stop(signals->control);
    }
}

/* Signals wake the loop but do not keep it alive. */
static void listen_signals(uv_loop_t *loop, struct signals *signals)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)uv_signal_init(loop, &signals->handles[i]);
        signals->handles[i].data = signals;
        (void)uv_signal_start(&signals->handles[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&signals->handles[i]);
    }
}

static void close_signals(struct signals *signals)
{
    for (size_t i = 0; i < sizeof signals->handles / sizeof signals->handles[0]; i++) {
        uv_close((uv_handle_t *)&signals->handles[i], NULL);
    }
}

int serve(const char *path, struct config *config)
{
    uv_loop_t loop;
    struct signals signals = {0};
    char error[CONTROL_ERROR_MAX];
    struct control_options options = {
        .config_path = path, .config = config, .protocols = protocols};

    if (uv_loop_init(&loop) != 0) {
        config_destroy(config);
        return RC_EIO;
    }
    listen_signals(&loop, &signals);
    int err = control_start(&loop, &options, &signals.control, error);
    if (err != RC_OK) {
        (void)fprintf(stderr, "%s: %s\n", path,
                      error[0] != '\0' ? error : rc_strerror(err));
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* until control has stopped */
    close_signals(&signals);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    control_destroy(signals.control);
    (void)uv_loop_close(&loop);
    return err;
}

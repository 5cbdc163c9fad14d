/* template_uv.h - `rollcall template` as it runs: files kept right until it is told to stop.
 *
 * One loop, one thread. SIGHUP reads the configuration again; SIGTERM and SIGINT end it, after the
 * command that runs. Tells systemd when it is ready. */
#ifndef AGENT_TEMPLATE_TEMPLATE_UV_H
#define AGENT_TEMPLATE_TEMPLATE_UV_H

#include <stdbool.h>

#include "agent/template/template_config.h"

/* Exit statuses, as consul-template's. */
enum template_exit {
    TEMPLATE_EXIT_DONE = 0,
    TEMPLATE_EXIT_INTERRUPTED = 12, /* SIGINT */
    TEMPLATE_EXIT_USAGE = 13,
    TEMPLATE_EXIT_FAILED = 14, /* only with -once: something did not work */
    TEMPLATE_EXIT_CONFIG = 15  /* configuration, or a template that cannot be read */
};

struct template_run {
    bool is_once; /* ends when every file is right */
    bool is_dry;  /* prints texts instead of writing files, and runs no commands */
    /* Reads the configuration; RC_OK, or an error with words. `*out` is zeroed before. */
    int (*load)(void *context, struct template_config *out,
                char error[RC_SETTINGS_ERROR_MAX]);
    void *context;
};

enum template_exit template_run(const struct template_run *run);

#endif

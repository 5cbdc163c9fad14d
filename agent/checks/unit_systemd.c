/* unit_systemd.c - does that unit of systemd run? What its state means is unit.h's. */
#include <stdlib.h>

#include "agent/checks/bus_systemd.h"
#include "agent/checks/checks.h"
#include "base/err.h"

struct units {
    struct prober prober;
    struct bus *bus;
};

struct run {
    struct probe_run link;
    struct bus_request *request; /* NULL: it is over */
    struct unit_rules rules;
    char unit[UNIT_NAME_MAX + 1];
};

static void end(struct probe_run *link)
{
    struct run *run = (struct run *)link;

    probe_run_remove(link);
    if (run->request != NULL) {
        bus_forget(run->request);
    }
    free(run);
}

static void on_known(void *context, const struct unit_state *state, const char *error)
{
    struct run *run = context;
    struct rc_buffer text = {0};
    enum check_status status = CHECK_CRITICAL;

    run->request = NULL;
    if (state != NULL) {
        status = unit_judge(state, run->unit, &run->rules, &text);
    } else {
        rc_buffer_format(&text, "%s: %s", run->unit, error);
    }
    probe_run_say(&run->link, status, &text);
}

static void start(struct prober *prober, const struct probe_request *request)
{
    const struct check_definition *wanted = request->definition;
    struct units *units = (struct units *)prober;
    struct run *run = (struct run *)probe_run_create(sizeof *run, prober, request);
    struct rc_buffer text = {0};

    if (run == NULL) {
        return;
    }
    (void)unit_name_complete(wanted->systemd, run->unit); /* judged before */
    run->rules = (struct unit_rules){
        .starting = CHECK_WARNING,
        .max_restarts = (uint32_t)wanted->max_restarts,
    };
    if (wanted->systemd_starting != NULL) {
        (void)check_status_parse(wanted->systemd_starting, &run->rules.starting);
    }
    run->request = bus_look(units->bus, run->unit, on_known, run);
    if (run->request == NULL) {
        rc_buffer_text(&text, "out of memory");
        probe_run_say(&run->link, CHECK_CRITICAL, &text);
    }
}

static void expire(struct probe_run *link)
{
    struct rc_buffer text = {0};

    rc_buffer_format(&text, "%s: systemd does not answer in time",
                     ((struct run *)link)->unit);
    probe_run_say(link, CHECK_CRITICAL, &text);
}

static void close_bus(struct prober *prober)
{
    bus_close(((struct units *)prober)->bus);
}

struct prober *unit_systemd_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {.name = "systemd",
                                           .start = start,
                                           .expire = expire,
                                           .end = end,
                                           .close = close_bus};
    struct prober *prober = prober_create(sizeof(struct units), &kind, loop, sink);
    struct bus *bus = bus_open(loop); /* loads nothing until it is needed */

    if (prober == NULL || bus == NULL) {
        free(prober);
        bus_close(bus);
        return NULL;
    }
    ((struct units *)prober)->bus = bus;
    return prober;
}

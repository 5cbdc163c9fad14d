#include "agent/healer_uv.h"

#include <stdlib.h>

#include "agent/checks/bus_systemd.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { RESTART_TIMEOUT_MS = 5 * 60 * 1000 }; /* systemd's own limits end most before */

enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_GIVEN_UP, OUTCOME_COUNT };

/* A restart under way. */
struct order {
    struct healer *healer;
    struct order *next;
    char *check_id;
    char *unit;
};

struct healer {
    struct healer_options options;
    struct bus *bus;
    struct order *orders;
    struct rc_metric *outcomes[OUTCOME_COUNT];
};

static void destroy(struct order *order)
{
    struct order **at = &order->healer->orders;

    while (*at != order) {
        at = &(*at)->next;
    }
    *at = order->next;
    free(order->check_id);
    free(order->unit);
    free(order);
}

static void tell(const struct healer *healer, const struct healer_news *news)
{
    healer->options.done(healer->options.context, news);
}

static void report(struct order *order, const char *error)
{
    struct healer *healer = order->healer;
    const struct healer_news news = {order->check_id, order->unit, error, false};

    rc_metric_add(healer->outcomes[error == NULL ? OUTCOME_DONE : OUTCOME_FAILED], 1);
    if (error == NULL) {
        rc_log(RC_LOG_INFO, "checks", "%s was restarted, for check \"%s\"", order->unit,
               order->check_id);
    } else {
        rc_log(RC_LOG_ERROR, "checks", "%s was not restarted, for check \"%s\": %s",
               order->unit, order->check_id, error);
    }
    tell(healer, &news);
    destroy(order);
}

static void on_restarted(void *context, const char *error)
{
    report(context, error);
}

static struct order *new_order(struct healer *healer, const struct local_heal *wish)
{
    struct order *order = calloc(1, sizeof *order);

    if (order == NULL) {
        return NULL;
    }
    order->healer = healer;
    order->next = healer->orders;
    healer->orders = order;
    order->check_id = rc_text_copy(wish->check_id);
    order->unit = rc_text_copy(wish->unit);
    if (order->check_id == NULL || order->unit == NULL) {
        destroy(order);
        return NULL;
    }
    return order;
}

void healer_wish(struct healer *healer, const struct local_heal *wish)
{
    if (wish->kind == LOCAL_HEAL_GIVEN_UP) {
        rc_metric_add(healer->outcomes[OUTCOME_GIVEN_UP], 1);
        rc_log(
            RC_LOG_ERROR, "checks",
            "check \"%s\" still fails after %u restarts of %s within an hour, which is "
            "max_per_hour: it is left alone, look at journalctl -u %s",
            wish->check_id, (unsigned)wish->number, wish->unit, wish->unit);
        tell(healer, &(struct healer_news){wish->check_id, wish->unit,
                                           "max_per_hour is used up", true});
        return;
    }
    rc_log(RC_LOG_WARN, "checks",
           "check \"%s\" fails: %s is restarted, for the %u. time of %u this hour",
           wish->check_id, wish->unit, (unsigned)wish->number, (unsigned)wish->per_hour);
    struct order *order = new_order(healer, wish);
    if (order == NULL) {
        tell(healer,
             &(struct healer_news){wish->check_id, wish->unit, "out of memory", false});
    } else if (bus_restart(healer->bus, order->unit, RESTART_TIMEOUT_MS, on_restarted,
                           order) == NULL) {
        report(order, "out of memory");
    }
}

int healer_open(const struct healer_options *options, struct healer **out)
{
    static const char *const labels[OUTCOME_COUNT] = {
        [OUTCOME_DONE] = "outcome=\"restarted\"",
        [OUTCOME_FAILED] = "outcome=\"failed\"",
        [OUTCOME_GIVEN_UP] = "outcome=\"exhausted\"",
    };
    struct healer *healer = calloc(1, sizeof *healer);

    if (healer == NULL) {
        return RC_ENOMEM;
    }
    healer->options = *options;
    healer->bus = bus_open(options->loop);
    if (healer->bus == NULL) {
        free(healer);
        return RC_ENOMEM;
    }
    for (unsigned i = 0; i < OUTCOME_COUNT && options->metrics != NULL; i++) {
        healer->outcomes[i] = rc_metrics_counter(
            options->metrics, "rollcall_check_restarts_total", labels[i],
            "Units restarted for failing checks, by what came of it.");
    }
    *out = healer;
    return RC_OK;
}

void healer_close(struct healer *healer)
{
    if (healer == NULL) {
        return;
    }
    bus_close(healer->bus);
    for (struct order *next = NULL, *at = healer->orders; at != NULL; at = next) {
        next = at->next;
        destroy(at);
    }
    free(healer);
}

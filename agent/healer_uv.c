#include "agent/healer_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/checks/bus_systemd.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum {
    RESTART_TIMEOUT_MS = 5 * 60 * 1000, /* systemd's own limits end most before */
    GIVEN_UP_MAX = 320
};

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
    struct rc_metric *outcomes[HEALER_OUTCOME_COUNT];
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

/* Counted, handed on, and told to the log. */
static void report(const struct healer *healer, const struct healer_news *news)
{
    rc_metric_add(healer->outcomes[news->outcome], 1);
    if (!healer->options.done(healer->options.context, news)) {
        return;
    }
    if (news->error == NULL) {
        rc_log(RC_LOG_WARN, "checks", "%s was restarted, because check \"%s\" fails",
               news->unit, news->check_id);
    } else {
        rc_log(news->outcome == HEALER_LEFT_ALONE ? RC_LOG_INFO : RC_LOG_ERROR, "checks",
               "check \"%s\" fails, but %s was not restarted: %s", news->check_id,
               news->unit, news->error);
    }
}

static void on_restarted(void *context, enum bus_outcome outcome, const char *text)
{
    static const enum healer_outcome by_outcome[] = {
        [BUS_RESTARTED] = HEALER_RESTARTED,
        [BUS_FAILED] = HEALER_FAILED,
        [BUS_LEFT_ALONE] = HEALER_LEFT_ALONE,
    };
    struct order *order = context;

    report(order->healer, &(struct healer_news){by_outcome[outcome], order->check_id,
                                                order->unit, text});
    destroy(order);
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

static void give_up(const struct healer *healer, const struct local_heal *wish)
{
    char words[GIVEN_UP_MAX];

    (void)snprintf(
        words, sizeof words,
        "that was done %u times within an hour, which is max_per_hour; look at "
        "journalctl -u %.128s",
        (unsigned)wish->number, wish->unit);
    report(healer,
           &(struct healer_news){HEALER_EXHAUSTED, wish->check_id, wish->unit, words});
}

void healer_wish(struct healer *healer, const struct local_heal *wish)
{
    if (wish->kind == LOCAL_HEAL_GIVEN_UP) {
        give_up(healer, wish);
        return;
    }
    struct order *order = new_order(healer, wish);
    if (order == NULL) {
        report(healer, &(struct healer_news){HEALER_FAILED, wish->check_id, wish->unit,
                                             "out of memory"});
    } else if (bus_restart(healer->bus, order->unit, RESTART_TIMEOUT_MS, on_restarted,
                           order) == NULL) {
        on_restarted(order, BUS_FAILED, "out of memory");
    }
}

int healer_open(const struct healer_options *options, struct healer **out)
{
    static const char *const labels[HEALER_OUTCOME_COUNT] = {
        [HEALER_RESTARTED] = "outcome=\"restarted\"",
        [HEALER_FAILED] = "outcome=\"failed\"",
        [HEALER_LEFT_ALONE] = "outcome=\"left_alone\"",
        [HEALER_EXHAUSTED] = "outcome=\"exhausted\"",
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
    for (unsigned i = 0; i < HEALER_OUTCOME_COUNT && options->metrics != NULL; i++) {
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

/* discovery_uv.c - see discovery_uv.h. */
#include "proxy/discover/discovery_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "dns/resolve/resolve_ares.h"
#include "proxy/discover/file_follow_uv.h"
#include "proxy/discover/watch_uv.h"

enum { REFRESH_GAP_MS = 1000, FAILED_PAUSE_MS = 1000, EMPTY_PAUSE_MS = 3000 };

struct discovery {
    struct discovery_options options; /* config and pool are not used after the start */
    char dns_name[256];
    uint16_t dns_port; /* 0 = SRV */
    struct file_follow *file;
    char tag[CONFIG_NAME_MAX];
    uint32_t min_ttl_ms;
    uint32_t max_ttl_ms;
    uint32_t hold_empty_ms;
    struct rc_random random;
    struct watch *watch;
    uv_timer_t timer; /* the next DNS question */
    bool timer_closed;
    bool asking; /* a DNS question is under way */
    bool again;  /* and must be repeated when it is answered */
    bool closing;
    uint64_t asked_at_ms;
};

static void free_if_closed(struct discovery *d)
{
    if (d->closing && d->timer_closed && !d->asking) {
        free(d);
    }
}

/* --- DNS --- */

static void ask_dns(struct discovery *d);

static void on_timer(uv_timer_t *timer)
{
    ask_dns(timer->data);
}

static void ask_after(struct discovery *d, uint64_t ms)
{
    if (!d->closing && d->dns_name[0] != '\0') {
        (void)uv_timer_start(&d->timer, on_timer, ms, 0);
    }
}

/* The smallest TTL within the limits, less up to a tenth so that proxies spread out. */
static uint64_t pause_after(struct discovery *d, const struct dns_result *result)
{
    if (result->verdict == DNS_VERDICT_FAILED) {
        return FAILED_PAUSE_MS;
    }
    uint64_t ttl_ms = (uint64_t)result->min_ttl_s * 1000;
    if (result->verdict == DNS_VERDICT_EMPTY) {
        uint64_t third = d->hold_empty_ms / 3;
        ttl_ms = third > 0 && third < EMPTY_PAUSE_MS ? third : EMPTY_PAUSE_MS;
    }
    ttl_ms = ttl_ms < d->min_ttl_ms ? d->min_ttl_ms : ttl_ms;
    ttl_ms = ttl_ms > d->max_ttl_ms ? d->max_ttl_ms : ttl_ms;
    return ttl_ms - rc_random_below(&d->random, ttl_ms / 10 + 1);
}

static uint16_t lowest_priority(const struct dns_result *result)
{
    uint16_t lowest = UINT16_MAX;
    for (size_t i = 0; i < result->target_count; i++) {
        if (result->targets[i].priority < lowest) {
            lowest = result->targets[i].priority;
        }
    }
    return lowest;
}

static void tell_targets(struct discovery *d, const struct dns_result *result)
{
    static const enum lineup_verdict verdicts[DNS_VERDICT_COUNT] = {
        [DNS_VERDICT_FULL] = LINEUP_FULL,
        [DNS_VERDICT_PARTIAL] = LINEUP_PARTIAL,
        [DNS_VERDICT_EMPTY] = LINEUP_EMPTY,
        [DNS_VERDICT_FAILED] = LINEUP_FAILED,
    };
    struct lineup_entry *entries = calloc(result->target_count + 1, sizeof *entries);
    uint16_t priority = lowest_priority(result);
    size_t count = 0;
    for (size_t i = 0; entries != NULL && i < result->target_count; i++) {
        const struct dns_target *target = &result->targets[i];
        if (target->priority == priority) {
            entries[count].address = target->address;
            entries[count].weight = target->weight;
            count++;
        }
    }
    enum lineup_verdict verdict =
        entries != NULL ? verdicts[result->verdict] : LINEUP_FAILED;
    d->options.told(d->options.context, LINEUP_DNS, verdict, entries, count,
                    result->problem);
    free(entries);
}

static void on_dns(void *context, const struct dns_result *result)
{
    struct discovery *d = context;
    d->asking = false;
    if (d->closing) {
        free_if_closed(d);
        return;
    }
    tell_targets(d, result);
    ask_after(d, d->again ? 0 : pause_after(d, result));
    d->again = false;
}

static void ask_dns(struct discovery *d)
{
    if (d->asking) {
        d->again = true;
        return;
    }
    d->asked_at_ms = rc_clock_ms();
    d->asking = true;
    int err = d->dns_port > 0
                  ? dns_resolve_addresses(d->options.resolver, d->dns_name, d->dns_port,
                                          on_dns, d)
                  : dns_resolve_srv(d->options.resolver, d->dns_name, on_dns, d);
    if (err != RC_OK) {
        d->asking = false;
        ask_after(d, FAILED_PAUSE_MS);
    }
}

/* --- the watch --- */

static const char *on_reply(void *context, const struct watch_reply *reply,
                            uint64_t age_ms)
{
    struct discovery *d = context;
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    (void)age_ms;
    if (reply->status != 200) {
        return "the agent refused";
    }
    if (watch_reply_entries(reply, d->tag, &entries, &count) != RC_OK) {
        return "the agent's answer is no list";
    }
    d->options.told(d->options.context, LINEUP_AGENT, LINEUP_FULL, entries, count, NULL);
    free(entries);
    ask_after(d, 0); /* keeps DNS' word as fresh as the watch's */
    return NULL;
}

static void on_failure(void *context, const char *problem)
{
    struct discovery *d = context;
    d->options.told(d->options.context, LINEUP_AGENT, LINEUP_FAILED, NULL, 0, problem);
}

static int start_watch(struct discovery *d)
{
    const struct config *config = d->options.config;
    const struct config_pool *pool = d->options.pool;
    struct watch_options options = {
        .loop = d->options.loop,
        .agent = config->agent,
        .question = {.start = "/v1/health/service/",
                     .rest = "?",
                     .wait_ms = config->agent_wait_ms},
        .seed = rc_random_next(&d->random),
        .replied = on_reply,
        .failed = on_failure,
        .context = d,
    };
    struct watch_question *question = &options.question;
    (void)rc_text_put(question->name, sizeof question->name, pool->service);
    (void)rc_text_put(question->token, sizeof question->token, config->agent_token);
    (void)rc_text_put(d->tag, sizeof d->tag, pool->tag);
    d->watch = watch_start(&options);
    return d->watch != NULL ? RC_OK : RC_ENOMEM;
}

static int start_file(struct discovery *d)
{
    struct file_follow_options options = {.loop = d->options.loop,
                                          .path = d->options.pool->file,
                                          .told = d->options.told,
                                          .context = d->options.context};
    d->file = file_follow_start(&options);
    return d->file != NULL ? RC_OK : RC_ENOMEM;
}

struct discovery *discovery_start(const struct discovery_options *options)
{
    struct discovery *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return NULL;
    }
    d->options = *options;
    d->min_ttl_ms = options->config->dns_min_ttl_ms;
    d->max_ttl_ms = options->config->dns_max_ttl_ms;
    d->hold_empty_ms = options->config->dns_hold_empty_ms;
    rc_random_init(&d->random, options->seed);
    (void)uv_timer_init(options->loop, &d->timer); /* cannot fail */
    d->timer.data = d;
    if (options->resolver != NULL) {
        (void)rc_text_put(d->dns_name, sizeof d->dns_name, options->pool->dns_name);
    }
    d->dns_port = (uint16_t)options->pool->dns_port;
    if ((options->pool->service[0] != '\0' && start_watch(d) != RC_OK) ||
        (options->pool->file[0] != '\0' && start_file(d) != RC_OK)) {
        discovery_close(d);
        return NULL;
    }
    ask_after(d, 0);
    return d;
}

void discovery_refresh(struct discovery *discovery)
{
    uint64_t since_ms = rc_clock_ms() - discovery->asked_at_ms;
    if (discovery->asking) {
        return;
    }
    uint64_t wait_ms = since_ms >= REFRESH_GAP_MS ? 0 : REFRESH_GAP_MS - since_ms;
    if (uv_timer_get_due_in(&discovery->timer) > wait_ms) {
        ask_after(discovery, wait_ms);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct discovery *d = handle->data;
    d->timer_closed = true;
    free_if_closed(d);
}

void discovery_close(struct discovery *discovery)
{
    if (discovery == NULL || discovery->closing) {
        return;
    }
    discovery->closing = true;
    watch_close(discovery->watch);
    file_follow_close(discovery->file);
    uv_close((uv_handle_t *)&discovery->timer, on_timer_closed);
}

/* pgfollow_uv.c - see pgfollow_uv.h. */
#include "proxy/discover/pgfollow_uv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "proxy/discover/watch_uv.h"

enum { WAIT_MIN_MS = 100, WAIT_MAX_MS = 1000, WAITS_PER_VIEW = 8, PAUSE_MAX_MS = 250 };

struct pgfollow {
    struct pgfollow_options options; /* config and pool are not used after the start */
    struct watch *watch;
};

/* Answers must come several times within the age that counts, news or none: the agent takes a
 * server for dead that is silent for three of these waits, and asks another (agent/link/haste.h). */
static uint32_t wait_of(const struct pgview *view)
{
    uint32_t wait_ms = pgview_age_max_ms(view) / WAITS_PER_VIEW;
    wait_ms = wait_ms < WAIT_MIN_MS ? WAIT_MIN_MS : wait_ms;
    return wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : wait_ms;
}

static const char *on_reply(void *context, const struct watch_reply *reply,
                            uint64_t age_ms)
{
    struct pgfollow *f = context;
    struct pgview *view = f->options.view;
    struct pgview_word word;
    uint64_t now_ms = rc_clock_boot_ms();

    if (reply->status != 200 && reply->status != 404) {
        return reply->status == 403 ? "the agent refuses this token"
                                    : "the agent has no word of the store";
    }
    if (reply->status == 200 &&
        pgview_parse(reply->body, reply->body_size, &word) != RC_OK) {
        return "the agent's answer is no cluster";
    }
    bool taken =
        pgview_hear(view, reply->status == 200 ? &word : NULL, now_ms - age_ms, now_ms);
    if (!taken) {
        return "the agent's answer is older than what was heard before";
    }
    watch_set_wait(f->watch, wait_of(view));
    f->options.heard(f->options.context);
    return NULL;
}

static void on_failure(void *context, const char *problem)
{
    struct pgfollow *f = context;
    f->options.failed(f->options.context, problem);
}

struct pgfollow *pgfollow_start(const struct pgfollow_options *options)
{
    struct pgfollow *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    f->options = *options;
    struct watch_options watch = {
        .loop = options->loop,
        .agent = options->config->agent,
        .question = {.start = "/v1/postgres/",
                     .rest = "?",
                     .wait_ms = wait_of(options->view)},
        .pause_max_ms = PAUSE_MAX_MS,
        .seed = options->seed,
        .replied = on_reply,
        .failed = on_failure,
        .context = f,
    };
    struct watch_question *question = &watch.question;
    (void)rc_text_put(question->name, sizeof question->name, options->pool->postgres);
    (void)rc_text_put(question->token, sizeof question->token,
                      options->config->agent_token);
    f->watch = watch_start(&watch);
    if (f->watch == NULL) {
        free(f);
        return NULL;
    }
    return f;
}

void pgfollow_close(struct pgfollow *follow)
{
    if (follow != NULL) {
        watch_close(follow->watch);
        free(follow);
    }
}

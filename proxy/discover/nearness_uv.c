/* nearness_uv.c - see nearness_uv.h. */
#include "proxy/discover/nearness_uv.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/discover/coordinates.h"
#include "proxy/discover/watch_uv.h"

enum { COORDINATES_EVERY_MS = 10000, SELF_EVERY_MS = 60000 };

struct nearness {
    struct nearness_options options;
    struct rc_random random;
    struct watch *self;
    struct watch *nodes;
    char node[CONFIG_NAME_MAX]; /* our agent's; "" = not known yet */
    struct coordinates_node *known;
    size_t count;
};

/* Distances that differ by little are the same: else every estimate would be a change. */
static uint32_t round_us(uint32_t us)
{
    uint32_t step = us < 1000 ? 100 : us < 10000 ? 500 : 5000;
    return us - us % step;
}

static bool tell(struct nearness *n)
{
    const struct coordinates_node *ours = NULL;
    bool changed = false;
    for (size_t i = 0; i < n->count; i++) {
        if (n->node[0] != '\0' && rc_text_equals(n->known[i].node, n->node)) {
            ours = &n->known[i];
        }
    }
    for (size_t i = 0; ours != NULL && i < n->count; i++) {
        const struct coordinates_node *other = &n->known[i];
        uint32_t us = other == ours ? 0 : coordinates_distance_us(&ours->at, &other->at);
        us = us > DISTANCE_UNKNOWN ? (uint32_t)DISTANCE_UNKNOWN : round_us(us);
        changed = lineup_set_distance(n->options.lineup, other->node, us) || changed;
    }
    return changed;
}

void nearness_apply(struct nearness *nearness)
{
    if (nearness != NULL) {
        (void)tell(nearness);
    }
}

static void retell(struct nearness *n)
{
    if (tell(n)) {
        n->options.changed(n->options.context);
    }
}

static const char *on_self(void *context, const struct watch_reply *reply,
                           uint64_t age_ms)
{
    struct nearness *n = context;
    (void)age_ms;
    if (reply->status != 200 ||
        coordinates_read_self(reply->body, reply->body_size, n->node) != RC_OK) {
        return "the agent does not say who it is";
    }
    retell(n);
    return NULL;
}

static const char *on_nodes(void *context, const struct watch_reply *reply,
                            uint64_t age_ms)
{
    struct nearness *n = context;
    struct coordinates_node *known = NULL;
    size_t count = 0;
    (void)age_ms;
    if (reply->status != 200 ||
        coordinates_read_nodes(reply->body, reply->body_size, &known, &count) != RC_OK) {
        return "the agent does not tell coordinates";
    }
    free(n->known);
    n->known = known;
    n->count = count;
    retell(n);
    return NULL;
}

static void on_failure(void *context, const char *problem)
{
    (void)context; /* what was known stays; the pool's own watch complains */
    (void)problem;
}

static struct watch *ask(struct nearness *n, const char *path, uint32_t every_ms,
                         const char *(*replied)(void *, const struct watch_reply *,
                                                uint64_t))
{
    struct watch_options options = {
        .loop = n->options.loop,
        .agent = n->options.config->agent,
        .question = {.start = path, .rest = "?", .wait_ms = 1000},
        .every_ms = every_ms,
        .seed = rc_random_next(&n->random),
        .replied = replied,
        .failed = on_failure,
        .context = n,
    };
    (void)rc_text_put(options.question.token, sizeof options.question.token,
                      n->options.config->agent_token);
    return watch_start(&options);
}

struct nearness *nearness_start(const struct nearness_options *options)
{
    struct nearness *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->options = *options;
    rc_random_init(&n->random, options->seed);
    n->self = ask(n, "/v1/agent/self", SELF_EVERY_MS, on_self);
    n->nodes = ask(n, "/v1/coordinate/nodes", COORDINATES_EVERY_MS, on_nodes);
    n->options.config = NULL; /* only borrowed so far */
    if (n->self == NULL || n->nodes == NULL) {
        nearness_close(n);
        return NULL;
    }
    return n;
}

void nearness_close(struct nearness *nearness)
{
    if (nearness != NULL) {
        watch_close(nearness->self);
        watch_close(nearness->nodes);
        free(nearness->known);
        free(nearness);
    }
}

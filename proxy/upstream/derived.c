/* derived.c - see derived.h. */
#include "proxy/upstream/derived.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static int fill(struct derived *made, const char *service)
{
    struct config_pool *config = &made->config;
    char name[2 * CONFIG_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", config->name, service);
    config->statics = NULL; /* the pattern's own */
    config->static_count = 0;
    config->pattern = false;
    int err = rc_text_put(config->name, sizeof config->name, name);
    return err == RC_OK ? rc_text_put(config->service, sizeof config->service, service)
                        : err;
}

struct derived *derived_create(const struct config *config, size_t pattern,
                               const char *service, uint64_t now_ms, int *err)
{
    assert(pattern < config->pool_count);
    *err = RC_EINVAL;
    if (!config->pools[pattern].pattern || service[0] == '\0') {
        return NULL;
    }
    struct derived *made = calloc(1, sizeof *made);
    *err = made != NULL ? RC_OK : RC_ENOMEM;
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->references, 1);
    atomic_init(&made->used_at_ms, now_ms);
    made->pattern = pattern;
    made->config = config->pools[pattern];
    if (fill(made, service) != RC_OK) {
        *err = RC_ETOOBIG;
        free(made);
        return NULL;
    }
    return made;
}

struct derived *derived_retain(struct derived *derived)
{
    (void)atomic_fetch_add_explicit(&derived->references, 1, memory_order_relaxed);
    return derived;
}

void derived_release(struct derived *derived)
{
    if (derived != NULL &&
        atomic_fetch_sub_explicit(&derived->references, 1, memory_order_acq_rel) == 1) {
        free(derived);
    }
}

int derived_compare(const struct derived *derived, size_t pattern, const char *service)
{
    if (derived->pattern != pattern) {
        return derived->pattern < pattern ? -1 : 1;
    }
    return strcmp(derived->config.service, service);
}

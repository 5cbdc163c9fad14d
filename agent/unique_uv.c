#include "agent/unique_uv.h"

#include "agent/agent_uv.h"
#include "agent/catalog/catalog.h"
#include "agent/watch_keys_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

static struct watch_definition watch_of(const struct unique_tag *tag)
{
    return (struct watch_definition){
        .type = WATCH_KEY, .key = tag->by_kv, .token = tag->token};
}

size_t agent_unique_watches(const struct agent_config *config,
                            struct watch_definition *out)
{
    for (size_t i = 0; i < config->unique_tag_count; i++) {
        out[i] = watch_of(&config->unique_tags[i]);
    }
    return config->unique_tag_count;
}

static int tell(struct agent *agent, const struct unique_tag *tag, const char *holder)
{
    const struct catalog_unique rule = {
        .service = tag->service,
        .tags = (const char *const *)tag->tags.items,
        .tag_count = tag->tags.count,
        .holder = holder,
    };
    return catalog_set_unique(agent->catalog, rc_clock_ms(), &rule);
}

static void look(struct agent *agent, const struct unique_tag *tag)
{
    const struct watch_definition watch = watch_of(tag);
    const struct watch_question question = watch_definition_question(&watch);
    char holder[UNIQUE_HOLDER_MAX] = "";
    struct rc_buffer pair = {0};

    bool known = watch_keys_is_current(agent->watch_keys, &question) &&
                 watch_keys_read(agent->watch_keys, &question, &pair) != 0 &&
                 pair.err == RC_OK;
    if (known &&
        unique_tag_holder((const char *)pair.bytes, pair.size, holder) != RC_OK) {
        rc_log(RC_LOG_WARN, "agent", "unique_tag: the key %s names nobody", tag->by_kv);
    }
    if (tell(agent, tag, holder) != RC_OK) {
        rc_log(RC_LOG_ERROR, "agent", "unique_tag: no memory for service %s",
               tag->service);
    }
    rc_buffer_fini(&pair);
}

void agent_look_unique(struct agent *agent)
{
    for (size_t i = 0; i < agent->config.unique_tag_count; i++) {
        look(agent, &agent->config.unique_tags[i]);
    }
}

int agent_set_unique(struct agent *agent)
{
    int err = RC_OK;

    for (size_t i = 0; i < agent->config.unique_tag_count && err == RC_OK; i++) {
        err = tell(agent, &agent->config.unique_tags[i], "");
    }
    return err;
}

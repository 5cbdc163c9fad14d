#include "agent/config_store.h"

#include <stddef.h>

#include "agent/config.h"
#include "base/err.h"
#include "base/text.h"

static const char *const names[CONFIG_STORE_COUNT] = {
    [CONFIG_STORE_NONE] = "none",
    [CONFIG_STORE_SQLITE] = "sqlite",
    [CONFIG_STORE_ETCD] = "etcd",
    [CONFIG_STORE_MEMORY] = "memory",
};

const char *config_store_name(enum config_store_engine engine)
{
    return names[engine];
}

enum config_store_engine config_store_engine(const struct agent_config *config)
{
    const struct agent_store_config *store = &config->store;

    for (size_t i = 0; i < CONFIG_STORE_COUNT && store->engine != NULL; i++) {
        if (rc_text_equals(names[i], store->engine)) {
            return (enum config_store_engine)i;
        }
    }
    if (!config->server) {
        return CONFIG_STORE_NONE;
    }
    return config->dev && config->data_dir == NULL && store->path == NULL
               ? CONFIG_STORE_MEMORY
               : CONFIG_STORE_SQLITE;
}

static int fail(char *error, const char *text)
{
    (void)rc_text_put(error, AGENT_CONFIG_ERROR_MAX, text);
    return RC_EINVAL;
}

int config_store_check(const struct agent_config *config, char *error)
{
    const struct agent_store_config *store = &config->store;
    enum config_store_engine engine = config_store_engine(config);

    if (store->engine != NULL && !rc_text_equals(store->engine, names[engine])) {
        return fail(error, "store.engine must be sqlite, etcd, memory or none");
    }
    if (engine != CONFIG_STORE_NONE && !config->server) {
        return fail(error, "store.engine is for servers: set server = true too, or leave "
                           "it out (this agent then asks one)");
    }
    if (engine == CONFIG_STORE_SQLITE && config->data_dir == NULL &&
        store->path == NULL) {
        return fail(error, "store.engine sqlite needs a folder: set data_dir, or "
                           "store.path");
    }
    if (engine == CONFIG_STORE_ETCD && store->endpoints.count == 0) {
        return fail(error, "store.engine etcd needs store.endpoints, the addresses of "
                           "etcd's members, such as [\"https://10.0.0.1:2379\"]");
    }
    if (engine != CONFIG_STORE_ETCD && store->endpoints.count > 0) {
        return fail(error, "store.endpoints are of etcd: set store.engine = \"etcd\"");
    }
    if (store->session_ttl_factor < 1 || store->session_ttl_factor > 10) {
        return fail(error, "store.session_ttl_factor must be 1 to 10");
    }
    return config->session_ttl_min_ms >= 1000
               ? RC_OK
               : fail(error, "session_ttl_min must be at least 1s");
}

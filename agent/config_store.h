/* config_store.h - which engine an agent's settings ask for.
 *
 * A server has one: SQLite, unless the store block says otherwise; with -dev, and no place
 * given, it is kept in memory. Others tell by their gossip tag who has which. */
#ifndef AGENT_CONFIG_STORE_H
#define AGENT_CONFIG_STORE_H

struct agent_config;

enum config_store_engine {
    CONFIG_STORE_NONE,
    CONFIG_STORE_SQLITE,
    CONFIG_STORE_ETCD,
    CONFIG_STORE_MEMORY,
    CONFIG_STORE_COUNT
};

#define CONFIG_STORE_TAG "rc_st"

enum config_store_engine config_store_engine(const struct agent_config *config);

const char *config_store_name(enum config_store_engine engine); /* static */

/* Whether the block makes sense. RC_OK, or RC_EINVAL with one line in `error`
 * (AGENT_CONFIG_ERROR_MAX). */
int config_store_check(const struct agent_config *config, char *error);

#endif

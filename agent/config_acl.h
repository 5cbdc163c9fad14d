/* config_acl.h - what the acl block of an agent's settings means. */
#ifndef AGENT_CONFIG_ACL_H
#define AGENT_CONFIG_ACL_H

#include "agent/http/http.h"

struct agent_config;

/* RC_OK, or RC_EINVAL with one line in `error` (AGENT_CONFIG_ERROR_MAX). */
int config_acl_check(const struct agent_config *config, char *error);

/* For a block that config_acl_check() has passed. */
enum http_acl_mode config_acl_mode(const struct agent_config *config);
enum http_acl_default config_acl_default(const struct agent_config *config);
enum http_acl_down config_acl_down(const struct agent_config *config);

#endif

#include "agent/config_acl.h"

#include "agent/config.h"
#include "base/err.h"
#include "base/text.h"

static const char *const modes[] = {
    [HTTP_ACL_OFF] = "off",
    [HTTP_ACL_WARN] = "warn",
    [HTTP_ACL_ENFORCE] = "enforce",
};

static int fail(char *error, const char *text)
{
    (void)rc_text_put(error, AGENT_CONFIG_ERROR_MAX, text);
    return RC_EINVAL;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return text == NULL || rc_text_equals(text, a) || rc_text_equals(text, b);
}

int config_acl_check(const struct agent_config *config, char *error)
{
    const struct agent_acl_config *acl = &config->acl;

    if (!is_one_of(acl->mode, "warn", "enforce") && !rc_text_equals(acl->mode, "off")) {
        return fail(error, "acl.mode must be off, warn or enforce");
    }
    if (!is_one_of(acl->default_policy, "allow", "deny")) {
        return fail(error, "acl.default_policy must be allow or deny");
    }
    /* Consul's async-cache is what we do anyway; its allow would open the door when the
     * servers are cut off. */
    if (!is_one_of(acl->down_policy, "extend-cache", "deny") &&
        !rc_text_equals(acl->down_policy, "async-cache")) {
        return fail(error, "acl.down_policy must be extend-cache or deny");
    }
    return RC_OK;
}

enum http_acl_mode config_acl_mode(const struct agent_config *config)
{
    if (!config->acl.enabled) {
        return HTTP_ACL_OFF;
    }
    for (enum http_acl_mode mode = HTTP_ACL_OFF; mode <= HTTP_ACL_ENFORCE; mode++) {
        if (config->acl.mode != NULL && rc_text_equals(modes[mode], config->acl.mode)) {
            return mode;
        }
    }
    return HTTP_ACL_ENFORCE;
}

enum http_acl_default config_acl_default(const struct agent_config *config)
{
    return config->acl.default_policy != NULL &&
                   rc_text_equals(config->acl.default_policy, "allow")
               ? HTTP_ACL_ALLOW
               : HTTP_ACL_DENY;
}

enum http_acl_down config_acl_down(const struct agent_config *config)
{
    return config->acl.down_policy != NULL &&
                   rc_text_equals(config->acl.down_policy, "deny")
               ? HTTP_ACL_DOWN_DENY
               : HTTP_ACL_EXTEND_CACHE;
}

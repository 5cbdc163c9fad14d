/* permits_uv.c - tokens, joined to what the agent is told and to DNS. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_uv.h"
#include "agent/config_acl.h"
#include "agent/http/permits.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/text.h"

enum { RESET_FILE_MAX = 64, AUDIT_TOLD_MS = 60 * 1000 };

static void tell(void *context, const char *line)
{
    (void)context;
    rc_log(RC_LOG_WARN, "acl", "%s", line);
}

/* The operator of a server, who has lost all tokens, writes the index that the refusal told
 * into <data_dir>/acl-bootstrap-reset. It works once. */
static bool may_reset(void *context, uint64_t index)
{
    const struct agent *agent = context;
    struct rc_buffer text = {0};
    char path[4096];
    uint64_t wanted = 0;

    if (agent->config.data_dir == NULL) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/acl-bootstrap-reset", agent->config.data_dir);
    if (rc_file_read(path, RESET_FILE_MAX, &text) != RC_OK) {
        return false;
    }
    char *line = rc_text_copy(rc_buffer_string(&text));
    rc_buffer_fini(&text);
    if (line == NULL) {
        return false;
    }
    line[strcspn(line, " \r\n")] = '\0';
    bool is_it = rc_text_to_u64(line, UINT64_MAX, &wanted) == RC_OK && wanted == index;
    free(line);
    if (is_it && unlink(path) != 0) {
        return false; /* it would work again */
    }
    if (is_it) {
        rc_log(RC_LOG_WARN, "acl", "tokens are set up again, as %s asks", path);
    }
    return is_it;
}

/* Opened for each line: whoever moves the file away gets a new one. */
static void audit(void *context, const void *line, size_t size)
{
    struct agent *agent = context;
    uint64_t now_ms = rc_clock_ms();

    if (rc_file_append(agent->config.acl.audit_file, line, size) == RC_OK) {
        return;
    }
    if (agent->audit_told_ms == 0 || now_ms - agent->audit_told_ms >= AUDIT_TOLD_MS) {
        agent->audit_told_ms = now_ms;
        rc_log(RC_LOG_ERROR, "acl", "acl.audit_file %s cannot be written: %s",
               agent->config.acl.audit_file, strerrordesc_np(errno));
    }
}

int agent_open_permits(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    struct permits_options options = {
        .mode = config_acl_mode(config),
        .fallback = config_acl_default(config),
        .down = config_acl_down(config),
        .default_token = config->acl.default_token,
        .dns_token = config->acl.dns_token,
        .takes_query_token = config->acl.token_in_query,
        .datacenter = config->datacenter,
        .seed = rc_entropy_u64(),
        .metrics = agent->metrics,
        .tell = tell,
        .may_reset = may_reset,
        .audit = config->acl.audit_file != NULL ? audit : NULL,
        .context = agent,
    };

    if (options.mode == HTTP_ACL_OFF) {
        return RC_OK;
    }
    rc_entropy(options.cache_key, sizeof options.cache_key);
    agent->permits = permits_create(&options);
    explicit_bzero(options.cache_key, sizeof options.cache_key);
    return agent->permits != NULL ? RC_OK : RC_ENOMEM;
}

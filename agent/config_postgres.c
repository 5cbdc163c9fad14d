#include "agent/config_postgres.h"

#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "base/err.h"
#include "base/text.h"

enum { TTL_MS_MIN = 2000, RENEWS_PER_TTL_MIN = 8, CLUSTER_NAME_MAX = 48 };

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

static int fail(char *error, const char *text)
{
    (void)rc_text_put(error, AGENT_CONFIG_ERROR_MAX, text);
    return RC_EINVAL;
}

static bool is_name(const char *text)
{
    size_t size = strlen(text);

    return size <= CLUSTER_NAME_MAX && strspn(text, name_letters) == size;
}

static bool is_path(const char *text)
{
    return text == NULL || text[0] == '/';
}

static int check_paths(const struct agent_postgres_config *p, char *error)
{
    const struct {
        const char *name;
        const char *path;
    } paths[] = {
        {"data_dir", p->data_dir},
        {"bin_dir", p->bin_dir},
        {"config_file", p->config_file},
        {"hba_file", p->hba_file},
        {"socket_dir", p->socket_dir},
        {"password_file", p->password_file},
        {"replication_password_file", p->replication_password_file},
        {"watchdog", p->watchdog},
    };

    if (p->data_dir == NULL || p->bin_dir == NULL) {
        return fail(error, "postgres needs data_dir, where the server's files are, and "
                           "bin_dir, where its programs are, such as "
                           "/usr/lib/postgresql/15/bin");
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (!is_path(paths[i].path)) {
            (void)snprintf(error, AGENT_CONFIG_ERROR_MAX,
                           "postgres.%s must be a path that begins with /",
                           paths[i].name);
            return RC_EINVAL;
        }
    }
    return RC_OK;
}

static int check_times(const struct agent_postgres_config *p, char *error)
{
    if (p->ttl_ms < TTL_MS_MIN) {
        return fail(error, "postgres.ttl must be at least 2s");
    }
    if (p->renew_ms == 0 || p->renew_ms > p->ttl_ms / RENEWS_PER_TTL_MIN) {
        return fail(error, "postgres.renew must be at most an eighth of postgres.ttl, so "
                           "that a lost renewal or three cost nothing");
    }
    return p->probe_fail_ms >= 1000
               ? RC_OK
               : fail(error, "postgres.probe_fail must be at least 1s");
}

int config_postgres_check(const struct agent_config *config, char *error)
{
    const struct agent_postgres_config *p = &config->postgres;
    enum keeper_mode mode = KEEPER_ASYNC;

    if (p->cluster == NULL) {
        return p->data_dir == NULL && p->bin_dir == NULL
                   ? RC_OK
                   : fail(error, "postgres.cluster is missing: the name of the cluster "
                                 "in the store");
    }
    if (!is_name(p->cluster)) {
        return fail(error, "postgres.cluster must be at most 48 letters, digits, hyphens "
                           "and underscores");
    }
    if (config->data_dir == NULL) {
        return fail(error, "postgres needs the agent's data_dir too: the warden's socket "
                           "is there");
    }
    if (config->ports.http <= 0) {
        return fail(error, "postgres needs ports.http: the keeper asks the store through "
                           "it");
    }
    if (p->port <= 0) {
        return fail(error, "postgres.port must be a port");
    }
    if (p->mode == NULL || keeper_mode_from_word(p->mode, &mode) != RC_OK) {
        return fail(error, "postgres.mode must be async, sync or strict");
    }
    if (!rc_text_equals(p->store_loss, "fence") &&
        !rc_text_equals(p->store_loss, "hold")) {
        return fail(error, "postgres.store_loss must be fence or hold");
    }
    /* With rules of the operator's own they may come in some other way. */
    if (p->initialize && p->hba_file == NULL &&
        (p->password_file == NULL || p->replication_password_file == NULL)) {
        return fail(error, "postgres.initialize needs password_file and "
                           "replication_password_file, the passwords that the new "
                           "cluster's roles get, or a hba_file of yours");
    }
    int err = check_times(p, error);
    return err == RC_OK ? check_paths(p, error) : err;
}

void config_postgres_options(const struct agent_config *config, const char *node,
                             const char *address, struct keeper_options *out)
{
    const struct agent_postgres_config *p = &config->postgres;

    *out = (struct keeper_options){
        .cluster = p->cluster,
        .node = node,
        .address = p->address != NULL ? p->address : address,
        .port = (uint16_t)p->port,
        .ttl_ms = p->ttl_ms,
        .renew_ms = p->renew_ms,
        .priority = (unsigned)p->priority,
        .no_failover = p->no_failover,
        .no_sync = p->no_sync,
        .upstream = p->upstream,
        .max_lag_bytes = (uint64_t)p->max_lag,
        .auto_rebuild = p->auto_rebuild,
        .initialize = p->initialize,
        .restart_attempts = (unsigned)p->restart_attempts,
        .restart_budget_ms = p->restart_budget_ms,
        .probe_fail_ms = p->probe_fail_ms,
        .store_loss =
            rc_text_equals(p->store_loss, "hold") ? KEEPER_LOSS_HOLD : KEEPER_LOSS_FENCE,
    };
    (void)keeper_mode_from_word(p->mode, &out->mode); /* it was checked */
}

static const char *fixed_text(const struct agent_postgres_config *a,
                              const struct agent_postgres_config *b)
{
    const struct {
        const char *name;
        const char *before;
        const char *after;
    } texts[] = {
        {"cluster", a->cluster, b->cluster},
        {"service", a->service, b->service},
        {"data_dir", a->data_dir, b->data_dir},
        {"bin_dir", a->bin_dir, b->bin_dir},
        {"config_file", a->config_file, b->config_file},
        {"hba_file", a->hba_file, b->hba_file},
        {"os_user", a->os_user, b->os_user},
        {"address", a->address, b->address},
        {"listen", a->listen, b->listen},
        {"socket_dir", a->socket_dir, b->socket_dir},
        {"user", a->user, b->user},
        {"database", a->database, b->database},
        {"password_file", a->password_file, b->password_file},
        {"replication_user", a->replication_user, b->replication_user},
        {"replication_password_file", a->replication_password_file,
         b->replication_password_file},
        {"upstream", a->upstream, b->upstream},
        {"store_loss", a->store_loss, b->store_loss},
        {"watchdog", a->watchdog, b->watchdog},
        {"token", a->token, b->token},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *before = texts[i].before != NULL ? texts[i].before : "";
        const char *after = texts[i].after != NULL ? texts[i].after : "";
        if (strcmp(before, after) != 0) {
            return texts[i].name;
        }
    }
    return NULL;
}

static const char *fixed_number(const struct agent_postgres_config *a,
                                const struct agent_postgres_config *b)
{
    const struct {
        const char *name;
        uint64_t before; /* they are only compared */
        uint64_t after;
    } numbers[] = {
        {"port", (uint64_t)a->port, (uint64_t)b->port},
        {"ttl", a->ttl_ms, b->ttl_ms},
        {"renew", a->renew_ms, b->renew_ms},
        {"keep_old", (uint64_t)a->keep_old, (uint64_t)b->keep_old},
        {"max_rate", (uint64_t)a->max_rate, (uint64_t)b->max_rate},
        {"start_warden", a->start_warden, b->start_warden},
        {"initialize", a->initialize, b->initialize},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].before != numbers[i].after) {
            return numbers[i].name;
        }
    }
    return NULL;
}

const char *config_postgres_fixed(const struct agent_config *now,
                                  const struct agent_config *fresh)
{
    const char *name = fixed_text(&now->postgres, &fresh->postgres);

    return name != NULL ? name : fixed_number(&now->postgres, &fresh->postgres);
}

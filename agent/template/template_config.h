/* template_config.h - what `rollcall template` is told: the agent, and which files it keeps right.
 *
 * In the agent's own syntax (settings.h), with consul-template's names where it has them:
 *
 *     agent { address = "127.0.0.1:8500"  token_file = "/etc/rollcall/template.token" }
 *     template {
 *       source = "/etc/rollcall/template.d/upstream.conf.tmpl"
 *       destination = "/etc/nginx/conf.d/upstream.conf"
 *       check = "nginx -t -q -c ..."          # for the shell; $FILE is the new text
 *       reload = ["systemctl", "reload", "nginx"]
 *       wait { min = "100ms" max = "400ms" }
 *     }
 *
 * rollcall-template.7 has all of it. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_CONFIG_H
#define AGENT_TEMPLATE_TEMPLATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"
#include "base/settings.h"

enum {
    TEMPLATES_MAX = 64,
    TEMPLATE_WORDS_MAX = 64, /* of a command */
    TEMPLATE_COMMAND_MS = 30 * 1000,
    TEMPLATE_KEPT_MODE = -1
};

/* A command as words; of one that is for the shell {"/bin/sh", "-c", line}. */
struct template_command {
    char **words; /* owned, ended by NULL; NULL: there is none */
    size_t count;
};

/* Texts are owned, NULL when not given. */
struct template_entry {
    char *source;      /* a file, or */
    char *contents;    /* the template itself */
    char *destination; /* NULL only with -dry */
    struct template_command check;
    struct template_command reload;
    uint64_t command_ms; /* for how long each may run */
    int mode;   /* TEMPLATE_KEPT_MODE: that of the file that is there, else 0644 */
    char *user; /* name or number; NULL: as the file that is there, else ours */
    char *group;
    char *left; /* delimiters */
    char *right;
    uint64_t quiet_min_ms;
    uint64_t quiet_max_ms;
    uint64_t min_instances;
};

/* How the agent is reached. */
struct template_agent {
    char *address; /* host:port, http://, https:// or unix:// */
    char *token;
    char *token_file; /* read for each request, so that it may change */
    char *ca_file;
    char *ca_path;
    char *client_cert;
    char *client_key;
    bool tls;            /* for an address without a scheme */
    bool tls_unverified; /* take any certificate */
};

struct template_config {
    struct template_agent agent;
    struct template_entry *entries; /* owned */
    size_t count;
    enum rc_log_level log_level; /* RC_LOG_LEVEL_COUNT: not told */
};

/* Adds what a file says to `config` (zeroed, or of earlier files). RC_OK; or an error told in `error`
 * as "file:line:column: what is wrong". `config` is to be ended in each case. */
int template_config_read(const struct rc_settings *settings,
                         struct template_config *config,
                         char error[RC_SETTINGS_ERROR_MAX]);

/* Adds one as of -template IN:OUT[:RELOAD]; of -dry OUT may be missing. RC_OK, RC_EINVAL with words,
 * RC_ENOMEM. */
int template_config_add(struct template_config *config, const char *flag,
                        char error[RC_SETTINGS_ERROR_MAX]);

void template_config_fini(struct template_config *config);

/* A command's words with every {} replaced by `file`; NULL when memory is out. Ended by
 * template_command_release(). */
char **template_command_words(const struct template_command *command, const char *file);
void template_command_release(char **words);

#endif

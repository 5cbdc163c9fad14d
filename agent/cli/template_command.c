/* template_command.c - `rollcall template`: files rendered from catalog and store. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "agent/template/template_uv.h"
#include "base/err.h"
#include "base/text.h"

/* What the command line says; read again for each load. */
struct template_flags {
    struct cli_parsed parsed;
    struct cli_list configs;
    struct cli_list templates;
    const char *log_level;
    const char *wait;
    bool is_once;
    bool is_dry;
};

/* ---- Files. */

static int read_file(const char *path, struct template_config *config,
                     char error[RC_SETTINGS_ERROR_MAX])
{
    struct rc_settings *settings = NULL;

    int err = rc_settings_load(path, &settings, error);
    if (err == RC_OK) {
        err = template_config_read(settings, config, error);
    }
    rc_settings_destroy(settings);
    return err;
}

static int is_setting(const struct dirent *entry)
{
    return rc_text_ends_with(entry->d_name, ".hcl") ||
           rc_text_ends_with(entry->d_name, ".json");
}

/* Those of a folder, in order of their names. */
static int read_folder(const char *path, struct template_config *config,
                       char error[RC_SETTINGS_ERROR_MAX])
{
    struct dirent **entries = NULL;
    int err = RC_OK;

    int count = scandir(path, &entries, is_setting, alphasort);
    if (count < 0) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX, "%.300s cannot be read", path);
        return RC_EIO;
    }
    for (int i = 0; i < count; i++) {
        char *file = rc_text_format("%s/%s", path, entries[i]->d_name);
        if (err == RC_OK) {
            err = file != NULL ? read_file(file, config, error) : RC_ENOMEM;
        }
        free(file);
        free(entries[i]);
    }
    free(entries);
    return err;
}

static bool is_folder(const char *path)
{
    struct stat there;

    return stat(path, &there) == 0 && S_ISDIR(there.st_mode);
}

/* ---- Flags over files. */

static int put(char **place, const char *text)
{
    if (text == NULL) {
        return RC_OK;
    }
    free(*place);
    *place = rc_text_copy(text);
    return *place != NULL ? RC_OK : RC_ENOMEM;
}

/* A file says how the agent is reached; where it says nothing, flags and environment do. */
static int take_client(const struct cli_client_flags *client,
                       struct template_agent *agent)
{
    const struct {
        char **place;
        const char *text;
    } texts[] = {
        {&agent->address, client->http_addr},
        {&agent->ca_file, client->ca_file},
        {&agent->ca_path, client->ca_path},
        {&agent->client_cert, client->client_cert},
        {&agent->client_key, client->client_key},
    };
    int err = RC_OK;

    if (agent->token == NULL && agent->token_file == NULL) {
        err = put(&agent->token, client->token);
        if (err == RC_OK) {
            err = put(&agent->token_file, client->token_file);
        }
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && err == RC_OK; i++) {
        if (*texts[i].place == NULL) {
            err = put(texts[i].place, texts[i].text);
        }
    }
    agent->tls = agent->tls || client->tls;
    agent->tls_unverified = agent->tls_unverified || client->tls_unverified;
    return err;
}

/* -wait MIN[:MAX], of all templates. */
static int take_wait(const char *text, struct template_config *config,
                     char error[RC_SETTINGS_ERROR_MAX])
{
    enum { NS_PER_MS = 1000 * 1000 };
    const char *colon = strchr(text, ':');
    char *least = rc_text_copy_span(
        (struct rc_span){text, colon != NULL ? (size_t)(colon - text) : strlen(text)});
    uint64_t min_ns = 0;
    uint64_t max_ns = 0;

    int err = least != NULL ? rc_text_to_duration_ns(least, &min_ns) : RC_ENOMEM;
    max_ns = min_ns * 4;
    if (err == RC_OK && colon != NULL) {
        err = rc_text_to_duration_ns(colon + 1, &max_ns);
    }
    free(least);
    if (err != RC_OK || max_ns < min_ns) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX,
                       "-wait wants MIN[:MAX], not \"%.100s\"", text);
        return RC_EINVAL;
    }
    for (size_t i = 0; i < config->count; i++) {
        config->entries[i].quiet_min_ms = min_ns / NS_PER_MS;
        config->entries[i].quiet_max_ms = max_ns / NS_PER_MS;
    }
    return RC_OK;
}

static int check_all(const struct template_flags *words,
                     const struct template_config *config,
                     char error[RC_SETTINGS_ERROR_MAX])
{
    if (config->count == 0) {
        (void)snprintf(
            error, RC_SETTINGS_ERROR_MAX,
            "no template: -template IN:OUT, or template { ... } in -config FILE");
        return RC_EINVAL;
    }
    for (size_t i = 0; i < config->count; i++) {
        const char *to = config->entries[i].destination;
        if (to == NULL && !words->is_dry) {
            (void)snprintf(error, RC_SETTINGS_ERROR_MAX,
                           "-template %.200s: OUT is missing", config->entries[i].source);
            return RC_EINVAL;
        }
        for (size_t k = 0; k < i && to != NULL; k++) {
            if (rc_text_equals(config->entries[k].destination, to)) {
                (void)snprintf(error, RC_SETTINGS_ERROR_MAX, "two templates write %.300s",
                               to);
                return RC_EINVAL;
            }
        }
    }
    return RC_OK;
}

static int load(void *context, struct template_config *out,
                char error[RC_SETTINGS_ERROR_MAX])
{
    const struct template_flags *words = context;
    int err = RC_OK;

    for (size_t i = 0; i < words->configs.count && err == RC_OK; i++) {
        const char *path = words->configs.items[i];
        err =
            is_folder(path) ? read_folder(path, out, error) : read_file(path, out, error);
    }
    for (size_t i = 0; i < words->templates.count && err == RC_OK; i++) {
        err = template_config_add(out, words->templates.items[i], error);
    }
    if (err == RC_OK) {
        err = take_client(&words->parsed.client, &out->agent);
    }
    if (err == RC_OK && words->wait != NULL) {
        err = take_wait(words->wait, out, error);
    }
    if (err == RC_OK && words->log_level != NULL &&
        rc_log_level_parse(words->log_level, &out->log_level) != RC_OK) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX,
                       "-log-level is trace, debug, info, warn or err");
        err = RC_EINVAL;
    }
    return err == RC_OK ? check_all(words, out, error) : err;
}

int template_command_run(const struct cli_command *self, int count, char **words)
{
    struct template_flags told = {.is_once = false};
    const struct cli_flag flags[] = {
        {"config", CLI_LIST, &told.configs, "PATH",
         "a file, or a folder of .hcl and .json; may be repeated"},
        {"template", CLI_LIST, &told.templates, "IN:OUT[:RELOAD]",
         "render the file IN into OUT, then run RELOAD by the shell; may be repeated"},
        {"once", CLI_SWITCH, &told.is_once, NULL, "end when every file is right"},
        {"dry", CLI_SWITCH, &told.is_dry, NULL,
         "print texts instead of writing files; no commands are run"},
        {"wait", CLI_TEXT, &told.wait, "MIN[:MAX]",
         "how long nothing changes before a file is rendered; for how long at most it "
         "waits (100ms:400ms)"},
        {"log-level", CLI_TEXT, &told.log_level, "LEVEL",
         "trace, debug, info, warn or err"},
    };

    int err = cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words,
                        &told.parsed);
    if (err == RC_ECLOSED) {
        return TEMPLATE_EXIT_DONE;
    }
    if (err != RC_OK) {
        return TEMPLATE_EXIT_USAGE;
    }
    if (told.parsed.word_count > 0 ||
        (told.configs.count == 0 && told.templates.count == 0)) {
        (void)cli_misuse(self, told.parsed.word_count > 0
                                   ? "takes flags only"
                                   : "wants -config PATH or -template IN:OUT");
        return TEMPLATE_EXIT_USAGE;
    }
    const struct template_run run = {
        .is_once = told.is_once,
        .is_dry = told.is_dry,
        .load = load,
        .context = &told,
    };
    return (int)template_run(&run);
}

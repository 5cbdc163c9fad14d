/* main.c - rollcall-proxy: its commands and their options. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/logger.h"
#include "base/secrecy.h"
#include "base/text.h"
#include "base/version.h"
#include "proxy/config/config.h"
#include "proxy/explain/explain.h"
#include "proxy/explain/explain_ask.h"
#include "proxy/serve_uv.h"
#include "proxy/tls/certificates.h"

enum command { COMMAND_RUN, COMMAND_CHECK, COMMAND_EXPLAIN, COMMAND_COUNT };

enum { EXIT_NO_ROUTE = 2 };

static const char *const command_names[COMMAND_COUNT] = {"run", "check", "explain"};

static const char *const usages[COMMAND_COUNT] = {
    [COMMAND_RUN] =
        "Usage: rollcall-proxy [run] -config FILE [-log-level L] [-log-json]\n"
        "       rollcall-proxy check -config FILE\n"
        "       rollcall-proxy explain -config FILE [-header 'N: V'] [-method M] [-source IP] URL\n"
        "\n"
        "Routes HTTP, TCP and PostgreSQL to live instances only.\n"
        "\n"
        "  run              serve as FILE says; SIGHUP reads it again, SIGTERM drains and ends\n"
        "  check            say what is wrong with FILE, or print the effective configuration\n"
        "  explain          say what would become of a request\n"
        "\n"
        "  -config FILE     the configuration\n"
        "  -log-level L     trace, debug, info (default), warn or error\n"
        "  -log-json        one JSON object a line\n"
        "  -version         print the version\n"
        "  -help            print this; COMMAND -help prints that of a command\n"
        "\n"
        "Two dashes do as well. Exit status: 0 done, 1 an error, said on standard error.\n",
    [COMMAND_CHECK] =
        "Usage: rollcall-proxy check -config FILE\n"
        "\n"
        "Reads FILE and the certificates it names. Prints the effective configuration, with\n"
        "every default, in the form of a configuration; or what is wrong, with line, column\n"
        "and the place.\n"
        "\n"
        "  -config FILE     the configuration\n"
        "\n"
        "Exit status: 0 it can be served, 1 it cannot.\n",
    [COMMAND_EXPLAIN] =
        "Usage: rollcall-proxy explain -config FILE [options] URL\n"
        "\n"
        "Says which listener, host and route take a request, and why not those before it;\n"
        "what is rewritten, added and removed; which pool it goes to, and, if the running\n"
        "proxy's admin port answers, which instances that has and who would be chosen. Sends\n"
        "nothing to an instance.\n"
        "\n"
        "  -config FILE     the configuration\n"
        "  -header 'N: V'   a field of the request; may be repeated\n"
        "  -method M        default: GET\n"
        "  -source IP       the client's address; default: 127.0.0.1\n"
        "  -admin ADDRESS   the admin port, or off; default: that of FILE\n"
        "  -json            one JSON object\n"
        "\n"
        "Exit status: 0 it is served, 2 it is refused, 1 an error.\n",
};

struct options {
    enum command command;
    const char *config_path;
    const char *admin;
    struct explain_question question;
    size_t field_count;
    enum rc_log_level level;
    enum rc_log_style style;
    bool json;
    bool help;
    bool version;
};

static int fail(const char *what, const char *which)
{
    (void)fprintf(stderr, "rollcall-proxy: %s%s%s\n", what, which[0] != '\0' ? " " : "",
                  which);
    return RC_EINVAL;
}

/* --- options --- */

/* Options without a value. True if it was one. */
static bool read_flag(struct options *options, const char *name)
{
    if (rc_text_equals(name, "help") || rc_text_equals(name, "h")) {
        options->help = true;
    } else if (rc_text_equals(name, "version")) {
        options->version = true;
    } else if (rc_text_equals(name, "log-json")) {
        options->style = RC_LOG_JSON;
    } else if (rc_text_equals(name, "json") && options->command == COMMAND_EXPLAIN) {
        options->json = true;
    } else {
        return false;
    }
    return true;
}

/* Where the value of an option goes, or NULL. */
static const char **place_of(struct options *options, const char *name)
{
    if (rc_text_equals(name, "config")) {
        return &options->config_path;
    }
    if (options->command != COMMAND_EXPLAIN) {
        return NULL;
    }
    if (rc_text_equals(name, "header") && options->field_count + 1 < EXPLAIN_FIELDS_MAX) {
        return &options->question.fields[options->field_count++];
    }
    return rc_text_equals(name, "method")   ? &options->question.method
           : rc_text_equals(name, "source") ? &options->question.source
           : rc_text_equals(name, "admin")  ? &options->admin
                                            : NULL;
}

/* One option; with a value it takes argv[*at + 1] too. */
static int read_option(struct options *options, int argc, char **argv, int *at)
{
    const char *name = argv[*at];
    name += rc_text_starts_with(name, "--") ? 2 : 1;
    if (read_flag(options, name)) {
        return RC_OK;
    }
    if (rc_text_equals(name, "check")) {
        return fail("-check is a command now:", "rollcall-proxy check -config FILE");
    }
    bool level = rc_text_equals(name, "log-level");
    const char **place = level ? NULL : place_of(options, name);
    if (place == NULL && !level) {
        return fail("unknown option (see -help):", argv[*at]);
    }
    if (*at + 1 >= argc) {
        return fail("this option needs a value:", argv[*at]);
    }
    const char *value = argv[++*at];
    if (level) {
        return rc_log_level_parse(value, &options->level) == RC_OK
                   ? RC_OK
                   : fail("no log level:", value);
    }
    *place = value;
    return RC_OK;
}

static int read_word(struct options *options, const char *word, int at)
{
    for (int i = 0; at == 1 && i < COMMAND_COUNT; i++) {
        if (rc_text_equals(word, command_names[i])) {
            options->command = (enum command)i;
            return RC_OK;
        }
    }
    if (options->command == COMMAND_EXPLAIN && options->question.url == NULL) {
        options->question.url = word;
        return RC_OK;
    }
    return fail("unexpected word (see -help):", word);
}

static int read_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.level = RC_LOG_INFO, .style = RC_LOG_PLAIN};
    for (int i = 1; i < argc; i++) {
        int err = argv[i][0] == '-' ? read_option(options, argc, argv, &i)
                                    : read_word(options, argv[i], i);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* --- commands --- */

static int load(const char *path, struct config **config,
                struct certificates **certificates)
{
    char error[CONFIG_ERROR_MAX] = "";
    int err = config_load(path, config, error);
    if (err == RC_OK && certificates != NULL) {
        err = certificates_load(*config, path, NULL, certificates, error);
        if (err != RC_OK) {
            config_destroy(*config);
        }
    }
    if (err != RC_OK) {
        (void)fprintf(stderr, "%s\n", error[0] == '\0' ? rc_strerror(err) : error);
    }
    return err;
}

static int print(struct rc_buffer *text)
{
    bool whole = text->err == RC_OK && fputs(rc_buffer_string(text), stdout) >= 0 &&
                 fflush(stdout) == 0;
    rc_buffer_fini(text);
    if (!whole) {
        (void)fail("standard output takes no more", "");
    }
    return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct options *options)
{
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    if (load(options->config_path, &config, &certificates) != RC_OK) {
        return EXIT_FAILURE;
    }
    return serve(options->config_path, config, certificates) == RC_OK ? EXIT_SUCCESS
                                                                      : EXIT_FAILURE;
}

static int check(const struct options *options)
{
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    struct rc_buffer text = {0};
    if (load(options->config_path, &config, &certificates) != RC_OK) {
        return EXIT_FAILURE;
    }
    config_print(config, &text);
    certificates_destroy(certificates);
    config_destroy(config);
    return print(&text);
}

static void add_instances(const struct options *options, const struct config *config,
                          struct explanation *explanation)
{
    struct rc_address admin = config->admin;
    struct rc_buffer reply = {0};
    const char *why = "there is no admin port";
    bool off = rc_text_equals(options->admin, "off");

    if (explain_pool(explanation) == NULL) {
        return;
    }
    if (options->admin != NULL && !off &&
        rc_address_parse(options->admin, admin.port, &admin) != RC_OK) {
        (void)fail("no address:", options->admin);
        off = true;
    }
    int err = off || admin.family == RC_ADDRESS_NONE
                  ? RC_EIO
                  : explain_ask(&admin, "/upstreams", &reply, &why);
    explain_instances(explanation, config, err == RC_OK ? rc_buffer_string(&reply) : NULL,
                      reply.size, why);
    rc_buffer_fini(&reply);
}

static int explain(const struct options *options)
{
    struct config *config = NULL;
    struct explanation *explanation = NULL;
    struct rc_buffer text = {0};
    char why[256];

    if (options->question.url == NULL) {
        (void)fail("which URL? (see explain -help)", "");
        return EXIT_FAILURE;
    }
    if (load(options->config_path, &config, NULL) != RC_OK) {
        return EXIT_FAILURE;
    }
    enum explain_end end = explain_request(config, &options->question, &explanation, why);
    if (end == EXPLAIN_UNASKED) {
        (void)fail(why, "");
        config_destroy(config);
        return EXIT_FAILURE;
    }
    add_instances(options, config, explanation);
    if (options->json) {
        explain_json(explanation, &text);
    } else {
        explain_text(explanation, &text);
    }
    explain_destroy(explanation);
    config_destroy(config);
    int status = print(&text);
    return status == EXIT_SUCCESS && end == EXPLAIN_REFUSED ? EXIT_NO_ROUTE : status;
}

static int (*const commands[COMMAND_COUNT])(const struct options *) = {
    [COMMAND_RUN] = run,
    [COMMAND_CHECK] = check,
    [COMMAND_EXPLAIN] = explain,
};

int main(int argc, char **argv)
{
    struct options options;

    rc_forbid_core_dumps();
    if (read_options(argc, argv, &options) != RC_OK) {
        return EXIT_FAILURE;
    }
    if (options.help) {
        (void)fputs(usages[options.command], stdout);
        return EXIT_SUCCESS;
    }
    if (options.version) {
        (void)puts("rollcall-proxy " ROLLCALL_VERSION);
        return EXIT_SUCCESS;
    }
    rc_log_setup(options.level, options.style);
    if (options.config_path == NULL) {
        (void)fail("nothing to do: -config FILE is missing (see -help)", "");
        return EXIT_FAILURE;
    }
    return commands[options.command](&options);
}

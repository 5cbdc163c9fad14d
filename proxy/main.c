/* main.c - rollcall-proxy: its options. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/logger.h"
#include "base/secrecy.h"
#include "base/text.h"
#include "proxy/certificates.h"
#include "proxy/config.h"
#include "proxy/serve_uv.h"

static const char usage[] =
    "Usage: rollcall-proxy -config FILE\n"
    "       rollcall-proxy -check FILE\n"
    "\n"
    "Routes HTTP, TCP and PostgreSQL to live instances only.\n"
    "\n"
    "  -config FILE     serve as FILE says; SIGHUP reads it again, SIGTERM drains and ends\n"
    "  -check FILE      check FILE, print the effective configuration, and end\n"
    "  -log-level L     trace, debug, info (default), warn or error\n"
    "  -log-json        one JSON object a line\n"
    "  -version         print the version\n"
    "  -help            print this\n"
    "\n"
    "Two dashes do as well. Exit status: 0 done, 1 an error, said on standard error.\n";

struct options {
    const char *config_path;
    const char *check_path;
    enum rc_log_level level;
    enum rc_log_style style;
    bool help;
    bool version;
};

static int fail(const char *what, const char *which)
{
    (void)fprintf(stderr, "rollcall-proxy: %s%s%s\n", what, which[0] != '\0' ? " " : "",
                  which);
    return RC_EINVAL;
}

/* One option without a value, or with one: then it takes argv[*at + 1] too. */
static int read_option(struct options *options, int argc, char **argv, int *at)
{
    const char *name = argv[*at];
    name += rc_text_starts_with(name, "--") ? 2 : 1;
    if (rc_text_equals(name, "help") || rc_text_equals(name, "h")) {
        options->help = true;
        return RC_OK;
    }
    if (rc_text_equals(name, "version")) {
        options->version = true;
        return RC_OK;
    }
    if (rc_text_equals(name, "log-json")) {
        options->style = RC_LOG_JSON;
        return RC_OK;
    }
    const char **place = rc_text_equals(name, "config")  ? &options->config_path
                         : rc_text_equals(name, "check") ? &options->check_path
                                                         : NULL;
    bool level = rc_text_equals(name, "log-level");
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

static int read_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.level = RC_LOG_INFO, .style = RC_LOG_PLAIN};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            return fail("unexpected word (see -help):", argv[i]);
        }
        int err = read_option(options, argc, argv, &i);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static int load(const char *path, struct config **config,
                struct certificates **certificates)
{
    char error[CONFIG_ERROR_MAX] = "";
    int err = config_load(path, config, error);
    if (err == RC_OK) {
        err = certificates_load(*config, path, certificates, error);
        if (err != RC_OK) {
            config_destroy(*config);
        }
    }
    if (err != RC_OK) {
        (void)fprintf(stderr, "%s\n", error[0] == '\0' ? rc_strerror(err) : error);
    }
    return err;
}

static int check(const char *path)
{
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    struct rc_buffer text = {0};
    if (load(path, &config, &certificates) != RC_OK) {
        return EXIT_FAILURE;
    }
    config_print(config, &text);
    (void)fputs(rc_buffer_string(&text), stdout);
    rc_buffer_fini(&text);
    certificates_destroy(certificates);
    config_destroy(config);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options;

    rc_forbid_core_dumps();
    if (read_options(argc, argv, &options) != RC_OK) {
        return EXIT_FAILURE;
    }
    if (options.help) {
        (void)fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (options.version) {
        (void)puts("rollcall-proxy 0.1.0");
        return EXIT_SUCCESS;
    }
    rc_log_setup(options.level, options.style);
    if (options.check_path != NULL) {
        return check(options.check_path);
    }
    if (options.config_path == NULL) {
        (void)fail("nothing to do: -config FILE is missing (see -help)", "");
        return EXIT_FAILURE;
    }
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    if (load(options.config_path, &config, &certificates) != RC_OK) {
        return EXIT_FAILURE;
    }
    return serve(options.config_path, config, certificates) == RC_OK ? EXIT_SUCCESS
                                                                     : EXIT_FAILURE;
}

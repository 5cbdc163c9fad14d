/* rollcall_sim.c - the simulator as a program: a scenario, a pool, some seeds, a table. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/sim_jobs.h"

enum { NODES_MAX = 20000, MINUTE_MS = 60000, REPLAY_MAX = 300 };

static const char usage[] =
    "usage: rollcall-sim [options]\n"
    "  --scenario NAME   what happens; --list names all (idle)\n"
    "  --nodes N         how many (5)\n"
    "  --seed S          one seed (1), or\n"
    "  --seeds A-B       all from A to B\n"
    "  --jobs J          so many processes at once (1)\n"
    "  --profile NAME    fast, lan, wan or local (fast)\n"
    "  --minutes M       virtual minutes, instead of the scenario's own; 90s: seconds\n"
    "  --services K      registered by every node (1)\n"
    "  --mode MODE       byte, plain (bytes, not compressed) or struct (byte)\n"
    "  --encrypted       all share one key\n"
    "  --no-catalogs     gossip alone\n"
    "  --script FILE     these steps instead of the scenario's\n"
    "  --print           print the scenario's steps and end\n"
    "  --trace           print everything that happens\n"
    "  --until MS        stop at this virtual time\n"
    "  --svg FILE        plot convergence and false failures over time\n"
    "  --shrink          find the few steps that a failing seed needs\n"
    "  --done FILE       remember seeds that passed, leave them out next time\n"
    "  --list            name the scenarios\n";

struct command {
    struct play_options play;
    struct job_range range;
    struct step_list script;
    const char *svg;
    bool shrinks;
    bool prints;
};

static int bad(const char *option, const char *value)
{
    (void)fprintf(stderr, "rollcall-sim: --%s %s: not understood\n%s", option, value,
                  usage);
    return RC_EINVAL;
}

/* ---- options with values */

static int take_number(const char *text, uint64_t max, uint64_t *out)
{
    return rc_text_to_u64(text, max, out) == RC_OK ? RC_OK : RC_EINVAL;
}

static int take_count(const char *text, uint64_t max, uint32_t *out)
{
    uint64_t value = 0;
    int err = take_number(text, max, &value);

    *out = (uint32_t)value;
    return err;
}

static int take_seeds(const char *text, struct job_range *out)
{
    char first[24];
    const char *dash = strchr(text, '-');

    if (dash == NULL || (size_t)(dash - text) >= sizeof first) {
        int err = take_number(text, UINT64_MAX, &out->first);
        out->last = out->first;
        return err;
    }
    (void)snprintf(first, sizeof first, "%.*s", (int)(dash - text), text);
    return take_number(first, UINT64_MAX, &out->first) == RC_OK &&
                   take_number(dash + 1, UINT64_MAX, &out->last) == RC_OK &&
                   out->first <= out->last
               ? RC_OK
               : RC_EINVAL;
}

/* "10" minutes or "90s". */
static int take_time(const char *text, uint64_t *out_ms)
{
    char digits[16];
    size_t size = strlen(text);
    bool is_seconds = size > 1 && text[size - 1] == 's';

    (void)snprintf(digits, sizeof digits, "%.*s", (int)(size - (is_seconds ? 1 : 0)),
                   text);
    int err = take_number(digits, 1000000, out_ms);
    *out_ms *= is_seconds ? 1000 : MINUTE_MS;
    return err;
}

static int take_mode(const char *text, enum wire_passing *out)
{
    static const char *const names[] = {
        [WIRE_BYTES] = "byte", [WIRE_PLAIN_BYTES] = "plain", [WIRE_STRUCTS] = "struct"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum wire_passing)i;
            return RC_OK;
        }
    }
    return RC_EINVAL;
}

static int take_scenario(const char *text, struct play_options *out)
{
    out->scenario = scenario_find(text);
    return out->scenario != NULL ? RC_OK : RC_EINVAL;
}

static int take_profile(const char *text, struct play_options *out)
{
    out->profile = text;
    return gossip_profile_find(text) != NULL ? RC_OK : RC_EINVAL;
}

enum choice {
    OPTION_SCENARIO = 1,
    OPTION_NODES,
    OPTION_SEED,
    OPTION_JOBS,
    OPTION_PROFILE,
    OPTION_MINUTES,
    OPTION_SERVICES,
    OPTION_MODE,
    OPTION_SCRIPT,
    OPTION_UNTIL,
    OPTION_SVG,
    OPTION_DONE,
    OPTION_ENCRYPTED,
    OPTION_NO_CATALOGS,
    OPTION_PRINT,
    OPTION_TRACE,
    OPTION_SHRINK,
    OPTION_LIST,
    OPTION_HELP
};

static const struct option options[] = {
    {"scenario", required_argument, NULL, OPTION_SCENARIO},
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"seeds", required_argument, NULL, OPTION_SEED},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"minutes", required_argument, NULL, OPTION_MINUTES},
    {"services", required_argument, NULL, OPTION_SERVICES},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"script", required_argument, NULL, OPTION_SCRIPT},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"svg", required_argument, NULL, OPTION_SVG},
    {"done", required_argument, NULL, OPTION_DONE},
    {"encrypted", no_argument, NULL, OPTION_ENCRYPTED},
    {"no-catalogs", no_argument, NULL, OPTION_NO_CATALOGS},
    {"print", no_argument, NULL, OPTION_PRINT},
    {"trace", no_argument, NULL, OPTION_TRACE},
    {"shrink", no_argument, NULL, OPTION_SHRINK},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int take_value(struct command *c, int which, const char *text)
{
    switch (which) {
    case OPTION_SCENARIO:
        return take_scenario(text, &c->play);
    case OPTION_NODES:
        return take_count(text, NODES_MAX, &c->play.nodes);
    case OPTION_SEED:
        return take_seeds(text, &c->range);
    case OPTION_JOBS:
        return take_count(text, 64, &c->range.at_once);
    case OPTION_PROFILE:
        return take_profile(text, &c->play);
    case OPTION_MINUTES:
        return take_time(text, &c->play.for_ms);
    case OPTION_SERVICES:
        return take_count(text, 100, &c->play.services);
    case OPTION_MODE:
        return take_mode(text, &c->play.mode);
    case OPTION_SCRIPT:
        return step_read(text, &c->script);
    case OPTION_UNTIL:
        return take_number(text, UINT64_MAX / 2000000, &c->play.until_ms);
    case OPTION_SVG:
        c->svg = text;
        return RC_OK;
    case OPTION_DONE:
        c->range.done_path = text;
        return RC_OK;
    default: /* not an enum: getopt's int */
        return RC_EINVAL;
    }
}

static int take_switch(struct command *c, int which)
{
    switch (which) {
    case OPTION_ENCRYPTED:
        c->play.is_encrypted = true;
        return RC_OK;
    case OPTION_NO_CATALOGS:
        c->play.catalogs = SIM_GOSSIP_ONLY;
        return RC_OK;
    case OPTION_PRINT:
        c->prints = true;
        return RC_OK;
    case OPTION_TRACE:
        c->play.is_tracing = true;
        return RC_OK;
    case OPTION_SHRINK:
        c->shrinks = true;
        return RC_OK;
    case OPTION_LIST:
        scenario_list(stdout);
        exit(0); // NOLINT(concurrency-mt-unsafe): one thread
    case OPTION_HELP:
        (void)fputs(usage, stdout);
        exit(0); // NOLINT(concurrency-mt-unsafe): one thread
    default:     /* getopt has said what is wrong */
        (void)fputs(usage, stderr);
        return RC_EINVAL;
    }
}

static int parse(int argc, char **argv, struct command *c)
{
    int which;
    int place = 0;
    int err = RC_OK;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while (err == RC_OK && (which = getopt_long(argc, argv, "", options, &place)) != -1) {
        err = optarg == NULL ? take_switch(c, which) : take_value(c, which, optarg);
        if (err != RC_OK && optarg != NULL) {
            return bad(options[place].name, optarg);
        }
    }
    if (err == RC_OK && (optind != argc || c->play.nodes == 0 || c->range.at_once == 0)) {
        (void)fputs(usage, stderr);
        err = RC_EINVAL;
    }
    if (c->play.for_ms == 0) {
        c->play.for_ms = c->play.scenario->for_ms;
    }
    return err;
}

/* ---- what was asked for */

/* The command line without what chooses among seeds. */
static void write_replay(int argc, char **argv, char replay[REPLAY_MAX])
{
    size_t size = 0;

    replay[0] = '\0';
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--seeds") == 0 || strcmp(word, "--seed") == 0 ||
            strcmp(word, "--jobs") == 0 || strcmp(word, "--done") == 0) {
            i++;
            continue;
        }
        if (strcmp(word, "--shrink") != 0 && size < REPLAY_MAX) {
            size += (size_t)snprintf(replay + size, REPLAY_MAX - size, "%s ", word);
        }
    }
}

static int print_steps(const struct command *c)
{
    struct step_list steps;

    play_plan(&c->play, c->range.first, &steps);
    step_print(&steps, stdout);
    step_fini(&steps);
    return 0;
}

static int run(const struct command *c)
{
    struct report report = {0};
    size_t failed = job_run_range(&c->play, &c->range, &report);

    if (report.seeds > 0) {
        report_print(&report, &c->play, stdout);
    }
    if (c->svg != NULL && report_plot(&report, &c->play, c->svg) != RC_OK) {
        (void)fprintf(stderr, "rollcall-sim: %s cannot be written\n", c->svg);
        failed++;
    }
    if (failed > 0) {
        (void)fprintf(stderr, "rollcall-sim: %zu seeds failed\n", failed);
    }
    if (failed > 0 && c->shrinks && c->range.first == c->range.last) {
        shrink(&c->play, c->range.first);
    }
    report_fini(&report);
    return failed > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    char replay[REPLAY_MAX];
    struct command command = {.play = {.scenario = scenario_find("idle"),
                                       .nodes = 5,
                                       .services = 1,
                                       .profile = "fast"},
                              .range = {.first = 1, .last = 1, .at_once = 1}};

    if (parse(argc, argv, &command) != RC_OK) {
        step_fini(&command.script);
        return 2;
    }
    write_replay(argc, argv, replay);
    command.play.replay = replay;
    if (command.script.count > 0) {
        command.play.script = &command.script;
    }
    int status = command.prints ? print_steps(&command) : run(&command);
    step_fini(&command.script);
    return status;
}

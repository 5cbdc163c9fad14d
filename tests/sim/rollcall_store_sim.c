/* rollcall_store_sim.c - the store's simulator and the judge of histories as a program. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/store_sim.h"

static const char usage[] =
    "usage: rollcall-store-sim [--seeds A-B] [--seconds S] [--search N] [--history FILE]\n"
    "       rollcall-store-sim --check FILE [--search N]\n"
    "  --seeds A-B     seeds, or one (1)\n"
    "  --seconds S     of virtual time with faults (20)\n"
    "  --search N      search each N-th key for an order, besides the index (7; --check 1)\n"
    "  --history FILE  write what clients saw of the last seed, a line an operation\n"
    "  --check FILE    judge such a history, wherever it was recorded (tests/sim/README.md)\n";

struct command {
    struct store_sim_options sim;
    uint64_t last_seed;
    const char *history;
    const char *check;
};

static int check(const struct command *command)
{
    struct history history = {.ops = NULL};
    struct verdict verdict = {.is_good = false};
    size_t line = 0;
    FILE *file = fopen(command->check, "r");

    if (file == NULL) {
        perror(command->check);
        return 2;
    }
    bool is_read = history_read(&history, file, &line);
    (void)fclose(file);
    if (!is_read) {
        (void)fprintf(stderr, "%s:%zu: not understood\n", command->check, line);
    } else {
        size_t every = command->sim.search_every > 0 ? command->sim.search_every : 1;
        history_check(&history, every, &verdict);
        (void)printf("%zu operations, %zu keys searched, %zu of them too hard: %s\n",
                     history.count, verdict.searched, verdict.unsearched,
                     verdict.is_good ? "linearizable" : verdict.why);
    }
    history_fini(&history);
    return is_read ? !verdict.is_good : 2;
}

static void add(struct store_sim_report *sum, const struct store_sim_report *one)
{
    sum->operations += one->operations;
    sum->unknown += one->unknown;
    sum->locks += one->locks;
    sum->ended_sessions += one->ended_sessions;
    sum->crashes += one->crashes;
    sum->searched += one->searched;
    sum->unsearched += one->unsearched;
    sum->digest = sum->digest * 31 + one->digest;
}

static int simulate(struct command *command)
{
    struct store_sim_report sum = {.is_good = true};
    struct store_sim_report report;
    size_t failed = 0;
    uint64_t first = command->sim.seed;

    for (; command->sim.seed <= command->last_seed; command->sim.seed++) {
        bool is_last =
            command->sim.seed == command->last_seed && command->history != NULL;
        command->sim.history = is_last ? fopen(command->history, "w") : NULL;
        store_sim_run(&command->sim, &report);
        if (command->sim.history != NULL) {
            (void)fclose(command->sim.history);
        }
        add(&sum, &report);
        if (!report.is_good) {
            failed++;
            (void)printf("seed %llu: %s\n", (unsigned long long)command->sim.seed,
                         report.why);
        }
        (void)fflush(stdout);
    }
    (void)printf(
        "seeds %llu-%llu: %zu failed; %zu operations, %zu of them unknown, %zu locks, "
        "%zu ends of sessions seen, %zu crashes, %zu keys searched, %zu too hard, "
        "digest %016llx\n",
        (unsigned long long)first, (unsigned long long)command->last_seed, failed,
        sum.operations, sum.unknown, sum.locks, sum.ended_sessions, sum.crashes,
        sum.searched, sum.unsearched, (unsigned long long)sum.digest);
    return failed > 0;
}

static bool take_seeds(const char *text, struct command *command)
{
    char first[24];
    const char *dash = strchr(text, '-');
    size_t size = dash == NULL ? strlen(text) : (size_t)(dash - text);

    if (size >= sizeof first) {
        return false;
    }
    (void)snprintf(first, sizeof first, "%.*s", (int)size, text);
    return rc_text_to_u64(first, UINT64_MAX / 4, &command->sim.seed) == 0 &&
           rc_text_to_u64(dash == NULL ? first : dash + 1, UINT64_MAX / 4,
                          &command->last_seed) == 0;
}

static bool take(const char *option, const char *value, struct command *command)
{
    uint64_t number = 0;

    if (strcmp(option, "--seeds") == 0) {
        return take_seeds(value, command);
    }
    if (strcmp(option, "--history") == 0) {
        command->history = value;
        return true;
    }
    if (strcmp(option, "--check") == 0) {
        command->check = value;
        return true;
    }
    if (rc_text_to_u64(value, 1000000, &number) != 0) {
        return false;
    }
    if (strcmp(option, "--seconds") == 0) {
        command->sim.seconds = number;
        return true;
    }
    command->sim.search_every = (size_t)number;
    return strcmp(option, "--search") == 0;
}

int main(int argc, char **argv)
{
    struct command command = {.sim = {.seed = 1}, .last_seed = 1};

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !take(argv[i], argv[i + 1], &command)) {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    return command.check != NULL ? check(&command) : simulate(&command);
}

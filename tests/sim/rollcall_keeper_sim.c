/* rollcall_keeper_sim.c - the keepers' simulator as a program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/keeper_sim.h"

static const char usage[] =
    "usage: rollcall-keeper-sim [--seeds A-B] [--trace] [--until-found]\n"
    "  --seeds A-B  seeds, or one (1)\n"
    "  --trace      what the keepers say and what befalls them\n"
    "  --until-found  end with the first seed that fails\n";

static int read_seeds(const char *text, uint64_t *first, uint64_t *last)
{
    const char *dash = strchr(text, '-');
    char head[24];

    if (dash == NULL) {
        *last = 0;
        int err = rc_text_to_u64(text, UINT32_MAX, first);
        *last = *first;
        return err;
    }
    if ((size_t)(dash - text) >= sizeof head) {
        return RC_EMALFORMED;
    }
    memcpy(head, text, (size_t)(dash - text));
    head[dash - text] = '\0';
    int err = rc_text_to_u64(head, UINT32_MAX, first);
    return err != RC_OK ? err : rc_text_to_u64(dash + 1, UINT32_MAX, last);
}

static void add(struct keeper_sim_report *sum, const struct keeper_sim_report *one)
{
    sum->faults += one->faults;
    sum->promotions += one->promotions;
    sum->rejoins += one->rejoins;
    sum->acknowledged += one->acknowledged;
    sum->lost += one->lost;
    sum->calm_ms = one->calm_ms > sum->calm_ms ? one->calm_ms : sum->calm_ms;
    sum->digest = sum->digest * 31 + one->digest;
}

enum extent { ALL_SEEDS, UNTIL_FOUND };

static int simulate(uint64_t first, uint64_t last, enum keeper_sim_trace trace,
                    enum extent extent)
{
    struct keeper_sim_report sum = {.is_good = true};
    struct keeper_sim_report report;
    uint64_t failed = 0;

    for (uint64_t seed = first; seed <= last && (extent == ALL_SEEDS || failed == 0);
         seed++) {
        keeper_sim_run(seed, trace, &report);
        add(&sum, &report);
        if (!report.is_good) {
            failed++;
            (void)printf("seed %llu: %s\n", (unsigned long long)seed, report.fault);
            (void)fflush(stdout);
        }
    }
    (void)printf("%llu seeds, %llu failed: %llu faults, %llu promotions, %llu repairs, "
                 "%llu writes acknowledged, %llu of asynchronous ones lost, "
                 "in order after %.1f s at the latest, digest %016llx\n",
                 (unsigned long long)last - first + 1, (unsigned long long)failed,
                 (unsigned long long)sum.faults, (unsigned long long)sum.promotions,
                 (unsigned long long)sum.rejoins, (unsigned long long)sum.acknowledged,
                 (unsigned long long)sum.lost, (double)sum.calm_ms / 1000,
                 (unsigned long long)sum.digest);
    return failed != 0;
}

int main(int argc, char **argv)
{
    uint64_t first = 1;
    uint64_t last = 1;
    enum keeper_sim_trace trace = KEEPER_SIM_QUIET;
    enum extent extent = ALL_SEEDS;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            trace = KEEPER_SIM_TRACE;
        } else if (strcmp(argv[i], "--until-found") == 0) {
            extent = UNTIL_FOUND;
        } else if (strcmp(argv[i], "--seeds") != 0 || i + 1 == argc ||
                   read_seeds(argv[++i], &first, &last) != RC_OK) {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    return simulate(first, last, trace, extent);
}

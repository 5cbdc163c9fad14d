/* sim_trace.c - what is printed when something is wrong. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/sim_state.h"

void *sim_memory(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "sim: no memory\n");
        abort();
    }
    return memory;
}

void sim_must(int err, const char *what)
{
    if (err != RC_OK) {
        (void)fprintf(stderr, "sim: %s: %s\n", what, rc_strerror(err));
        abort();
    }
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (sim->is_hushed && !sim->is_tracing) {
        return;
    }
    char *line = sim->trace[sim->traced++ % SIM_TRACE_LINES];
    int size =
        snprintf(line, SIM_TRACE_LINE, "[%10.3f] ", (double)sim->now_ns / (double)SIM_MS);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + size, SIM_TRACE_LINE - (size_t)size, format, arguments);
    va_end(arguments);
    if (sim->is_tracing) {
        (void)puts(line);
    }
}

void sim_print_trace(const struct sim *sim)
{
    size_t first = sim->traced > SIM_TRACE_LINES ? sim->traced - SIM_TRACE_LINES : 0;

    for (size_t i = first; i < sim->traced; i++) {
        (void)fprintf(stderr, "# %s\n", sim->trace[i % SIM_TRACE_LINES]);
    }
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    char text[512];
    unsigned long long seed = sim->options.seed;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sim_print_trace(sim);
    (void)fprintf(stderr, "# %s\n# seed %llu failed at %.3f ms; replay: ", text, seed,
                  (double)sim->now_ns / (double)SIM_MS);
    if (sim->replay != NULL) {
        (void)fprintf(stderr, "%s--seed %llu\n", sim->replay, seed);
    } else {
        (void)fprintf(stderr, "SIM_SEED=%llu\n", seed);
    }
    abort();
}

uint64_t sim_next_seed(uint64_t seed, uint64_t count)
{
    const char *only = getenv("SIM_SEED"); /* NOLINT(concurrency-mt-unsafe) one thread */
    uint64_t wanted = 0;

    if (only != NULL && rc_text_to_u64(only, UINT64_MAX, &wanted) == RC_OK) {
        return seed == 0 ? wanted : 0;
    }
    return seed < count ? seed + 1 : 0;
}

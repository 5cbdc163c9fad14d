/* outlier.c - see outlier.h. */
#include "proxy/upstream/outlier.h"

#include <stdlib.h>

void outlier_sample(struct outlier_window *window, uint32_t ok, uint32_t failed)
{
    if (window->begun) {
        window->ok[window->next] = ok - window->last_ok;
        window->failed[window->next] = failed - window->last_failed;
        window->next = (window->next + 1) % OUTLIER_SECONDS;
    }
    window->begun = true;
    window->last_ok = ok;
    window->last_failed = failed;
}

int outlier_rate(const struct outlier_window *window)
{
    uint64_t ok = 0;
    uint64_t all = 0;
    for (size_t i = 0; i < OUTLIER_SECONDS; i++) {
        ok += window->ok[i];
        all += (uint64_t)window->ok[i] + window->failed[i];
    }
    return all < OUTLIER_VOLUME ? -1 : (int)(ok * 100 / all);
}

void outlier_clear(struct outlier_window *window)
{
    *window = (struct outlier_window){0};
}

static int compare(const void *a, const void *b)
{
    const int *left = a;
    const int *right = b;
    return *left - *right;
}

bool outlier_is_ill(int rate, int *rates, size_t count)
{
    size_t silent = 0;
    if (rate < 0 || rate >= OUTLIER_ILL) {
        return false;
    }
    qsort(rates, count, sizeof *rates, compare);
    while (silent < count && rates[silent] < 0) {
        silent++;
    }
    size_t told = count - silent;
    return told >= 2 && rates[silent + told / 2] > OUTLIER_HEALTHY;
}

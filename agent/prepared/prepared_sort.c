/* prepared_sort.c - see prepared.h: the nearest first. */
#include <stdlib.h>

#include "agent/prepared/prepared.h"
#include "base/err.h"

struct ranked {
    const struct catalog_service *instance;
    double distance;
    size_t position;
};

static int compare(const void *a, const void *b)
{
    const struct ranked *one = a;
    const struct ranked *other = b;

    if (one->distance < other->distance || one->distance > other->distance) {
        return one->distance < other->distance ? -1 : 1;
    }
    return (one->position > other->position) - (one->position < other->position);
}

int prepared_sort(const struct catalog_service **found, size_t count,
                  double (*distance)(void *context, const char *node), void *context)
{
    struct ranked *list = calloc(count + 1, sizeof *list);

    if (list == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct ranked){found[i], distance(context, found[i]->node->name), i};
    }
    qsort(list, count, sizeof *list, compare);
    for (size_t i = 0; i < count; i++) {
        found[i] = list[i].instance;
    }
    free(list);
    return RC_OK;
}

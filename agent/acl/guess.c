#include "agent/acl/guess.h"

#include <stdlib.h>
#include <string.h>

struct guesser {
    uint64_t address;
    uint64_t seen_ms; /* last; 0: a free place */
    uint64_t from_ms; /* when the first of the `wrong` is forgiven */
    unsigned wrong;
    uint64_t *known; /* in the list's own block; 0: none */
    size_t next_known;
};

struct guess_list {
    struct guess_limits limits;
    uint64_t *known; /* of all, one after the other */
    struct guesser guessers[GUESS_ADDRESSES];
};

struct guess_list *guess_list_create(struct guess_limits limits)
{
    struct guess_list *list = calloc(1, sizeof *list);

    if (list == NULL) {
        return NULL;
    }
    list->limits = limits;
    list->known = calloc(GUESS_ADDRESSES * limits.known, sizeof *list->known);
    if (list->known == NULL) {
        free(list);
        return NULL;
    }
    for (size_t i = 0; i < GUESS_ADDRESSES; i++) {
        list->guessers[i].known = list->known + i * limits.known;
    }
    return list;
}

void guess_list_destroy(struct guess_list *list)
{
    if (list != NULL) {
        free(list->known);
        free(list);
    }
}

static struct guesser *find(struct guess_list *list, uint64_t address)
{
    for (size_t i = 0; i < GUESS_ADDRESSES; i++) {
        if (list->guessers[i].seen_ms != 0 && list->guessers[i].address == address) {
            return &list->guessers[i];
        }
    }
    return NULL;
}

/* The one of the address, or the place of whoever was quiet for longest. */
static struct guesser *settle(struct guess_list *list, uint64_t address, uint64_t now_ms)
{
    struct guesser *guesser = find(list, address);

    if (guesser == NULL) {
        guesser = &list->guessers[0];
        for (size_t i = 1; i < GUESS_ADDRESSES; i++) {
            if (list->guessers[i].seen_ms < guesser->seen_ms) {
                guesser = &list->guessers[i];
            }
        }
        *guesser = (struct guesser){.address = address, .known = guesser->known};
        memset(guesser->known, 0, list->limits.known * sizeof *guesser->known);
    }
    guesser->seen_ms = now_ms > 0 ? now_ms : 1;
    return guesser;
}

static void forgive(const struct guess_list *list, struct guesser *guesser,
                    uint64_t now_ms)
{
    uint64_t every_ms = list->limits.every_ms;
    uint64_t steps =
        now_ms > guesser->from_ms ? (now_ms - guesser->from_ms) / every_ms : 0;

    if (steps >= guesser->wrong) {
        guesser->wrong = 0;
    } else {
        guesser->wrong -= (unsigned)steps;
        guesser->from_ms += steps * every_ms;
    }
}

static bool is_known(const struct guess_list *list, const struct guesser *guesser,
                     uint64_t print)
{
    for (size_t i = 0; i < list->limits.known; i++) {
        if (guesser->known[i] == print && print != 0) {
            return true;
        }
    }
    return false;
}

bool guess_may_try(struct guess_list *list, uint64_t address, uint64_t print,
                   uint64_t now_ms)
{
    struct guesser *guesser = find(list, address);

    if (guesser == NULL) {
        return true;
    }
    forgive(list, guesser, now_ms);
    return guesser->wrong < list->limits.burst || is_known(list, guesser, print);
}

void guess_was_wrong(struct guess_list *list, uint64_t address, uint64_t now_ms)
{
    struct guesser *guesser = settle(list, address, now_ms);

    forgive(list, guesser, now_ms);
    if (guesser->wrong == 0) {
        guesser->from_ms = now_ms;
    }
    guesser->wrong += guesser->wrong < list->limits.burst ? 1 : 0;
}

void guess_was_right(struct guess_list *list, uint64_t address, uint64_t print,
                     uint64_t now_ms)
{
    struct guesser *guesser = find(list, address);

    if (guesser != NULL && is_known(list, guesser, print)) {
        guesser->seen_ms = now_ms > 0 ? now_ms : 1;
        return;
    }
    guesser = settle(list, address, now_ms);
    guesser->known[guesser->next_known] = print;
    guesser->next_known = (guesser->next_known + 1) % list->limits.known;
}

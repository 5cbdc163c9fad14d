#include "agent/acl/guess.h"

#include <stdlib.h>

struct guesser {
    uint64_t address;
    uint64_t seen_ms; /* last; 0: a free place */
    uint64_t from_ms; /* when the first of the `wrong` is forgiven */
    unsigned wrong;
    uint64_t known[GUESS_KNOWN]; /* 0: none */
    size_t next_known;
};

struct guess_list {
    struct guesser guessers[GUESS_ADDRESSES];
};

struct guess_list *guess_list_create(void)
{
    return calloc(1, sizeof(struct guess_list));
}

void guess_list_destroy(struct guess_list *list)
{
    free(list);
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
        *guesser = (struct guesser){.address = address};
    }
    guesser->seen_ms = now_ms > 0 ? now_ms : 1;
    return guesser;
}

static void forgive(struct guesser *guesser, uint64_t now_ms)
{
    uint64_t steps =
        now_ms > guesser->from_ms ? (now_ms - guesser->from_ms) / GUESS_EVERY_MS : 0;

    if (steps >= guesser->wrong) {
        guesser->wrong = 0;
    } else {
        guesser->wrong -= (unsigned)steps;
        guesser->from_ms += steps * GUESS_EVERY_MS;
    }
}

static bool is_known(const struct guesser *guesser, uint64_t print)
{
    for (size_t i = 0; i < GUESS_KNOWN; i++) {
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
    forgive(guesser, now_ms);
    return guesser->wrong < GUESS_BURST || is_known(guesser, print);
}

void guess_was_wrong(struct guess_list *list, uint64_t address, uint64_t now_ms)
{
    struct guesser *guesser = settle(list, address, now_ms);

    forgive(guesser, now_ms);
    if (guesser->wrong == 0) {
        guesser->from_ms = now_ms;
    }
    guesser->wrong += guesser->wrong < GUESS_BURST ? 1 : 0;
}

void guess_was_right(struct guess_list *list, uint64_t address, uint64_t print,
                     uint64_t now_ms)
{
    struct guesser *guesser = find(list, address);

    if (guesser != NULL && is_known(guesser, print)) {
        guesser->seen_ms = now_ms > 0 ? now_ms : 1;
        return;
    }
    guesser = settle(list, address, now_ms);
    guesser->known[guesser->next_known] = print;
    guesser->next_known = (guesser->next_known + 1) % GUESS_KNOWN;
}

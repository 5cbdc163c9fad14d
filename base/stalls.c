#include "base/stalls.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_PLAIN 1
#endif
#endif
#ifndef IS_PLAIN
#define IS_PLAIN 0
#endif

enum { BLOCK_BYTES = 16 * 1024 }; /* and as aligned: so a struct finds its block */

struct stalls_place {
    struct stalls_place *next;
};

struct rc_stalls_block {
    struct rc_stalls_block *previous; /* of those with a place left */
    struct rc_stalls_block *next;
    struct stalls_place *given; /* places that were used before */
    size_t fresh;               /* how many never were */
    size_t used;
};

static size_t step_of(const struct rc_stalls *stalls)
{
    size_t unit = alignof(max_align_t);
    return (stalls->size + unit - 1) / unit * unit;
}

static size_t head_size(void)
{
    size_t unit = alignof(max_align_t);
    return (sizeof(struct rc_stalls_block) + unit - 1) / unit * unit;
}

static size_t places(const struct rc_stalls *stalls)
{
    return (BLOCK_BYTES - head_size()) / step_of(stalls);
}

static void join(struct rc_stalls *stalls, struct rc_stalls_block *block)
{
    block->previous = NULL;
    block->next = stalls->open;
    if (stalls->open != NULL) {
        stalls->open->previous = block;
    }
    stalls->open = block;
}

static void leave(struct rc_stalls *stalls, struct rc_stalls_block *block)
{
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        stalls->open = block->next;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
}

static struct rc_stalls_block *open_block(struct rc_stalls *stalls)
{
    if (stalls->open == NULL) {
        struct rc_stalls_block *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
        if (block == NULL) {
            return NULL;
        }
        *block = (struct rc_stalls_block){.fresh = places(stalls)};
        join(stalls, block);
    }
    return stalls->open;
}

static void *place_in(const struct rc_stalls *stalls, struct rc_stalls_block *block)
{
    struct stalls_place *place = block->given;

    if (place != NULL) {
        block->given = place->next;
        return place;
    }
    block->fresh--;
    return (char *)block + head_size() +
           (places(stalls) - block->fresh - 1) * step_of(stalls);
}

void *rc_stalls_take(struct rc_stalls *stalls)
{
    assert(stalls->size > 0 && stalls->size <= RC_STALLS_SIZE_MAX);

    if (IS_PLAIN) {
        return calloc(1, stalls->size);
    }
    struct rc_stalls_block *block = open_block(stalls);
    if (block == NULL) {
        return NULL;
    }
    void *at = place_in(stalls, block);
    block->used++;
    if (block->given == NULL && block->fresh == 0) {
        leave(stalls, block);
    }
    memset(at, 0, stalls->size);
    return at;
}

void rc_stalls_give(struct rc_stalls *stalls, void *at)
{
    if (IS_PLAIN || at == NULL) {
        free(at);
        return;
    }
    struct rc_stalls_block *block =
        (void *)((char *)at - ((uintptr_t)at & (BLOCK_BYTES - 1)));
    bool was_full = block->given == NULL && block->fresh == 0;
    struct stalls_place *place = at;
    assert(block->used > 0);
    place->next = block->given;
    block->given = place;
    block->used--;
    if (was_full) {
        join(stalls, block);
    }
    if (block->used == 0) {
        leave(stalls, block);
        free(block);
    }
}

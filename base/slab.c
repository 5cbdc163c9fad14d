#include "base/slab.h"

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

struct slab_place {
    struct slab_place *next;
};

struct rc_slab_block {
    struct rc_slab_block *previous; /* of those with a place left */
    struct rc_slab_block *next;
    struct slab_place *given; /* places that were used before */
    size_t fresh;             /* how many never were */
    size_t used;
};

static size_t step_of(const struct rc_slab *slab)
{
    size_t unit = alignof(max_align_t);
    return (slab->size + unit - 1) / unit * unit;
}

static size_t head_size(void)
{
    size_t unit = alignof(max_align_t);
    return (sizeof(struct rc_slab_block) + unit - 1) / unit * unit;
}

static size_t places(const struct rc_slab *slab)
{
    return (BLOCK_BYTES - head_size()) / step_of(slab);
}

static void join(struct rc_slab *slab, struct rc_slab_block *block)
{
    block->previous = NULL;
    block->next = slab->open;
    if (slab->open != NULL) {
        slab->open->previous = block;
    }
    slab->open = block;
}

static void leave(struct rc_slab *slab, struct rc_slab_block *block)
{
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        slab->open = block->next;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
}

static struct rc_slab_block *open_block(struct rc_slab *slab)
{
    if (slab->open == NULL) {
        struct rc_slab_block *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
        if (block == NULL) {
            return NULL;
        }
        *block = (struct rc_slab_block){.fresh = places(slab)};
        join(slab, block);
    }
    return slab->open;
}

static void *place_in(const struct rc_slab *slab, struct rc_slab_block *block)
{
    struct slab_place *place = block->given;

    if (place != NULL) {
        block->given = place->next;
        return place;
    }
    block->fresh--;
    return (char *)block + head_size() +
           (places(slab) - block->fresh - 1) * step_of(slab);
}

void *rc_slab_take(struct rc_slab *slab)
{
    assert(slab->size > 0 && slab->size <= RC_SLAB_SIZE_MAX);

    if (IS_PLAIN) {
        return calloc(1, slab->size);
    }
    struct rc_slab_block *block = open_block(slab);
    if (block == NULL) {
        return NULL;
    }
    void *at = place_in(slab, block);
    block->used++;
    if (block->given == NULL && block->fresh == 0) {
        leave(slab, block);
    }
    memset(at, 0, slab->size);
    return at;
}

void rc_slab_give(struct rc_slab *slab, void *at)
{
    if (IS_PLAIN || at == NULL) {
        free(at);
        return;
    }
    struct rc_slab_block *block =
        (void *)((char *)at - ((uintptr_t)at & (BLOCK_BYTES - 1)));
    bool was_full = block->given == NULL && block->fresh == 0;
    struct slab_place *place = at;
    assert(block->used > 0);
    place->next = block->given;
    block->given = place;
    block->used--;
    if (was_full) {
        join(slab, block);
    }
    if (block->used == 0) {
        leave(slab, block);
        free(block);
    }
}

/* slab.c - a list of free buffers and a count of lent ones. */
#include "proxy/worker/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void slab_init(struct slab *slab, uint64_t bytes_max)
{
    uint64_t count = bytes_max / sizeof(struct slab_buffer);
    *slab = (struct slab){.lent_max = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count};
}

void slab_fini(struct slab *slab)
{
    assert(slab->lent == 0);
    while (slab->free != NULL) {
        struct slab_buffer *buffer = slab->free;
        slab->free = buffer->next;
        free(buffer);
    }
    slab->free_count = 0;
}

struct slab_buffer *slab_lend(struct slab *slab)
{
    struct slab_buffer *buffer = NULL;

    if (slab->lent >= slab->lent_max) {
        slab->refusals++;
        return NULL;
    }
    if (slab->free != NULL) {
        buffer = slab->free;
        slab->free = buffer->next;
        slab->free_count--;
    } else {
        buffer = malloc(sizeof *buffer);
    }
    if (buffer == NULL) {
        slab->refusals++;
        return NULL;
    }
    buffer->start = 0;
    buffer->end = 0;
    slab->lent++;
    return buffer;
}

void slab_return(struct slab *slab, struct slab_buffer **buffer)
{
    struct slab_buffer *back = *buffer;

    if (back == NULL) {
        return;
    }
    assert(slab->lent > 0);
    slab->lent--;
    *buffer = NULL;
    if (slab->free_count >= SLAB_KEPT_MAX) {
        free(back);
        return;
    }
    back->next = slab->free;
    slab->free = back;
    slab->free_count++;
}

size_t slab_size(const struct slab_buffer *buffer)
{
    return buffer == NULL ? 0 : buffer->end - buffer->start;
}

size_t slab_room(struct slab_buffer *buffer)
{
    if (buffer->end == SLAB_BYTES && buffer->start > 0) {
        size_t size = slab_size(buffer);
        memmove(buffer->bytes, buffer->bytes + buffer->start, size);
        buffer->start = 0;
        buffer->end = (uint32_t)size;
    }
    return SLAB_BYTES - buffer->end;
}

void slab_append(struct slab_buffer *buffer, const void *bytes, size_t size)
{
    assert(size <= SLAB_BYTES - buffer->end);
    memcpy(buffer->bytes + buffer->end, bytes, size);
    buffer->end += (uint32_t)size;
}

void slab_consume(struct slab_buffer *buffer, size_t size)
{
    assert(size <= slab_size(buffer));
    buffer->start += (uint32_t)size;
    if (buffer->start == buffer->end) {
        buffer->start = 0;
        buffer->end = 0;
    }
}

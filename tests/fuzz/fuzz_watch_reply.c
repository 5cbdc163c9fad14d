/* Any bytes as an agent's answer about a service: whole, cut short, or followed by the end. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/discover/watch_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const uint8_t *data, size_t size, enum watch_end end)
{
    struct watch_reply reply;
    struct lineup_entry *entries = NULL;
    size_t count = 0;

    if (watch_reply_parse(data, size, end, &reply) != RC_OK) {
        return;
    }
    assert(reply.body_size <= size);
    if (watch_reply_entries(&reply, "primary", &entries, &count) == RC_OK) {
        for (size_t i = 0; i < count; i++) {
            assert(entries[i].id[0] != '\0' && entries[i].weight <= UINT16_MAX);
            assert(entries[i].address.port != 0);
            assert(memchr(entries[i].id, '\0', sizeof entries[i].id) != NULL);
        }
        free(entries);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as(data, size, WATCH_OPEN);
    read_as(data, size, WATCH_ENDED);
    return 0;
}

/* Any bytes as messages of a sync stream: several, each led by two bytes of length. Our
 * replies must be understood by another catalog. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/catalog/catalog.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct catalog *make(const char *name)
{
    struct catalog_options options = {
        .node_name = name, .seed = 1, .wall_ms = 1000, .services_max = 32};
    struct catalog_service service = {.id = "web", .name = "web", .port = 80};
    struct catalog *c = NULL;

    if (catalog_create(&options, &c) != RC_OK) {
        abort();
    }
    struct catalog_member member = {.name = "a", .address = "10.0.0.1", .peer = true};
    catalog_member_event(c, 1, 1, &member);
    (void)catalog_put_service(c, 1, &service, NULL);
    return c;
}

/* Hands on what `c` replies; answers of the peer are not followed further. */
static void drain(struct catalog *c, struct catalog *peer)
{
    struct catalog_action action;

    while (catalog_next_action(c, &action)) {
        if (action.type == CATALOG_STREAM_SEND) {
            int err = catalog_stream_message(peer, 20, 9, action.bytes, action.size);
            assert(err == RC_OK);
        }
    }
    while (catalog_next_action(peer, &action)) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalog *c = make("me");
    struct catalog *peer = make("b");

    while (size >= 2) {
        size_t length = (size_t)data[0] << 8 | data[1];
        length = length > size - 2 ? size - 2 : length;
        (void)catalog_stream_message(c, 10, 1, data + 2, length);
        drain(c, peer);
        data += 2 + length;
        size -= 2 + length;
    }
    catalog_tick(c, 20000);
    catalog_tick(peer, 20000);
    catalog_destroy(c);
    catalog_destroy(peer);
    return 0;
}

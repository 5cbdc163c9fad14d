/* Any bytes as rumours: several, each led by two bytes of length. Whatever they do to the
 * catalog, what it then tells must be understood by another one. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct catalog *make(const char *name)
{
    struct catalog_options options = {
        .node_name = name, .seed = 1, .wall_ms = 1000, .services_max = 32};
    struct catalog *c = NULL;

    if (catalog_create(&options, &c) != RC_OK) {
        abort();
    }
    struct catalog_member member = {.name = "a", .address = "10.0.0.1", .peer = true};
    catalog_member_event(c, 1, 1, &member);
    return c;
}

static size_t walk(const struct catalog *c)
{
    size_t sum = 0;

    for (size_t i = 0; i < catalog_name_count(c); i++) {
        const struct catalog_name *name = catalog_name_at(c, i);
        assert(name->instance_count > 0);
        for (size_t n = 0; n < name->instance_count; n++) {
            sum += strlen(name->instances[n]->id) + name->instances[n]->check_count;
            sum += catalog_service_is_usable(name->instances[n]) ? 1 : 0;
        }
        for (size_t t = 0; t < name->tag_count; t++) {
            sum += strlen(name->tags[t]);
        }
    }
    for (size_t i = 0; i < catalog_node_count(c); i++) {
        const struct catalog_node *node = catalog_node_at(c, i);
        for (size_t k = 0; k < node->check_count; k++) {
            sum += strlen(node->checks[k]->output);
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalog *c = make("me");
    struct catalog *peer = make("b");
    const struct catalog_change *changes = NULL;
    uint8_t space[1400];

    while (size >= 2) {
        size_t length = (size_t)data[0] << 8 | data[1];
        length = length > size - 2 ? size - 2 : length;
        (void)catalog_receive(c, 10, "a", data + 2, length);
        (void)walk(c);
        data += 2 + length;
        size -= 2 + length;
    }
    (void)catalog_take_changes(c, &changes);
    for (int i = 0; i < 20; i++) {
        size_t told = catalog_fill(c, 1000, space, sizeof space);
        int err = told == 0 ? RC_OK : catalog_receive(peer, 1000, "me", space, told);
        assert(err == RC_OK || err == RC_ETOOBIG);
    }
    (void)walk(peer);
    catalog_destroy(c);
    catalog_destroy(peer);
    return 0;
}

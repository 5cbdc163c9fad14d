/* Any bytes as an agent's coordinates. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "proxy/discover/coordinates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char node[CONFIG_NAME_MAX];
    struct coordinates_node *nodes = NULL;
    size_t count = 0;
    (void)coordinates_read_self((const char *)data, size, node);
    if (coordinates_read_nodes((const char *)data, size, &nodes, &count) == RC_OK) {
        assert(count <= COORDINATES_NODES_MAX);
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t there = coordinates_distance_us(&nodes[i].at, &nodes[i + 1].at);
            uint32_t back = coordinates_distance_us(&nodes[i + 1].at, &nodes[i].at);
            assert(there == back || there - back == 1 || back - there == 1);
        }
        free(nodes);
    }
    return 0;
}

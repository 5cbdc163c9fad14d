/* Any text as a ?filter= expression, evaluated against an instance. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/http/filter.h"
#include "agent/http/selectors.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct catalog_pair meta[] = {{"zone", "a"}, {"a b", "c"}};
    static const char *const tags[] = {"v1", "primary"};
    static const struct catalog_tagged_address addresses[] = {{"lan", "10.0.0.1", 80}};
    static const struct catalog_node check_node = {.name = "node1"};
    static const struct catalog_check check = {
        .node = &check_node,
        .id = "c",
        .name = "n",
        .notes = "",
        .output = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
        .service_id = "",
        .service_name = "",
        .type = "ttl",
        .definition = "",
        .status = CHECK_WARNING,
    };
    static const struct catalog_check *const checks[] = {&check};
    struct catalog_node node = {
        .name = "node1",
        .id = "",
        .address = "10.0.0.1",
        .datacenter = "dc1",
        .meta = meta,
        .meta_count = 2,
        .tagged_addresses = addresses,
        .tagged_address_count = 1,
    };
    struct catalog_service service = {
        .node = &node,
        .id = "web1",
        .name = "web",
        .address = "",
        .tags = tags,
        .tag_count = 2,
        .meta = meta,
        .meta_count = 2,
        .tagged_addresses = addresses,
        .tagged_address_count = 1,
        .port = 8080,
        .checks = checks,
        .check_count = 1,
    };
    char error[FILTER_ERROR_MAX];
    struct filter *filter = NULL;
    char *text = malloc(size + 1);

    if (text == NULL) {
        return 0;
    }
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (filter_parse(text, &selectors_instance, &filter, error) == RC_OK) {
        (void)filter_accepts(filter, &service);
        filter_destroy(filter);
    }
    free(text);
    return 0;
}

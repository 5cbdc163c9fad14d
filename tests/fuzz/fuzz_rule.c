/* fuzz_rule.c - any policy text: read or refused with a line of error, never worse. What is read
 * decides about names, and no decision contradicts that about all names under a prefix. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/acl/grant.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rule_list list = {0};
    char error[RULE_ERROR_MAX];
    struct grant *grant = NULL;

    if (rule_list_parse((const char *)bytes, size, &list, error) != RC_OK) {
        assert(strlen(error) > 0 && strchr(error, '\n') == NULL);
        return 0;
    }
    const struct grant_source source = {"fuzz", &list};
    if (grant_create(&source, 1, GRANT_DENIES, &grant) == RC_OK) {
        for (size_t i = 0; i < list.count; i++) {
            const struct rule *rule = &list.items[i];
            bool allowed =
                grant_allows(grant, rule->resource, rule->name, RULE_TO_WRITE, NULL);
            assert(!rule_resource_has_names(rule->resource) || allowed ||
                   !grant_allows_prefix(grant, rule->resource, rule->name, RULE_TO_WRITE,
                                        NULL));
        }
        grant_destroy(grant);
    }
    rule_list_fini(&list);
    return 0;
}

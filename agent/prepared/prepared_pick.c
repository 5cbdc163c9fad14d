/* prepared_pick.c - see prepared.h: which instances a query wants. */
#include <string.h>

#include "agent/prepared/prepared.h"
#include "base/text.h"

static bool is_ignored(const json_t *service, const struct catalog_check *check)
{
    const json_t *list = json_object_get(service, "IgnoreCheckIDs");
    size_t i;
    json_t *id;

    json_array_foreach((json_t *)list, i, id)
    {
        if (strcmp(json_string_value(id), check->id) == 0) {
            return true;
        }
    }
    return false;
}

static enum check_status worse(enum check_status a, enum check_status b)
{
    return a == CHECK_CRITICAL || b == CHECK_CRITICAL ? CHECK_CRITICAL
           : a == CHECK_WARNING || b == CHECK_WARNING ? CHECK_WARNING
                                                      : CHECK_PASSING;
}

/* Of its own checks and its node's, those left out that the query ignores. */
static bool is_healthy(const json_t *service, const struct catalog_service *instance)
{
    enum check_status status = CHECK_PASSING;
    const struct catalog_node *node = instance->node;

    if (node->liveness >= CATALOG_FAILED) {
        return false; /* whatever checks it ignores: nobody is there */
    }
    for (size_t i = 0; i < instance->check_count; i++) {
        if (!is_ignored(service, instance->checks[i])) {
            status = worse(status, instance->checks[i]->status);
        }
    }
    for (size_t i = 0; i < node->node_check_count; i++) {
        if (!is_ignored(service, node->checks[i])) {
            status = worse(status, node->checks[i]->status);
        }
    }
    return json_is_true(json_object_get(service, "OnlyPassing"))
               ? status == CHECK_PASSING
               : status != CHECK_CRITICAL;
}

/* All of them; one that begins with '!' must not be there. */
static bool has_tags(const struct catalog *catalog, const json_t *service,
                     const struct catalog_service *instance)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(service, "Tags"), i, item)
    {
        const char *tag = json_string_value(item);
        bool unwanted = tag[0] == '!';
        if (catalog_service_has_tag(catalog, instance, tag + unwanted) == unwanted) {
            return false;
        }
    }
    return true;
}

static bool has_pairs(const json_t *wanted, const struct catalog_pair *pairs,
                      size_t count)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)wanted, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++) {
            found = strcmp(pairs[i].key, key) == 0 &&
                    strcmp(pairs[i].value, json_string_value(value)) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

size_t prepared_pick(const struct catalog *catalog, const json_t *query,
                     const struct catalog_service **out, size_t max)
{
    const json_t *service = json_object_get(query, "Service");
    const char *wanted = json_string_value(json_object_get(service, "Service"));
    const struct catalog_name *name =
        wanted != NULL ? catalog_name_find(catalog, wanted) : NULL;
    size_t count = 0;

    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_service *instance = name->instances[i];
        if (is_healthy(service, instance) && has_tags(catalog, service, instance) &&
            has_pairs(json_object_get(service, "NodeMeta"), instance->node->meta,
                      instance->node->meta_count) &&
            has_pairs(json_object_get(service, "ServiceMeta"), instance->meta,
                      instance->meta_count)) {
            if (count < max) {
                out[count] = instance;
            }
            count++;
        }
    }
    return count;
}

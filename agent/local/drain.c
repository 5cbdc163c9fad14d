/* drain.c - may an instance be taken away, or would too few healthy ones be left? */
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

enum { OTHERS_SHOWN = 3, OTHERS_TEXT_MAX = 256 };

/* Is the instance healthy but for maintenance, which may have begun already? */
static bool would_be_usable(const struct local *local, const char *service_id)
{
    const struct registry_check *check;
    size_t position = 0;

    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        bool concerns = check->definition.service_id == NULL ||
                        check->definition.service_id[0] == '\0' ||
                        rc_text_equals(check->definition.service_id, service_id);
        if (concerns && check->form != REGISTRY_MAINTENANCE &&
            check->told == CHECK_CRITICAL) {
            return false;
        }
    }
    return true;
}

/* Healthy instances that stay: not the one that goes, and none of a node that does. */
static int64_t count_others(const struct local *local, const char *name,
                            const char *service_id, bool whole_node,
                            char shown[OTHERS_TEXT_MAX])
{
    const struct catalog_node *self = catalog_self(local->options.catalog);
    const struct catalog_name *all = catalog_name_find(local->options.catalog, name);
    struct rc_buffer text = {.max = OTHERS_TEXT_MAX - 1};
    int64_t count = 0;

    for (size_t i = 0; all != NULL && i < all->instance_count; i++) {
        const struct catalog_service *other = all->instances[i];
        bool goes =
            other->node == self && (whole_node || rc_text_equals(other->id, service_id));
        if (goes || !catalog_service_is_usable(other)) {
            continue;
        }
        if (count++ < OTHERS_SHOWN) {
            rc_buffer_format(&text, "%s%s", text.size > 0 ? ", " : "", other->node->name);
        }
    }
    (void)rc_text_put(shown, OTHERS_TEXT_MAX, rc_buffer_string(&text));
    rc_buffer_fini(&text);
    return count;
}

static int64_t wanted_of(const struct service_definition *service, enum local_care care)
{
    if (service->min_healthy >= 0) {
        return service->min_healthy;
    }
    return care == LOCAL_CARE_CONFIGURED ? 0 : 1;
}

static int judge(struct local *local, const struct registry_service *service,
                 bool whole_node, enum local_care care)
{
    const struct service_definition *definition = &service->definition;
    int64_t wanted = wanted_of(definition, care);
    char shown[OTHERS_TEXT_MAX];

    if (wanted == 0 || !would_be_usable(local, definition->id) ||
        (care != LOCAL_CARE_AGAIN && (registry_in_maintenance(local, NULL) ||
                                      registry_in_maintenance(local, definition->id)))) {
        return RC_OK; /* nobody would miss it */
    }
    int64_t others =
        count_others(local, definition->name, definition->id, whole_node, shown);
    if (others >= wanted) {
        return RC_OK;
    }
    return registry_fail(
        local, RC_ECONFLICT,
        "Without it %lld healthy of service \"%s\" would be left%s%s, and "
        "min_healthy is %lld: mend or start others first, or force it "
        "(rollcall maint -force, ?force)",
        (long long)others, definition->name, shown[0] != '\0' ? ": " : "", shown,
        (long long)wanted);
}

int local_may_drain(struct local *local, const char *service_id, enum local_care care)
{
    const struct registry_service *service;
    size_t position = 0;

    if (care == LOCAL_CARE_NONE) {
        return RC_OK;
    }
    if (service_id != NULL) {
        service = registry_service(local, service_id);
        return service == NULL ? RC_OK : judge(local, service, false, care);
    }
    while ((service = rc_table_next(local->services, &position, NULL)) != NULL) {
        int err = judge(local, service, true, care);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

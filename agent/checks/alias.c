/* alias.c - a check that repeats how another service or node stands, from the catalog. */
#include <stdlib.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/checks.h"
#include "base/text.h"

struct alias {
    struct prober prober;
    const struct catalog *catalog;
};

/* The first of the worst so far. Aliases of the same place are left out: a check that
 * watched itself would never recover. */
static const struct catalog_check *worst_of(const struct catalog_check *worst,
                                            const struct catalog_check *const *checks,
                                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rc_text_equals(checks[i]->type, check_kind_name(CHECK_ALIAS))) {
            continue;
        }
        if (worst == NULL || checks[i]->status > worst->status) {
            worst = checks[i];
        }
    }
    return worst;
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct alias *alias = (struct alias *)prober;
    const struct check_definition *wanted = request->definition;
    const struct catalog_service *service = NULL;
    const struct catalog_node *node =
        wanted->alias_node == NULL
            ? catalog_self(alias->catalog)
            : catalog_node_find(alias->catalog, wanted->alias_node);

    if (node != NULL && wanted->alias_service != NULL) {
        service = catalog_service_find(node, wanted->alias_service);
    }
    if (wanted->alias_service != NULL && service == NULL) {
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL,
                   "Service %s could not be found on node %s", wanted->alias_service,
                   node == NULL ? wanted->alias_node : node->name);
        return;
    }
    if (node == NULL) {
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL,
                   "Node %s could not be found", wanted->alias_node);
        return;
    }
    const struct catalog_check *worst =
        worst_of(NULL, node->checks, node->node_check_count);
    if (service != NULL) {
        worst = worst_of(worst, service->checks, service->check_count);
    }
    if (worst == NULL) {
        probe_done(&prober->sink, request->probe, CHECK_PASSING, "No checks found.");
    } else if (worst->status == CHECK_PASSING) {
        probe_done(&prober->sink, request->probe, CHECK_PASSING, "All checks passing.");
    } else {
        probe_done(&prober->sink, request->probe, worst->status,
                   "Aliased check \"%s\" failing: %s", worst->name, worst->output);
    }
}

/* Every run ends inside start(): there is nothing to end or to keep. */
struct prober *alias_prober(const struct catalog *catalog, struct probe_sink sink)
{
    static const struct probe_kind kind = {.name = "alias", .start = start};
    struct prober *prober = prober_create(sizeof(struct alias), &kind, NULL, sink);

    if (prober != NULL) {
        ((struct alias *)prober)->catalog = catalog;
    }
    return prober;
}

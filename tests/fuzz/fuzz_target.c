/* Any bytes as the target of a GET, answered from a small catalog. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/schedule.h"
#include "agent/gossip/gossip.h"
#include "agent/http/routes.h"
#include "agent/local/local.h"
#include "base/err.h"
#include "base/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct catalog_pair meta[] = {{"zone", "a"}};
static const char *const tags[] = {"v1", "primary"};

static struct http_api create(void)
{
    const struct local_now now = {1, 1700000000000};
    const struct catalog_options catalog = {.node_name = "node1", .wall_ms = now.wall_ms};
    const struct gossip_options gossip = {
        .name = "node1",
        .address = {RC_ADDRESS_IPV4, {127, 0, 0, 1}, 8301},
    };
    const struct catalog_service service = {
        .id = "web1",
        .name = "web",
        .address = "",
        .tags = tags,
        .tag_count = 2,
        .meta = meta,
        .meta_count = 1,
        .port = 80,
        .weight_passing = 1,
        .weight_warning = 1,
    };
    struct http_api api = {
        .facts = {"dc1", "node1", "", "0", "", true, 8300, NULL},
        .metrics = rc_metrics_create(),
        .now_ms = now.mono_ms,
        .wall_ms = now.wall_ms,
    };
    struct schedule *schedule = NULL;

    rc_random_init(&api.random, 1);
    int err = catalog_create(&catalog, &api.catalog);
    assert(err == RC_OK);
    err = catalog_put_service(api.catalog, 1, &service, NULL);
    assert(err == RC_OK);
    err = gossip_create(&gossip, 1, &api.gossip);
    assert(err == RC_OK);
    err = schedule_create(1, &schedule);
    assert(err == RC_OK);
    const struct local_options local = {
        .catalog = api.catalog,
        .schedule = schedule,
        .node_name = "node1",
    };
    err = local_create(&local, &api.local);
    assert(err == RC_OK);
    return api;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct http_api api; /* made once, only read from then on */
    struct http_exchange x = {0};

    if (api.catalog == NULL) {
        api = create();
    }
    exchange_reset(&x);
    if (target_parse(&x.target, (const char *)bytes, size) == RC_OK) {
        x.method = HTTP_GET;
        x.method_name = "GET";
        routes_answer(&api, &x);
        assert(x.outcome == EXCHANGE_WAITING || x.status >= 200);
    }
    exchange_fini(&x);
    return 0;
}

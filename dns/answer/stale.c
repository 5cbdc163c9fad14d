#include "dns/answer/stale.h"

#include <stdbool.h>

static bool is_stale(const struct dns_reply *reply, const struct dns_node *node)
{
    uint64_t since_ms = node->silent_since_wall_ms;
    uint64_t now_ms = reply->client->wall_ms;

    return node->is_silent && now_ms >= since_ms &&
           now_ms - since_ms >= reply->ground->options->max_stale_ms;
}

void dns_stale_warn_of_node(struct dns_reply *reply, const struct dns_node *node)
{
    if (is_stale(reply, node)) {
        dns_extras_add_error(reply->extras, DNS_EXTENDED_STALE, NULL);
    }
}

void dns_stale_warn_of_taken(struct dns_reply *reply, const struct dns_pick *pick)
{
    for (size_t i = 0; i < pick->taken; i++) {
        const struct dns_node *node = dns_pick_taken(pick, i)->node;
        if (is_stale(reply, node)) {
            dns_stale_warn_of_node(reply, node);
            return;
        }
    }
}

#include <string.h>

#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum { PLACE_MAX = 80 };

/* "10.0.0.1:8300", "[::1]:8300". */
static void put_place(char space[PLACE_MAX], const struct gossip_member *member,
                      uint16_t port)
{
    struct rc_address address = member->said->address;

    address.port = port;
    rc_address_format(&address, space);
}

bool request_is_live_server(const struct gossip_member *member)
{
    const char *role = gossip_member_tag(member, "role");

    return role != NULL && strcmp(role, "consul") == 0 &&
           (member->status == GOSSIP_ALIVE || member->status == GOSSIP_SUSPECT);
}

static uint16_t server_port(const struct http_api *api,
                            const struct gossip_member *member)
{
    const char *text = gossip_member_tag(member, "port");
    uint64_t port = 0;

    if (text == NULL || rc_text_to_u64(text, UINT16_MAX, &port) != RC_OK) {
        return api->facts.server_port;
    }
    return (uint16_t)port;
}

/* As far as this agent's own engine tells. */
static bool is_leaderless(const struct http_api *api)
{
    return api->store != NULL && (api->store_trouble != NULL ||
                                  !store_freshness(api->store, api->now_ms).knows_leader);
}

/* Those that keep the store stand before others that call themselves servers. */
static bool comes_before(const struct gossip_member *a, const struct gossip_member *b)
{
    bool a_keeps = gossip_member_tag(a, "rc_st") != NULL;
    bool b_keeps = gossip_member_tag(b, "rc_st") != NULL;

    return a_keeps != b_keeps ? a_keeps : strcmp(a->said->name, b->said->name) < 0;
}

/* The catalog has no leader, every agent answers from its own; of the store, the live server
 * whose name comes first stands for whoever leads its engine. Scripts ask this endpoint whether
 * the cluster works: where no member is a server, this agent stands for it. */
void status_leader(struct http_api *api, struct http_exchange *x)
{
    const struct gossip_member *first = NULL;
    size_t position = 0;
    const struct gossip_member *member = gossip_next_member(api->gossip, &position);
    char place[PLACE_MAX];

    while (member != NULL) {
        if (request_is_live_server(member) &&
            (first == NULL || comes_before(member, first))) {
            first = member;
        }
        member = gossip_next_member(api->gossip, &position);
    }
    first = first != NULL ? first : gossip_self(api->gossip);
    put_place(place, first, server_port(api, first));
    struct rc_json json = exchange_json(x);
    rc_json_string(&json, is_leaderless(api) ? "" : place);
    exchange_json_end(x);
}

void status_peers(struct http_api *api, struct http_exchange *x)
{
    size_t position = 0;
    size_t count = 0;
    char place[PLACE_MAX];
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    const struct gossip_member *member = gossip_next_member(api->gossip, &position);
    while (member != NULL) {
        if (request_is_live_server(member)) {
            put_place(place, member, server_port(api, member));
            rc_json_string(&json, place);
            count++;
        }
        member = gossip_next_member(api->gossip, &position);
    }
    if (count == 0) {
        put_place(place, gossip_self(api->gossip), api->facts.server_port);
        rc_json_string(&json, place);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

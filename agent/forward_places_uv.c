/* forward_places_uv.c - which servers there are, and which of them may be called. */
#include <math.h>
#include <stdlib.h>

#include "agent/config_store.h"
#include "agent/forward_state_uv.h"
#include "base/err.h"
#include "base/text.h"

/* Nothing leaves this machine in plain, unless somebody wrote that it may. */
bool forward_may_link(const struct forwarder *f, const struct rc_address *address)
{
    return !link_settings_is_plain(&f->ring) || f->settings.allow_plaintext ||
           rc_address_is_loopback(address);
}

static bool is_server(const struct forwarder *f, const struct gossip_member *member)
{
    const char *engine = gossip_member_tag(member, CONFIG_STORE_TAG);
    const char *port = gossip_member_tag(member, "port");

    return (member->status == GOSSIP_ALIVE || member->status == GOSSIP_SUSPECT) &&
           engine != NULL && !rc_text_equals(engine, "none") && port != NULL &&
           member != gossip_self(f->options.gossip) &&
           rc_text_equals_nocase(gossip_member_tag(member, "dc"), f->options.datacenter);
}

static double distance_of(const struct forwarder *f, const char *name)
{
    struct gossip_coordinate ours;
    struct gossip_coordinate theirs;

    if (gossip_coordinate(f->options.gossip, f->options.node_name, &ours) != RC_OK ||
        gossip_coordinate(f->options.gossip, name, &theirs) != RC_OK) {
        return HUGE_VAL;
    }
    return gossip_coordinate_distance(&ours, &theirs);
}

static bool place_of(const struct forwarder *f, const struct gossip_member *member,
                     struct courier_place *out)
{
    uint64_t port = 0;

    if (rc_text_to_u64(gossip_member_tag(member, "port"), UINT16_MAX, &port) != RC_OK ||
        port == 0) {
        return false;
    }
    (void)rc_text_put(out->name, sizeof out->name, member->said->name);
    out->address = member->said->address;
    out->address.port = (uint16_t)port;
    out->distance_s = distance_of(f, out->name);
    return true;
}

void forward_look_for_servers(struct forwarder *f)
{
    struct courier_place *places = calloc(COURIER_PLACES_MAX, sizeof *places);
    size_t count = 0;
    size_t position = 0;

    f->places_are_stale = false;
    f->plain_would_do = false;
    if (places == NULL) {
        return; /* those of the last time will do */
    }
    const struct gossip_member *member = gossip_next_member(f->options.gossip, &position);
    while (member != NULL && count < COURIER_PLACES_MAX) {
        if (is_server(f, member) && place_of(f, member, &places[count])) {
            bool may = forward_may_link(f, &places[count].address);
            f->plain_would_do = f->plain_would_do || !may;
            count += may ? 1 : 0;
        }
        member = gossip_next_member(f->options.gossip, &position);
    }
    courier_set_places(f->courier, places, count);
    f->plain_would_do = f->plain_would_do && count == 0;
    free(places);
}

bool forwarder_knows_server(const struct forwarder *f)
{
    size_t position = 0;
    const struct gossip_member *member = gossip_next_member(f->options.gossip, &position);

    while (member != NULL && !is_server(f, member)) {
        member = gossip_next_member(f->options.gossip, &position);
    }
    return member != NULL;
}

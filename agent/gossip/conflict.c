/* conflict.c - two members of one name, and one of them is us: the pool decides.
 *
 * Serf's rule: ask everybody where the member of our name is; a majority of those who answer
 * must give our address, or we are the one too many. Three things are done differently,
 * because Serf's way ends the wrong process now and then:
 * - We do not ask at once, but when a crashed holder of the name would be found out: a node
 *   that comes back at a new address must not end because its old one still counts as alive.
 * - Answers that know the name as left or failed do not count: nobody lives there.
 * - Without any answer nothing is decided: two that are alone would both end. */
#include <string.h>

#include "agent/gossip/serf.h"
#include "base/err.h"

/* By then suspicions of our pool have been confirmed or refuted. */
static uint64_t wait_ms(const struct gossip *g)
{
    return 2 * (uint64_t)suspicion_min_ms(g->profile, roster_estimate(&g->roster)) +
           2 * (uint64_t)g->profile->probe_every_ms;
}

void conflict_noticed(struct gossip *g, const struct rc_address *other)
{
    struct conflict *conflict = &g->serf.conflict;

    if (conflict->is_asked || deadline_is_set(&conflict->deadline)) {
        return;
    }
    conflict->other = *other;
    gossip_arm(g, &conflict->deadline, wait_ms(g));
}

void conflict_ask(struct gossip *g)
{
    struct conflict *conflict = &g->serf.conflict;
    struct rc_pack_bytes name = gossip_own_name(g);
    const struct gossip_query query = {
        .name = "_serf_conflict", .payload = name.at, .size = name.size};
    uint32_t id;

    conflict->answers = 0;
    conflict->ours = 0;
    conflict->is_asked = query_ask_for(g, &query, QUERY_OF_CONFLICT, &id) == RC_OK;
}

/* What they answer is a member, or nil if they do not know it. */
void conflict_on_answer(struct gossip *g, struct rc_pack_bytes payload)
{
    struct rc_cursor in = rc_cursor_over(payload.at, payload.size);
    struct conflict *conflict = &g->serf.conflict;
    struct wire_conflict wire;
    struct rc_address address;

    if (rc_cursor_u8(&in) != WIRE_SERF_CONFLICT ||
        wire_read(&wire_format_conflict, &in, &wire) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    bool is_living = wire.status == SERF_ALIVE || wire.status == SERF_LEAVING;
    if (!is_living || !rc_pack_equals(wire.name, gossip_own_name(g)) ||
        gossip_read_address(g, wire.address, wire.port, &address) != RC_OK) {
        return;
    }
    conflict->answers++;
    if (rc_address_equals(&address, &g->self->view.said->address)) {
        conflict->ours++;
    } else {
        conflict->other = address;
    }
}

void conflict_decide(struct gossip *g)
{
    struct conflict *conflict = &g->serf.conflict;
    uint32_t majority = conflict->answers / 2 + 1;

    conflict->is_asked = false;
    if (conflict->answers == 0 || conflict->ours >= majority ||
        g->leave.stage != LEAVE_NOT) {
        return;
    }
    g->leave.stage = LEAVE_DONE; /* no goodbye in a name that is not ours */
    g->is_out = true;
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_NAME_LOST,
                                           .address = conflict->other,
                                           .member = &g->self->view,
                                           .status = g->self->view.status});
}

static void write_tags(const struct gossip_member *member, struct rc_buffer *out)
{
    rc_pack_write_map(out, member->said->tag_count);
    for (size_t i = 0; i < member->said->tag_count; i++) {
        rc_pack_write_text(out, member->said->tags[i].key);
        rc_pack_write_text(out, member->said->tags[i].value);
    }
}

bool conflict_answer(const struct gossip *g, struct rc_pack_bytes name,
                     struct rc_buffer *out)
{
    const struct member *member = roster_find(&g->roster, name);
    struct rc_buffer tags = {0};

    if (member == g->self || member == NULL || member->serf == SERF_NONE) {
        return false; /* all but the one named answer */
    }
    write_tags(&member->view, &tags);
    struct wire_conflict conflict = {
        .name = rc_pack_text(member->view.said->name),
        .address = gossip_ip_bytes(&member->view.said->address),
        .port = member->view.said->address.port,
        .raw_tags = {tags.bytes, tags.size},
        .status =
            (uint8_t)member->serf, /* Serf's numbers: alive 1, leaving, left, failed */
    };
    memcpy(conflict.versions, member->view.said->versions, WIRE_VERSIONS_SIZE);
    rc_buffer_byte(out, WIRE_SERF_CONFLICT);
    wire_write(&wire_format_conflict, &conflict, out);
    bool is_whole = tags.err == RC_OK && out->err == RC_OK;
    rc_buffer_fini(&tags);
    return is_whole;
}

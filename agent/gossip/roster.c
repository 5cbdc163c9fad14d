/* roster.c - the table of members and the list that SWIM walks. */
#include "agent/gossip/roster.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* An address is found by its IP and, right behind it, its port. */
enum { ADDRESS_KEY_SIZE = 18 };
static_assert(offsetof(struct rc_address, port) ==
                  offsetof(struct rc_address, ip) + ADDRESS_KEY_SIZE - sizeof(uint16_t),
              "the bytes of an address's key lie in a row");

static struct rc_table_key address_key(const struct rc_address *address)
{
    return (struct rc_table_key){
        (const uint8_t *)address + offsetof(struct rc_address, ip), ADDRESS_KEY_SIZE};
}

static struct rc_table_key address_of(const void *value)
{
    const struct member *member = value;
    return address_key(&member->view.said->address);
}

static struct rc_table_key name_of(const void *value)
{
    const struct member *member = value;
    return (struct rc_table_key){member->view.said->name,
                                 strlen(member->view.said->name)};
}

int roster_init(struct roster *roster, uint64_t hash_seed, struct gossip_shared *shared)
{
    *roster = (struct roster){.shared = shared};
    roster->by_name = rc_table_create_lean(hash_seed, name_of);
    roster->by_address = rc_table_create_lean(hash_seed, address_of);
    return roster->by_name != NULL && roster->by_address != NULL ? RC_OK : RC_ENOMEM;
}

static void free_member(struct roster *roster, struct member *member)
{
    if (member->dealings != NULL) {
        free(member->dealings->suspicion);
        free(member->dealings->distance);
        free(member->dealings);
    }
    announced_drop(roster->shared, roster_announced(member));
    free(member);
}

void roster_fini(struct roster *roster)
{
    size_t position = 0;
    struct member *member;

    while (roster->by_name != NULL &&
           (member = rc_table_next(roster->by_name, &position, NULL)) != NULL) {
        free_member(roster, member);
    }
    rc_table_destroy(roster->by_name);
    rc_table_destroy(roster->by_address);
    free(roster->list);
    *roster = (struct roster){0};
}

struct member *roster_find(const struct roster *roster, struct rc_pack_bytes name)
{
    return rc_table_get_bytes(roster->by_name, name.at, name.size);
}

struct member *roster_at(const struct roster *roster, const struct rc_address *address)
{
    struct rc_table_key key = address_key(address);
    return rc_table_get_bytes(roster->by_address, key.at, key.size);
}

/* ---- what a member announces, and what we have had to do with it */

/* Views of announcements are the first field of their records, so the one finds the other. */
struct announced *roster_announced(const struct member *member)
{
    return (struct announced *)member->view.said; // NOLINT(clang-diagnostic-cast-qual)
}

const struct dealings *roster_dealings(const struct member *member)
{
    static const struct dealings none;
    return member->dealings != NULL ? member->dealings : &none;
}

struct dealings *roster_deal(struct member *member)
{
    if (member->dealings == NULL) {
        member->dealings = calloc(1, sizeof *member->dealings);
    }
    return member->dealings;
}

int roster_add(struct roster *roster, const struct announcement *announcement,
               struct member **out)
{
    struct rc_pack_bytes name = announcement->name;

    if (name.size == 0 || name.size > ANNOUNCED_NAME_MAX ||
        memchr(name.at, '\0', name.size) != NULL) {
        return RC_EINVAL;
    }
    if (rc_table_count(roster->by_name) >= ROSTER_MAX) {
        return RC_ETOOBIG;
    }
    struct announced *said = NULL;
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL || announced_take(roster->shared, announcement, &said) != RC_OK) {
        free(member);
        return RC_ENOMEM;
    }
    member->view.said = &said->view;
    member->id = ++roster->last_id;
    if (rc_table_put_bytes(roster->by_name, name.at, name.size, member, NULL) != RC_OK) {
        free_member(roster, member);
        return RC_ENOMEM;
    }
    *out = member;
    return RC_OK;
}

static void forget_address(struct roster *roster, struct member *member)
{
    struct rc_table_key key = address_of(member);

    if (rc_table_get_bytes(roster->by_address, key.at, key.size) == member) {
        (void)rc_table_remove_bytes(roster->by_address, key.at, key.size);
    }
}

int roster_hear(struct roster *roster, struct member *member,
                const struct announcement *announcement)
{
    struct announced *before = roster_announced(member);
    struct announced *said = before;

    assert(rc_pack_equals(announcement->name, rc_pack_text(before->view.name)));
    if (!announced_says(before, announcement)) {
        int err = announced_take(roster->shared, announcement, &said);
        if (err != RC_OK) {
            return err;
        }
        forget_address(roster, member);
        member->view.said = &said->view;
        announced_drop(roster->shared, before);
    }
    struct rc_table_key key = address_of(member);
    return rc_table_put_bytes(roster->by_address, key.at, key.size, member, NULL);
}

/* ---- SWIM's list */

static void swap(struct roster *roster, size_t a, size_t b)
{
    struct member *member = roster->list[a];
    roster->list[a] = roster->list[b];
    roster->list[b] = member;
    roster->list[a]->list_place = (uint32_t)a;
    roster->list[b]->list_place = (uint32_t)b;
}

int roster_enlist(struct roster *roster, struct member *member, struct rc_random *random)
{
    assert(member->swim == SWIM_NONE);
    if (roster->list_count == roster->list_capacity) {
        size_t capacity = roster->list_capacity + roster->list_capacity / 4 + 8;
        struct member **list = realloc(roster->list, capacity * sizeof(struct member *));
        if (list == NULL) {
            return RC_ENOMEM;
        }
        roster->list = list;
        roster->list_capacity = capacity;
    }
    roster->list[roster->list_count] = member;
    member->list_place = (uint32_t)roster->list_count;
    member->swim = SWIM_DEAD;
    roster->list_count++;
    swap(roster, member->list_place,
         (size_t)rc_random_below(random, (uint64_t)roster->list_count));
    return RC_OK;
}

void roster_delist(struct roster *roster, struct member *member)
{
    assert(member->swim != SWIM_NONE);
    roster->left_count -= member->swim == SWIM_LEFT;
    roster->alive_count -= member->swim == SWIM_ALIVE;
    swap(roster, member->list_place, roster->list_count - 1);
    roster->list_count--;
    member->swim = SWIM_NONE;
}

void roster_set_swim(struct roster *roster, struct member *member, enum swim_state state,
                     uint64_t now_ns)
{
    assert(member->swim != SWIM_NONE && state != SWIM_NONE);
    roster->left_count -= member->swim == SWIM_LEFT;
    roster->left_count += state == SWIM_LEFT;
    roster->alive_count -= member->swim == SWIM_ALIVE;
    roster->alive_count += state == SWIM_ALIVE;
    member->swim = (uint8_t)state;
    member->swim_since_ns = now_ns;
}

bool roster_drop_if_unused(struct roster *roster, struct member *member)
{
    if (member->swim != SWIM_NONE || member->serf != SERF_NONE) {
        return false;
    }
    assert(roster_dealings(member)->suspicion == NULL);
    forget_address(roster, member);
    (void)rc_table_remove(roster->by_name, member->view.said->name);
    member->is_erased = true;
    if (member->waiting == 0) {
        free_member(roster, member);
    }
    return true;
}

void roster_release(struct roster *roster, struct member *member)
{
    assert(member->waiting > 0);
    member->waiting--;
    if (member->waiting == 0 && member->is_erased) {
        free_member(roster, member);
    }
}

size_t roster_estimate(const struct roster *roster)
{
    return roster->list_count - roster->left_count;
}

void roster_shuffle(struct roster *roster, struct rc_random *random)
{
    for (size_t i = roster->list_count; i > 1; i--) {
        swap(roster, i - 1, (size_t)rc_random_below(random, i));
    }
}

static bool is_among(struct member *const *members, size_t count,
                     const struct member *member)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i] == member) {
            return true;
        }
    }
    return false;
}

/* Few members: all are looked at, each once, in random order. Many: draws, somewhat more than
 * memberlist makes, because a wanted kind may be rare. */
size_t roster_pick(const struct roster *roster, struct rc_random *random,
                   bool (*wants)(const struct member *member, const struct gossip *g),
                   const struct gossip *g, struct member **out, size_t max)
{
    enum { FEW_MAX = 32 };
    uint8_t order[FEW_MAX];
    size_t n = roster->list_count;
    size_t found = 0;

    if (n <= FEW_MAX) {
        for (size_t i = 0; i < n; i++) {
            order[i] = (uint8_t)i;
        }
        for (size_t left = n; left > 0 && found < max; left--) {
            size_t drawn = (size_t)rc_random_below(random, left);
            struct member *member = roster->list[order[drawn]];
            order[drawn] = order[left - 1];
            if (wants(member, g)) {
                out[found++] = member;
            }
        }
        return found;
    }
    for (size_t draws = 3 * n < 200 ? 3 * n : 200; draws > 0 && found < max; draws--) {
        struct member *member = roster->list[rc_random_below(random, n)];
        if (!is_among(out, found, member) && wants(member, g)) {
            out[found++] = member;
        }
    }
    return found;
}

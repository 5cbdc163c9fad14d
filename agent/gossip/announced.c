/* announced.c - what a member has announced of itself, once for all who know it. */
#include "agent/gossip/announced.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/tags.h"
#include "base/err.h"
#include "base/table.h"

struct gossip_shared {
    struct rc_table *announced; /* by all their bytes */
};

/* Of the bytes: IP, port, family, is_mapped, versions; then the name and a NUL, then meta. */
enum { HEAD_SIZE = 16 + 2 + 1 + 1 + WIRE_VERSIONS_SIZE };
enum { BYTES_MAX = HEAD_SIZE + ANNOUNCED_NAME_MAX + 1 + GOSSIP_TAGS_BYTES_MAX };

static struct rc_table_key key_of(const void *value)
{
    const struct announced *announced = value;

    return (struct rc_table_key){announced->bytes, announced->size};
}

struct gossip_shared *gossip_shared_create(uint64_t seed)
{
    struct gossip_shared *shared = calloc(1, sizeof *shared);

    if (shared != NULL) {
        shared->announced = rc_table_create_lean(seed, key_of);
    }
    if (shared != NULL && shared->announced == NULL) {
        free(shared);
        return NULL;
    }
    return shared;
}

void gossip_shared_destroy(struct gossip_shared *shared)
{
    if (shared != NULL) {
        assert(rc_table_count(shared->announced) == 0); /* somebody still uses them */
        rc_table_destroy(shared->announced);
        free(shared);
    }
}

static uint32_t put_bytes(const struct announcement *it, uint8_t out[BYTES_MAX])
{
    uint8_t *at = out + sizeof it->address->ip;

    assert(it->name.size <= ANNOUNCED_NAME_MAX);
    assert(it->meta.size <= GOSSIP_TAGS_BYTES_MAX);
    memcpy(out, it->address->ip, sizeof it->address->ip);
    *at++ = (uint8_t)(it->address->port >> 8);
    *at++ = (uint8_t)it->address->port;
    *at++ = (uint8_t)it->address->family;
    *at++ = it->is_mapped ? 1 : 0;
    memcpy(at, it->versions, WIRE_VERSIONS_SIZE);
    at += WIRE_VERSIONS_SIZE;
    assert(at == out + HEAD_SIZE);
    memcpy(at, it->name.at, it->name.size);
    at += it->name.size;
    *at++ = '\0';
    if (it->meta.size > 0) {
        memcpy(at, it->meta.at, it->meta.size);
    }
    return (uint32_t)(at - out) + (uint32_t)it->meta.size;
}

static struct announced *make(const struct announcement *from, const uint8_t *bytes,
                              uint32_t size)
{
    struct announced *made = calloc(1, sizeof *made + size);

    if (made == NULL ||
        tags_read(from->meta, &made->tags, &made->view.tag_count) != RC_OK) {
        free(made);
        return NULL;
    }
    memcpy(made->bytes, bytes, size);
    made->size = size;
    made->uses = 1;
    made->is_mapped = from->is_mapped;
    made->meta.size = from->meta.size;
    made->meta.at = made->bytes + size - from->meta.size;
    made->view.name = (const char *)made->bytes + HEAD_SIZE;
    made->view.address = *from->address;
    made->view.tags = made->tags;
    memcpy(made->view.versions, from->versions, WIRE_VERSIONS_SIZE);
    made->view.is_rollcall = gossip_announced_tag(&made->view, "rc") != NULL;
    return made;
}

static void destroy(struct announced *announced)
{
    free(announced->tags);
    free(announced);
}

int announced_take(struct gossip_shared *shared, const struct announcement *announcement,
                   struct announced **out)
{
    uint8_t bytes[BYTES_MAX];
    uint32_t size = put_bytes(announcement, bytes);
    struct announced *it =
        shared == NULL ? NULL : rc_table_get_bytes(shared->announced, bytes, size);

    if (it != NULL) {
        it->uses++;
        *out = it;
        return RC_OK;
    }
    it = make(announcement, bytes, size);
    if (it == NULL) {
        return RC_ENOMEM;
    }
    if (shared != NULL &&
        rc_table_put_bytes(shared->announced, it->bytes, size, it, NULL) != RC_OK) {
        destroy(it);
        return RC_ENOMEM;
    }
    *out = it;
    return RC_OK;
}

void announced_drop(struct gossip_shared *shared, struct announced *announced)
{
    if (announced == NULL) {
        return;
    }
    assert(announced->uses > 0);
    if (--announced->uses > 0) {
        return;
    }
    if (shared != NULL) {
        (void)rc_table_remove_bytes(shared->announced, announced->bytes, announced->size);
    }
    destroy(announced);
}

bool announced_says(const struct announced *announced,
                    const struct announcement *announcement)
{
    const struct gossip_announced *view = &announced->view;

    return rc_address_equals(&view->address, announcement->address) &&
           announced->is_mapped == announcement->is_mapped &&
           memcmp(view->versions, announcement->versions, WIRE_VERSIONS_SIZE) == 0 &&
           rc_pack_equals(announced->meta, announcement->meta) &&
           rc_pack_equals(rc_pack_text(view->name), announcement->name);
}

/* Nodes in order, and the names over all of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"
#include "base/text.h"

size_t listing_fold(const void *name, size_t size, char space[CATALOG_NAME_MAX + 1])
{
    const uint8_t *from = name;
    uint8_t *to = (uint8_t *)space;

    if (size > CATALOG_NAME_MAX) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        bool upper = from[i] >= 'A' && from[i] <= 'Z';
        to[i] = upper ? from[i] | 0x20U : from[i];
    }
    to[size] = '\0';
    return size;
}

/* Makes room for one more pointer: returns the array, moved if need be, or NULL. */
void *listing_with_room(void *items, size_t count, size_t *capacity)
{
    if (count < *capacity) {
        return items;
    }
    size_t larger = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = realloc(items, larger * sizeof(void *));
    if (grown != NULL) {
        *capacity = larger;
    }
    return grown;
}

struct node_entry *listing_find(const struct catalog *c, const char *name)
{
    char key[CATALOG_NAME_MAX + 1];

    if (listing_fold(name, strlen(name), key) == 0) {
        return NULL;
    }
    return rc_table_get(c->by_name, key);
}

static struct item_check *make_health(void)
{
    struct catalog_check check = {.id = "serfHealth", .name = "Serf Health Status"};

    return item_check_create(&check); /* its output comes with the node's liveness */
}

static struct node_entry *make_entry(const char *name)
{
    struct node_entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL) {
        return NULL;
    }
    entry->name = rc_text_copy(name);
    entry->health = make_health();
    entry->checks = calloc(1, sizeof(void *));
    if (entry->name == NULL || entry->health == NULL || entry->checks == NULL) {
        item_check_destroy(entry->health);
        free(entry->checks);
        free(entry->name);
        free(entry);
        return NULL;
    }
    entry->key = digest_key(name);
    entry->checks[0] = &entry->health->view;
    entry->health->view.node = &entry->view;
    entry->view.name = entry->name;
    entry->view.id = "";
    entry->view.address = "";
    entry->view.datacenter = "";
    entry->view.checks = entry->checks;
    entry->view.check_count = 1;
    entry->view.node_check_count = 1;
    return entry;
}

struct node_entry *listing_entry(struct catalog *c, const char *name)
{
    char key[CATALOG_NAME_MAX + 1];
    struct node_entry *entry = listing_find(c, name);

    if (entry != NULL) {
        return strcmp(entry->name, name) == 0 ? entry : NULL;
    }
    if (strlen(name) > CATALOG_NODE_NAME_MAX ||
        listing_fold(name, strlen(name), key) == 0 ||
        rc_table_count(c->by_name) >= c->options.nodes_max) {
        return NULL;
    }
    entry = make_entry(name);
    if (entry == NULL) {
        return NULL;
    }
    int err = rc_table_put(c->by_name, key, entry, NULL);
    if (err == RC_OK &&
        rc_table_get_bytes(c->by_key, entry->key.bytes, DIGEST_KEY_SIZE) == NULL) {
        err =
            rc_table_put_bytes(c->by_key, entry->key.bytes, DIGEST_KEY_SIZE, entry, NULL);
    }
    if (err != RC_OK) {
        (void)rc_table_remove(c->by_name, key);
        entry->removed = true; /* the step frees it */
        step_touch_node(c, entry);
        return NULL;
    }
    return entry;
}

/* ---- names */

/* Where a node of that name stands or should stand in the list. */
static size_t place_of_node(const struct catalog *c, const char *name)
{
    size_t low = 0;
    size_t high = c->node_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->nodes[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int instance_order(const struct catalog_service *a,
                          const struct catalog_service *b)
{
    int order = strcmp(a->node->name, b->node->name);

    return order != 0 ? order : strcmp(a->id, b->id);
}

static size_t place_of_instance(const struct name_entry *name,
                                const struct catalog_service *service)
{
    size_t low = 0;
    size_t high = name->view.instance_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (instance_order(name->instances[middle], service) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t listing_place_of_name(const struct catalog *c, const char *name)
{
    size_t low = 0;
    size_t high = c->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->names[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct name_entry *make_name(struct catalog *c, const char *name, const char *key)
{
    struct name_entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL) {
        return NULL;
    }
    entry->name = rc_text_copy(name);
    const struct catalog_name **names =
        listing_with_room(c->names, c->name_count, &c->names_capacity);
    c->names = names != NULL ? names : c->names;
    if (entry->name == NULL || names == NULL ||
        rc_table_put(c->names_by_key, key, entry, NULL) != RC_OK) {
        free(entry->name);
        free(entry);
        return NULL;
    }
    entry->view.name = entry->name;
    size_t place = listing_place_of_name(c, name);
    memmove(&c->names[place + 1], &c->names[place],
            (c->name_count - place) * sizeof(void *));
    c->names[place] = &entry->view;
    c->name_count++;
    return entry;
}

/* Lists a service of a listed node under its name. */
int listing_link_service(struct catalog *c, struct item_service *item)
{
    char key[CATALOG_NAME_MAX + 1];

    assert(item->name == NULL);
    if (listing_fold(item->view.name, strlen(item->view.name), key) == 0) {
        return RC_EINVAL;
    }
    struct name_entry *name = rc_table_get(c->names_by_key, key);
    if (name == NULL) {
        name = make_name(c, item->view.name, key);
    }
    if (name == NULL) {
        return RC_ENOMEM;
    }
    step_touch_name(c, name); /* an empty name is freed with the step */
    const struct catalog_service **instances = listing_with_room(
        name->instances, name->view.instance_count, &name->instances_capacity);
    if (instances == NULL) {
        return RC_ENOMEM;
    }
    name->instances = instances;
    size_t place = place_of_instance(name, &item->view);
    memmove(&name->instances[place + 1], &name->instances[place],
            (name->view.instance_count - place) * sizeof(void *));
    name->instances[place] = &item->view;
    name->view.instance_count++;
    name->view.instances = name->instances;
    name->tags_moved = true;
    item->name = name;
    item->view.create_index = step_index(c);
    item->view.modify_index = step_index(c);
    c->step_services = true;
    return RC_OK;
}

void listing_unlink_service(struct catalog *c, struct item_service *item)
{
    struct name_entry *name = item->name;

    if (name == NULL) {
        return;
    }
    size_t place = place_of_instance(name, &item->view);
    assert(name->instances[place] == &item->view);
    name->view.instance_count--;
    memmove(&name->instances[place], &name->instances[place + 1],
            (name->view.instance_count - place) * sizeof(void *));
    name->tags_moved = true;
    item->name = NULL;
    step_touch_name(c, name);
    c->step_services = true;
}

/* ---- nodes */

void listing_set_facts(struct catalog *c, struct node_entry *entry)
{
    struct catalog_node *node = &entry->view;
    const struct catalog_node *record = entry->facts == NULL ? NULL : &entry->facts->view;
    const struct catalog_node *member =
        entry->member == NULL ? NULL : &entry->member->view;

    node->id = record != NULL ? record->id : "";
    node->address = record != NULL && record->address[0] != '\0' ? record->address
                    : member != NULL                             ? member->address
                                                                 : "";
    node->datacenter = record != NULL && record->datacenter[0] != '\0'
                           ? record->datacenter
                           : c->datacenter;
    if (member != NULL && member->datacenter[0] != '\0' &&
        (record == NULL || record->datacenter[0] == '\0')) {
        node->datacenter = member->datacenter;
    }
    node->meta = record != NULL ? record->meta : NULL;
    node->meta_count = record != NULL ? record->meta_count : 0;
    node->tagged_addresses = record != NULL ? record->tagged_addresses : NULL;
    node->tagged_address_count = record != NULL ? record->tagged_address_count : 0;
    if (entry->listed) {
        node->modify_index = step_index(c);
        c->step_nodes = true;
        step_touch_node(c, entry);
        step_touch_names_of(c, entry);
    }
}

int listing_show(struct catalog *c, struct node_entry *entry)
{
    assert(!entry->listed);
    const struct catalog_node **nodes =
        listing_with_room(c->nodes, c->node_count, &c->nodes_capacity);
    if (nodes == NULL) {
        return RC_ENOMEM;
    }
    c->nodes = nodes;
    size_t place = place_of_node(c, entry->name);
    memmove(&c->nodes[place + 1], &c->nodes[place],
            (c->node_count - place) * sizeof(void *));
    c->nodes[place] = &entry->view;
    c->node_count++;
    entry->listed = true;
    entry->fresh = true;
    entry->silent = !c->settled;
    entry->view.create_index = step_index(c);
    entry->view.modify_index = step_index(c);
    entry->health->view.create_index = step_index(c);
    entry->health->view.modify_index = step_index(c);
    c->step_nodes = true;
    c->step_checks[entry->health->view.status] = true;
    step_touch_node(c, entry);
    for (size_t i = 0; i < entry->view.service_count; i++) {
        (void)listing_link_service(c, item_of_service(entry->services[i]));
        happening_service(c, entry, entry->services[i], CATALOG_SERVICE_CAME);
    }
    for (size_t i = 0; i < entry->checks_count; i++) {
        struct catalog_check *check = &item_of_check(entry->checks_by_id[i])->view;
        check->create_index = step_index(c);
        check->modify_index = step_index(c);
        step_touch_check(c, entry, check, check->status);
    }
    return RC_OK;
}

static void hide(struct catalog *c, struct node_entry *entry)
{
    size_t place = place_of_node(c, entry->name);

    assert(c->nodes[place] == &entry->view);
    c->node_count--;
    memmove(&c->nodes[place], &c->nodes[place + 1],
            (c->node_count - place) * sizeof(void *));
    c->step_nodes = true;
    c->step_checks[entry->health->view.status] = true;
}

void listing_remove(struct catalog *c, struct node_entry *entry)
{
    char key[CATALOG_NAME_MAX + 1];

    entry->silent = true; /* that it goes is told by gossip */
    while (entry->checks_count > 0) {
        listing_drop_check(c, entry, item_of_check(entry->checks_by_id[0]));
    }
    while (entry->view.service_count > 0) {
        listing_drop_service(c, item_of_service(entry->services[0]));
    }
    if (entry->listed) {
        hide(c, entry);
        entry->listed = false;
    }
    if (listing_fold(entry->name, strlen(entry->name), key) > 0) {
        (void)rc_table_remove(c->by_name, key);
    }
    if (rc_table_get_bytes(c->by_key, entry->key.bytes, DIGEST_KEY_SIZE) == entry) {
        (void)rc_table_remove_bytes(c->by_key, entry->key.bytes, DIGEST_KEY_SIZE);
    }
    c->cut_count -= entry->cut_below != 0;
    entry->cut_below = 0;
    entry->removed = true;
    step_touch_node(c, entry);
}

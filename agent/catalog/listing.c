/* Nodes, their services and checks in order, and the names over all of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"
#include "base/text.h"

static const char health_passing[] = "Agent alive and reachable";
static const char health_critical[] = "Agent not live or unreachable";

size_t listing_fold(const void *name, size_t size, char space[CATALOG_NAME_MAX + 1])
{
    const char *from = name;

    if (size > CATALOG_NAME_MAX) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        bool upper = from[i] >= 'A' && from[i] <= 'Z';
        space[i] = upper ? (char)((unsigned char)from[i] | 0x20U) : from[i];
    }
    space[size] = '\0';
    return size;
}

/* Makes room for one more pointer. */
static int room(void *array, size_t count, size_t *capacity)
{
    void **items = NULL;

    if (count < *capacity) {
        return RC_OK;
    }
    memcpy(&items, array, sizeof items);
    size_t larger = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = realloc(items, larger * sizeof(void *));
    if (grown == NULL) {
        return RC_ENOMEM;
    }
    memcpy(array, &grown, sizeof grown);
    *capacity = larger;
    return RC_OK;
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
    struct item_check *item = item_check_create(&check);

    if (item != NULL) {
        item->view.output = health_passing;
    }
    return item;
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
    if (rc_table_put(c->by_name, key, entry, NULL) != RC_OK) {
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
    if (entry->name == NULL ||
        room(&c->names, c->name_count, &c->names_capacity) != RC_OK ||
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

static void note_term(struct name_entry *name, const struct catalog_service *service)
{
    for (size_t i = 0; i < service->tag_count; i++) {
        if (rc_text_equals_nocase(service->tags[i], "primary") &&
            service->term > name->view.highest_term) {
            name->view.highest_term = service->term;
        }
    }
}

/* Lists a service of a listed node under its name. */
static int link_service(struct catalog *c, struct item_service *item)
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
    if (room(&name->instances, name->view.instance_count, &name->instances_capacity) !=
        RC_OK) {
        return RC_ENOMEM;
    }
    size_t place = place_of_instance(name, &item->view);
    memmove(&name->instances[place + 1], &name->instances[place],
            (name->view.instance_count - place) * sizeof(void *));
    name->instances[place] = &item->view;
    name->view.instance_count++;
    name->view.instances = name->instances;
    name->tags_moved = true;
    note_term(name, &item->view);
    item->name = name;
    item->view.create_index = step_index(c);
    item->view.modify_index = step_index(c);
    c->step_services = true;
    return RC_OK;
}

static void unlink_service(struct catalog *c, struct item_service *item)
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

    node->id = record != NULL && record->id[0] != '\0' ? record->id
               : member != NULL                        ? member->id
                                                       : "";
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
    if (room(&c->nodes, c->node_count, &c->nodes_capacity) != RC_OK) {
        return RC_ENOMEM;
    }
    size_t place = place_of_node(c, entry->name);
    memmove(&c->nodes[place + 1], &c->nodes[place],
            (c->node_count - place) * sizeof(void *));
    c->nodes[place] = &entry->view;
    c->node_count++;
    entry->listed = true;
    entry->view.create_index = step_index(c);
    entry->view.modify_index = step_index(c);
    entry->health->view.create_index = step_index(c);
    entry->health->view.modify_index = step_index(c);
    c->step_nodes = true;
    c->step_checks[entry->health->view.status] = true;
    step_touch_node(c, entry);
    for (size_t i = 0; i < entry->view.service_count; i++) {
        (void)link_service(c, item_of_service(entry->services[i]));
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
    entry->removed = true;
    step_touch_node(c, entry);
}

/* ---- services and checks */

static size_t place_of_service(const struct catalog_node *node, const char *id)
{
    size_t low = 0;
    size_t high = node->service_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(node->services[middle]->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct catalog_service *catalog_service_find(const struct catalog_node *node,
                                                   const char *id)
{
    size_t place = place_of_service(node, id);

    if (place < node->service_count && strcmp(node->services[place]->id, id) == 0) {
        return node->services[place];
    }
    return NULL;
}

static size_t place_of_check(const struct node_entry *entry, const char *id)
{
    size_t low = 0;
    size_t high = entry->checks_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(entry->checks_by_id[middle]->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct catalog_check *catalog_check_find(const struct catalog_node *node,
                                               const char *id)
{
    const struct node_entry *entry = entry_of_node(node);
    size_t place = place_of_check(entry, id);

    if (place < entry->checks_count && strcmp(entry->checks_by_id[place]->id, id) == 0) {
        return entry->checks_by_id[place];
    }
    return strcmp(id, entry->health->view.id) == 0 ? &entry->health->view : NULL;
}

static int replace_service(struct catalog *c, struct node_entry *entry, size_t place,
                           struct item_service *item)
{
    struct item_service *old = item_of_service(entry->services[place]);
    uint64_t created = old->view.create_index;

    item->view.checks = old->view.checks;
    item->view.check_count = old->view.check_count;
    item->view.status = old->view.status;
    item->view.maintenance = old->view.maintenance;
    unlink_service(c, old);
    entry->services[place] = &item->view;
    entry->weight -= item_service_weight(&old->view);
    step_bury_service(c, old);
    int err = entry->listed ? link_service(c, item) : RC_OK;
    if (entry->listed) {
        item->view.create_index = created;
    }
    return err;
}

int listing_put_service(struct catalog *c, struct node_entry *entry,
                        struct item_service *item)
{
    struct catalog_node *node = &entry->view;
    size_t place = place_of_service(node, item->view.id);
    int err = RC_OK;

    item->view.node = node;
    step_touch_node(c, entry);
    if (place < node->service_count &&
        strcmp(node->services[place]->id, item->view.id) == 0) {
        err = replace_service(c, entry, place, item);
        entry->weight += item_service_weight(&item->view);
        return err;
    }
    if (room(&entry->services, node->service_count, &entry->services_capacity) != RC_OK) {
        item_service_destroy(item);
        return RC_ENOMEM;
    }
    memmove(&entry->services[place + 1], &entry->services[place],
            (node->service_count - place) * sizeof(void *));
    entry->services[place] = &item->view;
    node->service_count++;
    node->services = entry->services;
    entry->weight += item_service_weight(&item->view);
    return entry->listed ? link_service(c, item) : RC_OK;
}

void listing_drop_service(struct catalog *c, struct item_service *item)
{
    struct node_entry *entry = entry_of_node(item->view.node);
    size_t place = place_of_service(&entry->view, item->view.id);

    assert(entry->services[place] == &item->view);
    unlink_service(c, item);
    entry->view.service_count--;
    memmove(&entry->services[place], &entry->services[place + 1],
            (entry->view.service_count - place) * sizeof(void *));
    entry->weight -= item_service_weight(&item->view);
    step_touch_node(c, entry);
    step_bury_service(c, item);
}

static int check_room(struct node_entry *entry)
{
    size_t count = entry->checks_count;

    if (count < entry->checks_capacity) {
        return RC_OK;
    }
    size_t larger = entry->checks_capacity == 0 ? 4 : entry->checks_capacity * 2;
    const struct catalog_check **shown =
        realloc(entry->checks, (larger + 1) * sizeof(void *));
    if (shown == NULL) {
        return RC_ENOMEM;
    }
    entry->checks = shown;
    entry->view.checks = shown;
    entry->checks_moved = true; /* services point into the old array */
    const struct catalog_check **sorted =
        realloc(entry->checks_by_id, larger * sizeof(void *));
    if (sorted == NULL) {
        return RC_ENOMEM;
    }
    entry->checks_by_id = sorted;
    entry->checks_capacity = larger;
    return RC_OK;
}

static void touch_check(struct catalog *c, struct node_entry *entry,
                        struct item_check *item, enum catalog_status before)
{
    if (entry->listed) {
        item->view.modify_index = step_index(c);
    }
    step_touch_check(c, entry, &item->view, before);
}

int listing_put_check(struct catalog *c, struct node_entry *entry,
                      struct item_check *item)
{
    size_t place = place_of_check(entry, item->view.id);
    enum catalog_status before = item->view.status;

    item->view.node = &entry->view;
    step_touch_node(c, entry);
    if (place < entry->checks_count &&
        strcmp(entry->checks_by_id[place]->id, item->view.id) == 0) {
        struct item_check *old = item_of_check(entry->checks_by_id[place]);
        before = old->view.status;
        item->view.create_index = old->view.create_index;
        step_touch_check(c, entry, &old->view, before);
        entry->weight -= item_check_weight(&old->view);
        entry->checks_by_id[place] = &item->view;
        step_bury_check(c, old);
    } else {
        if (check_room(entry) != RC_OK) {
            item_check_destroy(item);
            return RC_ENOMEM;
        }
        memmove(&entry->checks_by_id[place + 1], &entry->checks_by_id[place],
                (entry->checks_count - place) * sizeof(void *));
        entry->checks_by_id[place] = &item->view;
        entry->checks_count++;
        item->view.create_index = entry->listed ? step_index(c) : 0;
    }
    entry->weight += item_check_weight(&item->view);
    entry->checks_moved = true;
    touch_check(c, entry, item, before);
    return RC_OK;
}

void listing_drop_check(struct catalog *c, struct node_entry *entry,
                        struct item_check *item)
{
    size_t place = place_of_check(entry, item->view.id);

    assert(entry->checks_by_id[place] == &item->view);
    step_touch_node(c, entry);
    step_touch_check(c, entry, &item->view, item->view.status);
    entry->checks_count--;
    memmove(&entry->checks_by_id[place], &entry->checks_by_id[place + 1],
            (entry->checks_count - place) * sizeof(void *));
    entry->weight -= item_check_weight(&item->view);
    entry->checks_moved = true;
    step_bury_check(c, item);
}

int listing_set_result(struct catalog *c, struct item_check *item,
                       const struct catalog_check *result)
{
    struct node_entry *entry = entry_of_node(item->view.node);
    enum catalog_status before = item->view.status;
    size_t weight = item_check_weight(&item->view);
    int err = item_check_set_output(item, result->output);

    if (err != RC_OK) {
        return err;
    }
    entry->weight += item_check_weight(&item->view);
    entry->weight -= weight;
    item->view.output_cut = result->output_cut;
    item->view.status = result->status;
    item->view.since_wall_ms = result->since_wall_ms;
    step_touch_node(c, entry);
    touch_check(c, entry, item, before);
    return RC_OK;
}

void listing_set_liveness(struct catalog *c, struct node_entry *entry,
                          enum catalog_liveness liveness, uint64_t wall_ms)
{
    struct item_check *health = entry->health;
    enum catalog_status before = health->view.status;

    assert(liveness < CATALOG_LEFT);
    if (entry->view.liveness != liveness || entry->view.since_wall_ms == 0) {
        entry->view.liveness = liveness;
        entry->view.since_wall_ms = wall_ms;
        step_touch_node(c, entry);
    }
    health->view.status = liveness == CATALOG_FAILED ? CATALOG_CRITICAL : CATALOG_PASSING;
    health->view.output = liveness == CATALOG_FAILED ? health_critical : health_passing;
    if (health->view.status != before || health->view.since_wall_ms == 0) {
        health->view.since_wall_ms = wall_ms;
        touch_check(c, entry, health, before);
    }
}

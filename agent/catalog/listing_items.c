/* What one node runs: its services and checks in order, and whether it lives. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"

static const char health_passing[] = "Agent alive and reachable";
static const char health_critical[] = "Agent not live or unreachable";

/* ---- services */

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

/* ---- checks */

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

static size_t weight_of(const struct item_service *item)
{
    const struct catalog_service said = item_service_said(item);

    return item_service_weight(&said);
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
    listing_unlink_service(c, old);
    entry->services[place] = &item->view;
    entry->weight -= weight_of(old);
    step_bury_service(c, old);
    int err = entry->listed ? listing_link_service(c, item) : RC_OK;
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
        entry->weight += weight_of(item);
        return err;
    }
    const struct catalog_service **services = listing_with_room(
        entry->services, node->service_count, &entry->services_capacity);
    if (services == NULL) {
        item_service_destroy(item);
        return RC_ENOMEM;
    }
    entry->services = services;
    memmove(&entry->services[place + 1], &entry->services[place],
            (node->service_count - place) * sizeof(void *));
    entry->services[place] = &item->view;
    node->service_count++;
    node->services = entry->services;
    entry->weight += weight_of(item);
    err = entry->listed ? listing_link_service(c, item) : RC_OK;
    happening_service(c, entry, &item->view, CATALOG_SERVICE_CAME);
    return err;
}

void listing_drop_service(struct catalog *c, struct item_service *item)
{
    struct node_entry *entry = entry_of_node(item->view.node);
    size_t place = place_of_service(&entry->view, item->view.id);

    assert(entry->services[place] == &item->view);
    happening_service(c, entry, &item->view, CATALOG_SERVICE_WENT);
    listing_unlink_service(c, item);
    entry->view.service_count--;
    memmove(&entry->services[place], &entry->services[place + 1],
            (entry->view.service_count - place) * sizeof(void *));
    entry->weight -= weight_of(item);
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
    const struct catalog_check **sorted =
        realloc(entry->checks_by_id, larger * sizeof(void *));
    if (sorted == NULL) {
        return RC_ENOMEM;
    }
    entry->checks_by_id = sorted;
    entry->checks_capacity = larger;
    return RC_OK;
}

/* The order readers see: the node's own checks, then by service; each by id. */
static int by_service(const struct catalog_check *a, const struct catalog_check *b)
{
    int order = strcmp(a->service_id, b->service_id);

    return order != 0 ? order : strcmp(a->id, b->id);
}

/* Where a check stands or should stand behind serfHealth, among `count` shown ones. */
static size_t place_shown(const struct node_entry *entry, size_t count,
                          const struct catalog_check *check)
{
    size_t low = 1;
    size_t high = 1 + count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_service(entry->checks[middle], check) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void show_check(struct node_entry *entry, size_t count,
                       const struct catalog_check *check)
{
    size_t place = place_shown(entry, count, check);

    memmove(&entry->checks[place + 1], &entry->checks[place],
            (1 + count - place) * sizeof(void *));
    entry->checks[place] = check;
}

static void hide_check(struct node_entry *entry, size_t count,
                       const struct catalog_check *check)
{
    size_t place = place_shown(entry, count, check);

    assert(entry->checks[place] == check);
    memmove(&entry->checks[place], &entry->checks[place + 1],
            (count - place) * sizeof(void *));
}

static void touch_check(struct catalog *c, struct node_entry *entry,
                        struct item_check *item, enum check_status before)
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
    enum check_status before = item->view.status;

    item->view.node = &entry->view;
    step_touch_node(c, entry);
    if (place < entry->checks_count &&
        strcmp(entry->checks_by_id[place]->id, item->view.id) == 0) {
        struct item_check *old = item_of_check(entry->checks_by_id[place]);
        before = old->view.status;
        item->view.create_index = old->view.create_index;
        item->flips = old->flips;
        item->has_run = item->has_run || old->has_run;
        step_touch_check(c, entry, &old->view, before);
        entry->weight -= item_check_weight(&old->view);
        hide_check(entry, entry->checks_count, &old->view);
        show_check(entry, entry->checks_count - 1, &item->view);
        entry->checks_by_id[place] = &item->view;
        step_bury_check(c, old);
        happening_check(c, item, before);
    } else {
        if (check_room(entry) != RC_OK) {
            item_check_destroy(item);
            return RC_ENOMEM;
        }
        memmove(&entry->checks_by_id[place + 1], &entry->checks_by_id[place],
                (entry->checks_count - place) * sizeof(void *));
        entry->checks_by_id[place] = &item->view;
        show_check(entry, entry->checks_count, &item->view);
        entry->checks_count++;
        item->view.create_index = entry->listed ? step_index(c) : 0;
        happening_switch(c, entry, &item->view, CATALOG_MAINTENANCE_BEGAN);
    }
    entry->weight += item_check_weight(&item->view);
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
    happening_switch(c, entry, &item->view, CATALOG_MAINTENANCE_ENDED);
    hide_check(entry, entry->checks_count, &item->view);
    entry->checks_count--;
    memmove(&entry->checks_by_id[place], &entry->checks_by_id[place + 1],
            (entry->checks_count - place) * sizeof(void *));
    entry->weight -= item_check_weight(&item->view);
    step_bury_check(c, item);
}

int listing_set_result(struct catalog *c, struct item_check *item,
                       const struct catalog_check *result)
{
    struct node_entry *entry = entry_of_node(item->view.node);
    enum check_status before = item->view.status;
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
    item_check_seal(item);
    step_touch_node(c, entry);
    touch_check(c, entry, item, before);
    happening_check(c, item, before);
    return RC_OK;
}

void listing_set_liveness(struct catalog *c, struct node_entry *entry,
                          enum catalog_liveness liveness, uint64_t wall_ms)
{
    struct item_check *health = entry->health;
    enum check_status before = health->view.status;

    assert(liveness < CATALOG_LEFT);
    if (entry->view.liveness != liveness || entry->view.since_wall_ms == 0) {
        entry->view.liveness = liveness;
        entry->view.since_wall_ms = wall_ms;
        step_touch_node(c, entry);
    }
    health->view.status = liveness == CATALOG_FAILED ? CHECK_CRITICAL : CHECK_PASSING;
    health->view.output = liveness == CATALOG_FAILED ? health_critical : health_passing;
    if (health->view.status != before || health->view.since_wall_ms == 0) {
        health->view.since_wall_ms = wall_ms;
        touch_check(c, entry, health, before);
        happening_check(c, health, before);
    }
}

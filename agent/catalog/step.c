/* One call changes many things: they get one index, and are told together. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"
#include "base/text.h"

uint64_t step_index(struct catalog *c)
{
    if (!c->step_open) {
        c->step_open = true;
        c->index++;
    }
    return c->index;
}

void step_touch_node(struct catalog *c, struct node_entry *entry)
{
    (void)step_index(c);
    if (!entry->touched) {
        entry->touched = true;
        entry->next_touched = c->touched_nodes;
        c->touched_nodes = entry;
    }
}

void step_touch_name(struct catalog *c, struct name_entry *name)
{
    (void)step_index(c);
    if (!name->touched) {
        name->touched = true;
        name->next_touched = c->touched_names;
        c->touched_names = name;
    }
}

void step_touch_names_of(struct catalog *c, const struct node_entry *entry)
{
    for (size_t i = 0; i < entry->view.service_count; i++) {
        struct item_service *item = item_of_service(entry->services[i]);
        if (item->name != NULL) {
            step_touch_name(c, item->name);
        }
    }
}

void step_touch_check(struct catalog *c, const struct node_entry *entry,
                      const struct catalog_check *check, enum check_status before)
{
    if (!entry->listed) {
        return;
    }
    (void)step_index(c);
    c->step_checks[before] = true;
    c->step_checks[check->status] = true;
    if (check->service_id[0] == '\0') {
        step_touch_names_of(c, entry);
        return;
    }
    const struct catalog_service *service =
        catalog_service_find(&entry->view, check->service_id);
    if (service != NULL && item_of_service(service)->name != NULL) {
        step_touch_name(c, item_of_service(service)->name);
    }
}

void step_bury_service(struct catalog *c, struct item_service *item)
{
    item->next_dead = c->dead_services;
    c->dead_services = item;
}

void step_bury_check(struct catalog *c, struct item_check *item)
{
    item->next_dead = c->dead_checks;
    c->dead_checks = item;
}

void step_bury_facts(struct catalog *c, struct item_facts *item)
{
    item->next_dead = c->dead_facts;
    c->dead_facts = item;
}

static void empty_graves(struct catalog *c)
{
    while (c->dead_services != NULL) {
        struct item_service *item = c->dead_services;
        c->dead_services = item->next_dead;
        item_service_destroy(item);
    }
    while (c->dead_checks != NULL) {
        struct item_check *item = c->dead_checks;
        c->dead_checks = item->next_dead;
        item_check_destroy(item);
    }
    while (c->dead_facts != NULL) {
        struct item_facts *item = c->dead_facts;
        c->dead_facts = item->next_dead;
        item_facts_destroy(item);
    }
}

void step_begin(struct catalog *c)
{
    c->depth++;
}

static void tell(struct catalog *c, enum catalog_topic topic, const char *name)
{
    if (c->changes_lost || c->change_count == STATE_CHANGES_MAX) {
        c->changes_lost = true;
        c->counters.changes_lost++;
        return;
    }
    char *copy = rc_text_copy(name);
    if (copy == NULL) {
        c->changes_lost = true;
        return;
    }
    struct catalog_change *change = &c->changes[c->change_count++];
    change->topic = topic;
    change->name = copy;
    change->index = c->index;
}

/* The node's own checks come first, serfHealth before all. */
static void count_checks(struct node_entry *entry)
{
    struct catalog_node *node = &entry->view;
    size_t own = 1;

    node->checks = entry->checks;
    node->check_count = 1 + entry->checks_count;
    while (own < node->check_count && entry->checks[own]->service_id[0] == '\0') {
        own++;
    }
    node->node_check_count = own;
}

static void worst_of(const struct catalog_check *const *checks, size_t count,
                     enum check_status *status, bool *maintenance)
{
    *status = CHECK_PASSING;
    *maintenance = false;
    for (size_t i = 0; i < count; i++) {
        if (checks[i]->status > *status) {
            *status = checks[i]->status;
        }
        if (strcmp(checks[i]->type, "maintenance") == 0) {
            *maintenance = true;
        }
    }
}

/* Gives each service its stretch of the node's checks: both are in order of service id. */
static void share_checks(struct node_entry *entry)
{
    size_t at = entry->view.node_check_count;

    for (size_t i = 0; i < entry->view.service_count; i++) {
        struct catalog_service *service = &item_of_service(entry->services[i])->view;
        while (at < entry->view.check_count &&
               strcmp(entry->checks[at]->service_id, service->id) < 0) {
            item_of_check(entry->checks[at])->view.service_name = "";
            at++;
        }
        size_t start = at;
        while (at < entry->view.check_count &&
               strcmp(entry->checks[at]->service_id, service->id) == 0) {
            item_of_check(entry->checks[at])->view.service_name = service->name;
            at++;
        }
        service->checks = entry->checks + start;
        service->check_count = at - start;
        worst_of(service->checks, service->check_count, &service->status,
                 &service->maintenance);
    }
    for (; at < entry->view.check_count; at++) {
        item_of_check(entry->checks[at])->view.service_name = "";
    }
}

static void refresh(struct node_entry *entry)
{
    struct catalog_node *node = &entry->view;

    count_checks(entry);
    worst_of(node->checks, node->node_check_count, &node->status, &node->maintenance);
    share_checks(entry);
}

static bool has_tag(const struct name_entry *name, const char *tag)
{
    for (size_t i = 0; i < name->view.tag_count; i++) {
        if (strcmp(name->tags[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

static void add_tag(struct name_entry *name, const char *tag)
{
    size_t place = name->view.tag_count;

    if (has_tag(name, tag)) {
        return;
    }
    if (place == name->tags_capacity) {
        size_t capacity = place == 0 ? 4 : place * 2;
        const char **tags = realloc(name->tags, capacity * sizeof(char *));
        if (tags == NULL) {
            return; /* the union is for display; it lacks one */
        }
        name->tags = tags;
        name->tags_capacity = capacity;
    }
    for (; place > 0 && strcmp(name->tags[place - 1], tag) > 0; place--) {
        name->tags[place] = name->tags[place - 1];
    }
    name->tags[place] = tag;
    name->view.tag_count++;
}

static void unite_tags(struct name_entry *name)
{
    name->view.tag_count = 0;
    for (size_t i = 0; i < name->view.instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        for (size_t t = 0; t < service->tag_count; t++) {
            add_tag(name, service->tags[t]);
        }
    }
    name->view.tags = name->tags;
    name->tags_moved = false;
}

static void free_name(struct catalog *c, struct name_entry *name)
{
    char key[CATALOG_NAME_MAX + 1];

    if (listing_fold(name->name, strlen(name->name), key) > 0) {
        (void)rc_table_remove(c->names_by_key, key);
    }
    size_t place = listing_place_of_name(c, name->name);
    assert(c->names[place] == &name->view);
    c->name_count--;
    memmove(&c->names[place], &c->names[place + 1],
            (c->name_count - place) * sizeof(void *));
    free(name->instances);
    free(name->tags);
    unique_forget(name);
    free(name->name);
    free(name);
}

static void commit_names(struct catalog *c)
{
    while (c->touched_names != NULL) {
        struct name_entry *name = c->touched_names;
        c->touched_names = name->next_touched;
        name->touched = false;
        name->view.index = c->index;
        tell(c, CATALOG_TOPIC_SERVICE, name->name);
        if (name->view.instance_count == 0) {
            c->index_vanished = c->index;
            free_name(c, name);
        } else if (name->tags_moved) {
            unique_settle(c, name);
            unite_tags(name);
        }
    }
}

static void free_entry(struct node_entry *entry)
{
    item_check_destroy(entry->health);
    item_facts_destroy(entry->facts);
    item_facts_destroy(entry->member);
    for (size_t i = 0; i < entry->tombstone_count; i++) {
        free(entry->tombstones[i].id);
    }
    free(entry->tombstones);
    free(entry->rumour.bytes);
    free(entry->services);
    free(entry->checks);
    free(entry->checks_by_id);
    free(entry->name);
    free(entry);
}

static void commit_nodes(struct catalog *c)
{
    while (c->touched_nodes != NULL) {
        struct node_entry *entry = c->touched_nodes;
        c->touched_nodes = entry->next_touched;
        entry->touched = false;
        entry->index = c->index;
        if (entry->view.epoch != 0) {
            entry->fresh = false;
            entry->silent = false;
        }
        if (entry->listed || entry->removed) {
            tell(c, CATALOG_TOPIC_NODE, entry->name);
        }
        if (entry->removed) {
            free_entry(entry);
        }
    }
}

static void commit_tables(struct catalog *c)
{
    bool any = false;

    for (unsigned i = 0; i < CHECK_STATUS_COUNT; i++) {
        if (c->step_checks[i]) {
            any = true;
            c->step_checks[i] = false;
            c->index_checks[i] = c->index;
            tell(c, CATALOG_TOPIC_CHECKS, check_status_name((enum check_status)i));
        }
    }
    if (any) {
        c->index_any_check = c->index;
        tell(c, CATALOG_TOPIC_CHECKS, "any");
    }
    if (c->step_nodes) {
        c->step_nodes = false;
        c->index_nodes = c->index;
        tell(c, CATALOG_TOPIC_NODES, "");
    }
    if (c->step_services) {
        c->step_services = false;
        c->index_services = c->index;
        tell(c, CATALOG_TOPIC_SERVICES, "");
    }
}

void step_end(struct catalog *c)
{
    assert(c->depth > 0);
    if (--c->depth > 0) {
        return;
    }
    if (c->step_open) {
        for (struct node_entry *e = c->touched_nodes; e != NULL; e = e->next_touched) {
            if (!e->removed) {
                refresh(e);
            }
        }
        commit_names(c);
        commit_nodes(c);
        commit_tables(c);
        c->step_open = false;
    }
    empty_graves(c);
}

static void free_changes(struct catalog_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)changes[i].name); /* copied by tell() */
    }
}

size_t catalog_see_changes(const struct catalog *c, const struct catalog_change **out)
{
    static const struct catalog_change all = {CATALOG_TOPIC_ALL, "", 0};

    *out = c->changes_lost ? &all : c->changes;
    return c->changes_lost ? 1 : c->change_count;
}

size_t catalog_take_changes(struct catalog *c, const struct catalog_change **out)
{
    static const struct catalog_change all = {CATALOG_TOPIC_ALL, "", 0};
    struct catalog_change *changes = c->changes;

    free_changes(c->taken, c->taken_count);
    c->changes = c->taken;
    c->taken = changes;
    c->taken_count = c->change_count;
    c->change_count = 0;
    *out = c->taken;
    if (!c->changes_lost) {
        return c->taken_count;
    }
    free_changes(c->taken, c->taken_count);
    c->changes_lost = false;
    c->taken_count = 0;
    c->taken[0] = all;
    c->taken[0].index = c->index;
    return 1;
}

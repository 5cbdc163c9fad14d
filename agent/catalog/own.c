/* Our own record: commands, and when their outcome is told to others. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"
#include "base/text.h"

/* ---- steps */

void catalog_begin(struct catalog *c)
{
    step_begin(c);
}

void catalog_end(struct catalog *c, uint64_t now_ms)
{
    bool last = c->depth == 1;

    step_end(c);
    if (last && c->step_own) {
        c->step_own = false;
        c->counters.commands++;
        own_changed(c, now_ms);
    }
}

/* The version of the step under way: the record moves on once a step. */
static uint64_t next_version(struct catalog *c)
{
    struct catalog_node *self = &c->self->view;

    c->step_loud = true;
    if (!c->step_own) {
        c->step_own = true;
        record_stand_at(c, c->self, self->epoch, self->version + 1);
    }
    return self->version;
}

/* The base to tell from: before what was told a moment ago, so that who missed that does
 * not have to ask. For a check that flips again this costs nothing: it is told once. Not
 * from 0: that would be the whole record. */
static uint64_t overlap(struct catalog *c, uint64_t now_ms)
{
    uint64_t version = c->self->view.version;

    if (c->overlap_base == 0 || now_ms >= c->overlap_ms + SPREAD_OVERLAP_MS ||
        version > c->overlap_base + SPREAD_OVERLAP_VERSIONS ||
        c->tell_base < c->overlap_base) {
        c->overlap_ms = now_ms;
        c->overlap_base = c->tell_base;
    }
    return c->overlap_base;
}

static void tell_if_due(struct catalog *c, uint64_t now_ms)
{
    bool due = c->told_ms == 0 || now_ms >= c->told_ms + SPREAD_TELL_EVERY_MS;

    if (c->tell_pending && due) {
        c->tell_pending = false;
        c->told_ms = now_ms;
        rumour_queue(c, now_ms, c->self, overlap(c, now_ms),
                     c->tell_urgent ? RUMOUR_URGENT : RUMOUR_IDLE);
        c->tell_urgent = false;
    }
}

/* Tells the first change at once and what follows within 100 ms together. */
void own_changed(struct catalog *c, uint64_t now_ms)
{
    uint64_t base = c->self->view.version - 1;

    if (!c->tell_pending || base < c->tell_base) {
        c->tell_base = base;
    }
    c->tell_pending = true;
    c->tell_urgent |= c->step_loud;
    c->step_loud = false;
    tell_if_due(c, now_ms);
}

/* ---- texts that wait */

static void drop_held(struct catalog *c, size_t place)
{
    free(c->held[place].check_id);
    free(c->held[place].text);
    c->held_count--;
    memmove(&c->held[place], &c->held[place + 1],
            (c->held_count - place) * sizeof *c->held);
}

static struct held_output *find_held(const struct catalog *c, const char *id)
{
    for (size_t i = 0; i < c->held_count; i++) {
        if (strcmp(c->held[i].check_id, id) == 0) {
            return &c->held[i];
        }
    }
    return NULL;
}

static void release_held(struct catalog *c, const char *id)
{
    struct held_output *held = find_held(c, id);

    if (held != NULL) {
        drop_held(c, (size_t)(held - c->held));
    }
}

void own_forget_held(struct catalog *c)
{
    while (c->held_count > 0) {
        drop_held(c, c->held_count - 1);
    }
    free(c->held);
}

static int held_room(struct catalog *c)
{
    if (c->held_count < c->held_capacity) {
        return RC_OK;
    }
    size_t larger = c->held_capacity == 0 ? 8 : 2 * c->held_capacity;
    struct held_output *held = realloc(c->held, larger * sizeof *held);
    if (held == NULL) {
        return RC_ENOMEM;
    }
    c->held = held;
    c->held_capacity = larger;
    return RC_OK;
}

static int hold(struct catalog *c, const char *id, const char *text, uint64_t due_ms)
{
    struct held_output *held = find_held(c, id);
    char *copy = rc_text_copy(text);

    if (copy == NULL) {
        return RC_ENOMEM;
    }
    c->counters.outputs_held_back++;
    if (held != NULL) {
        free(held->text);
        held->text = copy;
        return RC_OK;
    }
    char *name = rc_text_copy(id);
    if (name == NULL || held_room(c) != RC_OK) {
        free(name);
        free(copy);
        return RC_ENOMEM;
    }
    c->held[c->held_count++] = (struct held_output){name, copy, due_ms};
    return RC_OK;
}

static int store_result(struct catalog *c, uint64_t now_ms, struct item_check *item,
                        const struct catalog_check *result)
{
    bool loud = c->step_loud || result->status != item->view.status;
    int err = listing_set_result(c, item, result);

    if (err == RC_OK) {
        item->state_version = next_version(c);
        c->step_loud = loud; /* text alone is in no hurry */
        item->told_ms = now_ms;
        release_held(c, item->view.id);
    }
    return err;
}

/* Compares as stored: longer output is cut. */
static bool same_output(const char *stored, const char *text)
{
    size_t size = item_text_fit(text, strlen(text), CATALOG_OUTPUT_MAX);

    return strlen(stored) == size && memcmp(stored, text, size) == 0;
}

static uint64_t output_every_ms(const struct catalog *c)
{
    uint64_t crowd = c->peer_count / SPREAD_OUTPUT_NODES;

    return SPREAD_OUTPUT_EVERY_MS * (crowd == 0 ? 1 : crowd);
}

static int take_result(struct catalog *c, uint64_t now_ms, struct item_check *item,
                       const struct catalog_check *result)
{
    if (result->status != item->view.status) {
        return store_result(c, now_ms, item, result);
    }
    if (same_output(item->view.output, result->output)) {
        release_held(c, item->view.id);
        return RC_OK;
    }
    uint64_t due_ms = item->told_ms + output_every_ms(c);
    if (now_ms < due_ms) {
        return hold(c, item->view.id, result->output, due_ms);
    }
    struct catalog_check kept = *result;
    kept.since_wall_ms = item->view.since_wall_ms;
    return store_result(c, now_ms, item, &kept);
}

int catalog_update_check(struct catalog *c, uint64_t now_ms,
                         const struct catalog_result *result)
{
    const struct catalog_check *check =
        catalog_check_find(&c->self->view, result->check_id);

    if (check == NULL || check == &c->self->health->view) {
        return RC_ENOTFOUND;
    }
    struct catalog_check state = {.status = result->status,
                                  .output = result->output == NULL ? "" : result->output,
                                  .since_wall_ms = result->wall_ms};
    c->now_ms = now_ms;
    catalog_begin(c);
    int err = take_result(c, now_ms, item_of_check(check), &state);
    catalog_end(c, now_ms);
    return err;
}

static void tell_held(struct catalog *c, uint64_t now_ms)
{
    for (size_t i = 0; i < c->held_count;) {
        if (c->held[i].due_ms > now_ms) {
            i++;
            continue;
        }
        const struct catalog_check *check =
            catalog_check_find(&c->self->view, c->held[i].check_id);
        if (check == NULL) {
            drop_held(c, i);
            continue;
        }
        struct catalog_check state = {.status = check->status,
                                      .output = c->held[i].text,
                                      .since_wall_ms = check->since_wall_ms};
        if (store_result(c, now_ms, item_of_check(check), &state) != RC_OK) {
            c->held[i].due_ms = now_ms + SPREAD_OUTPUT_EVERY_MS;
            i++;
        }
    }
}

void own_tick(struct catalog *c, uint64_t now_ms)
{
    bool due = false;

    for (size_t i = 0; i < c->held_count; i++) {
        due |= c->held[i].due_ms <= now_ms;
    }
    if (due && c->depth == 0) {
        catalog_begin(c);
        tell_held(c, now_ms);
        catalog_end(c, now_ms);
    }
    tell_if_due(c, now_ms);
}

uint64_t own_deadline(const struct catalog *c)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < c->held_count; i++) {
        if (c->held[i].due_ms < due) {
            due = c->held[i].due_ms;
        }
    }
    if (c->tell_pending && c->told_ms + SPREAD_TELL_EVERY_MS < due) {
        due = c->told_ms + SPREAD_TELL_EVERY_MS;
    }
    return due;
}

/* ---- commands */

static int refuse(struct catalog *c, int err, char *error, const char *text)
{
    c->counters.quota_refused++;
    if (error != NULL && text != NULL) {
        (void)snprintf(error, CATALOG_ERROR_MAX, "%s", text);
    }
    return err;
}

int catalog_set_node(struct catalog *c, uint64_t now_ms, const struct catalog_node *node,
                     char error[CATALOG_ERROR_MAX])
{
    int err = item_facts_validate(node, error);

    if (err != RC_OK) {
        return refuse(c, err, error, NULL);
    }
    struct item_facts *facts = item_facts_create(node);
    if (facts == NULL) {
        return refuse(c, RC_ENOMEM, error, "no memory");
    }
    if (c->self->facts != NULL && item_facts_equals(c->self->facts, facts)) {
        item_facts_destroy(facts);
        return RC_OK;
    }
    catalog_begin(c);
    facts->version = next_version(c);
    if (c->self->facts != NULL) {
        step_bury_facts(c, c->self->facts);
    }
    c->self->facts = facts;
    listing_set_facts(c, c->self);
    catalog_end(c, now_ms);
    return RC_OK;
}

static int service_quota(struct catalog *c, const struct catalog_service *service,
                         const struct catalog_service *old, char *error)
{
    size_t weight = c->self->weight + item_service_weight(service);
    struct catalog_service said = {.node = NULL};

    if (old != NULL) {
        said = item_service_said(item_of_service(old));
    }
    if (old == NULL && c->self->view.service_count >= c->options.services_max) {
        return refuse(c, RC_ETOOBIG, error, "this node has too many services");
    }
    if (weight - (old == NULL ? 0 : item_service_weight(&said)) >
        CATALOG_RECORD_BYTES_MAX) {
        return refuse(c, RC_ETOOBIG, error,
                      "the services and checks of this node take too much space");
    }
    return RC_OK;
}

int catalog_put_service(struct catalog *c, uint64_t now_ms,
                        const struct catalog_service *service,
                        char error[CATALOG_ERROR_MAX])
{
    int err = item_service_validate(service, error);

    if (err != RC_OK) {
        return refuse(c, err, error, NULL);
    }
    const struct catalog_service *old = catalog_service_find(&c->self->view, service->id);
    err = service_quota(c, service, old, error);
    if (err != RC_OK) {
        return err;
    }
    struct item_service *item = item_service_create(service);
    if (item == NULL) {
        return refuse(c, RC_ENOMEM, error, "no memory");
    }
    if (old != NULL && item_service_equals(item_of_service(old), item)) {
        item_service_destroy(item);
        return RC_OK;
    }
    catalog_begin(c);
    item->version = next_version(c);
    record_unbury_item(c->self, OP_NO_SERVICE, service->id);
    err = listing_put_service(c, c->self, item);
    catalog_end(c, now_ms);
    return err == RC_OK ? RC_OK : refuse(c, err, error, "no memory");
}

static void remove_check(struct catalog *c, struct item_check *item)
{
    uint64_t version = next_version(c);

    release_held(c, item->view.id);
    record_bury_item(c->self, OP_NO_CHECK, item->view.id, version);
    listing_drop_check(c, c->self, item);
}

int catalog_remove_service(struct catalog *c, uint64_t now_ms, const char *id)
{
    const struct catalog_service *service = catalog_service_find(&c->self->view, id);

    if (service == NULL) {
        return RC_ENOTFOUND;
    }
    catalog_begin(c);
    for (size_t i = c->self->checks_count; i-- > 0;) {
        struct item_check *check = item_of_check(c->self->checks_by_id[i]);
        if (strcmp(check->view.service_id, id) == 0) {
            remove_check(c, check);
        }
    }
    record_bury_item(c->self, OP_NO_SERVICE, id, next_version(c));
    listing_drop_service(c, item_of_service(service));
    catalog_end(c, now_ms);
    return RC_OK;
}

static int check_quota(struct catalog *c, const struct catalog_check *check,
                       const struct catalog_check *old, char *error)
{
    if (old == &c->self->health->view) {
        return refuse(c, RC_EINVAL, error, "the check id serfHealth is taken");
    }
    if (check->service_id != NULL && check->service_id[0] != '\0' &&
        catalog_service_find(&c->self->view, check->service_id) == NULL) {
        if (error != NULL) {
            (void)snprintf(error, CATALOG_ERROR_MAX, "service \"%.200s\" does not exist",
                           check->service_id);
        }
        return RC_ENOTFOUND;
    }
    if (old != NULL) {
        return RC_OK;
    }
    if (c->self->checks_count >= c->options.checks_max) {
        return refuse(c, RC_ETOOBIG, error, "this node has too many checks");
    }
    if (c->self->weight + item_check_weight(check) > CATALOG_RECORD_BYTES_MAX) {
        return refuse(c, RC_ETOOBIG, error,
                      "the services and checks of this node take too much space");
    }
    return RC_OK;
}

static int replace_check(struct catalog *c, uint64_t now_ms, struct item_check *old,
                         struct item_check *item)
{
    if (old != NULL && item_check_same_definition(old, item)) {
        int err = take_result(c, now_ms, old, &item->view);
        item_check_destroy(item);
        return err;
    }
    item->version = next_version(c);
    item->state_version = item->version;
    item->told_ms = now_ms;
    release_held(c, item->view.id);
    record_unbury_item(c->self, OP_NO_CHECK, item->view.id);
    return listing_put_check(c, c->self, item);
}

int catalog_put_check(struct catalog *c, uint64_t now_ms,
                      const struct catalog_check *check, char error[CATALOG_ERROR_MAX])
{
    int err = item_check_validate(check, error);

    if (err != RC_OK) {
        return refuse(c, err, error, NULL);
    }
    const struct catalog_check *old = catalog_check_find(&c->self->view, check->id);
    err = check_quota(c, check, old, error);
    if (err != RC_OK) {
        return err;
    }
    struct item_check *item = item_check_create(check);
    if (item == NULL) {
        return refuse(c, RC_ENOMEM, error, "no memory");
    }
    item->view.output_cut = false;
    c->now_ms = now_ms;
    catalog_begin(c);
    err = replace_check(c, now_ms, old == NULL ? NULL : item_of_check(old), item);
    catalog_end(c, now_ms);
    return err == RC_OK ? RC_OK : refuse(c, err, error, "no memory");
}

int catalog_remove_check(struct catalog *c, uint64_t now_ms, const char *id)
{
    const struct catalog_check *check = catalog_check_find(&c->self->view, id);

    if (check == NULL || check == &c->self->health->view) {
        return RC_ENOTFOUND;
    }
    catalog_begin(c);
    remove_check(c, item_of_check(check));
    catalog_end(c, now_ms);
    return RC_OK;
}

/* publish.c - this agent's services and checks as its node's record in the catalog. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static uint32_t weight_of(int64_t weight)
{
    return weight < 0 ? 0 : weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight;
}

/* Consul takes any number as a port; what is none is published as none. */
static uint16_t port_of(int64_t port)
{
    return port < 0 || port > UINT16_MAX ? 0 : (uint16_t)port;
}

/* What the postgres checks of a service have found. True if any may tag it. When two of
 * them contradict each other nobody knows, so it is neither. */
static bool find_role(const struct local *local, const char *service_id,
                      enum check_role *out)
{
    const struct registry_check *check;
    bool may_tag = false;
    size_t position = 0;

    *out = CHECK_ROLE_NONE;
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (check->definition.kind != CHECK_POSTGRES ||
            !check->definition.postgres_tags || check->form == REGISTRY_MAINTENANCE ||
            !rc_text_equals(check->definition.service_id, service_id)) {
            continue;
        }
        const struct check *state =
            schedule_find(local->options.schedule, check->scheduled);
        enum check_role role = state == NULL ? CHECK_ROLE_NONE : state->role;
        if (may_tag && role != *out) {
            *out = CHECK_ROLE_NONE;
            return true;
        }
        may_tag = true;
        *out = role;
    }
    return may_tag;
}

static bool is_role_word(const char *tag)
{
    return rc_text_equals(tag, check_role_name(CHECK_ROLE_PRIMARY)) ||
           rc_text_equals(tag, check_role_name(CHECK_ROLE_STANDBY));
}

/* The tags as configured; where a check says what the server is, those words come from
 * the check alone. */
static int gather_tags(const struct local *local, struct registry_service *service)
{
    const struct definition_list *from = &service->definition.tags;
    enum check_role role;

    const char **tags = calloc(from->count + 1, sizeof *tags);
    if (tags == NULL) {
        return RC_ENOMEM;
    }
    bool may_tag = find_role(local, service->definition.id, &role);
    size_t count = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (!may_tag || !is_role_word(from->items[i])) {
            tags[count++] = from->items[i];
        }
    }
    if (role != CHECK_ROLE_NONE) {
        tags[count++] = check_role_name(role);
    }
    free(service->tags);
    service->tags = tags;
    service->tag_count = count;
    return RC_OK;
}

static uint64_t hash_of(const struct registry_service *service)
{
    json_t *json = service_definition_to_json(&service->definition);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    uint64_t hash = text == NULL ? 0 : rc_hash(text, strlen(text), 0);

    for (size_t i = 0; i < service->tag_count; i++) {
        hash = rc_hash(service->tags[i], strlen(service->tags[i]), hash);
    }
    free(text);
    json_decref(json);
    return hash;
}

static int put_service(struct local *local, const struct registry_service *service,
                       uint64_t now_ms)
{
    const struct service_definition *from = &service->definition;
    char error[CATALOG_ERROR_MAX] = "";
    struct catalog_pair *meta = calloc(from->meta.count + 1, sizeof *meta);
    struct catalog_tagged_address *addresses =
        calloc(from->tagged_addresses.count + 1, sizeof *addresses);
    struct catalog_service record = {
        .id = from->id,
        .name = from->name,
        .address = text_of(from->address),
        .tags = service->tags,
        .tag_count = service->tag_count,
        .meta = meta,
        .meta_count = from->meta.count,
        .tagged_addresses = addresses,
        .tagged_address_count = from->tagged_addresses.count,
        .port = port_of(from->port),
        .weight_passing = weight_of(from->weight_passing),
        .weight_warning = weight_of(from->weight_warning),
        .enable_tag_override = from->enable_tag_override,
    };
    int err = RC_ENOMEM;

    if (meta == NULL || addresses == NULL) {
        goto out;
    }
    for (size_t i = 0; i < from->meta.count; i++) {
        meta[i] =
            (struct catalog_pair){from->meta.items[i].key, from->meta.items[i].value};
    }
    for (size_t i = 0; i < from->tagged_addresses.count; i++) {
        const struct definition_address *address = &from->tagged_addresses.items[i];
        addresses[i] = (struct catalog_tagged_address){
            address->tag, text_of(address->address), port_of(address->port)};
    }
    err = catalog_put_service(local->options.catalog, now_ms, &record, error);
    if (err != RC_OK) {
        (void)registry_fail(local, err, "%s", error);
    }
out:
    free(meta);
    free(addresses);
    return err;
}

int publish_service(struct local *local, struct registry_service *service,
                    uint64_t now_ms)
{
    int err = gather_tags(local, service);

    if (err != RC_OK) {
        return registry_fail(local, err, "out of memory");
    }
    service->hash = hash_of(service);
    return put_service(local, service, now_ms);
}

int publish_check(struct local *local, struct registry_check *check, uint64_t now_ms)
{
    const struct check_definition *from = &check->definition;
    const struct check *state = schedule_find(local->options.schedule, check->scheduled);
    char error[CATALOG_ERROR_MAX] = "";

    assert(state != NULL);
    struct catalog_check record = {
        .id = from->id,
        .name = from->name,
        .notes = text_of(from->notes),
        .output = rc_buffer_string(&state->output),
        .service_id = text_of(from->service_id),
        .type = check->form == REGISTRY_MAINTENANCE ? "maintenance"
                                                    : check_kind_name(from->kind),
        .definition = "",
        .status = state->status,
        .since_wall_ms = check->since_wall_ms,
    };
    int err = catalog_put_check(local->options.catalog, now_ms, &record, error);
    check->told = state->status;
    return err == RC_OK ? RC_OK : registry_fail(local, err, "%s", error);
}

/* Aliases repeat what others say: they look again as soon as something here has
 * changed. */
static void hurry_aliases(struct local *local, uint64_t now_ms)
{
    const struct registry_check *check;
    size_t position = 0;

    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (check->form != REGISTRY_MAINTENANCE &&
            check->definition.kind == CHECK_ALIAS) {
            schedule_hurry(local->options.schedule, check->scheduled, now_ms);
        }
    }
}

void publish_result(struct local *local, struct registry_check *check, unsigned news,
                    struct local_now now)
{
    const struct check *state = schedule_find(local->options.schedule, check->scheduled);
    struct catalog *catalog = local->options.catalog;

    if (state == NULL || news == CHECK_NEWS_NONE) {
        return;
    }
    bool is_new = check->told != state->status;
    if (is_new) { /* texts alone change all the time and are not worth a write */
        local->has_unsaved_states = true;
        check->told = state->status;
        check->since_wall_ms = now.wall_ms;
    }
    struct catalog_result result = {
        .check_id = check->definition.id,
        .status = state->status,
        .output = rc_buffer_string(&state->output),
        .wall_ms = check->since_wall_ms,
    };
    catalog_begin(catalog); /* role and status reach readers together */
    (void)catalog_update_check(catalog, now.mono_ms, &result);
    struct registry_service *service =
        (news & CHECK_NEWS_ROLE) == 0
            ? NULL
            : registry_service(local, text_of(check->definition.service_id));
    if (service != NULL) {
        (void)publish_service(local, service, now.mono_ms);
    }
    catalog_end(catalog, now.mono_ms);
    if (check->definition.kind != CHECK_ALIAS && is_new) {
        hurry_aliases(local, now.mono_ms);
    }
}

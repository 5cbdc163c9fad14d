#include "agent/dns/dns_form.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "base/err.h"

uint64_t dns_gate_serial(const struct dns_gate *gate)
{
    return gate->serial != NULL ? gate->serial(gate->context) : 0;
}

bool dns_gate_shows(const struct dns_gate *gate, enum dns_gate_kind kind,
                    const char *name)
{
    return gate->shows == NULL || gate->shows(gate->context, kind, name);
}

void dns_form_fini(struct dns_form *form)
{
    free(form->instances);
    free(form->metas);
    memset(form, 0, sizeof *form);
}

/* Room for so many; what was in it is lost. */
static int reserve(struct dns_form *form, size_t instances, size_t metas)
{
    if (instances > form->instances_max) {
        free(form->instances);
        form->instances = calloc(instances, sizeof form->instances[0]);
        form->instances_max = form->instances != NULL ? instances : 0;
    }
    if (metas > form->metas_max) {
        free(form->metas);
        form->metas = calloc(metas, sizeof form->metas[0]);
        form->metas_max = form->metas != NULL ? metas : 0;
    }
    return instances <= form->instances_max && metas <= form->metas_max ? RC_OK
                                                                        : RC_ENOMEM;
}

static void set_metas(struct dns_meta *out, const struct catalog_pair *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct dns_meta){from[i].key, from[i].value};
    }
}

static struct dns_place place_of(const char *address)
{
    struct dns_place place = {.host = NULL};

    if (address[0] != '\0' && rc_address_parse_ip(address, 0, &place.ip) != RC_OK) {
        memset(&place.ip, 0, sizeof place.ip);
        place.host = address;
    }
    return place;
}

int dns_form_node(struct dns_form *form, const struct catalog_node *from,
                  struct dns_node *out)
{
    int err = reserve(form, 0, from->meta_count);
    if (err != RC_OK) {
        return err;
    }
    set_metas(form->metas, from->meta, from->meta_count);
    *out = (struct dns_node){.name = from->name,
                             .place = place_of(from->address),
                             .meta = form->metas,
                             .meta_count = from->meta_count,
                             .is_silent = from->liveness == CATALOG_SUSPECT,
                             .silent_since_wall_ms = from->since_wall_ms};
    return RC_OK;
}

enum dns_health dns_form_health(const struct catalog_service *service)
{
    assert(service->node != NULL);
    if (!catalog_service_is_usable(service)) {
        return DNS_HEALTH_UNUSABLE;
    }
    switch (catalog_service_health(service)) {
    case CHECK_PASSING:
        return DNS_HEALTH_PASSING;
    case CHECK_WARNING:
        return DNS_HEALTH_WARNING;
    case CHECK_CRITICAL:
    case CHECK_STATUS_COUNT:
        break;
    }
    return DNS_HEALTH_UNUSABLE;
}

/* `metas` has room for its metadata. */
static void set_instance(struct dns_instance *out, const struct catalog_service *from,
                         const struct dns_node *node, struct dns_meta *metas)
{
    /* An address of its own that is the node's is no address of its own. */
    bool apart = strcmp(from->address, from->node->address) != 0;
    enum dns_health health = dns_board_node_shown(node) == DNS_BOARD_SHOWN
                                 ? dns_form_health(from)
                                 : DNS_HEALTH_UNUSABLE;
    uint32_t weight =
        health == DNS_HEALTH_WARNING ? from->weight_warning : from->weight_passing;

    set_metas(metas, from->meta, from->meta_count);
    *out = (struct dns_instance){.node = node,
                                 .service_id = from->id,
                                 .place = place_of(apart ? from->address : ""),
                                 .port = from->port,
                                 .weight =
                                     weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight,
                                 .health = health,
                                 .tags = from->tags,
                                 .tag_count = from->tag_count,
                                 .meta = metas,
                                 .meta_count = from->meta_count};
}

int dns_form_service(struct dns_form *form, const struct dns_board *board,
                     const char *name, const struct catalog_service *const *from,
                     size_t count, struct dns_service *out)
{
    const struct dns_node *node = NULL;
    size_t metas = 0;
    uint64_t print;

    for (size_t i = 0; i < count; i++) {
        metas += from[i]->meta_count;
    }
    int err = reserve(form, count, metas);
    if (err != RC_OK) {
        return err;
    }
    metas = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || from[i]->node != from[i - 1]->node) {
            node = dns_board_find_node(board, from[i]->node->name, &print);
        }
        if (node == NULL) {
            return RC_ENOTFOUND;
        }
        set_instance(&form->instances[i], from[i], node,
                     metas < form->metas_max ? &form->metas[metas] : NULL);
        metas += from[i]->meta_count;
    }
    *out = (struct dns_service){
        .name = name, .instances = form->instances, .instance_count = count};
    return RC_OK;
}

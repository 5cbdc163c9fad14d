/* What happens to listed nodes, told one by one; and how often the status of a check changed. */
#include <string.h>

#include "agent/catalog/state.h"

void catalog_tell_happenings(struct catalog *c, catalog_told *told, void *context)
{
    c->told = told;
    c->told_context = context;
}

void catalog_settle(struct catalog *c)
{
    c->settled = true;
}

static bool is_news(const struct catalog *c, const struct node_entry *entry)
{
    return c->told != NULL && entry->listed && !entry->silent;
}

static const struct catalog_service *service_of(const struct node_entry *entry,
                                                const struct catalog_check *check)
{
    return check->service_id[0] != '\0'
               ? catalog_service_find(&entry->view, check->service_id)
               : NULL;
}

/* ---- checks */

/* Large enough that as many before it are numbers too. */
static uint32_t slot_of(uint64_t now_ms)
{
    return (uint32_t)(now_ms / ITEM_FLIP_SLOT_MS) + ITEM_FLIP_SLOTS;
}

void item_flips_add(struct item_flips *flips, uint64_t now_ms)
{
    uint32_t slot = slot_of(now_ms);

    if (slot - flips->slot >= ITEM_FLIP_SLOTS) {
        memset(flips->counts, 0, sizeof flips->counts);
    } else {
        for (uint32_t i = flips->slot + 1; i - 1 != slot; i++) {
            flips->counts[i % ITEM_FLIP_SLOTS] = 0;
        }
    }
    flips->slot = slot;
    if (flips->counts[slot % ITEM_FLIP_SLOTS] < UINT16_MAX) {
        flips->counts[slot % ITEM_FLIP_SLOTS]++;
    }
}

unsigned item_flips_count(const struct item_flips *flips, uint64_t now_ms)
{
    uint32_t slot = slot_of(now_ms);
    unsigned sum = 0;

    for (uint32_t ago = slot - flips->slot; ago < ITEM_FLIP_SLOTS; ago++) {
        sum += flips->counts[(slot - ago) % ITEM_FLIP_SLOTS];
    }
    return sum;
}

unsigned catalog_check_flips(const struct catalog_check *check, uint64_t now_ms)
{
    return item_flips_count(&item_of_check(check)->flips, now_ms);
}

/* A check begins as critical, without a word, until it has run for the first time. */
static bool is_first_run(struct item_check *item, enum check_status from)
{
    bool ran = item->has_run;

    item->has_run = true;
    return !ran && from == CHECK_CRITICAL;
}

void happening_check(struct catalog *c, struct item_check *item, enum check_status from)
{
    const struct node_entry *entry = entry_of_node(item->view.node);

    if (is_first_run(item, from) || item->view.status == from) {
        return;
    }
    item_flips_add(&item->flips, c->now_ms);
    if (is_news(c, entry) && item != entry->health) {
        const struct catalog_happening told = {.kind = CATALOG_CHECK_FLIPPED,
                                               .node = &entry->view,
                                               .service = service_of(entry, &item->view),
                                               .check = &item->view,
                                               .from = from,
                                               .group = "",
                                               .was = ""};
        c->told(c->told_context, &told);
    }
}

void happening_switch(struct catalog *c, const struct node_entry *entry,
                      const struct catalog_check *check, enum catalog_happening_kind kind)
{
    if (is_news(c, entry) && strcmp(check->type, "maintenance") == 0) {
        const struct catalog_happening told = {.kind = kind,
                                               .node = &entry->view,
                                               .service = service_of(entry, check),
                                               .check = check,
                                               .group = "",
                                               .was = ""};
        c->told(c->told_context, &told);
    }
}

/* ---- services */

void happening_service(struct catalog *c, const struct node_entry *entry,
                       const struct catalog_service *service,
                       enum catalog_happening_kind kind)
{
    if (is_news(c, entry)) {
        const struct catalog_happening told = {.kind = kind,
                                               .node = &entry->view,
                                               .service = service,
                                               .is_first = entry->fresh,
                                               .group = "",
                                               .was = ""};
        c->told(c->told_context, &told);
    }
}

void happening_primary(struct catalog *c, const struct catalog_service *service,
                       uint64_t term, const char *group, const char *was)
{
    const struct node_entry *entry = entry_of_node(service->node);

    if (c->told == NULL || (was[0] == '\0' && !is_news(c, entry))) {
        return; /* it may have been so for long */
    }
    const struct catalog_happening told = {.kind = CATALOG_PRIMARY_CHANGED,
                                           .node = &entry->view,
                                           .service = service,
                                           .term = term,
                                           .group = group,
                                           .was = was};
    c->told(c->told_context, &told);
}

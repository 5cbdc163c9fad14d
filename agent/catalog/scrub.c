/* Memory that went bad: found by the items' seals, and repaired by a sync.
 *
 * Once a minute some thousand items are looked at, and each before it is told to others. A
 * record with a bad one falls back to version 0: the summary differs from that of everybody
 * else, and the next sync brings the whole record. Our own is left alone: nobody knows it
 * better, and what registered the service says it again. */
#include "agent/catalog/spread.h"

enum { ITEMS_A_MINUTE = 16384 };

static size_t items_of(const struct node_entry *entry)
{
    return 1 + entry->view.service_count + entry->checks_count;
}

bool scrub_is_whole(const struct node_entry *entry)
{
    if (entry->facts != NULL && !item_facts_is_whole(entry->facts)) {
        return false;
    }
    for (size_t i = 0; i < entry->view.service_count; i++) {
        if (!item_service_is_whole(item_of_service(entry->services[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < entry->checks_count; i++) {
        if (!item_check_is_whole(item_of_check(entry->checks_by_id[i]))) {
            return false;
        }
    }
    return true;
}

static void mistrust(struct catalog *c, struct node_entry *entry)
{
    c->counters.records_damaged++;
    rumour_drop(c, entry);
    record_stand_at(c, entry, entry->view.epoch, 0);
}

void scrub_some(struct catalog *c)
{
    struct node_entry *entry = NULL;
    size_t looked = 0;

    while (looked < ITEMS_A_MINUTE) {
        entry = rc_table_next(c->by_name, &c->scrub_at, NULL);
        if (entry == NULL) {
            c->scrub_at = 0; /* a whole pass; the next begins in a minute */
            return;
        }
        looked += items_of(entry);
        if (entry != c->self && entry->view.version > 0 && !scrub_is_whole(entry)) {
            mistrust(c, entry);
        }
    }
}

bool scrub_may_tell(struct catalog *c, struct node_entry *entry)
{
    if (entry == c->self || scrub_is_whole(entry)) {
        return true;
    }
    mistrust(c, entry);
    return false;
}

/* Tags that only one instance may show: who holds them, and what the others show instead.
 *
 * Rules: postgres-failover design, section 11. An instance claims by its tag; what decides is the
 * term of its lease. Terms are remembered for as long as the name has instances, so that an old
 * claim does not count again when the newer one has gone. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/state.h"
#include "base/err.h"
#include "base/text.h"

enum { TERMS_MAX = 64 /* clusters of one name */ };

struct unique_term {
    char *cluster; /* owned */
    uint64_t highest;
    /* Of the look that is under way. */
    const struct catalog_service *holder; /* claims with the highest term */
    unsigned holders;                     /* how many do */
    bool present;                         /* has an instance */
    /* Whose time as the only holder was told last. */
    char node[CATALOG_NODE_NAME_MAX + 1];
    uint64_t term;
};

struct unique_rule {
    char *service;
    char *holder;
    char **tags;
    size_t tag_count;
};

static const char *meta_of(const struct catalog_service *service, const char *key)
{
    for (size_t i = 0; i < service->meta_count; i++) {
        if (strcmp(service->meta[i].key, key) == 0) {
            return service->meta[i].value;
        }
    }
    return NULL;
}

uint64_t catalog_service_term(const struct catalog_service *service)
{
    const char *text = meta_of(service, "pg_term");
    uint64_t term = service->term;

    if (text != NULL && rc_text_to_u64(text, UINT64_MAX, &term) != RC_OK) {
        term = 0;
    }
    return term;
}

bool catalog_service_says(const struct catalog_service *service, const char *tag)
{
    const struct item_service *item = item_of_service(service);

    for (size_t i = 0; i < item->said_count; i++) {
        if (rc_text_equals_nocase(item->said[i], tag)) {
            return true;
        }
    }
    return false;
}

/* ---- terms */

static struct unique_term *find_term(const struct name_entry *name, const char *cluster)
{
    for (size_t i = 0; i < name->term_count; i++) {
        if (strcmp(name->terms[i].cluster, cluster) == 0) {
            return &name->terms[i];
        }
    }
    return NULL;
}

static void drop_absent_term(struct name_entry *name)
{
    for (size_t i = 0; i < name->term_count; i++) {
        if (!name->terms[i].present) {
            free(name->terms[i].cluster);
            name->terms[i] = name->terms[--name->term_count];
            return;
        }
    }
}

/* NULL: no memory, or too many clusters; then nobody of it holds anything. */
static struct unique_term *add_term(struct name_entry *name, const char *cluster)
{
    if (name->term_count >= TERMS_MAX) {
        drop_absent_term(name);
    }
    if (name->term_count >= TERMS_MAX) {
        return NULL;
    }
    struct unique_term *terms =
        realloc(name->terms, (name->term_count + 1) * sizeof *terms);
    if (terms == NULL) {
        return NULL;
    }
    name->terms = terms;
    char *copy = rc_text_copy(cluster);
    if (copy == NULL) {
        return NULL;
    }
    struct unique_term *made = &name->terms[name->term_count++];
    *made = (struct unique_term){.cluster = copy};
    return made;
}

/* Which cluster an instance belongs to; NULL: none, it shows what it says. */
static const char *cluster_of(const struct name_entry *name,
                              const struct catalog_service *service)
{
    const char *cluster = meta_of(service, "pg_cluster");

    if (cluster != NULL) {
        return cluster;
    }
    return service->term > 0 || find_term(name, "") != NULL ? "" : NULL;
}

static void count_claim(struct name_entry *name, const struct catalog_service *service)
{
    const char *cluster = cluster_of(name, service);

    if (cluster == NULL) {
        return;
    }
    struct unique_term *entry = find_term(name, cluster);
    entry = entry != NULL ? entry : add_term(name, cluster);
    if (entry == NULL) {
        return;
    }
    entry->present = true;
    if (!catalog_service_says(service, CATALOG_UNIQUE_TAG)) {
        return;
    }
    uint64_t term = catalog_service_term(service);
    if (term > entry->highest) {
        entry->highest = term;
        entry->holders = 0;
    }
    if (term == entry->highest) {
        entry->holder = service;
        entry->holders++;
    }
    if (entry->highest > name->view.highest_term) {
        name->view.highest_term = entry->highest;
    }
}

static void count_claims(struct name_entry *name)
{
    for (size_t i = 0; i < name->term_count; i++) {
        name->terms[i].holder = NULL;
        name->terms[i].holders = 0;
        name->terms[i].present = false;
    }
    for (size_t i = 0; i < name->view.instance_count; i++) {
        count_claim(name, name->instances[i]);
    }
}

static void tell_holder(struct catalog *c, struct unique_term *entry)
{
    const struct catalog_service *holder = entry->holders == 1 ? entry->holder : NULL;

    if (holder == NULL ||
        (entry->term == entry->highest && strcmp(entry->node, holder->node->name) == 0)) {
        return;
    }
    happening_primary(c, holder, entry->highest, entry->cluster, entry->node);
    entry->term = entry->highest;
    (void)rc_text_put(entry->node, sizeof entry->node, holder->node->name);
}

/* Whether the right to be primary is another one's, or nobody's. */
static bool lacks_term(const struct name_entry *name,
                       const struct catalog_service *service)
{
    const char *cluster = cluster_of(name, service);
    const struct unique_term *entry = cluster != NULL ? find_term(name, cluster) : NULL;

    if (cluster == NULL) {
        return false;
    }
    return entry == NULL || entry->holder != service || entry->holders != 1;
}

/* ---- configured rules */

static void free_rule(struct unique_rule *rule)
{
    for (size_t i = 0; rule->tags != NULL && i < rule->tag_count; i++) {
        free(rule->tags[i]);
    }
    free((void *)rule->tags);
    free(rule->service);
    free(rule->holder);
}

static int copy_rule(const struct catalog_unique *from, struct unique_rule *out)
{
    *out = (struct unique_rule){.service = rc_text_copy(from->service),
                                .holder = rc_text_copy(from->holder),
                                .tags = calloc(from->tag_count + 1, sizeof(char *)),
                                .tag_count = from->tag_count};
    bool whole = out->service != NULL && out->holder != NULL && out->tags != NULL;

    for (size_t i = 0; whole && i < from->tag_count; i++) {
        out->tags[i] = rc_text_copy(from->tags[i]);
        whole = out->tags[i] != NULL;
    }
    if (!whole) {
        free_rule(out);
        return RC_ENOMEM;
    }
    return RC_OK;
}

static struct unique_rule *find_rule(const struct catalog *c, const char *service)
{
    for (size_t i = 0; i < c->unique_rule_count; i++) {
        if (rc_text_equals_nocase(c->unique_rules[i].service, service)) {
            return &c->unique_rules[i];
        }
    }
    return NULL;
}

static void touch_service(struct catalog *c, const char *service)
{
    struct name_entry *name = entry_of_name(catalog_name_find(c, service));

    if (name != NULL) {
        name->tags_moved = true;
        c->step_services = true;
        step_touch_name(c, name);
    }
}

int catalog_set_unique(struct catalog *c, uint64_t now_ms,
                       const struct catalog_unique *rule)
{
    struct unique_rule made;
    struct unique_rule *old = find_rule(c, rule->service);

    if (copy_rule(rule, &made) != RC_OK) {
        return RC_ENOMEM;
    }
    if (old == NULL) {
        struct unique_rule *rules =
            realloc(c->unique_rules, (c->unique_rule_count + 1) * sizeof *rules);
        if (rules == NULL) {
            free_rule(&made);
            return RC_ENOMEM;
        }
        c->unique_rules = rules;
        rules[c->unique_rule_count++] = made;
    } else {
        free_rule(old);
        *old = made;
    }
    catalog_begin(c);
    touch_service(c, rule->service);
    catalog_end(c, now_ms);
    return RC_OK;
}

void unique_free_rules(struct catalog *c)
{
    for (size_t i = 0; i < c->unique_rule_count; i++) {
        free_rule(&c->unique_rules[i]);
    }
    free(c->unique_rules);
}

/* How well a holder's name fits an instance: its id, the end of its id, its node; 0: not. */
static unsigned fit(const struct catalog_service *service, const char *holder)
{
    const char *slash = strrchr(service->id, '/');

    if (holder[0] == '\0') {
        return 0;
    }
    if (strcmp(service->id, holder) == 0) {
        return 3;
    }
    if (slash != NULL && strcmp(slash + 1, holder) == 0) {
        return 2;
    }
    return rc_text_equals_nocase(service->node->name, holder) ? 1 : 0;
}

static const struct catalog_service *find_holder(const struct name_entry *name,
                                                 const char *holder)
{
    const struct catalog_service *found = NULL;
    unsigned best = 1;
    unsigned count = 0;

    for (size_t i = 0; i < name->view.instance_count; i++) {
        unsigned fits = fit(name->instances[i], holder);
        count = fits > best ? 0 : count;
        if (fits >= best) {
            best = fits;
            found = name->instances[i];
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

static bool has_rule_for(const struct unique_rule *rule, const char *tag)
{
    for (size_t i = 0; i < rule->tag_count; i++) {
        if (rc_text_equals_nocase(rule->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

/* ---- what is shown */

/* What an instance must not show. */
struct hidden {
    bool primary;                   /* the tag of a term */
    const struct unique_rule *rule; /* its tags too; NULL: none */
};

static bool is_hidden(const struct hidden *hidden, const char *tag)
{
    return (hidden->primary && rc_text_equals_nocase(tag, CATALOG_UNIQUE_TAG)) ||
           (hidden->rule != NULL && has_rule_for(hidden->rule, tag));
}

static size_t count_shown(const struct item_service *item, const struct hidden *hidden)
{
    size_t count = 0;

    for (size_t i = 0; i < item->said_count; i++) {
        count += is_hidden(hidden, item->said[i]) ? 0 : 1;
    }
    return count;
}

static bool shows_already(const struct item_service *item, const struct hidden *hidden,
                          size_t count)
{
    if (item->view.tag_count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_hidden(hidden, item->view.tags[i])) {
            return false;
        }
    }
    return true;
}

/* Without memory for a shorter list none is shown: too few is safe, too many is not. */
static void show(struct item_service *item, const struct hidden *hidden, size_t count)
{
    struct catalog_service *view = &item->view;

    view->tags = item->said;
    view->tag_count = item->said_count;
    if (count == item->said_count) {
        return;
    }
    if (item->shown == NULL) {
        item->shown = calloc(item->said_count, sizeof(char *));
    }
    view->tag_count = 0;
    view->tags = item->shown != NULL ? (const char *const *)item->shown : item->said;
    for (size_t i = 0; item->shown != NULL && i < item->said_count; i++) {
        if (!is_hidden(hidden, item->said[i])) {
            item->shown[view->tag_count++] = item->said[i];
        }
    }
}

void unique_settle(struct catalog *c, struct name_entry *name)
{
    const struct unique_rule *rule = find_rule(c, name->name);
    const struct catalog_service *holder =
        rule != NULL ? find_holder(name, rule->holder) : NULL;

    count_claims(name);
    for (size_t i = 0; i < name->term_count; i++) {
        tell_holder(c, &name->terms[i]);
    }
    for (size_t i = 0; i < name->view.instance_count; i++) {
        struct item_service *item = item_of_service(name->instances[i]);
        bool holds = holder != NULL && holder == name->instances[i];
        struct hidden hidden = {.primary = lacks_term(name, &item->view),
                                .rule = holds ? NULL : rule};
        size_t count = count_shown(item, &hidden);
        if (!shows_already(item, &hidden, count)) {
            show(item, &hidden, count);
            item->view.modify_index = step_index(c);
            step_touch_node(c, entry_of_node(item->view.node));
        }
    }
}

void unique_forget(struct name_entry *name)
{
    for (size_t i = 0; i < name->term_count; i++) {
        free(name->terms[i].cluster);
    }
    free(name->terms);
}

#include "agent/acl/grant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* A rule, and where it came from. */
struct entry {
    struct rule rule;
    const char *policy;
    size_t size; /* of the name */
};

/* The entries of a resource: exact ones by name, then prefixes, longest first. */
struct span {
    size_t begin;
    size_t prefixes;
    size_t end;
};

struct grant {
    enum grant_default fallback;
    struct span spans[RULE_RESOURCE_COUNT];
    char *text; /* names and policies */
    size_t count;
    struct entry entries[];
};

static unsigned char fold(char c, bool ignores_case)
{
    return (unsigned char)(ignores_case && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* As memcmp() of the first `size` characters; both strings have as many, or end before. */
static int compare_bytes(const char *a, const char *b, size_t size, bool ignores_case)
{
    for (size_t i = 0; i < size; i++) {
        int difference = fold(a[i], ignores_case) - fold(b[i], ignores_case);
        if (difference != 0 || a[i] == '\0') {
            return difference;
        }
    }
    return 0;
}

static int compare_names(enum rule_resource resource, const char *a, const char *b)
{
    return compare_bytes(a, b, strlen(a) + 1, rule_resource_ignores_case(resource));
}

/* The order of struct span; of the same name the one that counts comes first. */
static int compare(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;

    if (a->rule.resource != b->rule.resource) {
        return a->rule.resource < b->rule.resource ? -1 : 1;
    }
    if (a->rule.scope != b->rule.scope) {
        return a->rule.scope < b->rule.scope ? -1 : 1;
    }
    if (a->rule.scope == RULE_PREFIX && a->size != b->size) {
        return a->size > b->size ? -1 : 1;
    }
    int by_name = compare_names(a->rule.resource, a->rule.name, b->rule.name);
    if (by_name != 0) {
        return by_name;
    }
    if (a->rule.level != b->rule.level) {
        return a->rule.level > b->rule.level ? -1 : 1;
    }
    return a->policy < b->policy ? -1 : a->policy > b->policy; /* order of the sources */
}

static bool is_same_name(const struct entry *a, const struct entry *b)
{
    return a->rule.resource == b->rule.resource && a->rule.scope == b->rule.scope &&
           a->size == b->size &&
           compare_names(a->rule.resource, a->rule.name, b->rule.name) == 0;
}

/* Of several rules for one name only the first, strongest one stays. */
static void drop_weaker(struct grant *grant)
{
    size_t kept = 0;

    for (size_t i = 0; i < grant->count; i++) {
        if (kept == 0 || !is_same_name(&grant->entries[kept - 1], &grant->entries[i])) {
            grant->entries[kept++] = grant->entries[i];
        }
    }
    grant->count = kept;
}

static void mark_spans(struct grant *grant)
{
    size_t at = 0;

    for (enum rule_resource i = 0; i < RULE_RESOURCE_COUNT; i++) {
        struct span *span = &grant->spans[i];
        span->begin = at;
        while (at < grant->count && grant->entries[at].rule.resource == i &&
               grant->entries[at].rule.scope == RULE_EXACT) {
            at++;
        }
        span->prefixes = at;
        while (at < grant->count && grant->entries[at].rule.resource == i) {
            at++;
        }
        span->end = at;
    }
    assert(at == grant->count);
}

static const char *keep(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *kept = memcpy(*at, text, size);

    *at += size;
    return kept;
}

static void copy(struct grant *grant, const struct grant_source *sources, size_t count)
{
    char *at = grant->text;

    for (size_t s = 0; s < count; s++) {
        const char *policy = keep(&at, sources[s].policy);
        for (size_t i = 0; i < sources[s].rules->count; i++) {
            struct entry *entry = &grant->entries[grant->count++];
            entry->rule = sources[s].rules->items[i];
            entry->rule.name = keep(&at, entry->rule.name);
            entry->policy = policy;
            entry->size = strlen(entry->rule.name);
        }
    }
}

int grant_create(const struct grant_source *sources, size_t count,
                 enum grant_default fallback, struct grant **out)
{
    size_t rules = 0;
    size_t bytes = 1;

    for (size_t s = 0; s < count; s++) {
        bytes += strlen(sources[s].policy) + 1;
        for (size_t i = 0; i < sources[s].rules->count; i++) {
            bytes += strlen(sources[s].rules->items[i].name) + 1;
        }
        rules += sources[s].rules->count;
    }
    struct grant *grant = calloc(1, sizeof *grant + rules * sizeof grant->entries[0]);
    if (grant == NULL) {
        return RC_ENOMEM;
    }
    grant->text = malloc(bytes);
    if (grant->text == NULL) {
        free(grant);
        return RC_ENOMEM;
    }
    grant->fallback = fallback;
    copy(grant, sources, count);
    if (grant->count > 0) {
        qsort(grant->entries, grant->count, sizeof grant->entries[0], compare);
    }
    drop_weaker(grant);
    mark_spans(grant);
    *out = grant;
    return RC_OK;
}

void grant_destroy(struct grant *grant)
{
    if (grant != NULL) {
        free(grant->text);
        free(grant);
    }
}

static const struct entry *find_exact(const struct grant *grant,
                                      enum rule_resource resource, const char *name)
{
    size_t low = grant->spans[resource].begin;
    size_t high = grant->spans[resource].prefixes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct entry *entry = &grant->entries[middle];
        int difference = compare_names(resource, entry->rule.name, name);
        if (difference == 0) {
            return entry;
        }
        if (difference < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const struct entry *find_prefix(const struct grant *grant,
                                       enum rule_resource resource, const char *name)
{
    const struct span *span = &grant->spans[resource];
    bool ignores_case = rule_resource_ignores_case(resource);

    for (size_t i = span->prefixes; i < span->end; i++) {
        const struct entry *entry = &grant->entries[i];
        if (compare_bytes(entry->rule.name, name, entry->size, ignores_case) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* Whether that entry, or none, allows it. */
static bool decide(const struct grant *grant, enum rule_resource resource,
                   const struct entry *entry, enum rule_access access,
                   struct grant_reason *why)
{
    if (why != NULL) {
        *why = (struct grant_reason){entry != NULL ? &entry->rule : NULL,
                                     entry != NULL ? entry->policy : NULL};
    }
    if (entry == NULL) {
        return grant->fallback == GRANT_ALLOWS && resource != RULE_ACL;
    }
    return rule_level_allows(entry->rule.level, access);
}

bool grant_allows(const struct grant *grant, enum rule_resource resource,
                  const char *name, enum rule_access access, struct grant_reason *why)
{
    assert(resource < RULE_RESOURCE_COUNT && access < RULE_ACCESS_COUNT);

    const char *sought = rule_resource_has_names(resource) ? name : "";
    const struct entry *entry = find_exact(grant, resource, sought);
    if (entry == NULL) {
        entry = find_prefix(grant, resource, sought);
    }
    return decide(grant, resource, entry, access, why);
}

bool grant_allows_prefix(const struct grant *grant, enum rule_resource resource,
                         const char *prefix, enum rule_access access,
                         struct grant_reason *why)
{
    assert(rule_resource_has_names(resource));

    const struct span *span = &grant->spans[resource];
    bool ignores_case = rule_resource_ignores_case(resource);
    size_t size = strlen(prefix);

    for (size_t i = span->begin; i < span->end; i++) {
        const struct entry *entry = &grant->entries[i];
        bool is_under = entry->size >= size &&
                        compare_bytes(prefix, entry->rule.name, size, ignores_case) == 0;
        if (is_under && !decide(grant, resource, entry, access, why)) {
            return false;
        }
    }
    /* What none of those speaks of. */
    return decide(grant, resource, find_prefix(grant, resource, prefix), access, why);
}

const struct rule *grant_rule_at(const struct grant *grant, size_t i, const char **policy)
{
    if (i >= grant->count) {
        return NULL;
    }
    *policy = grant->entries[i].policy;
    return &grant->entries[i].rule;
}

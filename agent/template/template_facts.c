#include "agent/template/template_facts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

struct template_facts {
    struct rc_table *by_target;
    uint64_t last_mark;
};

struct template_facts *template_facts_create(uint64_t seed)
{
    struct template_facts *facts = calloc(1, sizeof *facts);

    if (facts != NULL) {
        facts->by_target = rc_table_create(seed);
    }
    if (facts != NULL && facts->by_target == NULL) {
        free(facts);
        return NULL;
    }
    return facts;
}

static void fact_destroy(struct template_fact *fact)
{
    json_decref(fact->value);
    free(fact->target);
    free(fact->texts);
    free(fact);
}

void template_facts_destroy(struct template_facts *facts)
{
    size_t position = 0;
    struct template_fact *fact;

    if (facts == NULL) {
        return;
    }
    while ((fact = template_facts_next(facts, &position)) != NULL) {
        template_facts_forget(facts, fact);
    }
    rc_table_destroy(facts->by_target);
    free(facts);
}

size_t template_facts_count(const struct template_facts *facts)
{
    return rc_table_count(facts->by_target);
}

struct template_fact *template_facts_next(struct template_facts *facts, size_t *position)
{
    return rc_table_next(facts->by_target, position, NULL);
}

void template_facts_forget(struct template_facts *facts, struct template_fact *fact)
{
    assert(fact->users == 0 && fact->ask == NULL);
    (void)rc_table_remove(facts->by_target, fact->target);
    fact_destroy(fact);
}

/* Copies a span behind the others in `texts`. */
static struct rc_span keep(struct rc_span span, char *texts, size_t *used)
{
    char *at = texts + *used;

    if (span.size > 0) {
        memcpy(at, span.at, span.size);
    }
    *used += span.size;
    return (struct rc_span){at, span.size};
}

static struct template_fact *new_fact(const struct template_query *query, char *target)
{
    size_t used = 0;
    struct template_fact *fact = calloc(1, sizeof *fact);
    char *texts = malloc(query->name.size + query->tag.size + query->datacenter.size + 1);

    if (fact == NULL || texts == NULL) {
        free(fact);
        free(texts);
        free(target);
        return NULL;
    }
    fact->target = target;
    fact->texts = texts;
    fact->query = (struct template_query){
        .kind = query->kind,
        .name = keep(query->name, texts, &used),
        .tag = keep(query->tag, texts, &used),
        .datacenter = keep(query->datacenter, texts, &used),
    };
    return fact;
}

static struct template_fact *find_or_add(struct template_facts *facts,
                                         const struct template_query *query, int *err)
{
    struct rc_buffer target = {0};

    template_query_target(query, &target);
    struct template_fact *fact =
        rc_table_get(facts->by_target, rc_buffer_string(&target));
    if (fact != NULL || target.err != RC_OK) {
        *err = target.err;
        rc_buffer_fini(&target);
        return fact;
    }
    if (rc_table_count(facts->by_target) == TEMPLATE_FACTS_MAX) {
        rc_buffer_fini(&target);
        *err = RC_ETOOBIG;
        return NULL;
    }
    fact = new_fact(query, rc_buffer_steal(&target));
    rc_buffer_fini(&target);
    if (fact != NULL &&
        rc_table_put(facts->by_target, fact->target, fact, NULL) != RC_OK) {
        fact_destroy(fact);
        fact = NULL;
    }
    *err = fact != NULL ? RC_OK : RC_ENOMEM;
    return fact;
}

static int add(struct template_needs *needs, struct template_fact *fact)
{
    if (needs->count == needs->space) {
        size_t space = needs->space > 0 ? needs->space * 2 : 16;
        struct template_fact **items =
            realloc(needs->items, space * sizeof(struct template_fact *));
        if (items == NULL) {
            return RC_ENOMEM;
        }
        needs->items = items;
        needs->space = space;
    }
    needs->items[needs->count++] = fact;
    fact->users++;
    return RC_OK;
}

static json_t *find(void *context, const struct template_query *query)
{
    struct template_reading *reading = context;
    int err = RC_OK;

    struct template_fact *fact = find_or_add(reading->facts, query, &err);
    if (fact != NULL && fact->mark != reading->mark) {
        err = add(&reading->fresh, fact);
        fact->mark = reading->mark;
    }
    if (err != RC_OK) {
        reading->err = err;
        return NULL;
    }
    return fact->value;
}

struct template_source template_facts_begin(struct template_facts *facts,
                                            struct template_reading *reading)
{
    *reading = (struct template_reading){.facts = facts, .mark = ++facts->last_mark};
    return (struct template_source){.find = find, .context = reading};
}

void template_needs_clear(struct template_needs *needs)
{
    for (size_t i = 0; i < needs->count; i++) {
        assert(needs->items[i]->users > 0);
        needs->items[i]->users--;
    }
    free(needs->items);
    *needs = (struct template_needs){.items = NULL};
}

void template_facts_end(struct template_reading *reading, struct template_needs *needs,
                        enum template_completeness completeness)
{
    for (size_t i = 0; completeness == TEMPLATE_INCOMPLETE && i < needs->count; i++) {
        if (needs->items[i]->mark != reading->mark) {
            (void)add(&reading->fresh, needs->items[i]); /* or it is asked for again */
        }
    }
    template_needs_clear(needs);
    *needs = reading->fresh;
    reading->fresh = (struct template_needs){.items = NULL};
}

bool template_needs_has(const struct template_needs *needs,
                        const struct template_fact *fact)
{
    for (size_t i = 0; i < needs->count; i++) {
        if (needs->items[i] == fact) {
            return true;
        }
    }
    return false;
}

bool template_fact_learn(struct template_fact *fact, json_t *value)
{
    if (fact->value != NULL && json_equal(fact->value, value) == 1) {
        json_decref(value);
        return false;
    }
    json_decref(fact->value);
    fact->value = value;
    return true;
}

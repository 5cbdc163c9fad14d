/* template_facts.h - what is known of the catalog and the store, and which template needs what.
 *
 * Each question that a rendering asks is a fact: known, or to be asked. What a rendering with all
 * answers did not ask is no longer needed by its template; what no template needs is forgotten. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_FACTS_H
#define AGENT_TEMPLATE_TEMPLATE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/template/template_source.h"

enum { TEMPLATE_FACTS_MAX = 10000 };

struct template_ask;

struct template_fact {
    char *target; /* owned: path and parameters of the request */
    char *texts;  /* owned: what the query borrows */
    struct template_query query;
    json_t *value;            /* owned; NULL: not known yet */
    struct template_ask *ask; /* whoever asks, of the owner; NULL: nobody does */
    size_t users;
    uint64_t mark; /* of the rendering that needed it last */
};

struct template_facts;

/* What one template needs. A zeroed struct is empty. */
struct template_needs {
    struct template_fact **items;
    size_t count;
    size_t space;
};

/* NULL when memory is out. */
struct template_facts *template_facts_create(uint64_t seed);
/* Every fact is without users and asker. NULL is allowed. */
void template_facts_destroy(struct template_facts *facts);
size_t template_facts_count(const struct template_facts *facts);

/* A rendering that begins, and its source of answers, which lives until template_facts_end(). */
struct template_reading {
    struct template_facts *facts;
    struct template_needs fresh;
    uint64_t mark;
    int err; /* RC_ETOOBIG: it wants more than TEMPLATE_FACTS_MAX; RC_ENOMEM */
};
struct template_source template_facts_begin(struct template_facts *facts,
                                            struct template_reading *reading);

/* It has ended. Without all answers what `needs` had is kept: a question that depends on an
 * answer comes later. */
enum template_completeness { TEMPLATE_INCOMPLETE, TEMPLATE_COMPLETE };
void template_facts_end(struct template_reading *reading, struct template_needs *needs,
                        enum template_completeness completeness);

bool template_needs_has(const struct template_needs *needs,
                        const struct template_fact *fact);
void template_needs_clear(struct template_needs *needs);

/* Walks: start with `*position` = 0; NULL at the end. The fact just returned may be forgotten. */
struct template_fact *template_facts_next(struct template_facts *facts, size_t *position);
void template_facts_forget(struct template_facts *facts, struct template_fact *fact);

/* The answer has come (taken). True if it is another. */
bool template_fact_learn(struct template_fact *fact, json_t *value);

#endif

/* explain_facts.h - facts with names, in order: private to explain*.c. */
#ifndef PROXY_EXPLAIN_EXPLAIN_FACTS_H
#define PROXY_EXPLAIN_EXPLAIN_FACTS_H

#include <jansson.h>

#include "proxy/config/config.h"
#include "proxy/http/affinity.h"

struct explanation {
    json_t
        *facts; /* owned: an object, its values strings, numbers, or arrays of strings */
    const struct config_pool *pool; /* NULL = none is needed */
    char pool_name[2 * CONFIG_NAME_MAX];
    struct affinity affinity;
};

/* One fact. */
void explain_put(struct explanation *e, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One more line of a fact that has several. */
void explain_add(struct explanation *e, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

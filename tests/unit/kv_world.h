/* kv_world.h - handlers of the store over the rules and an engine in memory, without sockets. */
#ifndef TESTS_KV_WORLD_H
#define TESTS_KV_WORLD_H

#include "agent/catalog/catalog.h"
#include "agent/http/exchange.h"
#include "agent/store/engine_memory.h"
#include "agent/store/store.h"

enum { WORLD_NOW_MS = 1000, WORLD_TURNS_MAX = 1000 };

struct kv_world {
    struct http_api api;
    struct http_exchange x;
    struct engine_memory *memory;
    struct engine *engine;
    struct store *store;
    char changed[8][64]; /* keys the listener was told of, the last ones */
    size_t changed_count;
    unsigned resumed;
};

int kv_world_set_up(void **state); /* of cmocka; the state is a struct kv_world */
int kv_world_tear_down(void **state);

/* Asks, and runs until it is answered or waits for a change. */
const struct http_exchange *kv_world_ask(struct kv_world *world, const char *method,
                                         const char *target, const char *body);

/* Begins only. */
void kv_world_begin(struct kv_world *world, struct http_exchange *x, const char *method,
                    const char *target, const char *body);

/* Lets engine and rules do what is due; goes `ms` on before. */
void kv_world_run(struct kv_world *world, uint64_t ms);

/* Fails unless status and body are these. */
void kv_world_expect(struct kv_world *world, const char *method, const char *target,
                     const char *body, unsigned status, const char *text);

#endif

/* cancel_map.c - see cancel_map.h. */
#include "proxy/postgres/cancel_map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "proxy/wire/pgwire.h"

struct cancel_map {
    pthread_mutex_t lock;
    struct rc_table *servers; /* pid and key -> struct cancel_place, owned */
    struct rc_table *clients; /* address -> struct places, owned */
};

/* Of one client's hidden sessions. */
struct places {
    size_t count;
    struct {
        struct cancel_place place;
        size_t sessions;
    } items[CANCEL_MAP_GUESSES_MAX];
};

struct name {
    uint8_t bytes[4 + PGWIRE_KEY_MAX];
    size_t size;
};

static struct name name_of(uint32_t pid, const void *key, size_t key_size)
{
    struct name name = {.size = 4 + key_size};
    assert(key_size <= PGWIRE_KEY_MAX);
    memcpy(name.bytes, &pid, 4);
    memcpy(name.bytes + 4, key, key_size);
    return name;
}

struct cancel_map *cancel_map_create(uint64_t seed)
{
    struct cancel_map *map = calloc(1, sizeof *map);
    if (map == NULL) {
        return NULL;
    }
    map->servers = rc_table_create(seed);
    map->clients = rc_table_create(seed);
    if (map->servers == NULL || map->clients == NULL ||
        pthread_mutex_init(&map->lock, NULL) != 0) {
        rc_table_destroy(map->servers);
        rc_table_destroy(map->clients);
        free(map);
        return NULL;
    }
    return map;
}

static void destroy_table(struct rc_table *table)
{
    size_t position = 0;
    for (;;) {
        void *value = rc_table_next(table, &position, NULL);
        if (value == NULL) {
            break;
        }
        free(value);
    }
    rc_table_destroy(table);
}

void cancel_map_destroy(struct cancel_map *map)
{
    if (map == NULL) {
        return;
    }
    destroy_table(map->servers);
    destroy_table(map->clients);
    (void)pthread_mutex_destroy(&map->lock);
    free(map);
}

int cancel_map_put(struct cancel_map *map, uint32_t pid, const void *key, size_t key_size,
                   const struct cancel_place *place)
{
    struct name name = name_of(pid, key, key_size);
    void *former = NULL;
    struct cancel_place *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return RC_ENOMEM;
    }
    *copy = *place;
    (void)pthread_mutex_lock(&map->lock);
    int err = rc_table_put_bytes(map->servers, name.bytes, name.size, copy, &former);
    (void)pthread_mutex_unlock(&map->lock);
    free(err == RC_OK ? former : copy);
    return err;
}

void cancel_map_remove(struct cancel_map *map, uint32_t pid, const void *key,
                       size_t key_size)
{
    struct name name = name_of(pid, key, key_size);
    (void)pthread_mutex_lock(&map->lock);
    void *former = rc_table_remove_bytes(map->servers, name.bytes, name.size);
    (void)pthread_mutex_unlock(&map->lock);
    free(former);
}

int cancel_map_find(struct cancel_map *map, uint32_t pid, const void *key,
                    size_t key_size, struct cancel_place *out)
{
    struct name name = name_of(pid, key, key_size);
    int err = RC_ENOTFOUND;
    (void)pthread_mutex_lock(&map->lock);
    const struct cancel_place *found =
        rc_table_get_bytes(map->servers, name.bytes, name.size);
    if (found != NULL) {
        *out = *found;
        err = RC_OK;
    }
    (void)pthread_mutex_unlock(&map->lock);
    return err;
}

/* --- sessions with hidden keys --- */

static struct name name_of_client(const struct rc_address *client)
{
    struct name name = {.size = 1 + sizeof client->ip};
    name.bytes[0] = (uint8_t)client->family;
    memcpy(name.bytes + 1, client->ip, sizeof client->ip);
    return name;
}

static bool is_same(const struct cancel_place *a, const struct cancel_place *b)
{
    return a->term == b->term && rc_address_equals(&a->server, &b->server);
}

/* The place of `place` in the list, or its end. */
static size_t find_place(const struct places *places, const struct cancel_place *place)
{
    size_t at = 0;
    while (at < places->count && !is_same(&places->items[at].place, place)) {
        at++;
    }
    return at;
}

static struct places *places_of(struct cancel_map *map, const struct name *name)
{
    struct places *places = rc_table_get_bytes(map->clients, name->bytes, name->size);
    if (places != NULL) {
        return places;
    }
    places = calloc(1, sizeof *places);
    if (places == NULL || rc_table_put_bytes(map->clients, name->bytes, name->size,
                                             places, NULL) != RC_OK) {
        free(places);
        return NULL;
    }
    return places;
}

int cancel_map_note(struct cancel_map *map, const struct rc_address *client,
                    const struct cancel_place *place)
{
    struct name name = name_of_client(client);
    int err = RC_ENOMEM;
    (void)pthread_mutex_lock(&map->lock);
    struct places *places = places_of(map, &name);
    size_t at = places != NULL ? find_place(places, place) : 0;
    if (places != NULL && at < CANCEL_MAP_GUESSES_MAX) {
        if (at == places->count) {
            places->items[places->count++].place = *place;
        }
        places->items[at].sessions++;
        err = RC_OK;
    }
    (void)pthread_mutex_unlock(&map->lock);
    return err;
}

void cancel_map_unnote(struct cancel_map *map, const struct rc_address *client,
                       const struct cancel_place *place)
{
    struct name name = name_of_client(client);
    (void)pthread_mutex_lock(&map->lock);
    struct places *places = rc_table_get_bytes(map->clients, name.bytes, name.size);
    size_t at = places != NULL ? find_place(places, place) : 0;
    if (places != NULL && at < places->count && --places->items[at].sessions == 0) {
        places->items[at] = places->items[--places->count];
        memset(&places->items[places->count], 0, sizeof places->items[0]);
    }
    if (places != NULL && places->count == 0) {
        (void)rc_table_remove_bytes(map->clients, name.bytes, name.size);
        free(places);
    }
    (void)pthread_mutex_unlock(&map->lock);
}

size_t cancel_map_guess(struct cancel_map *map, const struct rc_address *client,
                        struct cancel_place out[CANCEL_MAP_GUESSES_MAX])
{
    struct name name = name_of_client(client);
    size_t count = 0;
    (void)pthread_mutex_lock(&map->lock);
    const struct places *places = rc_table_get_bytes(map->clients, name.bytes, name.size);
    for (; places != NULL && count < places->count; count++) {
        out[count] = places->items[count].place;
    }
    (void)pthread_mutex_unlock(&map->lock);
    return count;
}

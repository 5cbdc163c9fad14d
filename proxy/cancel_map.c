/* cancel_map.c - see cancel_map.h. */
#include "proxy/cancel_map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "proxy/pgwire.h"

struct cancel_map {
    pthread_mutex_t lock;
    struct rc_table *servers; /* pid and key -> struct rc_address, owned */
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
    if (map->servers == NULL || pthread_mutex_init(&map->lock, NULL) != 0) {
        rc_table_destroy(map->servers);
        free(map);
        return NULL;
    }
    return map;
}

void cancel_map_destroy(struct cancel_map *map)
{
    size_t position = 0;
    if (map == NULL) {
        return;
    }
    for (;;) {
        void *server = rc_table_next(map->servers, &position, NULL);
        if (server == NULL) {
            break;
        }
        free(server);
    }
    rc_table_destroy(map->servers);
    (void)pthread_mutex_destroy(&map->lock);
    free(map);
}

int cancel_map_put(struct cancel_map *map, uint32_t pid, const void *key, size_t key_size,
                   const struct rc_address *server)
{
    struct name name = name_of(pid, key, key_size);
    void *former = NULL;
    struct rc_address *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return RC_ENOMEM;
    }
    *copy = *server;
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
                    size_t key_size, struct rc_address *out)
{
    struct name name = name_of(pid, key, key_size);
    int err = RC_ENOTFOUND;
    (void)pthread_mutex_lock(&map->lock);
    const struct rc_address *found =
        rc_table_get_bytes(map->servers, name.bytes, name.size);
    if (found != NULL) {
        *out = *found;
        err = RC_OK;
    }
    (void)pthread_mutex_unlock(&map->lock);
    return err;
}

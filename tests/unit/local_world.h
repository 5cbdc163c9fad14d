/* local_world.h - an agent's registry of services without sockets: a clock that tests move, a disk
 * that can be full, probes that end as tests say. */
#ifndef TESTS_UNIT_LOCAL_WORLD_H
#define TESTS_UNIT_LOCAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/local/local.h"
#include "agent/local/local_store.h"
#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

enum { START_MONO_MS = 1000000, RUNS_MAX = 64 };

struct disk {
    struct local_store store;
    struct rc_table *records[LOCAL_KIND_COUNT]; /* id -> JSON text, owned */
    bool is_full;
    unsigned set_aside;
};

struct world {
    struct disk disk;
    struct schedule *schedule;
    struct catalog *catalog;
    struct local *local;
    struct local_now now;
    struct {
        uint64_t probe;
        const struct check_definition *definition;
    } runs[RUNS_MAX]; /* in flight */
    size_t run_count;
};

/* Definitions to register. */
extern const char world_web[];
extern const char world_ttl_service[];
extern const char world_database[];

void world_boot(struct world *world, enum local_scripts scripts);
void world_halt(struct world *world);
int world_set_up(void **state);
int world_tear_down(void **state);
void world_drain(struct world *world);
void world_pass_time(struct world *world, uint64_t ms);
/* Waits for the next run of that check and ends it so. */
void world_probe(struct world *world, const char *check_id, enum check_status status,
                 enum check_role role);
/* A restart: what is in memory goes, what is on disk stays. */
int world_reboot(struct world *world, uint64_t away_ms);
struct service_definition world_service_of(const char *text);
struct check_definition world_check_of(const char *text);
int world_put_service(struct world *world, const char *text, enum local_checks mode);
int world_put_check(struct world *world, const char *text);
void world_must_put(struct world *world, const char *text);
/* `text` is an array of services. */
int world_reload(struct world *world, const char *text);
const struct catalog_service *world_in_catalog(const struct world *world, const char *id);
enum check_status world_status_in_catalog(const struct world *world, const char *id);
bool world_has_check(const struct world *world, const char *id);
bool world_is_tagged(const struct world *world, const char *id, const char *tag);

/* Writes to the disk directly, as damage does. */
int world_disk_put(struct local_store *store, enum local_kind kind, const char *id,
                   const char *json, size_t size);

#endif

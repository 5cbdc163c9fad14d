/* postgres_records.h - what the store says of a PostgreSQL cluster: the keepers' records.
 *
 * They are JSON under rollcall/pg/<cluster>/, written by the keepers and, intents, orders and
 * settings, by operators. Read leniently: what is not JSON counts as not there, and a field that
 * this version does not know is shown all the same. */
#ifndef AGENT_HTTP_POSTGRES_RECORDS_H
#define AGENT_HTTP_POSTGRES_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/store/store.h"
#include "base/json.h"

enum {
    POSTGRES_NAME_MAX = 64,   /* of a cluster or node */
    POSTGRES_KEY_SPACE = 256, /* for any key of a cluster, and its NUL */
};

#define POSTGRES_PREFIX "rollcall/pg/"

enum postgres_record {
    POSTGRES_LEASE,    /* who may write; gone: nobody */
    POSTGRES_STATE,    /* how the last holder stood */
    POSTGRES_SYNC,     /* who must confirm, and who may be promoted */
    POSTGRES_SETTINGS, /* by operators */
    POSTGRES_INTENT,   /* what an operator wants to happen to the primary */
    POSTGRES_HISTORY,  /* of terms, newest last */
    POSTGRES_RECORD_COUNT
};

struct postgres_records {
    json_t *records[POSTGRES_RECORD_COUNT];  /* owned; NULL: not there */
    uint64_t indexes[POSTGRES_RECORD_COUNT]; /* of their last change; 0: not there */
    json_t *members;                         /* owned: objects by node */
    json_t *orders;                          /* owned: objects by node */
    uint64_t term;                           /* of the lease's lock; 0: nobody holds it */
};

/* Letters, digits, '-', '_' and '.', at most POSTGRES_NAME_MAX. */
bool postgres_records_is_name(const char *text);

/* The key of a record, and of `node`'s order. */
void postgres_records_key(const char *cluster, enum postgres_record record,
                          char space[POSTGRES_KEY_SPACE]);
void postgres_records_order_key(const char *cluster, const char *node,
                                char space[POSTGRES_KEY_SPACE]);

/* True with `*out`, which postgres_records_fini() ends; false: no such cluster. */
bool postgres_records_read(const struct store *store, const char *cluster,
                           struct postgres_records *out);
void postgres_records_fini(struct postgres_records *records);

/* Of a record (NULL is allowed): 0 or false when it is not there. */
uint64_t postgres_records_lsn(const json_t *record, const char *key); /* "16/B374D848" */
bool postgres_records_is_set(const json_t *record, const char *key);

/* The primary of a writable lease, or ""; borrowed. */
const char *postgres_records_primary(const struct postgres_records *records);

/* async, sync, strict, or "" when nobody has said so yet; borrowed. */
const char *postgres_records_mode(const struct postgres_records *records);

/* Whether the sync record has `node`. */
bool postgres_records_is_sync(const struct postgres_records *records, const char *node);

/* The service whose readers may read the cluster too; borrowed. */
const char *postgres_records_service(const struct postgres_records *records);

/* Writes the cluster as the API shows it, names in capitals; or its first lines only. */
enum postgres_extent { POSTGRES_SUMMARY, POSTGRES_WHOLE };
void postgres_records_render(struct rc_json *json, const char *cluster,
                             const struct postgres_records *records,
                             enum postgres_extent extent);

#endif

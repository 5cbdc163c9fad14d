/* local_store.h - where API registrations and last check states survive a restart.
 *
 * The interface that local.c writes to, so that tests can hand in a full disk; the real
 * one is a folder of JSON files, one a service or check, each replaced atomically
 * (local_files_open()). Nothing is accepted before it is kept. */
#ifndef AGENT_LOCAL_LOCAL_STORE_H
#define AGENT_LOCAL_LOCAL_STORE_H

#include <stddef.h>

enum local_kind {
    LOCAL_KIND_SERVICE,
    LOCAL_KIND_CHECK,
    LOCAL_KIND_STATES,
    LOCAL_KIND_COUNT
};

enum {
    LOCAL_STORE_ERROR_MAX = 256,
    LOCAL_RECORD_MAX = 1024 * 1024,
    LOCAL_STATES_MAX = 64 * 1024 * 1024
};

struct local_store {
    /* Keeps `size` bytes of JSON under (kind, id), replacing what was there. RC_OK, or
     * RC_EIO with `error` saying why ("No space left on device") and the old record
     * untouched. */
    int (*put)(struct local_store *store, enum local_kind kind, const char *id,
               const char *json, size_t size);

    /* Forgets (kind, id). RC_OK (also when there was none) or RC_EIO. */
    int (*remove)(struct local_store *store, enum local_kind kind, const char *id);

    /* Calls `each` with every record of a kind; when that says other than RC_OK the
     * record is set aside (renamed, so that somebody can look at it). RC_OK or
     * RC_EMALFORMED, then `error` names the first one set aside. */
    int (*load)(struct local_store *store, enum local_kind kind,
                int (*each)(void *context, const char *json, size_t size), void *context);

    char error[LOCAL_STORE_ERROR_MAX]; /* why the last call that failed did */
};

/* A store in the folders services/, checks/ and states/ under `data_dir`, which are made
 * when missing. RC_OK, RC_EIO or RC_ENOMEM. Closed with local_files_close(), NULL is
 * allowed. */
int local_files_open(const char *data_dir, struct local_store **out);
void local_files_close(struct local_store *store);

#endif

/* permits_store.c - what the store says of tokens, read when it has changed. */
#include <string.h>

#include "agent/http/permits_state.h"
#include "base/err.h"
#include "base/text.h"

static const struct {
    enum store_table table;
    enum directory_kind kind;
} documents[] = {
    {STORE_POLICIES, DIRECTORY_POLICY},
    {STORE_ROLES, DIRECTORY_ROLE},
    {STORE_TOKENS, DIRECTORY_TOKEN},
};

/* Those that are not there any more. */
static void forget_gone(struct permits *permits, const struct store *store, size_t which)
{
    enum directory_kind kind = documents[which].kind;
    struct directory_item item;
    struct store_pair pair;
    size_t position = 0;

    while (directory_next(permits->directory, kind, &position, &item)) {
        if (!item.is_built_in &&
            !store_read(store, documents[which].table, rc_pack_text(item.id), &pair)) {
            directory_remove(permits->directory, kind, item.id);
            position = 0; /* the others have moved */
        }
    }
}

static void read_documents(struct permits *permits, const struct store *store,
                           size_t which)
{
    enum directory_kind kind = documents[which].kind;
    struct rc_pack_bytes after = {0};
    struct directory_item item;
    struct store_pair pair;
    char id[SUBJECT_ID_SIZE];

    while (store_next(store, documents[which].table, rc_pack_text(""), after, &pair)) {
        after = pair.key;
        if (pair.key.size != sizeof id - 1) {
            continue;
        }
        memcpy(id, pair.key.at, sizeof id - 1);
        id[sizeof id - 1] = '\0';
        bool is_known = directory_find(permits->directory, kind, id, &item);
        if (!is_known || item.is_built_in || item.modify_index != pair.modify_index) {
            /* What cannot be read is left as it was; a token so stays refused. */
            (void)directory_put(permits->directory, kind, pair.value.at, pair.value.size,
                                pair.modify_index);
        }
    }
    forget_gone(permits, store, which);
}

static void read_settings(struct permits *permits, const struct store *store)
{
    struct store_pair pair;
    char hex[2 * SECRET_KEY_SIZE + 1];

    permits->is_bootstrapped =
        store_read(store, STORE_SETTINGS, rc_pack_text(PERMITS_BOOTSTRAP), &pair);
    permits->has_key = false;
    if (store_read(store, STORE_SETTINGS, rc_pack_text(PERMITS_KEY), &pair) &&
        pair.value.size == sizeof hex - 1) {
        memcpy(hex, pair.value.at, sizeof hex - 1);
        hex[sizeof hex - 1] = '\0';
        permits->has_key = rc_text_from_hex(hex, SECRET_KEY_SIZE, permits->key) == RC_OK;
    }
}

bool permits_have_read(const struct permits *permits)
{
    return permits->read_to[STORE_SETTINGS] != 0;
}

/* Whether the table has changed since it was read. */
static bool has_news(struct permits *permits, const struct store *store,
                     enum store_table table)
{
    uint64_t index = store_prefix_index(store, table, rc_pack_text(""));

    if (permits->read_to[table] == index) {
        return false;
    }
    permits->read_to[table] = index;
    return true;
}

/* Before the store is there, and while it is filled anew, its tables are empty: whoever believed
 * them would think that there are no tokens and let everybody in. */
void permits_read_store(struct http_api *api)
{
    struct permits *permits = api->permits;

    if (!store_is_loaded(api->store) || store_is_restoring(api->store)) {
        return;
    }
    if (has_news(permits, api->store, STORE_SETTINGS)) {
        read_settings(permits, api->store);
    }
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        if (has_news(permits, api->store, documents[i].table)) {
            read_documents(permits, api->store, i);
        }
    }
}

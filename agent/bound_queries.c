#include "agent/bound_queries.h"

#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_book.h"
#include "agent/prepared/prepared_key.h"
#include "base/err.h"

static bool is_orphan(const struct store *store, const json_t *query)
{
    const char *id = prepared_session(query);
    struct store_session session;

    return id[0] != '\0' && !store_read_session(store, id, &session);
}

/* Deletes `key`, if it still is as it stands now. */
static size_t add_delete(const struct store *store, const char *key, struct store_op *op)
{
    struct store_pair pair;

    if (key[0] == '\0' || !store_read(store, STORE_QUERIES, rc_pack_text(key), &pair)) {
        return 0;
    }
    *op = (struct store_op){.verb = STORE_DELETE_CAS,
                            .table = STORE_QUERIES,
                            .key = rc_pack_text(key),
                            .index = pair.modify_index};
    return 1;
}

static bool end_one(const struct bound_queries *bound, uint64_t now_ms,
                    const json_t *query)
{
    char name[PREPARED_KEY_MAX];
    struct store_op ops[2];
    size_t count = 0;

    prepared_name_key(query, name);
    count += add_delete(bound->store, prepared_id(query), &ops[count]);
    if (count == 0) {
        return false; /* somebody was quicker */
    }
    count += add_delete(bound->store, name, &ops[count]);
    return store_submit(bound->store, now_ms, ops, count, NULL, bound->done,
                        bound->context) == RC_OK;
}

size_t bound_queries_end(const struct bound_queries *bound, uint64_t now_ms)
{
    size_t ended = 0;

    if (!store_freshness(bound->store, now_ms).is_loaded) {
        return 0; /* sessions may be on their way */
    }
    prepared_book_fill(bound->book, bound->store);
    for (size_t i = 0; i < prepared_book_count(bound->book); i++) {
        const json_t *query = prepared_book_at(bound->book, i);
        if (is_orphan(bound->store, query) && end_one(bound, now_ms, query)) {
            ended++;
            if (bound->told != NULL) {
                bound->told(bound->context, prepared_id(query), prepared_session(query));
            }
        }
    }
    return ended;
}

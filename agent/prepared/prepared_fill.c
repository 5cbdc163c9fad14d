/* prepared_fill.c - see prepared_book.h: from the store's documents. */
#include <string.h>

#include "agent/prepared/prepared_book.h"
#include "agent/store/store.h"

/* Documents of this table whose keys begin so say which names are taken, not what is asked. */
bool prepared_is_definition(struct rc_pack_bytes key)
{
    return key.size + 1 == STORE_ID_SIZE && memchr(key.at, ':', key.size) == NULL;
}

void prepared_book_fill(struct prepared_book *book, const struct store *store)
{
    const struct rc_pack_bytes all = {0};
    struct rc_pack_bytes after = {0};
    struct store_pair pair;
    uint64_t index = store_prefix_index(store, STORE_QUERIES, all);

    if (index == prepared_book_index(book)) {
        return;
    }
    prepared_book_begin(book, index);
    while (store_next(store, STORE_QUERIES, all, after, &pair)) {
        after = pair.key;
        if (prepared_is_definition(pair.key)) {
            (void)prepared_book_add(book, pair.value.at, pair.value.size);
        }
    }
}

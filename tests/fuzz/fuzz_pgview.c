/* Any bytes as an agent's word about a PostgreSQL cluster: at most one primary comes of it, and
 * only one with an address. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "proxy/discover/pgview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_pool config = {.max_lag_bytes = 1000};
    struct lineup_entry entries[PGVIEW_MEMBERS_MAX + 1];
    struct pgview_word word;
    struct pgview view;
    size_t primaries = 0;

    if (pgview_parse(data, size, &word) != RC_OK) {
        return 0;
    }
    pgview_init(&view, &config);
    assert(pgview_hear(&view, &word, 1000, 1000));
    size_t count = pgview_entries(&view, entries);
    assert(count <= PGVIEW_MEMBERS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        primaries += entries[i].claim == UPSTREAM_ROLE_PRIMARY;
        assert(entries[i].address.family != RC_ADDRESS_NONE && entries[i].id[0] != '\0');
    }
    assert(primaries <= (word.writable ? 1 : 0));
    return 0;
}

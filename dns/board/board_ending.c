#include "dns/board/board_ending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

struct board_ending {
    struct board_item item;
    size_t count; /* of nodes; the writer's */
    char key[];
};

static uint64_t hash_of(const struct board_endings *endings, struct rc_span name)
{
    return rc_hash(name.at, name.size, endings->seed) | 1U; /* 0 is an unused slot */
}

static struct board_ending *find(const struct board_endings *endings, struct rc_span name)
{
    return (struct board_ending *)board_table_find(endings->table, hash_of(endings, name),
                                                   name.at, name.size);
}

bool board_ending_find(const struct board_endings *endings, struct rc_span name)
{
    return find(endings, name) != NULL;
}

static void come(const struct board_endings *endings, struct rc_span name)
{
    struct board_ending *ending = find(endings, name);

    if (ending != NULL) {
        ending->count++;
        return;
    }
    ending = calloc(1, sizeof *ending + name.size + 1);
    if (ending == NULL) {
        return;
    }
    memcpy(ending->key, name.at, name.size);
    ending->count = 1;
    ending->item.kind = BOARD_ENDING;
    ending->item.key = ending->key;
    ending->item.key_size = (uint16_t)name.size;
    if (board_table_put(endings->table, endings->epoch, hash_of(endings, name),
                        &ending->item) != RC_OK) {
        board_item_release(&ending->item);
    }
}

static void go(const struct board_endings *endings, struct rc_span name)
{
    struct board_ending *ending = find(endings, name);

    if (ending != NULL && --ending->count == 0) {
        board_table_remove(endings->table, endings->epoch, hash_of(endings, name),
                           &ending->item);
    }
}

void board_ending_node(const struct board_endings *endings,
                       const struct board_node *before, const struct board_node *now)
{
    bool was = before != NULL && before->shown == DNS_BOARD_SHOWN;
    bool is = now != NULL && now->shown == DNS_BOARD_SHOWN;

    assert(before != NULL || now != NULL);
    if (was == is) {
        return;
    }
    const char *dot = now != NULL ? now->item.key : before->item.key;
    while ((dot = strchr(dot, '.')) != NULL) {
        dot++;
        if (is) {
            come(endings, rc_span_of(dot));
        } else {
            go(endings, rc_span_of(dot));
        }
    }
}

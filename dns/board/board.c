#include "dns/board/board.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "dns/board/board_address.h"
#include "dns/board/board_ending.h"
#include "dns/board/board_item.h"
#include "dns/board/board_table.h"

enum { OWNERS_MAX = 64 /* of one address, that a question looks at */ };

struct dns_board {
    uint64_t seed;
    char *datacenter;
    struct board_table nodes;
    struct board_table services;
    struct board_table addresses;
    struct board_table endings;
    _Atomic(struct board_servers *) servers; /* NULL: none */
    _Atomic uint64_t index;
    struct rc_epoch *epoch;
    struct dns_board_reader *readers;

    /* Only the writer's. */
    uint32_t mark; /* of the last look at everything */
    uint64_t services_put;
    uint64_t nodes_put;
};

struct dns_board_reader {
    struct dns_view view;
    const struct dns_board *board;
    struct rc_epoch_reader *inside;
    struct dns_board_queries queries;
    struct dns_board_reader *next;
};

static uint64_t hash_of(const struct dns_board *board, const char *key, size_t size)
{
    return rc_hash(key, size, board->seed) | 1U; /* 0 is an unused slot */
}

static struct board_addresses addresses_of(const struct dns_board *board)
{
    return (struct board_addresses){(struct board_table *)&board->addresses, board->epoch,
                                    board->seed};
}

static struct board_endings endings_of(const struct dns_board *board)
{
    return (struct board_endings){(struct board_table *)&board->endings, board->epoch,
                                  board->seed};
}

static struct rc_span key_of(const struct board_owner *owner)
{
    return (struct rc_span){owner->item.key, owner->item.key_size};
}

/* ---- What readers see. */

static void view_begin(void *context)
{
    const struct dns_board_reader *reader = context;

    if (reader->queries.begin != NULL) {
        reader->queries.begin(reader->queries.context);
    }
}

static const struct board_service *find_service(const struct dns_board *board,
                                                const char *key, size_t size)
{
    return (const struct board_service *)board_table_find(
        &board->services, hash_of(board, key, size), key, size);
}

static const struct board_node *find_node(const struct dns_board *board, const char *key,
                                          size_t size)
{
    return (const struct board_node *)board_table_find(
        &board->nodes, hash_of(board, key, size), key, size);
}

static const struct dns_service *view_service(void *context, struct rc_span name)
{
    const struct dns_board_reader *reader = context;
    const struct board_service *found = find_service(reader->board, name.at, name.size);

    return found != NULL ? &found->service : NULL;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    const struct dns_board_reader *reader = context;
    const struct board_node *found = find_node(reader->board, name.at, name.size);

    return found != NULL && found->shown == DNS_BOARD_SHOWN ? &found->node : NULL;
}

static bool view_node_below(void *context, struct rc_span name)
{
    const struct dns_board_reader *reader = context;
    const struct board_endings endings = endings_of(reader->board);

    return board_ending_find(&endings, name);
}

static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    const struct dns_board_reader *reader = context;

    if (reader->queries.query == NULL) {
        *certainty = DNS_ELSEWHERE;
        return NULL;
    }
    return reader->queries.query(reader->queries.context, name, certainty);
}

/* Which of two names stands for what both are; the first by order. NULL: none yet. */
static bool comes_first(const char *name, const char *other)
{
    return other == NULL || strcmp(name, other) < 0;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    const struct dns_board_reader *reader = context;
    const struct board_addresses addresses = addresses_of(reader->board);
    const struct dns_node *first = NULL;
    const struct board_owner *owner;
    struct board_probe probe;
    size_t left = OWNERS_MAX;

    board_address_begin(&addresses, ip, &probe);
    while (left-- > 0 && (owner = board_address_next(&probe)) != NULL) {
        const struct dns_node *node =
            owner->kind == BOARD_OWNER_NODE ? view_node(context, key_of(owner)) : NULL;
        if (node != NULL && rc_address_ip_equals(&node->place.ip, ip) &&
            comes_first(node->name, first != NULL ? first->name : NULL)) {
            first = node;
        }
    }
    return first;
}

static bool has_usable_at(const struct dns_service *service, const struct rc_address *ip)
{
    for (size_t i = 0; i < service->instance_count; i++) {
        if (service->instances[i].health != DNS_HEALTH_UNUSABLE &&
            rc_address_ip_equals(&service->instances[i].place.ip, ip)) {
            return true;
        }
    }
    return false;
}

static const char *view_service_at(void *context, const struct rc_address *ip)
{
    const struct dns_board_reader *reader = context;
    const struct board_addresses addresses = addresses_of(reader->board);
    const struct board_owner *owner;
    const char *first = NULL;
    struct board_probe probe;
    size_t left = OWNERS_MAX;

    board_address_begin(&addresses, ip, &probe);
    while (left-- > 0 && (owner = board_address_next(&probe)) != NULL) {
        const struct rc_span name = key_of(owner);
        bool has_name = memchr(name.at, '.', name.size) == NULL; /* else none of DNS */
        const struct dns_service *service = owner->kind == BOARD_OWNER_SERVICE && has_name
                                                ? view_service(context, name)
                                                : NULL;
        if (service != NULL && has_usable_at(service, ip) &&
            comes_first(service->name, first)) {
            first = service->name;
        }
    }
    return first;
}

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    const struct dns_board_reader *reader = context;
    const struct board_servers *servers =
        atomic_load_explicit(&reader->board->servers, memory_order_seq_cst);
    size_t count = servers != NULL ? servers->count : 0;

    for (size_t i = 0; i < count; i++) {
        out[i] = servers->nodes[i];
    }
    return count;
}

static uint64_t view_index(void *context)
{
    const struct dns_board_reader *reader = context;

    return atomic_load_explicit(&reader->board->index, memory_order_acquire);
}

/* ---- Life. */

static void release(void *context, struct rc_epoch_link *link)
{
    (void)context;
    board_item_release((struct board_item *)link);
}

int dns_board_create(const char *datacenter, uint64_t seed, struct dns_board **out)
{
    struct dns_board *board = calloc(1, sizeof *board);

    if (board == NULL) {
        return RC_ENOMEM;
    }
    board->seed = seed;
    board->datacenter = rc_text_copy(datacenter);
    if (board->datacenter == NULL || board_table_init(&board->nodes) != RC_OK ||
        board_table_init(&board->services) != RC_OK ||
        board_table_init(&board->addresses) != RC_OK ||
        board_table_init(&board->endings) != RC_OK ||
        rc_epoch_create(release, NULL, &board->epoch) != RC_OK) {
        dns_board_destroy(board);
        return RC_ENOMEM;
    }
    *out = board;
    return RC_OK;
}

static void free_table(struct board_table *table)
{
    struct board_item *item;
    size_t position = 0;

    while ((item = board_table_next(table, &position)) != NULL) {
        board_item_release(item);
    }
    board_table_fini(table);
}

void dns_board_destroy(struct dns_board *board)
{
    if (board == NULL) {
        return;
    }
    while (board->readers != NULL) {
        dns_board_part(board, board->readers);
    }
    rc_epoch_destroy(board->epoch);
    struct board_servers *servers = atomic_load(&board->servers);
    board_item_release(servers != NULL ? &servers->item : NULL);
    free_table(&board->services); /* before the nodes that they refer to */
    free_table(&board->nodes);
    free_table(&board->endings);
    board_table_fini(&board->addresses);
    free(board->datacenter);
    free(board);
}

int dns_board_join(struct dns_board *board, struct dns_board_reader **out)
{
    struct dns_board_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        return RC_ENOMEM;
    }
    int err = rc_epoch_join(board->epoch, &reader->inside);
    if (err != RC_OK) {
        free(reader);
        return err;
    }
    reader->board = board;
    reader->view = (struct dns_view){.context = reader,
                                     .datacenter = board->datacenter,
                                     .begin = view_begin,
                                     .service = view_service,
                                     .query = view_query,
                                     .node = view_node,
                                     .node_below = view_node_below,
                                     .node_at = view_node_at,
                                     .service_at = view_service_at,
                                     .name_servers = view_name_servers,
                                     .index = view_index};
    reader->next = board->readers;
    board->readers = reader;
    *out = reader;
    return RC_OK;
}

void dns_board_part(struct dns_board *board, struct dns_board_reader *reader)
{
    struct dns_board_reader **place = &board->readers;

    if (reader == NULL) {
        return;
    }
    while (*place != reader) {
        assert(*place != NULL);
        place = &(*place)->next;
    }
    *place = reader->next;
    rc_epoch_part(board->epoch, reader->inside);
    free(reader);
}

void dns_board_enter(struct dns_board_reader *reader)
{
    rc_epoch_enter(reader->inside);
}

void dns_board_leave(struct dns_board_reader *reader)
{
    rc_epoch_leave(reader->inside);
}

const struct dns_view *dns_board_view(const struct dns_board_reader *reader)
{
    return &reader->view;
}

void dns_board_set_queries(struct dns_board_reader *reader,
                           const struct dns_board_queries *queries)
{
    reader->queries = *queries;
}

/* ---- The writer. */

/* What is up under a name in any letter case, or NULL. */
static struct board_item *find_item(const struct dns_board *board,
                                    const struct board_table *table, const char *name)
{
    char key[DNS_BOARD_NAME_MAX + 1];
    size_t size = board_fold(name, key);

    return size == 0 ? NULL
                     : board_table_find(table, hash_of(board, key, size), key, size);
}

static bool keep(const struct dns_board *board, const struct board_table *table,
                 const char *name, uint64_t print)
{
    struct board_item *item = find_item(board, table, name);

    if (item == NULL || item->print != print) {
        return false;
    }
    item->mark = board->mark;
    return true;
}

static void stamp(const struct dns_board *board, struct board_item *item, uint64_t print)
{
    assert(print != 0);
    item->print = print;
    item->mark = board->mark;
}

int dns_board_put_node(struct dns_board *board, const struct dns_node *node,
                       enum dns_board_shown shown, uint64_t print)
{
    const struct board_addresses addresses = addresses_of(board);
    const struct board_endings endings = endings_of(board);
    char key[DNS_BOARD_NAME_MAX + 1];
    size_t size = board_fold(node->name, key);

    if (size == 0) {
        return RC_ETOOBIG;
    }
    struct board_node *fresh = board_node_create(node, (struct rc_span){key, size});
    if (fresh == NULL) {
        return RC_ENOMEM;
    }
    fresh->shown = shown;
    fresh->references = 1;
    stamp(board, &fresh->item, print);
    const struct board_node *old = find_node(board, key, size);
    if (board_table_put(&board->nodes, board->epoch, hash_of(board, key, size),
                        &fresh->item) != RC_OK) {
        board_item_release(&fresh->item);
        return RC_ENOMEM;
    }
    board->nodes_put++;
    board_address_node(&addresses, old, fresh); /* `old` waits for the next settling */
    board_ending_node(&endings, old, fresh);
    return RC_OK;
}

const struct dns_node *dns_board_find_node(const struct dns_board *board,
                                           const char *name, uint64_t *print)
{
    const struct board_node *node =
        (const struct board_node *)find_item(board, &board->nodes, name);

    if (node == NULL) {
        return NULL;
    }
    *print = node->item.print;
    return &node->node;
}

enum dns_board_shown dns_board_node_shown(const struct dns_node *node)
{
    return board_node_of(node)->shown;
}

int dns_board_put_service(struct dns_board *board, const struct dns_service *service,
                          uint64_t print)
{
    const struct board_addresses addresses = addresses_of(board);
    char key[DNS_BOARD_NAME_MAX + 1];
    size_t size = board_fold(service->name, key);

    if (size == 0) {
        return RC_ETOOBIG;
    }
    struct board_service *fresh =
        board_service_create(service, (struct rc_span){key, size});
    if (fresh == NULL) {
        return RC_ENOMEM;
    }
    stamp(board, &fresh->item, print);
    const struct board_service *old = find_service(board, key, size);
    if (board_table_put(&board->services, board->epoch, hash_of(board, key, size),
                        &fresh->item) != RC_OK) {
        board_item_release(&fresh->item);
        return RC_ENOMEM;
    }
    board->services_put++;
    board_address_service(&addresses, old, fresh);
    return RC_OK;
}

bool dns_board_keep_node(struct dns_board *board, const char *name, uint64_t print)
{
    return keep(board, &board->nodes, name, print);
}

bool dns_board_keep_service(struct dns_board *board, const char *name, uint64_t print)
{
    return keep(board, &board->services, name, print);
}

static void remove_node(struct dns_board *board, struct board_item *item)
{
    const struct board_addresses addresses = addresses_of(board);
    const struct board_endings endings = endings_of(board);

    board_table_remove(&board->nodes, board->epoch,
                       hash_of(board, item->key, item->key_size), item);
    board_address_node(&addresses, (const struct board_node *)item, NULL);
    board_ending_node(&endings, (const struct board_node *)item, NULL);
}

static void remove_service(struct dns_board *board, struct board_item *item)
{
    const struct board_addresses addresses = addresses_of(board);

    board_table_remove(&board->services, board->epoch,
                       hash_of(board, item->key, item->key_size), item);
    board_address_service(&addresses, (const struct board_service *)item, NULL);
}

void dns_board_remove_node(struct dns_board *board, const char *name)
{
    struct board_item *item = find_item(board, &board->nodes, name);

    if (item != NULL) {
        remove_node(board, item);
    }
}

void dns_board_remove_service(struct dns_board *board, const char *name)
{
    struct board_item *item = find_item(board, &board->services, name);

    if (item != NULL) {
        remove_service(board, item);
    }
}

void dns_board_begin_all(struct dns_board *board)
{
    board->mark++;
}

static void sweep(struct dns_board *board, const struct board_table *table,
                  void (*remove)(struct dns_board *, struct board_item *))
{
    struct board_item *item;
    size_t position = 0;

    while ((item = board_table_next(table, &position)) != NULL) {
        if (item->mark != board->mark) {
            remove(board, item);
        }
    }
}

void dns_board_end_all(struct dns_board *board)
{
    sweep(board, &board->services, remove_service);
    sweep(board, &board->nodes, remove_node);
}

static bool same_servers(const struct board_servers *servers,
                         const struct dns_node *const *nodes, size_t count)
{
    bool same = servers != NULL ? servers->count == count : count == 0;

    for (size_t i = 0; same && i < count; i++) {
        same = servers->nodes[i] == nodes[i];
    }
    return same;
}

int dns_board_set_name_servers(struct dns_board *board,
                               const struct dns_node *const *servers, size_t count)
{
    struct board_servers *old = atomic_load(&board->servers);

    count = count < DNS_NAME_SERVERS_MAX ? count : DNS_NAME_SERVERS_MAX;
    if (same_servers(old, servers, count)) {
        return RC_OK;
    }
    struct board_servers *fresh = board_servers_create(servers, count);
    if (fresh == NULL) {
        return RC_ENOMEM;
    }
    atomic_store_explicit(&board->servers, fresh, memory_order_seq_cst);
    if (old != NULL) {
        rc_epoch_retire(board->epoch, &old->item.link);
    }
    return RC_OK;
}

const struct dns_service *dns_board_copy(const struct dns_service *service)
{
    struct board_service *copy = board_service_create(service, (struct rc_span){"", 0});

    return copy != NULL ? &copy->service : NULL;
}

void dns_board_drop_copy(const struct dns_service *copy)
{
    if (copy != NULL) {
        board_item_release(&board_service_of(copy)->item);
    }
}

void dns_board_collect(struct dns_board *board)
{
    rc_epoch_collect(board->epoch);
}

void dns_board_settle(struct dns_board *board, uint64_t index)
{
    atomic_store_explicit(&board->index, index, memory_order_release);
    rc_epoch_collect(board->epoch);
}

struct dns_board_counts dns_board_count(const struct dns_board *board)
{
    return (struct dns_board_counts){.services = board->services.count,
                                     .nodes = board->nodes.count,
                                     .addresses = board->addresses.count,
                                     .waiting = rc_epoch_waiting(board->epoch),
                                     .services_put = board->services_put,
                                     .nodes_put = board->nodes_put,
                                     .index = atomic_load(&board->index)};
}

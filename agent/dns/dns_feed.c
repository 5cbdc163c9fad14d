#include "agent/dns/dns_feed.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/catalog/catalog.h"
#include "base/err.h"

enum { COLLECT_EVERY = 256 /* services: all at once would take twice the memory */ };

struct dns_feed {
    const struct catalog *catalog;
    struct dns_board *board;
    struct dns_gate gate;
    struct dns_form form;
    uint64_t serial; /* of the gate, when last looked at */
    bool is_whole;   /* the board is as the catalog was at the last turn */
    const struct catalog_node **moved; /* of this turn: other than they were */
    size_t moved_count;
    size_t moved_max;
    size_t put_up; /* services, since the start */
    size_t ahead;  /* of the changes of the next turn: so many were followed already */
};

int dns_feed_create(const struct catalog *catalog, struct dns_board *board,
                    const struct dns_gate *gate, struct dns_feed **out)
{
    struct dns_feed *feed = calloc(1, sizeof *feed);

    if (feed == NULL) {
        return RC_ENOMEM;
    }
    feed->catalog = catalog;
    feed->board = board;
    feed->gate = *gate;
    *out = feed;
    return RC_OK;
}

void dns_feed_destroy(struct dns_feed *feed)
{
    if (feed != NULL) {
        dns_form_fini(&feed->form);
        free((void *)feed->moved);
        free(feed);
    }
}

/* ---- Prints: what an object is made from, as a number. Indexes only grow, so what has the
 * same index says the same; liveness and health are not part of them. */

static uint64_t mix(uint64_t print, uint64_t value)
{
    print = (print ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return print ^ print >> 32;
}

static uint64_t ended(uint64_t print)
{
    return print != 0 ? print : 1; /* 0 is no print */
}

static enum dns_board_shown shown_of(const struct dns_feed *feed,
                                     const struct catalog_node *node)
{
    return node->liveness <= CATALOG_LEAVING &&
                   dns_gate_shows(&feed->gate, DNS_GATE_NODE, node->name)
               ? DNS_BOARD_SHOWN
               : DNS_BOARD_HIDDEN;
}

static uint64_t print_of_node(const struct catalog_node *node, enum dns_board_shown shown)
{
    uint64_t print = mix(node->modify_index, shown);

    return ended(mix(print, node->liveness == CATALOG_SUSPECT ? 1 : 0));
}

/* 0: a node is not on the board. */
static uint64_t print_of_service(const struct dns_feed *feed,
                                 const struct catalog_name *name)
{
    const struct catalog_node *previous = NULL;
    uint64_t print = name->instance_count;
    uint64_t of_node = 0;

    for (size_t i = 0; i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        if (service->node != previous) {
            previous = service->node;
            if (dns_board_find_node(feed->board, previous->name, &of_node) == NULL) {
                return 0;
            }
        }
        print = mix(print, of_node);
        print = mix(print, service->modify_index);
        print = mix(print, dns_form_health(service));
    }
    return ended(print);
}

/* ---- One node, one service. */

static void note_moved(struct dns_feed *feed, const struct catalog_node *node)
{
    if (feed->moved_count == feed->moved_max) {
        size_t max = feed->moved_max == 0 ? 16 : feed->moved_max * 2;
        const struct catalog_node **moved =
            realloc((void *)feed->moved, max * sizeof(struct catalog_node *));
        if (moved == NULL) {
            feed->is_whole = false;
            return;
        }
        feed->moved = moved;
        feed->moved_max = max;
    }
    feed->moved[feed->moved_count++] = node;
}

static void update_node(struct dns_feed *feed, const struct catalog_node *node)
{
    enum dns_board_shown shown = shown_of(feed, node);
    uint64_t print = print_of_node(node, shown);
    struct dns_node made;

    if (dns_board_keep_node(feed->board, node->name, print)) {
        return;
    }
    note_moved(feed, node);
    if (dns_form_node(&feed->form, node, &made) != RC_OK ||
        dns_board_put_node(feed->board, &made, shown, print) != RC_OK) {
        feed->is_whole = false;
    }
}

static void update_service(struct dns_feed *feed, const struct catalog_name *name)
{
    struct dns_service made;

    if (!dns_gate_shows(&feed->gate, DNS_GATE_SERVICE, name->name)) {
        dns_board_remove_service(feed->board, name->name);
        return;
    }
    uint64_t print = print_of_service(feed, name);
    if (print == 0) {
        feed->is_whole = false;
        return;
    }
    if (dns_board_keep_service(feed->board, name->name, print)) {
        return;
    }
    if (dns_form_service(&feed->form, feed->board, name->name, name->instances,
                         name->instance_count, &made) != RC_OK ||
        dns_board_put_service(feed->board, &made, print) != RC_OK) {
        feed->is_whole = false;
    }
    if (++feed->put_up % COLLECT_EVERY == 0) {
        dns_board_collect(feed->board);
    }
}

/* ---- A turn. */

static void update_node_named(struct dns_feed *feed, const char *name)
{
    const struct catalog_node *node = catalog_node_find(feed->catalog, name);

    if (node != NULL) {
        update_node(feed, node);
    } else {
        dns_board_remove_node(feed->board, name);
    }
}

static void update_service_named(struct dns_feed *feed, const char *name)
{
    const struct catalog_name *found = catalog_name_find(feed->catalog, name);

    if (found != NULL) {
        update_service(feed, found);
    } else {
        dns_board_remove_service(feed->board, name);
    }
}

static size_t add_server(const struct dns_feed *feed, const char *name,
                         const struct dns_node *out[DNS_NAME_SERVERS_MAX], size_t count)
{
    uint64_t print;
    const struct dns_node *node = dns_board_find_node(feed->board, name, &print);

    if (node != NULL && dns_board_node_shown(node) == DNS_BOARD_SHOWN) {
        out[count++] = node;
    }
    return count;
}

/* Servers register a service of this name, as Consul's do. */
static const char *const server_services[] = {"rollcall", "consul"};

static void update_name_servers(struct dns_feed *feed)
{
    const struct dns_node *servers[DNS_NAME_SERVERS_MAX];
    const struct catalog_node *previous = NULL;
    const struct catalog_name *name = NULL;
    size_t count = 0;

    for (size_t i = 0; i < 2 && name == NULL; i++) {
        name = catalog_name_find(feed->catalog, server_services[i]);
    }
    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_node *node = name->instances[i]->node;
        if (count < DNS_NAME_SERVERS_MAX && node != previous) {
            count = add_server(feed, node->name, servers, count);
        }
        previous = node;
    }
    if (count == 0) {
        count = add_server(feed, catalog_self(feed->catalog)->name, servers, count);
    }
    if (dns_board_set_name_servers(feed->board, servers, count) != RC_OK) {
        feed->is_whole = false;
    }
}

/* Nodes before the services that name them. */
static void follow(struct dns_feed *feed, const struct catalog_change *changes,
                   size_t count)
{
    feed->moved_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == CATALOG_TOPIC_NODE) {
            update_node_named(feed, changes[i].name);
        }
    }
    for (size_t i = 0; i < feed->moved_count; i++) {
        const struct catalog_node *node = feed->moved[i];
        for (size_t k = 0; k < node->service_count; k++) {
            update_service_named(feed, node->services[k]->name);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == CATALOG_TOPIC_SERVICE) {
            update_service_named(feed, changes[i].name);
        }
    }
    update_name_servers(feed);
}

static void look_at_all(struct dns_feed *feed)
{
    dns_board_begin_all(feed->board);
    for (size_t i = 0; i < catalog_node_count(feed->catalog); i++) {
        update_node(feed, catalog_node_at(feed->catalog, i));
    }
    for (size_t i = 0; i < catalog_name_count(feed->catalog); i++) {
        update_service(feed, catalog_name_at(feed->catalog, i));
    }
    if (feed->is_whole) { /* else what could not be put up would go, too */
        dns_board_end_all(feed->board);
    }
}

static bool too_many(const struct catalog_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == CATALOG_TOPIC_ALL) {
            return true;
        }
    }
    return false;
}

void dns_feed_turn(struct dns_feed *feed, const struct catalog_change *changes,
                   size_t count)
{
    uint64_t serial = dns_gate_serial(&feed->gate);
    bool all = !feed->is_whole || serial != feed->serial || too_many(changes, count);

    if (all) {
        feed->is_whole = true;
        feed->serial = serial;
        feed->moved_count = 0;
        look_at_all(feed);
        update_name_servers(feed);
    } else if (count > feed->ahead) {
        follow(feed, changes + feed->ahead, count - feed->ahead);
    }
    feed->ahead = 0;
    dns_board_settle(feed->board, catalog_index(feed->catalog, CATALOG_TOPIC_ALL, ""));
}

void dns_feed_ahead(struct dns_feed *feed, const struct catalog_change *changes,
                    size_t count)
{
    if (feed->is_whole && !too_many(changes, count) && count > feed->ahead) {
        follow(feed, changes + feed->ahead, count - feed->ahead);
        feed->ahead = count;
        dns_board_settle(feed->board,
                         catalog_index(feed->catalog, CATALOG_TOPIC_ALL, ""));
    }
}

#include "agent/dns_reverse.h"

#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "base/address.h"
#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

enum { KEY_SIZE = 17 /* family and IP */ };

/* One direction: addresses to names, which are copies. */
struct names {
    struct rc_table *table;
    uint64_t index; /* of the catalog when it was made; 0: not yet */
};

struct dns_reverse {
    const struct catalog *catalog;
    uint64_t seed;
    struct names nodes;
    struct names services;
};

struct dns_reverse *dns_reverse_create(const struct catalog *catalog, uint64_t seed)
{
    struct dns_reverse *reverse = calloc(1, sizeof *reverse);

    if (reverse != NULL) {
        reverse->catalog = catalog;
        reverse->seed = seed;
    }
    return reverse;
}

static void empty(struct names *names)
{
    size_t position = 0;
    char *name;

    while (names->table != NULL &&
           (name = rc_table_next(names->table, &position, NULL)) != NULL) {
        free(name);
    }
    rc_table_destroy(names->table);
    names->table = NULL;
    names->index = 0;
}

void dns_reverse_destroy(struct dns_reverse *reverse)
{
    if (reverse != NULL) {
        empty(&reverse->nodes);
        empty(&reverse->services);
        free(reverse);
    }
}

static void make_key(const struct rc_address *ip, uint8_t key[KEY_SIZE])
{
    key[0] = (uint8_t)ip->family;
    memcpy(key + 1, ip->ip, KEY_SIZE - 1);
}

/* The first name of an address stays. An address that does not get in for lack of memory
 * is not found, which is all that can be done about it. */
static void add(struct names *names, const char *address, const char *name)
{
    uint8_t key[KEY_SIZE];
    struct rc_address ip;

    if (address[0] == '\0' || rc_address_parse_ip(address, 0, &ip) != RC_OK) {
        return;
    }
    make_key(&ip, key);
    if (rc_table_get_bytes(names->table, key, KEY_SIZE) != NULL) {
        return;
    }
    char *copy = rc_text_copy(name);
    if (copy == NULL ||
        rc_table_put_bytes(names->table, key, KEY_SIZE, copy, NULL) != RC_OK) {
        free(copy);
    }
}

static void add_nodes(const struct catalog *catalog, struct names *names)
{
    for (size_t i = 0; i < catalog_node_count(catalog); i++) {
        const struct catalog_node *node = catalog_node_at(catalog, i);
        add(names, node->address, node->name);
    }
}

static void add_services(const struct catalog *catalog, struct names *names)
{
    for (size_t i = 0; i < catalog_name_count(catalog); i++) {
        const struct catalog_name *name = catalog_name_at(catalog, i);
        for (size_t k = 0; k < name->instance_count; k++) {
            add(names, name->instances[k]->address, name->name);
        }
    }
}

static const char *find(struct dns_reverse *reverse, struct names *names,
                        enum catalog_topic topic, const struct rc_address *ip)
{
    uint64_t now = catalog_index(reverse->catalog, topic, "");
    uint8_t key[KEY_SIZE];

    if (names->index != now) {
        empty(names);
        names->table = rc_table_create(reverse->seed);
        if (names->table == NULL) {
            return NULL;
        }
        if (topic == CATALOG_TOPIC_NODES) {
            add_nodes(reverse->catalog, names);
        } else {
            add_services(reverse->catalog, names);
        }
        names->index = now;
    }
    make_key(ip, key);
    return rc_table_get_bytes(names->table, key, KEY_SIZE);
}

const char *dns_reverse_node(struct dns_reverse *reverse, const struct rc_address *ip)
{
    return find(reverse, &reverse->nodes, CATALOG_TOPIC_NODES, ip);
}

const char *dns_reverse_service(struct dns_reverse *reverse, const struct rc_address *ip)
{
    return find(reverse, &reverse->services, CATALOG_TOPIC_SERVICES, ip);
}

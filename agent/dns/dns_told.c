#include "agent/dns/dns_told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "base/writer.h"

enum { KEY_MAX = DNS_NAME_TEXT_MAX + 32, QUERY_ID = 1 };

/* With RD, as all clients send it. */
static size_t write_query(const struct dns_name *name, uint16_t type, uint16_t edns_size,
                          uint8_t space[DNS_UDP_PLAIN_MAX])
{
    struct rc_writer writer = rc_writer_over(space, DNS_UDP_PLAIN_MAX);

    rc_writer_u16(&writer, QUERY_ID);
    rc_writer_u16(&writer, DNS_FLAG_RD);
    rc_writer_u16(&writer, 1);
    rc_writer_u32(&writer, 0);
    rc_writer_u16(&writer, edns_size > 0 ? 1 : 0);
    rc_writer_bytes(&writer, name->wire, name->size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (edns_size > 0) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, edns_size);
        rc_writer_u32(&writer, 0);
        rc_writer_u16(&writer, 0);
    }
    return rc_writer_size(&writer);
}

int dns_told_create(struct dns_answerer *answerer, const struct dns_name *name,
                    uint16_t type, const struct dns_told_way *way, struct dns_told **out)
{
    struct dns_client client = {.channel = way->channel,
                                .may_recurse = way->forwards ? DNS_YES : DNS_NO,
                                .now_ms = way->now_ms,
                                .wall_ms = way->wall_ms};

    struct dns_told *told = calloc(1, sizeof *told);
    if (told == NULL) {
        return RC_ENOMEM;
    }
    (void)rc_address_parse_ip("127.0.0.1", 0, &client.peer);
    told->type = type;
    size_t size = write_query(name, type, way->edns_size, told->query);
    told->outcome =
        dns_answer(answerer, &client, told->query, size, told->bytes, sizeof told->bytes);
    told->edns.extended = -1;
    if (told->outcome.size > 0 &&
        dns_response_open(told->bytes, told->outcome.size, &told->response) == RC_OK) {
        told->is_readable = true;
        dns_present_edns(&told->response, &told->edns);
    }
    *out = told;
    return RC_OK;
}

void dns_told_destroy(struct dns_told *told)
{
    if (told != NULL) {
        rc_table_destroy(told->things);
        free(told);
    }
}

const char *dns_told_address(const struct catalog_service *instance)
{
    return instance->address[0] != '\0' ? instance->address : instance->node->address;
}

/* ---- Keys: where something is, said in one way only. */

/* The target of an SRV record, or the name that an alias leads to. */
static void key_of_name(const struct dns_zones *zones, const struct dns_name *name,
                        char key[KEY_MAX])
{
    char text[RC_ADDRESS_TEXT_MAX];
    char whole[DNS_NAME_TEXT_MAX];
    struct dns_question question;

    dns_question_read(zones, name, &question);
    if (question.form == DNS_FORM_ADDRESS) {
        rc_address_format_ip(&question.ip, text);
        (void)snprintf(key, KEY_MAX, "ip %s", text);
    } else if (question.form == DNS_FORM_NODE) {
        (void)snprintf(key, KEY_MAX, "node %s", question.subject.at);
    } else {
        (void)dns_name_to_text(name, 0, name->label_count, whole);
        (void)snprintf(key, KEY_MAX, "host %s", whole);
    }
}

/* An address in the catalog: an IP address, or else a host name. */
static void key_of_address(const struct dns_zones *zones, const char *address,
                           char key[KEY_MAX])
{
    char text[RC_ADDRESS_TEXT_MAX];
    struct rc_address ip;
    struct dns_name name;

    if (rc_address_parse_ip(address, 0, &ip) == RC_OK) {
        rc_address_format_ip(&ip, text);
        (void)snprintf(key, KEY_MAX, "ip %s", text);
    } else if (dns_name_from_text(address, &name) == RC_OK) {
        key_of_name(zones, &name, key);
    } else {
        (void)snprintf(key, KEY_MAX, "nowhere");
    }
}

static void key_of_node(const char *name, char key[KEY_MAX])
{
    size_t size = (size_t)snprintf(key, KEY_MAX, "node %s", name);

    for (size_t i = 0; i < size && i < KEY_MAX; i++) {
        key[i] = (char)(key[i] >= 'A' && key[i] <= 'Z' ? key[i] + ('a' - 'A') : key[i]);
    }
}

static void add_port(uint16_t port, char key[KEY_MAX])
{
    size_t size = strlen(key);
    (void)snprintf(key + size, KEY_MAX - size, " port %u", port);
}

/* ---- The answer section. */

/* RC_ENOTFOUND: a record that points nowhere. */
static int key_of_record(const struct dns_told *told, const struct dns_zones *zones,
                         const struct dns_received *record, char key[KEY_MAX])
{
    char text[RC_ADDRESS_TEXT_MAX];
    struct dns_received_srv srv;
    struct rc_address ip;
    struct dns_name name;
    int err = RC_ENOTFOUND;

    if (record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA) {
        err = dns_received_address(&told->response, record, &ip);
        if (err == RC_OK) {
            rc_address_format_ip(&ip, text);
            (void)snprintf(key, KEY_MAX, "ip %s", text);
        }
    } else if (record->type == DNS_TYPE_CNAME) {
        err = dns_received_cname(&told->response, record, &name);
        if (err == RC_OK) {
            key_of_name(zones, &name, key);
        }
    } else if (record->type == DNS_TYPE_SRV) {
        err = dns_received_srv(&told->response, record, &srv);
        if (err == RC_OK) {
            key_of_name(zones, &srv.target, key);
            add_port(srv.port, key);
        }
    }
    return err;
}

/* What an alias leads to is not the question's own. */
int dns_told_list(struct dns_told *told, const struct dns_zones *zones)
{
    struct dns_received record;
    char key[KEY_MAX];
    int err = RC_OK;

    told->things = rc_table_create(0);
    if (told->things == NULL) {
        return RC_ENOMEM;
    }
    if (!told->is_readable) {
        return RC_OK;
    }
    dns_response_rewind(&told->response);
    while (err == RC_OK && dns_response_next(&told->response, &record) == RC_OK) {
        if (record.section == DNS_SECTION_ANSWER &&
            dns_name_equals(&record.owner, &told->response.name) &&
            key_of_record(told, zones, &record, key) == RC_OK) {
            err = rc_table_put(told->things, key, told, NULL);
        }
    }
    return err;
}

static bool has(const struct dns_told *told, const char *key)
{
    return rc_table_get(told->things, key) != NULL;
}

/* A target is named by its own address, or by its node; by the node's address if the node's name
 * is no domain name. */
bool dns_told_has(const struct dns_told *told, const struct dns_zones *zones,
                  const struct catalog_service *instance)
{
    const struct catalog_node *node = instance->node;
    bool is_apart =
        instance->address[0] != '\0' && strcmp(instance->address, node->address) != 0;
    char key[KEY_MAX];

    key_of_address(zones, dns_told_address(instance), key);
    if (told->type != DNS_TYPE_SRV) {
        return has(told, key);
    }
    add_port(instance->port, key);
    if (is_apart || has(told, key)) {
        return has(told, key);
    }
    key_of_node(node->name, key);
    add_port(instance->port, key);
    return has(told, key);
}

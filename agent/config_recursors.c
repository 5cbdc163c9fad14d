#include "agent/config_recursors.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config_type.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/network.h"
#include "base/text.h"

enum { DNS_PORT = 53 };

bool config_is_system(const char *recursor)
{
    return rc_text_equals(recursor, "resolv.conf") ||
           rc_text_equals(recursor, "/etc/resolv.conf");
}

static bool is_server(const char *text)
{
    struct rc_address address;

    return rc_address_parse_ip(text, DNS_PORT, &address) == RC_OK ||
           (rc_address_parse(text, DNS_PORT, &address) == RC_OK && address.port != 0);
}

static bool is_client(const char *text)
{
    struct rc_network network;

    return rc_text_equals(text, "loopback") || rc_text_equals(text, "own") ||
           rc_text_equals(text, "any") || rc_network_parse(text, &network) == RC_OK;
}

static int refuse(struct definition_reader *reader, const struct definition_value *value,
                  const char *text, const char *must)
{
    if (strstr(text, "{{") != NULL) {
        must = "must be addresses: templates are not supported";
    }
    return definition_invalid(reader, value->parent, value->key, "%s %s, not \"%.100s\"",
                              value->key, must, text);
}

/* A list that adds up, each word of which passes `is_good`. */
static int read_words(struct definition_reader *reader,
                      const struct definition_value *value, struct definition_list *list,
                      bool (*is_good)(const char *), const char *must)
{
    size_t before = list->count;
    int err = agent_config_list_type.read(reader, value, list);

    for (size_t i = before; i < list->count && err == RC_OK; i++) {
        if (!is_good(list->items[i])) {
            err = refuse(reader, value, list->items[i], must);
        }
    }
    return err;
}

static void release_list(void *place)
{
    definition_list_type.release(place);
}

static int write_list(const void *place, json_t **out)
{
    return definition_list_type.write(place, out);
}

static bool is_recursor(const char *text)
{
    return config_is_system(text) || is_server(text);
}

static int read_recursors(struct definition_reader *reader,
                          const struct definition_value *value, void *place)
{
    return read_words(reader, value, place, is_recursor,
                      "must be IP addresses, with or without a port, or resolv.conf");
}

const struct definition_field_type agent_config_recursors_type = {
    .words = "a list",
    .read = read_recursors,
    .release = release_list,
    .write = write_list,
};

static int read_clients(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    return read_words(reader, value, place, is_client,
                      "must be networks such as 10.0.0.0/8, loopback, own or any");
}

const struct definition_field_type agent_config_clients_type = {
    .words = "a list",
    .read = read_clients,
    .release = release_list,
    .write = write_list,
};

static void release_text(void *place)
{
    definition_text_type.release(place);
}

static int write_text(const void *place, json_t **out)
{
    return definition_text_type.write(place, out);
}

static int read_strategy(struct definition_reader *reader,
                         const struct definition_value *value, void *place)
{
    const char *text = json_string_value(value->json);

    if (text != NULL && !rc_text_equals(text, "fastest") &&
        !rc_text_equals(text, "sequential") && !rc_text_equals(text, "random")) {
        return refuse(reader, value, text, "must be fastest, sequential or random");
    }
    return definition_text_type.read(reader, value, place);
}

const struct definition_field_type agent_config_strategy_type = {
    .words = "a string",
    .read = read_strategy,
    .release = release_text,
    .write = write_text,
};

/* The servers of one name, as one text with spaces. */
static int join_servers(struct definition_reader *reader,
                        const struct definition_value *route, char **out)
{
    struct definition_list servers = {0};
    struct rc_buffer text = {.bytes = NULL};

    int err = agent_config_recursors_type.read(reader, route, &servers);
    for (size_t i = 0; i < servers.count; i++) {
        rc_buffer_format(&text, "%s%s", i == 0 ? "" : " ", servers.items[i]);
    }
    if (err == RC_OK && servers.count == 0) {
        err = definition_invalid(reader, route->parent, route->key,
                                 "forward of \"%.100s\" needs servers", route->key);
    }
    if (err == RC_OK) {
        *out = rc_buffer_steal(&text);
        err = *out != NULL ? RC_OK : RC_ENOMEM;
    }
    rc_buffer_fini(&text);
    release_list(&servers);
    return err;
}

/* A name given again gets the new servers. */
static int add_route(struct definition_reader *reader,
                     const struct definition_value *route, struct definition_pairs *pairs)
{
    struct definition_pair pair = {.key = NULL};
    void *items = pairs->items;

    int err = join_servers(reader, route, &pair.value);
    for (size_t i = 0; i < pairs->count && err == RC_OK; i++) {
        if (rc_text_equals_nocase(pairs->items[i].key, route->key)) {
            free(pairs->items[i].value);
            pairs->items[i].value = pair.value;
            return RC_OK;
        }
    }
    if (err != RC_OK) {
        return err;
    }
    pair.key = rc_text_copy(route->key);
    struct definition_pair *place =
        pair.key != NULL ? definition_grow(&items, &pairs->count, sizeof pair) : NULL;
    if (place == NULL) {
        free(pair.key);
        free(pair.value);
        return RC_ENOMEM;
    }
    pairs->items = items;
    *place = pair;
    return RC_OK;
}

static int read_forward(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    const char *name;
    json_t *servers;

    if (!json_is_object(value->json)) {
        return definition_wrong_type(reader, value, &agent_config_forward_type);
    }
    json_object_foreach((json_t *)value->json, name, servers) /* only read */
    {
        const struct definition_value route = {
            .parent = value->json, .key = name, .json = servers};
        int err = add_route(reader, &route, place);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static void release_pairs(void *place)
{
    definition_pairs_type.release(place);
}

static int write_pairs(const void *place, json_t **out)
{
    return definition_pairs_type.write(place, out);
}

const struct definition_field_type agent_config_forward_type = {
    .words = "a block",
    .read = read_forward,
    .release = release_pairs,
    .write = write_pairs,
};

/* config_type.c - how the settings of an agent are read. */
#include "agent/config_type.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/gossip/profile.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum { NAME_MAX_BYTES = 128, DOMAIN_MAX_BYTES = 200, LABEL_MAX_BYTES = 63 };

static const char letters_and_digits[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static int refuse(struct definition_reader *reader, const struct definition_value *value,
                  const char *must)
{
    const char *text = json_string_value(value->json);

    return definition_invalid(reader, value->parent, value->key, "%s %s, not \"%.100s\"",
                              value->key, must, text != NULL ? text : "");
}

/* Text that passes `is_good`; `must` says what it has to be. */
static int read_checked(struct definition_reader *reader,
                        const struct definition_value *value, char **place,
                        bool (*is_good)(const char *), const char *must)
{
    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &definition_text_type);
    }
    if (!is_good(json_string_value(value->json))) {
        return refuse(reader, value, must);
    }
    return definition_text_type.read(reader, value, place);
}

static void release_text(void *place)
{
    definition_text_type.release(place);
}

static int write_text(const void *place, json_t **out)
{
    return definition_text_type.write(place, out);
}

static int write_list(const void *place, json_t **out)
{
    return definition_list_type.write(place, out);
}

static void release_list(void *place)
{
    definition_list_type.release(place);
}

/* --- names */

static bool is_node_name(const char *text)
{
    size_t size = strlen(text);
    size_t good = 0;

    while (good < size && (text[good] == '-' || text[good] == '.' ||
                           strchr(letters_and_digits, text[good]) != NULL)) {
        good++;
    }
    return size > 0 && size <= NAME_MAX_BYTES && good == size;
}

static int read_name(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    return read_checked(reader, value, place, is_node_name,
                        "must be 1 to 128 letters, digits, hyphens and dots");
}

const struct definition_field_type agent_config_name_type = {
    .words = "a string",
    .read = read_name,
    .release = release_text,
    .write = write_text,
};

static bool is_uuid(const char *text)
{
    for (size_t i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (text[i] == '\0' ||
            (hyphen ? text[i] != '-'
                    : strchr("0123456789abcdefABCDEF", text[i]) == NULL)) {
            return false;
        }
    }
    return text[36] == '\0';
}

static int read_uuid(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    return read_checked(reader, value, place, is_uuid, "must be a UUID");
}

const struct definition_field_type agent_config_uuid_type = {
    .words = "a string",
    .read = read_uuid,
    .release = release_text,
    .write = write_text,
};

static bool is_datacenter(const char *text)
{
    size_t size = strlen(text);
    size_t good = 0;

    while (good < size && (text[good] == '-' || text[good] == '_' ||
                           strchr(letters_and_digits, text[good]) != NULL)) {
        good++;
    }
    return size > 0 && size <= LABEL_MAX_BYTES && good == size;
}

static int read_datacenter(struct definition_reader *reader,
                           const struct definition_value *value, void *place)
{
    char **text = place;
    int err = read_checked(reader, value, text, is_datacenter,
                           "must be letters, digits, underscores and hyphens");

    if (err != RC_OK) {
        return err;
    }
    for (char *at = *text; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *at = (char)(*at | 0x20); /* as Consul: it is a label of the DNS */
        }
    }
    return RC_OK;
}

const struct definition_field_type agent_config_datacenter_type = {
    .words = "a string",
    .read = read_datacenter,
    .release = release_text,
    .write = write_text,
};

/* RFC 1035 section 2.3.1, with underscores, which are in use. */
static bool is_domain(const char *text)
{
    size_t label = 0;
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (++label > LABEL_MAX_BYTES ||
                   (text[i] != '-' && text[i] != '_' &&
                    strchr(letters_and_digits, text[i]) == NULL)) {
            return false;
        }
    }
    return size > 0 && size <= DOMAIN_MAX_BYTES;
}

static int read_domain(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    char **text = place;
    int err = read_checked(reader, value, text, is_domain, "must be a domain name");

    if (err == RC_OK && !rc_text_ends_with(*text, ".")) {
        char *absolute = rc_text_format("%s.", *text);
        free(*text);
        *text = absolute;
        err = absolute != NULL ? RC_OK : RC_ENOMEM;
    }
    return err;
}

const struct definition_field_type agent_config_domain_type = {
    .words = "a string",
    .read = read_domain,
    .release = release_text,
    .write = write_text,
};

/* --- choices */

static bool is_key(const char *text)
{
    uint8_t key[32];
    size_t size = 0;

    return rc_text_from_base64(text, key, sizeof key, &size) == RC_OK &&
           (size == 16 || size == 24 || size == 32);
}

static int read_encrypt(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    if (json_is_string(value->json) && !is_key(json_string_value(value->json))) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s must be 16, 24 or 32 bytes in base64, as "
                                  "`rollcall keygen` prints", /* never show the key */
                                  value->key);
    }
    return definition_text_type.read(reader, value, place);
}

const struct definition_field_type agent_config_encrypt_type = {
    .words = "a string",
    .read = read_encrypt,
    .release = release_text,
    .write = write_text,
};

static bool is_profile(const char *text)
{
    return gossip_profile_find(text) != NULL;
}

static int read_profile(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    return read_checked(reader, value, place, is_profile,
                        "must be lan, wan, local or fast");
}

const struct definition_field_type agent_config_profile_type = {
    .words = "a string",
    .read = read_profile,
    .release = release_text,
    .write = write_text,
};

static int read_level(struct definition_reader *reader,
                      const struct definition_value *value, void *place)
{
    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &definition_text_type);
    }
    if (rc_log_level_parse(json_string_value(value->json), place) != RC_OK) {
        return refuse(reader, value, "must be trace, debug, info, warn or err");
    }
    return RC_OK;
}

static int write_level(const void *place, json_t **out)
{
    *out = json_string(rc_log_level_name(*(const enum rc_log_level *)place));
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type agent_config_level_type = {
    .words = "a string",
    .plain_size = sizeof(enum rc_log_level),
    .read = read_level,
    .write = write_level,
};

/* --- numbers */

static int read_count(struct definition_reader *reader,
                      const struct definition_value *value, void *place)
{
    if (json_is_integer(value->json) && json_integer_value(value->json) < 0) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s must not be negative", value->key);
    }
    return definition_int_type.read(reader, value, place);
}

static int write_int(const void *place, json_t **out)
{
    return definition_int_type.write(place, out);
}

const struct definition_field_type agent_config_count_type = {
    .words = "a whole number",
    .plain_size = sizeof(int64_t),
    .read = read_count,
    .write = write_int,
};

static int read_port(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    json_int_t port = json_integer_value(value->json);

    if (!json_is_integer(value->json)) {
        return definition_wrong_type(reader, value, &definition_int_type);
    }
    if (port == 0 || port < -1 || port > UINT16_MAX) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s must be a port from 1 to 65535, or -1 for none",
                                  value->key);
    }
    *(int64_t *)place = port > 0 ? port : 0;
    return RC_OK;
}

static int write_port(const void *place, json_t **out)
{
    int64_t port = *(const int64_t *)place;

    *out = json_integer(port > 0 ? port : -1);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type agent_config_port_type = {
    .words = "a port",
    .plain_size = sizeof(int64_t),
    .read = read_port,
    .write = write_port,
};

/* --- addresses */

static bool is_ip(const char *text)
{
    struct rc_address address;

    return rc_address_parse_ip(text, 0, &address) == RC_OK;
}

/* fe80::/10, with or without "%eth0" behind it: nobody can listen there for others. */
static bool is_link_local(const char *text)
{
    struct rc_address address;
    char ip[RC_ADDRESS_TEXT_MAX];
    size_t size = strcspn(text, "%");

    if (size >= sizeof ip) {
        return false;
    }
    memcpy(ip, text, size);
    ip[size] = '\0';
    return rc_address_parse_ip(ip, 0, &address) == RC_OK &&
           rc_address_is_link_local(&address);
}

/* Consul reads go-sockaddr templates here; saying that we do not beats "not an address". */
static int refuse_address(struct definition_reader *reader,
                          const struct definition_value *value, const char *text)
{
    if (strstr(text, "{{") != NULL) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s: templates are not supported, write the address",
                                  value->key);
    }
    if (is_link_local(text)) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s: %.60s is a link-local address, good on one "
                                  "interface only; give another one of this machine "
                                  "(ip -6 address), or ::",
                                  value->key, text);
    }
    return definition_invalid(reader, value->parent, value->key,
                              "%s must be an IP address, not \"%.100s\"", value->key,
                              text);
}

static int read_ip(struct definition_reader *reader, const struct definition_value *value,
                   void *place)
{
    if (json_is_string(value->json) && !is_ip(json_string_value(value->json))) {
        return refuse_address(reader, value, json_string_value(value->json));
    }
    return definition_text_type.read(reader, value, place);
}

const struct definition_field_type agent_config_ip_type = {
    .words = "a string",
    .read = read_ip,
    .release = release_text,
    .write = write_text,
};

static int append(struct definition_list *list, struct rc_span span)
{
    void *items = list->items;
    char **item = definition_grow(&items, &list->count, sizeof *item);

    if (item == NULL) {
        return RC_ENOMEM;
    }
    list->items = items;
    *item = rc_text_copy_span(span);
    return *item != NULL ? RC_OK : RC_ENOMEM;
}

static int read_ips(struct definition_reader *reader,
                    const struct definition_value *value, void *place)
{
    struct definition_list *list = place;

    if (!json_is_string(value->json)) {
        return definition_wrong_type(reader, value, &definition_text_type);
    }
    const char *text = json_string_value(value->json);
    const char *at = text + strspn(text, " \t");
    release_list(list);
    if (strstr(text, "{{") != NULL) {
        return refuse_address(reader, value, text);
    }
    while (*at != '\0') {
        struct rc_span word = {at, strcspn(at, " \t")};
        if (append(list, word) != RC_OK) {
            return RC_ENOMEM;
        }
        const char *last = list->items[list->count - 1];
        if (is_link_local(last) ||
            (!is_ip(last) && !rc_text_starts_with(last, "unix://"))) {
            return refuse_address(reader, value, last);
        }
        at += word.size;
        at += strspn(at, " \t");
    }
    return RC_OK;
}

const struct definition_field_type agent_config_ips_type = {
    .words = "a string",
    .read = read_ips,
    .release = release_list,
    .write = write_list,
};

/* --- lists and maps that add up */

static int read_list(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    struct definition_list more = {0};
    int err = RC_OK;

    if (json_is_string(value->json)) { /* one, without its brackets */
        return append(place, rc_span_of(json_string_value(value->json)));
    }
    err = definition_list_type.read(reader, value, &more);
    for (size_t i = 0; i < more.count && err == RC_OK; i++) {
        err = append(place, rc_span_of(more.items[i]));
    }
    release_list(&more);
    return err;
}

const struct definition_field_type agent_config_list_type = {
    .words = "a list",
    .read = read_list,
    .release = release_list,
    .write = write_list,
};

static int read_join(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    struct definition_list *list = place;
    size_t before = list->count;
    int err = read_list(reader, value, place);

    for (size_t i = before; i < list->count && err == RC_OK; i++) {
        if (strpbrk(list->items[i], " =") != NULL || list->items[i][0] == '\0') {
            err = definition_invalid(reader, value->parent, value->key,
                                     "%s: \"%.100s\" is not an address or a name; cloud "
                                     "providers are not supported",
                                     value->key, list->items[i]);
        }
    }
    return err;
}

const struct definition_field_type agent_config_join_type = {
    .words = "a list",
    .read = read_join,
    .release = release_list,
    .write = write_list,
};

/* "adm1.example.org", or "*.example.org" for all below it. */
static bool is_host(const char *text)
{
    const char *name = text[0] == '*' && text[1] == '.' ? text + 2 : text;

    return name[0] != '\0' && strpbrk(name, "*/:[]@ \t") == NULL && name[0] != '.';
}

static int read_hosts(struct definition_reader *reader,
                      const struct definition_value *value, void *place)
{
    struct definition_list *list = place;
    size_t before = list->count;
    int err = read_list(reader, value, place);

    for (size_t i = before; i < list->count && err == RC_OK; i++) {
        if (!is_host(list->items[i])) {
            err = definition_invalid(reader, value->parent, value->key,
                                     "%s: \"%.100s\" is not a name such as "
                                     "adm1.example.org or *.example.org, without a port",
                                     value->key, list->items[i]);
        }
    }
    return err;
}

const struct definition_field_type agent_config_hosts_type = {
    .words = "a list",
    .read = read_hosts,
    .release = release_list,
    .write = write_list,
};

static int set_pair(struct definition_pairs *pairs, const struct definition_pair *pair)
{
    struct definition_pair *target = NULL;

    for (size_t i = 0; i < pairs->count; i++) {
        if (rc_text_equals(pairs->items[i].key, pair->key)) {
            target = &pairs->items[i];
        }
    }
    if (target == NULL) {
        void *items = pairs->items;
        target = definition_grow(&items, &pairs->count, sizeof *target);
        pairs->items = items;
    }
    if (target == NULL) {
        return RC_ENOMEM;
    }
    free(target->key);
    free(target->value);
    target->key = rc_text_copy(pair->key);
    target->value = rc_text_copy(pair->value);
    return target->key != NULL && target->value != NULL ? RC_OK : RC_ENOMEM;
}

/* Adds the pairs of `value`; a key that is there already gets the new value. */
static int add_pairs(struct definition_reader *reader,
                     const struct definition_value *value, struct definition_pairs *pairs)
{
    struct definition_pairs more = {0};
    int err = definition_pairs_type.read(reader, value, &more);

    for (size_t i = 0; i < more.count && err == RC_OK; i++) {
        err = set_pair(pairs, &more.items[i]);
    }
    definition_pairs_type.release(&more);
    return err;
}

static void release_pairs(void *place)
{
    definition_pairs_type.release(place);
}

static int write_pairs(const void *place, json_t **out)
{
    return definition_pairs_type.write(place, out);
}

static int read_meta(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    char text[DEFINITION_ERROR_MAX];
    int err = add_pairs(reader, value, place);

    if (err == RC_OK && definition_check_meta(place, text) != RC_OK) {
        return definition_invalid(reader, value->parent, value->key, "%s: %.250s",
                                  value->key, text);
    }
    return err;
}

const struct definition_field_type agent_config_meta_type = {
    .words = "a block",
    .read = read_meta,
    .release = release_pairs,
    .write = write_pairs,
};

static int read_ttls(struct definition_reader *reader,
                     const struct definition_value *value, void *place)
{
    struct definition_pairs *pairs = place;
    uint64_t ns = 0;
    int err = add_pairs(reader, value, pairs);

    for (size_t i = 0; i < pairs->count && err == RC_OK; i++) {
        if (rc_text_to_duration_ns(pairs->items[i].value, &ns) != RC_OK) {
            err = definition_invalid(
                reader, value->json, pairs->items[i].key,
                "%s of \"%.64s\" must be a duration such as \"5s\", not \"%.64s\"",
                value->key, pairs->items[i].key, pairs->items[i].value);
        }
    }
    return err;
}

const struct definition_field_type agent_config_ttls_type = {
    .words = "a block",
    .read = read_ttls,
    .release = release_pairs,
    .write = write_pairs,
};

/* ---- seconds */

static int read_seconds(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    json_int_t number = json_integer_value(value->json);

    if (!json_is_integer(value->json)) {
        return definition_duration_type.read(reader, value, place);
    }
    if (number < 0 || number > UINT32_MAX) {
        return definition_invalid(reader, value->parent, value->key,
                                  "%s must be a number of seconds", value->key);
    }
    *(uint64_t *)place = (uint64_t)number * 1000;
    return RC_OK;
}

static int write_seconds(const void *place, json_t **out)
{
    return definition_duration_type.write(place, out);
}

const struct definition_field_type agent_config_seconds_type = {
    .words = "a duration or a number of seconds",
    .plain_size = sizeof(uint64_t),
    .read = read_seconds,
    .write = write_seconds,
};

/* --- services and checks */

static int read_service(struct definition_reader *reader, const json_t *json, void *into)
{
    struct agent_config *config = into;
    struct service_definition service;
    int err = service_definition_parse(json, reader->style, &service, reader->fault);

    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < config->service_count && err == RC_OK; i++) {
        if (rc_text_equals(config->services[i].id, service.id)) {
            err = definition_invalid(reader, json, NULL,
                                     "service with id \"%.100s\" is defined twice",
                                     service.id);
        }
    }
    void *items = config->services;
    struct service_definition *place =
        err == RC_OK ? definition_grow(&items, &config->service_count, sizeof service)
                     : NULL;
    if (place == NULL) {
        service_definition_fini(&service);
        return err != RC_OK ? err : RC_ENOMEM;
    }
    config->services = items;
    *place = service;
    return RC_OK;
}

static int read_check(struct definition_reader *reader, const json_t *json, void *into)
{
    struct agent_config *config = into;
    struct check_definition check;
    int err = check_definition_parse(json, reader->style, &check, reader->fault);

    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < config->check_count && err == RC_OK; i++) {
        if (rc_text_equals(config->checks[i].id, check.id)) {
            err =
                definition_invalid(reader, json, NULL,
                                   "check with id \"%.100s\" is defined twice", check.id);
        }
    }
    void *items = config->checks;
    struct check_definition *place =
        err == RC_OK ? definition_grow(&items, &config->check_count, sizeof check) : NULL;
    if (place == NULL) {
        check_definition_fini(&check);
        return err != RC_OK ? err : RC_ENOMEM;
    }
    config->checks = items;
    *place = check;
    return RC_OK;
}

static int read_services(struct definition_reader *reader,
                         const struct definition_value *value, void *place)
{
    return definition_read_blocks(reader, value, &agent_config_services_type,
                                  read_service, place);
}

static int read_checks(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    return definition_read_blocks(reader, value, &agent_config_checks_type, read_check,
                                  place);
}

static void release_services(void *place)
{
    struct agent_config *config = place;

    for (size_t i = 0; i < config->service_count; i++) {
        service_definition_fini(&config->services[i]);
    }
    free(config->services);
    config->services = NULL;
    config->service_count = 0;
}

static void release_checks(void *place)
{
    struct agent_config *config = place;

    for (size_t i = 0; i < config->check_count; i++) {
        check_definition_fini(&config->checks[i]);
    }
    free(config->checks);
    config->checks = NULL;
    config->check_count = 0;
}

static int write_nothing(const void *place, json_t **out)
{
    (void)place;
    *out = NULL; /* agent/services tells them */
    return RC_OK;
}

const struct definition_field_type agent_config_services_type = {
    .words = "a block",
    .read = read_services,
    .release = release_services,
    .write = write_nothing,
};

const struct definition_field_type agent_config_checks_type = {
    .words = "a block",
    .read = read_checks,
    .release = release_checks,
    .write = write_nothing,
};

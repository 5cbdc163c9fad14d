/* What an item may hold, and when two items say the same. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/catalog/item.h"
#include "base/err.h"
#include "base/text.h"

enum need { OPTIONAL, REQUIRED };

struct limit {
    const char *what;
    const char *text;
    size_t max;
    enum need need;
};

static int refuse(char *error, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char *error, int err, const char *format, ...)
{
    va_list arguments;

    if (error != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(error, CATALOG_ERROR_MAX, format, arguments);
        va_end(arguments);
    }
    return err;
}

static int texts_fit(const struct limit *limits, size_t count, char *error)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = limits[i].text == NULL ? 0 : strlen(limits[i].text);
        if (size == 0 && limits[i].need == REQUIRED) {
            return refuse(error, RC_EINVAL, "%s is missing", limits[i].what);
        }
        if (size > limits[i].max) {
            return refuse(error, RC_ETOOBIG, "%s is %zu bytes long, the maximum is %zu",
                          limits[i].what, size, limits[i].max);
        }
    }
    return RC_OK;
}

static int count_fits(const char *what, size_t count, size_t max, char *error)
{
    if (count > max) {
        return refuse(error, RC_ETOOBIG, "%zu %s, the maximum is %zu", count, what, max);
    }
    return RC_OK;
}

static int meta_fits(const struct catalog_pair *meta, size_t count, char *error)
{
    int err = count_fits("metadata pairs", count, CATALOG_META_MAX, error);

    for (size_t i = 0; err == RC_OK && i < count; i++) {
        struct limit limits[] = {
            {"metadata key", meta[i].key, CATALOG_META_KEY_MAX, REQUIRED},
            {"metadata value", meta[i].value, CATALOG_META_VALUE_MAX, OPTIONAL},
        };
        err = texts_fit(limits, sizeof limits / sizeof *limits, error);
    }
    return err;
}

static int tagged_fit(const struct catalog_tagged_address *tagged, size_t count,
                      char *error)
{
    int err = count_fits("tagged addresses", count, CATALOG_TAGGED_MAX, error);

    for (size_t i = 0; err == RC_OK && i < count; i++) {
        struct limit limits[] = {
            {"name of a tagged address", tagged[i].name, CATALOG_NAME_MAX, REQUIRED},
            {"tagged address", tagged[i].address, CATALOG_NAME_MAX, OPTIONAL},
        };
        err = texts_fit(limits, sizeof limits / sizeof *limits, error);
    }
    return err;
}

int item_service_validate(const struct catalog_service *service,
                          char error[CATALOG_ERROR_MAX])
{
    struct limit limits[] = {
        {"service id", service->id, CATALOG_NAME_MAX, REQUIRED},
        {"service name", service->name, CATALOG_NAME_MAX, REQUIRED},
        {"service address", service->address, CATALOG_NAME_MAX, OPTIONAL},
    };
    int err = texts_fit(limits, sizeof limits / sizeof *limits, error);

    if (err == RC_OK) {
        err = count_fits("tags", service->tag_count, CATALOG_TAGS_MAX, error);
    }
    for (size_t i = 0; err == RC_OK && i < service->tag_count; i++) {
        struct limit tag = {"tag", service->tags[i], CATALOG_NAME_MAX, OPTIONAL};
        err = texts_fit(&tag, 1, error);
    }
    if (err == RC_OK) {
        err = meta_fits(service->meta, service->meta_count, error);
    }
    if (err == RC_OK) {
        err = tagged_fit(service->tagged_addresses, service->tagged_address_count, error);
    }
    return err;
}

int item_check_validate(const struct catalog_check *check, char error[CATALOG_ERROR_MAX])
{
    struct limit limits[] = {
        {"check id", check->id, CATALOG_NAME_MAX, REQUIRED},
        {"check name", check->name, CATALOG_NAME_MAX, OPTIONAL},
        {"check notes", check->notes, CATALOG_NOTES_MAX, OPTIONAL},
        {"check service id", check->service_id, CATALOG_NAME_MAX, OPTIONAL},
        {"check type", check->type, CATALOG_NAME_MAX, OPTIONAL},
        {"check definition", check->definition, CATALOG_DEFINITION_MAX, OPTIONAL},
    };

    if ((unsigned)check->status >= CHECK_STATUS_COUNT) {
        return refuse(error, RC_EINVAL, "check status is unknown");
    }
    return texts_fit(limits, sizeof limits / sizeof *limits, error);
}

int item_facts_validate(const struct catalog_node *node, char error[CATALOG_ERROR_MAX])
{
    struct limit limits[] = {
        {"node id", node->id, CATALOG_NAME_MAX, OPTIONAL},
        {"node address", node->address, CATALOG_NAME_MAX, OPTIONAL},
        {"datacenter", node->datacenter, CATALOG_NAME_MAX, OPTIONAL},
    };
    int err = texts_fit(limits, sizeof limits / sizeof *limits, error);

    if (err == RC_OK) {
        err = meta_fits(node->meta, node->meta_count, error);
    }
    if (err == RC_OK) {
        err = tagged_fit(node->tagged_addresses, node->tagged_address_count, error);
    }
    return err;
}

static bool pairs_equal(const struct catalog_pair *a, const struct catalog_pair *b,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i].key, b[i].key) != 0 || strcmp(a[i].value, b[i].value) != 0) {
            return false;
        }
    }
    return true;
}

static bool tagged_equal(const struct catalog_tagged_address *a,
                         const struct catalog_tagged_address *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i].name, b[i].name) != 0 || a[i].port != b[i].port ||
            strcmp(a[i].address, b[i].address) != 0) {
            return false;
        }
    }
    return true;
}

static bool tags_equal(const struct catalog_service *a, const struct catalog_service *b)
{
    if (a->tag_count != b->tag_count) {
        return false;
    }
    for (size_t i = 0; i < a->tag_count; i++) {
        if (strcmp(a->tags[i], b->tags[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool numbers_equal(const struct catalog_service *a,
                          const struct catalog_service *b)
{
    return a->port == b->port && a->weight_passing == b->weight_passing &&
           a->weight_warning == b->weight_warning &&
           a->enable_tag_override == b->enable_tag_override && a->term == b->term;
}

bool item_service_equals(const struct item_service *one, const struct item_service *other)
{
    const struct catalog_service said[] = {item_service_said(one),
                                           item_service_said(other)};
    const struct catalog_service *a = &said[0];
    const struct catalog_service *b = &said[1];

    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->address, b->address) == 0 && numbers_equal(a, b) &&
           tags_equal(a, b) && a->meta_count == b->meta_count &&
           pairs_equal(a->meta, b->meta, a->meta_count) &&
           a->tagged_address_count == b->tagged_address_count &&
           tagged_equal(a->tagged_addresses, b->tagged_addresses,
                        a->tagged_address_count);
}

bool item_facts_equals(const struct item_facts *one, const struct item_facts *other)
{
    const struct catalog_node *a = &one->view;
    const struct catalog_node *b = &other->view;

    return strcmp(a->id, b->id) == 0 && strcmp(a->address, b->address) == 0 &&
           strcmp(a->datacenter, b->datacenter) == 0 && a->meta_count == b->meta_count &&
           pairs_equal(a->meta, b->meta, a->meta_count) &&
           a->tagged_address_count == b->tagged_address_count &&
           tagged_equal(a->tagged_addresses, b->tagged_addresses,
                        a->tagged_address_count);
}

bool item_check_same_definition(const struct item_check *one,
                                const struct item_check *other)
{
    const struct catalog_check *a = &one->view;
    const struct catalog_check *b = &other->view;

    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->notes, b->notes) == 0 && strcmp(a->service_id, b->service_id) == 0 &&
           strcmp(a->type, b->type) == 0 && strcmp(a->definition, b->definition) == 0;
}

static size_t weight_of(const char *text)
{
    return 3 + (text == NULL ? 0 : strlen(text));
}

size_t item_service_weight(const struct catalog_service *service)
{
    size_t weight = 40 + weight_of(service->id) + weight_of(service->name) +
                    weight_of(service->address);

    for (size_t i = 0; i < service->tag_count; i++) {
        weight += weight_of(service->tags[i]);
    }
    for (size_t i = 0; i < service->meta_count; i++) {
        weight += weight_of(service->meta[i].key) + weight_of(service->meta[i].value);
    }
    for (size_t i = 0; i < service->tagged_address_count; i++) {
        weight += 3 + weight_of(service->tagged_addresses[i].name) +
                  weight_of(service->tagged_addresses[i].address);
    }
    return weight;
}

size_t item_check_weight(const struct catalog_check *check)
{
    size_t output = check->output == NULL ? 0 : strlen(check->output);

    return 40 + weight_of(check->id) + weight_of(check->name) + weight_of(check->notes) +
           weight_of(check->service_id) + weight_of(check->type) +
           weight_of(check->definition) + output;
}

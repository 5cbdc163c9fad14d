#include "agent/catalog/item.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static size_t space_of(const char *text)
{
    return strlen(text_of(text)) + 1;
}

/* Copies `text` to where the strings of a block go on. */
static const char *keep(char **at, const char *text)
{
    size_t size = space_of(text);
    char *start = *at;

    memcpy(start, text_of(text), size);
    *at += size;
    return start;
}

static size_t pairs_space(const struct catalog_pair *pairs, size_t count)
{
    size_t size = count * sizeof *pairs;

    for (size_t i = 0; i < count; i++) {
        size += space_of(pairs[i].key) + space_of(pairs[i].value);
    }
    return size;
}

static size_t tagged_space(const struct catalog_tagged_address *tagged, size_t count)
{
    size_t size = count * sizeof *tagged;

    for (size_t i = 0; i < count; i++) {
        size += space_of(tagged[i].name) + space_of(tagged[i].address);
    }
    return size;
}

/* Insertion sorts: a few dozen entries at most, mostly sorted already. */
static void keep_pairs(struct catalog_pair *to, char **at,
                       const struct catalog_pair *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct catalog_pair pair = {keep(at, from[i].key), keep(at, from[i].value)};
        size_t place = i;
        while (place > 0 && strcmp(to[place - 1].key, pair.key) > 0) {
            to[place] = to[place - 1];
            place--;
        }
        to[place] = pair;
    }
}

static void keep_tagged(struct catalog_tagged_address *to, char **at,
                        const struct catalog_tagged_address *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct catalog_tagged_address tagged = {.name = keep(at, from[i].name),
                                                .address = keep(at, from[i].address),
                                                .port = from[i].port};
        size_t place = i;
        while (place > 0 && strcmp(to[place - 1].name, tagged.name) > 0) {
            to[place] = to[place - 1];
            place--;
        }
        to[place] = tagged;
    }
}

struct item_service *item_service_create(const struct catalog_service *from)
{
    size_t size = sizeof(struct item_service) + from->tag_count * sizeof(char *) +
                  pairs_space(from->meta, from->meta_count) +
                  tagged_space(from->tagged_addresses, from->tagged_address_count) +
                  space_of(from->id) + space_of(from->name) + space_of(from->address);

    for (size_t i = 0; i < from->tag_count; i++) {
        size += space_of(from->tags[i]);
    }
    struct item_service *item = calloc(1, size);
    if (item == NULL) {
        return NULL;
    }
    struct catalog_service *view = &item->view;
    const char **tags = (const char **)(item + 1);
    struct catalog_pair *meta = (struct catalog_pair *)(tags + from->tag_count);
    struct catalog_tagged_address *tagged =
        (struct catalog_tagged_address *)(meta + from->meta_count);
    char *at = (char *)(tagged + from->tagged_address_count);

    *view = *from;
    view->node = NULL;
    view->checks = NULL;
    view->check_count = 0;
    view->maintenance = false;
    view->status = CHECK_PASSING;
    view->create_index = 0;
    view->modify_index = 0;
    view->id = keep(&at, from->id);
    view->name = keep(&at, from->name);
    view->address = keep(&at, from->address);
    for (size_t i = 0; i < from->tag_count; i++) {
        tags[i] = keep(&at, from->tags[i]);
    }
    keep_pairs(meta, &at, from->meta, from->meta_count);
    keep_tagged(tagged, &at, from->tagged_addresses, from->tagged_address_count);
    view->tags = tags;
    item->said = tags;
    item->said_count = (uint32_t)from->tag_count;
    view->meta = meta;
    view->tagged_addresses = tagged;
    assert(at == (char *)item + size);
    item->size = (uint32_t)size;
    item_service_seal(item);
    return item;
}

struct item_facts *item_facts_create(const struct catalog_node *from)
{
    size_t size = sizeof(struct item_facts) + pairs_space(from->meta, from->meta_count) +
                  tagged_space(from->tagged_addresses, from->tagged_address_count) +
                  space_of(from->id) + space_of(from->address) +
                  space_of(from->datacenter);
    struct item_facts *item = calloc(1, size);

    if (item == NULL) {
        return NULL;
    }
    struct catalog_node *view = &item->view;
    struct catalog_pair *meta = (struct catalog_pair *)(item + 1);
    struct catalog_tagged_address *tagged =
        (struct catalog_tagged_address *)(meta + from->meta_count);
    char *at = (char *)(tagged + from->tagged_address_count);

    view->name = "";
    view->id = keep(&at, from->id);
    view->address = keep(&at, from->address);
    view->datacenter = keep(&at, from->datacenter);
    keep_pairs(meta, &at, from->meta, from->meta_count);
    keep_tagged(tagged, &at, from->tagged_addresses, from->tagged_address_count);
    view->meta = meta;
    view->meta_count = from->meta_count;
    view->tagged_addresses = tagged;
    view->tagged_address_count = from->tagged_address_count;
    assert(at == (char *)item + size);
    item->size = (uint32_t)size;
    item_facts_seal(item);
    return item;
}

struct item_check *item_check_create(const struct catalog_check *from)
{
    size_t size = sizeof(struct item_check) + space_of(from->id) + space_of(from->name) +
                  space_of(from->notes) + space_of(from->service_id) +
                  space_of(from->type) + space_of(from->definition);
    struct item_check *item = calloc(1, size);

    if (item == NULL) {
        return NULL;
    }
    char *at = (char *)(item + 1);
    item->view.id = keep(&at, from->id);
    item->view.name = keep(&at, from->name);
    item->view.notes = keep(&at, from->notes);
    item->view.service_id = keep(&at, from->service_id);
    item->view.type = keep(&at, from->type);
    item->view.definition = keep(&at, from->definition);
    item->view.service_name = "";
    item->view.output = "";
    item->view.status = from->status;
    item->view.since_wall_ms = from->since_wall_ms;
    item->view.output_cut = from->output_cut;
    item->has_run = from->status != CHECK_CRITICAL || text_of(from->output)[0] != '\0';
    assert(at == (char *)item + size);
    item->size = (uint32_t)size;
    if (item_check_set_output(item, text_of(from->output)) != RC_OK) {
        free(item);
        return NULL;
    }
    item_check_seal(item);
    return item;
}

void item_service_destroy(struct item_service *item)
{
    if (item != NULL) {
        free(item->shown);
        free(item);
    }
}

struct catalog_service item_service_said(const struct item_service *item)
{
    struct catalog_service said = item->view;

    said.tags = item->said;
    said.tag_count = item->said_count;
    return said;
}

void item_check_destroy(struct item_check *item)
{
    if (item != NULL) {
        free(item->output);
    }
    free(item);
}

void item_facts_destroy(struct item_facts *item)
{
    free(item);
}

size_t item_text_fit(const char *text, size_t size, size_t max)
{
    if (size <= max) {
        return size;
    }
    size_t fit = max;
    while (fit > 0 && ((unsigned char)text[fit] & 0xc0) == 0x80) {
        fit--; /* a continuation byte: its character began before */
    }
    return fit;
}

int item_check_set_output(struct item_check *item, const char *text)
{
    size_t size = item_text_fit(text, strlen(text), CATALOG_OUTPUT_MAX);

    if (size == 0) {
        free(item->output);
        item->output = NULL;
        item->output_size = 0;
        item->view.output = "";
        return RC_OK;
    }
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return RC_ENOMEM;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    free(item->output);
    item->output = copy;
    item->output_size = (uint32_t)size;
    item->view.output = copy;
    return RC_OK;
}

/* Seals: a hash of what an item says, to find memory that went bad (testing.md, C8). */
#include <string.h>

#include "agent/catalog/item.h"

/* FNV-1a: not against an enemy, only against chance. */
static uint32_t mix(uint32_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * 16777619U;
    }
    return hash;
}

static uint32_t mix_number(uint32_t hash, uint64_t number)
{
    return mix(hash, &number, sizeof number);
}

static uint32_t seal_of_service(const struct item_service *item)
{
    const struct catalog_service *view = &item->view;
    uint32_t hash = mix(2166136261U, item + 1, item->size - sizeof *item);

    hash = mix_number(hash, view->port);
    hash = mix_number(hash, (uint64_t)view->weight_passing << 32 | view->weight_warning);
    hash = mix_number(hash, view->enable_tag_override);
    return mix_number(hash, view->term);
}

static uint32_t seal_of_check(const struct item_check *item)
{
    uint32_t hash = mix(2166136261U, item + 1, item->size - sizeof *item);

    hash = mix_number(hash, item->view.status);
    hash = mix_number(hash, item->view.since_wall_ms);
    return mix(hash, item->view.output, item->output_size);
}

static uint32_t seal_of_facts(const struct item_facts *item)
{
    return mix(2166136261U, item + 1, item->size - sizeof *item);
}

void item_service_seal(struct item_service *item)
{
    item->seal = seal_of_service(item);
}

void item_check_seal(struct item_check *item)
{
    item->seal = seal_of_check(item);
}

void item_facts_seal(struct item_facts *item)
{
    item->seal = seal_of_facts(item);
}

bool item_service_is_whole(const struct item_service *item)
{
    return item->seal == seal_of_service(item);
}

bool item_check_is_whole(const struct item_check *item)
{
    return item->seal == seal_of_check(item);
}

bool item_facts_is_whole(const struct item_facts *item)
{
    return item->seal == seal_of_facts(item);
}

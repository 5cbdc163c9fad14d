/* item.h - one node's facts, one service, one check: copied, compared, measured.
 *
 * An item is one allocation that never changes but for what the catalog derives: strings
 * lie behind the struct. To change an item is to put another one in its place. */
#ifndef AGENT_CATALOG_ITEM_H
#define AGENT_CATALOG_ITEM_H

#include "agent/catalog/catalog.h"

struct name_entry;

struct item_service {
    struct catalog_service view; /* first: a view is turned back into its item */
    struct name_entry *name;     /* where it is listed; NULL while its node is not */
    uint64_t version;            /* of its owner's record, when it last changed */
    uint64_t seen;               /* mark of the last whole record that named it */
    uint32_t size;               /* of the whole block, strings included */
    uint32_t seal;               /* of what it said when it was made */
    struct item_service *next_dead;
    const char *const
        *said; /* its tags as its owner told them; view.tags may lack some */
    uint32_t said_count;
    const char **shown; /* owned; what view.tags points to while some are hidden */
};

/* Changes of a status by ten minutes; the newest slot is `slot`, modulo their number. */
enum { ITEM_FLIP_SLOTS = 6, ITEM_FLIP_SLOT_MS = 600000 };

struct item_flips {
    uint32_t slot; /* since the clock's beginning */
    uint16_t counts[ITEM_FLIP_SLOTS];
};

struct item_check {
    struct catalog_check view;
    struct item_flips flips;
    bool has_run;           /* its status was measured, not only assumed */
    char *output;           /* owned; view.output points to it or to a static text */
    uint64_t version;       /* when anything but status and output last changed */
    uint64_t state_version; /* when status or output last changed; >= version */
    uint64_t seen;
    uint64_t told_ms; /* our own: when its output last went into the record */
    uint32_t size;    /* of the whole block, without the output */
    uint32_t output_size;
    uint32_t seal; /* of what it said when it last changed */
    struct item_check *next_dead;
};

struct item_facts {
    struct catalog_node view; /* only what commands carry */
    uint64_t version;
    uint32_t size;
    uint32_t seal;
    struct item_facts *next_dead;
};

/* NULL strings count as "". What is too long or too many is refused with a sentence in
 * `error` (may be NULL). RC_OK, RC_EINVAL or RC_ETOOBIG. */
int item_service_validate(const struct catalog_service *service,
                          char error[CATALOG_ERROR_MAX]);
int item_check_validate(const struct catalog_check *check, char error[CATALOG_ERROR_MAX]);
int item_facts_validate(const struct catalog_node *node, char error[CATALOG_ERROR_MAX]);

/* Copies of valid input; pairs and tagged addresses are sorted by key. NULL: no memory. */
struct item_service *item_service_create(const struct catalog_service *from);
struct item_check *item_check_create(const struct catalog_check *from);
struct item_facts *item_facts_create(const struct catalog_node *from);
void item_service_destroy(struct item_service *item);
void item_check_destroy(struct item_check *item);
void item_facts_destroy(struct item_facts *item);

/* The view with all tags as its owner told them: what travels, is compared and is measured. */
struct catalog_service item_service_said(const struct item_service *item);

/* Do two items say the same, derived fields and indexes aside? */
bool item_service_equals(const struct item_service *a, const struct item_service *b);
bool item_facts_equals(const struct item_facts *a, const struct item_facts *b);
/* Without status, since and output: what travels in a full check, not in a result. */
bool item_check_same_definition(const struct item_check *a, const struct item_check *b);

/* Replaces the output by at most CATALOG_OUTPUT_MAX bytes of `text`. RC_OK or RC_ENOMEM. */
int item_check_set_output(struct item_check *item, const char *text);

void item_flips_add(struct item_flips *flips, uint64_t now_ms);
unsigned item_flips_count(const struct item_flips *flips, uint64_t now_ms);

/* Does an item still say what it said? Memory that went bad is found by its seal, before it
 * is told to others. Whoever changes a check seals it again. */
void item_service_seal(struct item_service *item);
void item_check_seal(struct item_check *item);
void item_facts_seal(struct item_facts *item);
bool item_service_is_whole(const struct item_service *item);
bool item_check_is_whole(const struct item_check *item);
bool item_facts_is_whole(const struct item_facts *item);

/* How many of at most `max` bytes of `text` may be kept without splitting a character. */
size_t item_text_fit(const char *text, size_t size, size_t max);

/* About how many bytes it takes when it travels. */
size_t item_service_weight(const struct catalog_service *service);
size_t item_check_weight(const struct catalog_check *check);

static inline struct item_service *item_of_service(const struct catalog_service *view)
{
    return (struct item_service *)view; /* ours: only readers see it as const */
}

static inline struct item_check *item_of_check(const struct catalog_check *view)
{
    return (struct item_check *)view;
}

#endif

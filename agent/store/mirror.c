/* mirror.c - a treap with parents, each node with the highest revision below it. */
#include "agent/store/mirror.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum side { LEFT, RIGHT };

struct node {
    struct node *parent;
    struct node *child[2];
    uint8_t *value; /* owned; NULL: it is empty, or a tombstone */
    uint64_t mod_revision;
    uint64_t top; /* the highest mod_revision of this node and all below */
    union {
        struct {
            uint64_t create_revision;
            uint64_t lease;
        } live;
        struct {
            struct node *older;
            struct node *newer;
        } dead;
    } as;
    uint32_t value_size;
    uint32_t priority;
    uint32_t key_size;
    bool is_dead;
    uint8_t key[];
};

struct mirror {
    struct node *root;
    struct node *oldest; /* tombstones, by age */
    struct node *newest;
    size_t live_count;
    size_t dead_count;
    size_t dead_max;
    uint64_t made; /* nodes so far: where priorities come from */
    uint64_t floor;
};

struct mirror *mirror_create(size_t tombstones_max)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);

    if (mirror != NULL) {
        mirror->dead_max = tombstones_max;
    }
    return mirror;
}

void mirror_destroy(struct mirror *mirror)
{
    struct node *at = mirror == NULL ? NULL : mirror->root;

    while (at != NULL) { /* leaves first, without a stack: the parents lead back */
        if (at->child[LEFT] != NULL || at->child[RIGHT] != NULL) {
            at = at->child[LEFT] != NULL ? at->child[LEFT] : at->child[RIGHT];
            continue;
        }
        struct node *parent = at->parent;
        if (parent != NULL) {
            parent->child[parent->child[RIGHT] == at] = NULL;
        }
        free(at->value);
        free(at);
        at = parent;
    }
    free(mirror);
}

size_t mirror_count(const struct mirror *mirror)
{
    return mirror->live_count;
}

uint64_t mirror_floor(const struct mirror *mirror)
{
    return mirror->floor;
}

void mirror_raise_floor(struct mirror *mirror, uint64_t revision)
{
    mirror->floor = revision > mirror->floor ? revision : mirror->floor;
}

/* ---- order */

int mirror_compare(struct rc_pack_bytes a, struct rc_pack_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.at, b.at, size);

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

bool mirror_starts_with(struct rc_pack_bytes key, struct rc_pack_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.at, prefix.at, prefix.size) == 0);
}

static struct rc_pack_bytes key_of(const struct node *node)
{
    return (struct rc_pack_bytes){.at = node->key, .size = node->key_size};
}

/* <0: before all keys with this prefix, 0: one of them, >0: behind them. */
static int order_to_prefix(const struct node *node, struct rc_pack_bytes prefix)
{
    return mirror_starts_with(key_of(node), prefix)
               ? 0
               : mirror_compare(key_of(node), prefix);
}

static struct node *find(const struct mirror *mirror, struct rc_pack_bytes key)
{
    struct node *at = mirror->root;

    while (at != NULL) {
        int order = mirror_compare(key, key_of(at));
        if (order == 0) {
            return at;
        }
        at = at->child[order > 0];
    }
    return NULL;
}

/* The first node at or (RIGHT) strictly behind `key`. */
static struct node *first_from(const struct mirror *mirror, struct rc_pack_bytes key,
                               enum side side)
{
    struct node *at = mirror->root;
    struct node *best = NULL;

    while (at != NULL) {
        int order = mirror_compare(key_of(at), key);
        if (order > 0 || (order == 0 && side == LEFT)) {
            best = at;
            at = at->child[LEFT];
        } else {
            at = at->child[RIGHT];
        }
    }
    return best;
}

static struct node *successor(struct node *node)
{
    if (node->child[RIGHT] != NULL) {
        node = node->child[RIGHT];
        while (node->child[LEFT] != NULL) {
            node = node->child[LEFT];
        }
        return node;
    }
    while (node->parent != NULL && node->parent->child[RIGHT] == node) {
        node = node->parent;
    }
    return node->parent;
}

/* ---- shape */

static uint64_t top_of(const struct node *node)
{
    return node == NULL ? 0 : node->top;
}

static void count_top(struct node *node)
{
    uint64_t left = top_of(node->child[LEFT]);
    uint64_t right = top_of(node->child[RIGHT]);

    node->top = node->mod_revision > left ? node->mod_revision : left;
    node->top = node->top > right ? node->top : right;
}

static void count_tops_up(struct node *node)
{
    for (; node != NULL; node = node->parent) {
        count_top(node);
    }
}

static void hang(struct mirror *mirror, struct node *parent, const struct node *instead,
                 struct node *node)
{
    if (parent == NULL) {
        mirror->root = node;
    } else {
        parent->child[parent->child[RIGHT] == instead] = node;
    }
    if (node != NULL) {
        node->parent = parent;
    }
}

/* `node` takes its parent's place, which becomes its child. */
static void rotate_up(struct mirror *mirror, struct node *node)
{
    struct node *parent = node->parent;
    enum side side = parent->child[RIGHT] == node ? RIGHT : LEFT;
    struct node *moved = node->child[!side];

    hang(mirror, parent->parent, parent, node);
    parent->child[side] = moved;
    if (moved != NULL) {
        moved->parent = parent;
    }
    node->child[!side] = parent;
    parent->parent = node;
    count_top(parent);
    count_top(node);
}

static void insert(struct mirror *mirror, struct node *node)
{
    struct node *parent = NULL;
    struct node **place = &mirror->root;

    while (*place != NULL) {
        parent = *place;
        place = &parent->child[mirror_compare(key_of(node), key_of(parent)) > 0];
    }
    *place = node;
    node->parent = parent;
    count_tops_up(node);
    while (node->parent != NULL && node->parent->priority < node->priority) {
        rotate_up(mirror, node);
    }
}

static void drop(struct mirror *mirror, struct node *node)
{
    while (node->child[LEFT] != NULL || node->child[RIGHT] != NULL) {
        struct node *left = node->child[LEFT];
        struct node *right = node->child[RIGHT];
        bool goes_right =
            left == NULL || (right != NULL && right->priority > left->priority);
        rotate_up(mirror, goes_right ? right : left);
    }
    hang(mirror, node->parent, node, NULL);
    count_tops_up(node->parent);
    free(node->value);
    free(node);
}

/* ---- tombstones */

static void unlist_dead(struct mirror *mirror, struct node *node)
{
    struct node *older = node->as.dead.older;
    struct node *newer = node->as.dead.newer;

    *(older == NULL ? &mirror->oldest : &older->as.dead.newer) = newer;
    *(newer == NULL ? &mirror->newest : &newer->as.dead.older) = older;
    mirror->dead_count--;
}

static void list_dead(struct mirror *mirror, struct node *node)
{
    node->is_dead = true;
    node->as.dead.older = mirror->newest;
    node->as.dead.newer = NULL;
    *(mirror->newest == NULL ? &mirror->oldest : &mirror->newest->as.dead.newer) = node;
    mirror->newest = node;
    mirror->dead_count++;
}

static void trim(struct mirror *mirror)
{
    while (mirror->dead_count > mirror->dead_max) {
        struct node *node = mirror->oldest;
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        mirror_raise_floor(mirror, node->mod_revision);
        unlist_dead(mirror, node);
        drop(mirror, node);
    }
}

void mirror_remove(struct mirror *mirror, struct rc_pack_bytes key, uint64_t revision)
{
    struct node *node = find(mirror, key);

    if (node == NULL || node->is_dead) {
        return;
    }
    mirror->live_count--;
    if (mirror->dead_max == 0) {
        drop(mirror, node);
        return;
    }
    free(node->value);
    node->value = NULL;
    node->value_size = 0;
    node->mod_revision = revision;
    list_dead(mirror, node);
    count_tops_up(node);
    trim(mirror);
}

/* ---- writing */

/* splitmix64 of a counter: well spread, and the same in every run. */
static uint32_t next_priority(struct mirror *mirror)
{
    uint64_t mixed = ++mirror->made * UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(mixed >> 32);
}

static struct node *add(struct mirror *mirror, const struct engine_item *item)
{
    struct node *node = calloc(1, sizeof *node + item->key.size);

    if (node == NULL) {
        return NULL;
    }
    node->key_size = (uint32_t)item->key.size;
    if (item->key.size > 0) {
        memcpy(node->key, item->key.at, item->key.size);
    }
    node->priority = next_priority(mirror);
    insert(mirror, node);
    mirror->live_count++;
    return node;
}

static void revive(struct mirror *mirror, struct node *node)
{
    if (node->is_dead) {
        unlist_dead(mirror, node);
        node->is_dead = false;
        mirror->live_count++;
    }
}

int mirror_put(struct mirror *mirror, const struct engine_item *item)
{
    size_t size = item->value.size;
    struct node *node = find(mirror, item->key);
    bool fits = node != NULL && node->value_size == size;
    uint8_t *value = fits || size == 0 ? NULL : malloc(size);

    if (!fits && size > 0 && value == NULL) {
        return RC_ENOMEM;
    }
    node = node == NULL ? add(mirror, item) : node;
    if (node == NULL) {
        free(value);
        return RC_ENOMEM;
    }
    revive(mirror, node);
    if (!fits) {
        free(node->value);
        node->value = value;
        node->value_size = (uint32_t)size;
    }
    if (size > 0) {
        memmove(node->value, item->value.at, size);
    }
    node->as.live.create_revision = item->create_revision;
    node->as.live.lease = item->lease;
    node->mod_revision = item->mod_revision;
    count_tops_up(node);
    return RC_OK;
}

/* ---- reading */

static void show(const struct node *node, struct engine_item *out)
{
    *out = (struct engine_item){
        .key = key_of(node),
        .value = {.at = node->value_size > 0 ? node->value : (const uint8_t *)"",
                  .size = node->value_size},
        .create_revision = node->as.live.create_revision,
        .mod_revision = node->mod_revision,
        .lease = node->as.live.lease};
}

bool mirror_get(const struct mirror *mirror, struct rc_pack_bytes key,
                struct engine_item *out)
{
    const struct node *node = find(mirror, key);

    if (node == NULL || node->is_dead) {
        return false;
    }
    show(node, out);
    return true;
}

bool mirror_next(const struct mirror *mirror, struct rc_pack_bytes prefix,
                 struct rc_pack_bytes after, struct engine_item *out)
{
    bool is_behind = after.at != NULL && mirror_compare(after, prefix) >= 0;
    struct node *node =
        is_behind ? first_from(mirror, after, RIGHT) : first_from(mirror, prefix, LEFT);

    while (node != NULL && node->is_dead) {
        node = successor(node);
    }
    if (node == NULL || !mirror_starts_with(key_of(node), prefix)) {
        return false;
    }
    show(node, out);
    return true;
}

uint64_t mirror_key_index(const struct mirror *mirror, struct rc_pack_bytes key)
{
    const struct node *node = find(mirror, key);

    if (node != NULL && !node->is_dead) {
        return node->mod_revision;
    }
    return node != NULL && node->mod_revision > mirror->floor ? node->mod_revision
                                                              : mirror->floor;
}

/* The highest revision on one side of a node that is under the prefix: along the edge of the
 * prefix each node inside it brings its whole inner part. */
static uint64_t top_along(const struct node *node, struct rc_pack_bytes prefix,
                          enum side outer)
{
    uint64_t top = 0;

    while (node != NULL) {
        if (order_to_prefix(node, prefix) != 0) {
            node = node->child[!outer];
            continue;
        }
        uint64_t inner = top_of(node->child[!outer]);
        top = node->mod_revision > top ? node->mod_revision : top;
        top = inner > top ? inner : top;
        node = node->child[outer];
    }
    return top;
}

uint64_t mirror_prefix_index(const struct mirror *mirror, struct rc_pack_bytes prefix)
{
    const struct node *node = mirror->root;
    int order = 0;

    while (node != NULL && (order = order_to_prefix(node, prefix)) != 0) {
        node = node->child[order < 0];
    }
    if (node == NULL) {
        return mirror->floor;
    }
    uint64_t left = top_along(node->child[LEFT], prefix, LEFT);
    uint64_t right = top_along(node->child[RIGHT], prefix, RIGHT);
    uint64_t top =
        node->mod_revision > mirror->floor ? node->mod_revision : mirror->floor;

    top = left > top ? left : top;
    return right > top ? right : top;
}

#include "agent/acl/directory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/acl/built_in.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/table.h"
#include "base/text.h"

struct entry {
    char id[SUBJECT_ID_SIZE];
    json_t *body;
    uint64_t create_index;
    uint64_t modify_index;
    bool is_built_in;
    uint8_t hash[SECRET_HASH_SIZE]; /* of tokens with a secret */
    bool has_hash;
    struct subject *subject; /* of tokens, once somebody has asked */
};

struct directory {
    struct directory_options options;
    struct rc_table *entries[DIRECTORY_KIND_COUNT]; /* by id */
    struct rc_table *hashes;                        /* tokens */
    uint64_t last_serial;
};

static void free_entry(struct entry *entry)
{
    if (entry != NULL) {
        json_decref(entry->body);
        subject_drop(entry->subject);
        free(entry);
    }
}

/* What tokens may do hangs on policies and roles: all of it is made anew when it is asked. */
static void forget_subjects(struct directory *directory)
{
    size_t position = 0;
    struct entry *entry;

    while ((entry = rc_table_next(directory->entries[DIRECTORY_TOKEN], &position,
                                  NULL)) != NULL) {
        subject_drop(entry->subject);
        entry->subject = NULL;
    }
}

static int put_entry(struct directory *directory, enum directory_kind kind,
                     struct entry *entry)
{
    void *old = NULL;

    int err = rc_table_put(directory->entries[kind], entry->id, entry, &old);
    if (err != RC_OK) {
        free_entry(entry);
        return err;
    }
    struct entry *before = old;
    if (before != NULL && before->has_hash) {
        (void)rc_table_remove_bytes(directory->hashes, before->hash, SECRET_HASH_SIZE);
    }
    if (before != NULL && !before->is_built_in) {
        entry->create_index = before->create_index;
    }
    free_entry(before);
    if (entry->has_hash) {
        /* Without it the token is unknown, which refuses: no reason to fail. */
        (void)rc_table_put_bytes(directory->hashes, entry->hash, SECRET_HASH_SIZE, entry,
                                 NULL);
    }
    forget_subjects(directory);
    return RC_OK;
}

static struct entry *read_entry(enum directory_kind kind, const void *text, size_t size,
                                uint64_t index)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL) {
        return NULL;
    }
    entry->body = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *id =
        rc_json_read_text(entry->body, kind == DIRECTORY_TOKEN ? "AccessorID" : "ID");
    const char *hash = rc_json_read_text(entry->body, "SecretHash");
    if (strlen(id) != SUBJECT_ID_SIZE - 1) {
        free_entry(entry);
        return NULL;
    }
    (void)rc_text_put(entry->id, sizeof entry->id, id);
    entry->create_index = entry->modify_index = index;
    entry->has_hash = kind == DIRECTORY_TOKEN &&
                      rc_text_from_hex(hash, SECRET_HASH_SIZE, entry->hash) == RC_OK;
    return entry;
}

int directory_put(struct directory *directory, enum directory_kind kind, const void *text,
                  size_t size, uint64_t index)
{
    assert(kind < DIRECTORY_KIND_COUNT);

    struct entry *entry = read_entry(kind, text, size, index);
    return entry != NULL ? put_entry(directory, kind, entry) : RC_EMALFORMED;
}

static int put_built_in(struct directory *directory)
{
    enum directory_kind kind;
    const char *text;

    for (size_t i = 0; (text = built_in_at(i, &kind)) != NULL; i++) {
        struct entry *entry = read_entry(kind, text, strlen(text), 1);
        if (entry == NULL) {
            return RC_ENOMEM;
        }
        if (rc_table_get(directory->entries[kind], entry->id) != NULL) {
            free_entry(entry);
            continue;
        }
        entry->is_built_in = true;
        int err = put_entry(directory, kind, entry);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

void directory_remove(struct directory *directory, enum directory_kind kind,
                      const char *id)
{
    struct entry *entry = rc_table_get(directory->entries[kind], id);

    if (entry == NULL || entry->is_built_in) {
        return;
    }
    if (entry->has_hash) {
        (void)rc_table_remove_bytes(directory->hashes, entry->hash, SECRET_HASH_SIZE);
    }
    (void)rc_table_remove(directory->entries[kind], id);
    free_entry(entry);
    forget_subjects(directory);
    (void)put_built_in(directory); /* what it may have stood before */
}

static void empty(struct directory *directory)
{
    for (enum directory_kind kind = 0; kind < DIRECTORY_KIND_COUNT; kind++) {
        size_t position = 0;
        struct entry *entry;
        while (directory->entries[kind] != NULL &&
               (entry = rc_table_next(directory->entries[kind], &position, NULL)) !=
                   NULL) {
            free_entry(entry);
        }
        rc_table_destroy(directory->entries[kind]);
        directory->entries[kind] = NULL;
    }
    rc_table_destroy(directory->hashes);
    directory->hashes = NULL;
}

static int fill(struct directory *directory)
{
    directory->hashes = rc_table_create(directory->options.seed);
    bool is_whole = directory->hashes != NULL;
    for (enum directory_kind kind = 0; kind < DIRECTORY_KIND_COUNT; kind++) {
        directory->entries[kind] = rc_table_create(directory->options.seed);
        is_whole = is_whole && directory->entries[kind] != NULL;
    }
    return is_whole ? put_built_in(directory) : RC_ENOMEM;
}

struct directory *directory_create(const struct directory_options *options)
{
    struct directory *directory = calloc(1, sizeof *directory);

    if (directory == NULL) {
        return NULL;
    }
    directory->options = *options;
    if (fill(directory) != RC_OK) {
        directory_destroy(directory);
        return NULL;
    }
    return directory;
}

void directory_destroy(struct directory *directory)
{
    if (directory != NULL) {
        empty(directory);
        free(directory);
    }
}

void directory_clear(struct directory *directory)
{
    for (enum directory_kind kind = 0; kind < DIRECTORY_KIND_COUNT; kind++) {
        size_t position = 0;
        struct entry *entry = rc_table_next(directory->entries[kind], &position, NULL);
        while (entry != NULL) {
            if (entry->is_built_in) {
                entry = rc_table_next(directory->entries[kind], &position, NULL);
                continue;
            }
            directory_remove(directory, kind, entry->id);
            position = 0; /* the removal has moved the others */
            entry = rc_table_next(directory->entries[kind], &position, NULL);
        }
    }
}

/* ---- Looking. */

static bool show(const struct entry *entry, struct directory_item *out)
{
    if (entry == NULL) {
        return false;
    }
    *out = (struct directory_item){
        .id = entry->id,
        .body = entry->body,
        .create_index = entry->create_index,
        .modify_index = entry->modify_index,
        .is_built_in = entry->is_built_in,
    };
    return true;
}

bool directory_find(const struct directory *directory, enum directory_kind kind,
                    const char *id, struct directory_item *out)
{
    return show(rc_table_get(directory->entries[kind], id), out);
}

bool directory_find_name(const struct directory *directory, enum directory_kind kind,
                         const char *name, struct directory_item *out)
{
    size_t position = 0;
    const struct entry *entry;

    while ((entry = rc_table_next(directory->entries[kind], &position, NULL)) != NULL) {
        if (kind != DIRECTORY_TOKEN &&
            strcmp(rc_json_read_text(entry->body, "Name"), name) == 0) {
            return show(entry, out);
        }
    }
    return false;
}

bool directory_find_hash(const struct directory *directory,
                         const uint8_t hash[SECRET_HASH_SIZE], struct directory_item *out)
{
    return show(rc_table_get_bytes(directory->hashes, hash, SECRET_HASH_SIZE), out);
}

bool directory_next(const struct directory *directory, enum directory_kind kind,
                    size_t *position, struct directory_item *out)
{
    return show(rc_table_next(directory->entries[kind], position, NULL), out);
}

/* ---- What a token may do. */

struct gathering {
    const struct directory *directory;
    struct subject_policy items[DIRECTORY_POLICIES_MAX];
    size_t count;
    char *made[DIRECTORY_POLICIES_MAX]; /* name and rules of identities, in one block */
    size_t made_count;
    int err;
};

static bool is_here(const struct directory *directory, const json_t *datacenters)
{
    for (size_t i = 0; i < json_array_size(datacenters); i++) {
        if (rc_text_equals_nocase(json_string_value(json_array_get(datacenters, i)),
                                  directory->options.datacenter)) {
            return true;
        }
    }
    return json_array_size(datacenters) == 0;
}

static void gather(struct gathering *all, const char *name, const char *rules)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].rules == rules) {
            return; /* it has the policy twice, through a role */
        }
    }
    if (all->count == DIRECTORY_POLICIES_MAX) {
        all->err = RC_ETOOBIG;
        return;
    }
    all->items[all->count++] = (struct subject_policy){name, rules};
}

static void gather_policies(struct gathering *all, const json_t *ids)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        struct directory_item policy;
        if (id != NULL && directory_find(all->directory, DIRECTORY_POLICY, id, &policy) &&
            is_here(all->directory, json_object_get(policy.body, "Datacenters"))) {
            gather(all, rc_json_read_text(policy.body, "Name"),
                   rc_json_read_text(policy.body, "Rules"));
        }
    }
}

bool directory_is_identity(const char *name)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t size = strlen(name);

    return size > 0 && size <= 128 && strspn(name, inner) == size &&
           strchr("-_", name[0]) == NULL && strchr("-_", name[size - 1]) == NULL;
}

/* A policy made for one service or node: its label in explanations, then its rules. */
static void gather_made(struct gathering *all, const char *name, char *rules)
{
    if (rules == NULL || all->made_count == DIRECTORY_POLICIES_MAX) {
        all->err = rules == NULL ? RC_ENOMEM : RC_ETOOBIG;
        free(rules);
        return;
    }
    all->made[all->made_count++] = rules;
    gather(all, name, rules);
}

static void gather_services(struct gathering *all, const json_t *identities)
{
    for (size_t i = 0; i < json_array_size(identities); i++) {
        const json_t *identity = json_array_get(identities, i);
        const char *name = rc_json_read_text(identity, "ServiceName");
        if (directory_is_identity(name) &&
            is_here(all->directory, json_object_get(identity, "Datacenters"))) {
            gather_made(all, "service identity",
                        rc_text_format(BUILT_IN_SERVICE_RULES, name, name));
        }
    }
}

static void gather_nodes(struct gathering *all, const json_t *identities)
{
    for (size_t i = 0; i < json_array_size(identities); i++) {
        const json_t *identity = json_array_get(identities, i);
        const char *name = rc_json_read_text(identity, "NodeName");
        const char *datacenter = rc_json_read_text(identity, "Datacenter");
        if (directory_is_identity(name) &&
            rc_text_equals_nocase(datacenter, all->directory->options.datacenter)) {
            gather_made(all, "node identity", rc_text_format(BUILT_IN_NODE_RULES, name));
        }
    }
}

static void gather_links(struct gathering *all, const json_t *body)
{
    gather_policies(all, json_object_get(body, "Policies"));
    gather_services(all, json_object_get(body, "ServiceIdentities"));
    gather_nodes(all, json_object_get(body, "NodeIdentities"));
}

static struct gathering *gather_all(const struct directory *directory, const json_t *body)
{
    struct gathering *all = calloc(1, sizeof *all);

    if (all == NULL) {
        return NULL;
    }
    const json_t *roles = json_object_get(body, "Roles");
    all->directory = directory;
    gather_links(all, body);
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const char *id = json_string_value(json_array_get(roles, i));
        struct directory_item role;
        if (id != NULL && directory_find(directory, DIRECTORY_ROLE, id, &role)) {
            gather_links(all, role.body);
        }
    }
    return all;
}

static void free_gathering(struct gathering *all)
{
    for (size_t i = 0; i < all->made_count; i++) {
        free(all->made[i]);
    }
    free(all);
}

int directory_policies(const struct directory *directory, const char *accessor,
                       directory_visit *each, void *context)
{
    struct directory_item token;

    if (!directory_find(directory, DIRECTORY_TOKEN, accessor, &token)) {
        return RC_ENOTFOUND;
    }
    struct gathering *all = gather_all(directory, token.body);
    if (all == NULL) {
        return RC_ENOMEM;
    }
    int err = all->err;
    for (size_t i = 0; i < all->count && err == RC_OK; i++) {
        each(context, all->items[i].name, all->items[i].rules);
    }
    free_gathering(all);
    return err;
}

int directory_subject(struct directory *directory, const char *accessor,
                      struct subject **out)
{
    struct entry *entry = rc_table_get(directory->entries[DIRECTORY_TOKEN], accessor);

    if (entry == NULL) {
        return RC_ENOTFOUND;
    }
    if (entry->subject == NULL) {
        struct gathering *all = gather_all(directory, entry->body);
        int err = all != NULL ? all->err : RC_ENOMEM;
        if (err == RC_OK) {
            err = subject_create(accessor, all->items, all->count,
                                 directory->options.fallback, &entry->subject);
        }
        if (all != NULL) {
            free_gathering(all);
        }
        if (err != RC_OK) {
            return err;
        }
        entry->subject->serial = ++directory->last_serial;
        entry->subject->expires_ms =
            (uint64_t)json_integer_value(json_object_get(entry->body, "ExpirationTime"));
    }
    *out = entry->subject;
    return RC_OK;
}

#include "agent/http/postgres_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "base/text.h"

static const char *const record_names[POSTGRES_RECORD_COUNT] = {
    [POSTGRES_LEASE] = "lease",   [POSTGRES_STATE] = "state",
    [POSTGRES_SYNC] = "sync",     [POSTGRES_SETTINGS] = "settings",
    [POSTGRES_INTENT] = "intent", [POSTGRES_HISTORY] = "history",
};

bool postgres_records_is_name(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_.";
    size_t size = strlen(text);
    return size > 0 && size <= POSTGRES_NAME_MAX && strspn(text, allowed) == size;
}

void postgres_records_key(const char *cluster, enum postgres_record record,
                          char space[POSTGRES_KEY_SPACE])
{
    (void)snprintf(space, POSTGRES_KEY_SPACE, POSTGRES_PREFIX "%s/%s", cluster,
                   record_names[record]);
}

void postgres_records_order_key(const char *cluster, const char *node,
                                char space[POSTGRES_KEY_SPACE])
{
    (void)snprintf(space, POSTGRES_KEY_SPACE, POSTGRES_PREFIX "%s/order/%s", cluster,
                   node);
}

/* ---- Reading. */

/* An object, or for the history an array. */
static json_t *load(const struct store_pair *pair)
{
    json_t *record = json_loadb((const char *)pair->value.at, pair->value.size, 0, NULL);

    if (record != NULL && !json_is_object(record) && !json_is_array(record)) {
        json_decref(record);
        record = NULL;
    }
    return record;
}

/* Takes `record`, which belongs to the node that `name` names. */
static void keep_for_node(json_t *objects, const char *name, json_t *record)
{
    if (postgres_records_is_name(name) && json_is_object(record)) {
        (void)json_object_set(objects, name, record);
    }
    json_decref(record);
}

static void keep(struct postgres_records *out, const char *name,
                 const struct store_pair *pair)
{
    static const char member[] = "member/";
    static const char order[] = "order/";

    if (rc_text_starts_with(name, member)) {
        keep_for_node(out->members, name + strlen(member), load(pair));
        return;
    }
    if (rc_text_starts_with(name, order)) {
        keep_for_node(out->orders, name + strlen(order), load(pair));
        return;
    }
    for (size_t i = 0; i < POSTGRES_RECORD_COUNT; i++) {
        if (strcmp(name, record_names[i]) == 0) {
            out->records[i] = load(pair);
            out->indexes[i] = pair->modify_index;
        }
    }
    if (strcmp(name, record_names[POSTGRES_LEASE]) == 0) {
        out->term = pair->session != NULL ? pair->term : 0;
    }
}

bool postgres_records_read(const struct store *store, const char *cluster,
                           struct postgres_records *out)
{
    char prefix[POSTGRES_KEY_SPACE];
    char name[POSTGRES_KEY_SPACE];
    struct rc_pack_bytes after = {0};
    struct store_pair pair;
    bool found = false;

    *out = (struct postgres_records){.members = json_object(), .orders = json_object()};
    (void)snprintf(prefix, sizeof prefix, POSTGRES_PREFIX "%s/", cluster);
    size_t skip = strlen(prefix);
    while (store_next(store, STORE_KV, rc_pack_text(prefix), after, &pair)) {
        after = pair.key;
        if (pair.key.size - skip < sizeof name) {
            memcpy(name, pair.key.at + skip, pair.key.size - skip);
            name[pair.key.size - skip] = '\0';
            keep(out, name, &pair);
            found = true;
        }
    }
    if (!found) {
        postgres_records_fini(out);
    }
    return found;
}

void postgres_records_fini(struct postgres_records *records)
{
    for (size_t i = 0; i < POSTGRES_RECORD_COUNT; i++) {
        json_decref(records->records[i]);
    }
    json_decref(records->members);
    json_decref(records->orders);
    *records = (struct postgres_records){0};
}

/* One to eight hexadecimal digits; the rest of the text, or NULL. */
static const char *take_half(const char *text, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789ABCDEFabcdef");

    if (digits == 0 || digits > 2 * sizeof(uint32_t)) {
        return NULL;
    }
    *out = *out << 32 | strtoul(text, NULL, 16);
    return text + digits;
}

uint64_t postgres_records_lsn(const json_t *record, const char *key)
{
    uint64_t lsn = 0;

    const char *rest = take_half(rc_json_read_text(record, key), &lsn);
    rest = rest != NULL && *rest == '/' ? take_half(rest + 1, &lsn) : NULL;
    return rest != NULL && *rest == '\0' ? lsn : 0;
}

bool postgres_records_is_set(const json_t *record, const char *key)
{
    return json_is_true(json_object_get(record, key));
}

/* Of a lock: what is left of a lease that nobody holds says nothing. */
static const json_t *held_lease(const struct postgres_records *records)
{
    return records->term != 0 ? records->records[POSTGRES_LEASE] : NULL;
}

const char *postgres_records_primary(const struct postgres_records *records)
{
    const json_t *lease = held_lease(records);
    return postgres_records_is_set(lease, "writable") ? rc_json_read_text(lease, "node")
                                                      : "";
}

const char *postgres_records_mode(const struct postgres_records *records)
{
    const char *mode = rc_json_read_text(records->records[POSTGRES_SETTINGS], "mode");
    return mode[0] != '\0' ? mode
                           : rc_json_read_text(records->records[POSTGRES_SYNC], "mode");
}

bool postgres_records_is_sync(const struct postgres_records *records, const char *node)
{
    const json_t *members = json_object_get(records->records[POSTGRES_SYNC], "members");
    size_t i;
    const json_t *member;

    json_array_foreach(members, i, member)
    {
        if (rc_text_equals(json_string_value(member), node)) {
            return true;
        }
    }
    return false;
}

const char *postgres_records_service(const struct postgres_records *records)
{
    const char *node;
    json_t *member;

    json_object_foreach(records->members, node, member)
    {
        const char *service = rc_json_read_text(member, "service");
        if (service[0] != '\0') {
            return service;
        }
    }
    return "postgres";
}

/* ---- Showing. */

/* "lag_bytes" as "LagBytes"; what stands in the table otherwise. */
static const char *api_name(const char *key, char *space, size_t size)
{
    static const struct {
        const char *key;
        const char *name;
    } names[] = {
        {"at_ms", "At"},     {"id", "ID"},
        {"lsn", "LSN"},      {"replay_lsn", "ReplayLSN"},
        {"ro_ok", "ReadOk"}, {"sysid", "SysID"},
        {"tli", "Timeline"}, {"ttl_ms", "TTLms"},
    };
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t used = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].key, key) == 0) {
            return names[i].name;
        }
    }
    bool starts = true;
    for (; *key != '\0' && used + 1 < size; key++) {
        if (*key == '_') {
            starts = true;
            continue;
        }
        space[used] = *key;
        if (starts && *key >= 'a' && *key <= 'z') {
            space[used] = capitals[*key - 'a'];
        }
        used++;
        starts = false;
    }
    space[used] = '\0';
    return space;
}

static void put_value(struct rc_json *json, const char *key, const json_t *value)
{
    char space[64];
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    rc_json_key(json, api_name(key, space, sizeof space));
    rc_json_raw(json, text != NULL ? text : "null");
    free(text);
}

static void put_fields(struct rc_json *json, const json_t *record)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)record, key, value)
    {
        put_value(json, key, value);
    }
}

static void put_record(struct rc_json *json, const char *name, const json_t *record)
{
    rc_json_key(json, name);
    if (!json_is_object(record)) {
        rc_json_null(json);
        return;
    }
    rc_json_object(json);
    put_fields(json, record);
    rc_json_object_end(json);
}

static void put_primary(struct rc_json *json, const json_t *lease)
{
    rc_json_key(json, "Primary");
    if (lease == NULL) {
        rc_json_null(json);
        return;
    }
    rc_json_object(json);
    rc_json_put_string(json, "Node", rc_json_read_text(lease, "node"));
    rc_json_put_string(json, "Address", rc_json_read_text(lease, "address"));
    rc_json_put_u64(json, "Port", rc_json_read_number(lease, "port"));
    rc_json_put_bool(json, "Writable", postgres_records_is_set(lease, "writable"));
    rc_json_put_u64(json, "Since", rc_json_read_number(lease, "since_ms"));
    rc_json_object_end(json);
}

static void put_members(struct rc_json *json, const struct postgres_records *records)
{
    const char *node;
    json_t *member;

    rc_json_key(json, "Members");
    rc_json_array(json);
    json_object_foreach(records->members, node, member)
    {
        rc_json_object(json);
        rc_json_put_string(json, "Node", node);
        put_fields(json, member);
        rc_json_put_bool(json, "Sync", postgres_records_is_sync(records, node));
        put_record(json, "Order", json_object_get(records->orders, node));
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_history(struct rc_json *json, const json_t *history)
{
    size_t i;
    const json_t *entry;

    rc_json_key(json, "History");
    rc_json_array(json);
    json_array_foreach(history, i, entry)
    {
        rc_json_object(json);
        put_fields(json, entry);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

void postgres_records_render(struct rc_json *json, const char *cluster,
                             const struct postgres_records *records,
                             enum postgres_extent extent)
{
    const json_t *lease = held_lease(records);
    uint64_t term = records->term;

    if (term == 0) {
        term = rc_json_read_number(records->records[POSTGRES_STATE], "term");
    }
    rc_json_object(json);
    rc_json_put_string(json, "Cluster", cluster);
    rc_json_put_u64(json, "Term", term);
    put_primary(json, lease);
    rc_json_put_u64(json, "TTLms", rc_json_read_number(lease, "ttl_ms"));
    rc_json_put_string(json, "Mode", postgres_records_mode(records));
    rc_json_put_bool(
        json, "Paused",
        postgres_records_is_set(records->records[POSTGRES_SETTINGS], "paused"));
    if (extent == POSTGRES_WHOLE) {
        put_record(json, "Sync", records->records[POSTGRES_SYNC]);
        put_record(json, "State", records->records[POSTGRES_STATE]);
        put_record(json, "Settings", records->records[POSTGRES_SETTINGS]);
        put_members(json, records);
        put_record(json, "Intent", records->records[POSTGRES_INTENT]);
        put_history(json, records->records[POSTGRES_HISTORY]);
    }
    rc_json_object_end(json);
}

/* catalog.h - what runs where, and is it healthy: the whole cluster as this node knows it.
 *
 * Every node writes one record, its own: node facts, services, checks. The record is
 * ordered by (epoch, version), spread by rumours, repaired by comparing digests, and held
 * whole by every agent (gossip-design.md part B). Whether a node lives is not in the
 * record: gossip says so through catalog_member_event().
 *
 * A pure state machine: no socket, clock, file or log. Bytes and time go in; bytes,
 * actions and changes come out. The same seed and inputs give the same outputs.
 *
 * What a reader gets is borrowed until the next call that may change the catalog (any
 * function that does not take a const struct catalog). Reading never allocates. Strings
 * are never NULL; what is empty is "". */
#ifndef AGENT_CATALOG_CATALOG_H
#define AGENT_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/check_status.h"
#include "base/buffer.h"

struct catalog;

/* Sizes of what one record may hold, in bytes of text without the NUL. */
enum {
    CATALOG_NODE_NAME_MAX = 128,
    CATALOG_NAME_MAX = 255, /* service and check: id, name, tag, address, type */
    CATALOG_TAGS_MAX = 256,
    CATALOG_META_MAX = 64, /* pairs */
    CATALOG_META_KEY_MAX = 128,
    CATALOG_META_VALUE_MAX = 512,
    CATALOG_TAGGED_MAX = 16,
    CATALOG_NOTES_MAX = 1024,
    CATALOG_OUTPUT_MAX = 4096, /* longer output is cut, not refused */
    CATALOG_DEFINITION_MAX = 4096,
    CATALOG_RECORD_BYTES_MAX = 4 << 20, /* a whole record as it travels */
    CATALOG_SUMMARY_SIZE = 24,
    CATALOG_ERROR_MAX = 256,
};

/* ---- what readers see ---------------------------------------------------------------- */

/* Whether a node lives. The first three count as alive. A node that left is not listed. */
enum catalog_liveness {
    CATALOG_ALIVE,
    CATALOG_SUSPECT,
    CATALOG_LEAVING,
    CATALOG_FAILED,
    CATALOG_LEFT, /* only in catalog_member_event: left, or forgotten by gossip */
    CATALOG_LIVENESS_COUNT
};

struct catalog_pair {
    const char *key;
    const char *value;
};

struct catalog_tagged_address {
    const char *name; /* "lan", "wan", "lan_ipv4", ... */
    const char *address;
    uint16_t port; /* 0 for a node's */
};

struct catalog_check {
    const struct catalog_node *node; /* whose; not read from commands */
    const char *id;                  /* unique on its node */
    const char *name;
    const char *notes;
    const char *output;
    const char *service_id;   /* "" for a check of the node */
    const char *service_name; /* follows the service; not read from commands */
    const char *type;         /* "http", "ttl", "maintenance", ...; "" for serfHealth */
    const char *definition;   /* a JSON object's text, or "" */
    enum check_status status;
    uint64_t since_wall_ms; /* when the status began */
    uint64_t create_index;
    uint64_t modify_index;
    bool output_cut; /* a peer told us only the first bytes so far */
};

struct catalog_service {
    const struct catalog_node *node; /* whose; not read from commands */
    const char *id;                  /* unique on its node */
    const char *name;
    const char *address;     /* "": the node's */
    const char *const *tags; /* as read: without unique tags that another one holds */
    size_t tag_count;
    const struct catalog_pair *meta;
    size_t meta_count;
    const struct catalog_tagged_address *tagged_addresses;
    size_t tagged_address_count;
    uint64_t term; /* of the right to be unique (design.md, "a term decides"); 0: none */
    uint32_t weight_passing;
    uint32_t weight_warning;
    uint16_t port;
    bool enable_tag_override;

    /* Kept by the catalog; not read from commands. */
    bool maintenance;                          /* has a check of type "maintenance" */
    enum check_status status;                  /* the worst of its own checks */
    const struct catalog_check *const *checks; /* its own, by id */
    size_t check_count;
    uint64_t create_index;
    uint64_t modify_index; /* of the service itself, not of its checks */
};

struct catalog_node {
    const char *name;
    const char *id;      /* UUID text, or "" */
    const char *address; /* IP address text */
    const char *datacenter;
    const struct catalog_tagged_address *tagged_addresses;
    size_t tagged_address_count;
    const struct catalog_pair *meta;
    size_t meta_count;

    /* Kept by the catalog; not read from commands. */
    enum catalog_liveness liveness;
    uint64_t since_wall_ms;   /* when that liveness began, as seen from here */
    bool maintenance;         /* has a node check of type "maintenance" */
    enum check_status status; /* the worst of its node checks */
    const struct catalog_service *const *services; /* by id */
    size_t service_count;
    const struct catalog_check *const
        *checks; /* serfHealth, then the node's, then by service */
    size_t check_count;
    size_t node_check_count; /* how many of those are the node's own, serfHealth too */
    uint64_t create_index;
    uint64_t modify_index;
    uint64_t epoch;   /* of its record; 0: none received yet */
    uint64_t version; /* how far we know its record */
};

/* A service name and everything that runs under it. */
struct catalog_name {
    const char *name;        /* as the first instance spelt it */
    const char *const *tags; /* the union of its instances' tags, sorted */
    size_t tag_count;
    const struct catalog_service *const *instances; /* by node name, then service id */
    size_t instance_count;
    uint64_t index;        /* CATALOG_TOPIC_SERVICE of this name */
    uint64_t highest_term; /* ever seen on an instance that claims to be primary */
};

/* Nodes in order of their names. A node is listed while gossip knows it (not left). */
size_t catalog_node_count(const struct catalog *c);
const struct catalog_node *catalog_node_at(const struct catalog *c, size_t position);
const struct catalog_node *catalog_node_find(const struct catalog *c,
                                             const char *name);   /* any case; or NULL */
const struct catalog_node *catalog_self(const struct catalog *c); /* never NULL */

/* Service names in order; each has at least one instance. */
size_t catalog_name_count(const struct catalog *c);
const struct catalog_name *catalog_name_at(const struct catalog *c, size_t position);
const struct catalog_name *catalog_name_find(const struct catalog *c, const char *name);
/* The same for `size` bytes that need not end in NUL, as they come in a DNS question. */
const struct catalog_name *catalog_name_find_bytes(const struct catalog *c,
                                                   const void *name, size_t size);
const struct catalog_node *catalog_node_find_bytes(const struct catalog *c,
                                                   const void *name, size_t size);

const struct catalog_service *catalog_service_find(const struct catalog_node *node,
                                                   const char *id);
const struct catalog_check *catalog_check_find(const struct catalog_node *node,
                                               const char *id);

/* The status of an instance with its node's checks taken in: the worst of both. */
enum check_status catalog_service_health(const struct catalog_service *service);

/* May traffic be sent there: its node lives, and neither it nor its node has a critical
 * check (maintenance is one). Warning is usable. */
bool catalog_service_is_usable(const struct catalog_service *service);

/* Does the instance count under `tag` (letter case ignored)? */
bool catalog_service_has_tag(const struct catalog *c,
                             const struct catalog_service *service, const char *tag);

/* Does its owner say that it has `tag` (letter case ignored), whether it counts or not? And with
 * which term it claims what only one may have; 0: none. */
bool catalog_service_says(const struct catalog_service *service, const char *tag);
uint64_t catalog_service_term(const struct catalog_service *service);

const char *catalog_liveness_name(enum catalog_liveness liveness); /* "alive", ... */

/* ---- indexes and changes: for blocking queries --------------------------------------- */

/* What can be waited for (consul-api.md section 2). */
enum catalog_topic {
    CATALOG_TOPIC_NODES,    /* the list of nodes and their own facts; name "" */
    CATALOG_TOPIC_SERVICES, /* names, tags, instances; not their health; name "" */
    CATALOG_TOPIC_CHECKS,   /* checks of one state: name "passing", ..., or "any" */
    CATALOG_TOPIC_SERVICE,  /* instances of a name, their checks, their nodes' */
    CATALOG_TOPIC_NODE,     /* a node, its services, its checks */
    CATALOG_TOPIC_ALL,      /* only in changes: too many to tell apart, look at all */
    CATALOG_TOPIC_COUNT
};

/* The index of a topic; never 0, never falls while the process lives. An unknown service
 * has the index of the last name that vanished, an unknown node that of the node list, an
 * unknown state word that of "any". CATALOG_TOPIC_ALL: the newest index of all. */
uint64_t catalog_index(const struct catalog *c, enum catalog_topic topic,
                       const char *name);

struct catalog_change {
    enum catalog_topic topic;
    const char *name; /* "" where the topic has none */
    uint64_t index;
};

/* Takes all changes since the last call: points `*out` to them and returns how many. They
 * stay valid until the next call that may change the catalog. A name that vanished and one
 * that appeared are told like any other. */
size_t catalog_take_changes(struct catalog *c, const struct catalog_change **out);

/* The same without taking them: they come again, in this order and before later ones, unless
 * they are folded into CATALOG_TOPIC_ALL by then. */
size_t catalog_see_changes(const struct catalog *c, const struct catalog_change **out);

/* ---- what happens, one by one ---------------------------------------------------------- */

/* For whoever keeps a history. A node that was there when the history begins is silent until
 * its first record has come: what it then says has not happened just now. Nor is told what a
 * check had before its first run, nor, of a node that goes, every service that goes with it. */
enum catalog_happening_kind {
    CATALOG_CHECK_FLIPPED, /* `check` went from `from` to its status */
    CATALOG_SERVICE_CAME,
    CATALOG_SERVICE_WENT,
    CATALOG_MAINTENANCE_BEGAN, /* of `service`, or of the node; `check` says why */
    CATALOG_MAINTENANCE_ENDED,
    CATALOG_PRIMARY_CHANGED, /* `service` alone may show CATALOG_UNIQUE_TAG, under `term` */
    CATALOG_HAPPENING_COUNT
};

struct catalog_happening {
    enum catalog_happening_kind kind;
    const struct catalog_node *node;
    const struct catalog_service *service; /* NULL: of the node */
    const struct catalog_check *check;     /* or NULL */
    enum check_status from;
    bool is_first;     /* a service of the node's first record */
    uint64_t term;     /* CATALOG_PRIMARY_CHANGED; 0: none */
    const char *group; /* the cluster it is primary of, or "" */
    const char *was;   /* the node that was primary before, or "" */
};

/* From now on `told` is called with each, from inside the call that changes the catalog: it
 * must not call the catalog, and all is borrowed. Nodes that are listed until
 * catalog_settle() count as there already. */
typedef void catalog_told(void *context, const struct catalog_happening *happening);
void catalog_tell_happenings(struct catalog *c, catalog_told *told, void *context);
void catalog_settle(struct catalog *c);

/* How often the status of a check changed in the last hour, as seen from here; exact to ten
 * minutes. */
unsigned catalog_check_flips(const struct catalog_check *check, uint64_t now_ms);

/* ---- unique tags ---------------------------------------------------------------------- */

/* A tag that says who may be written must never be shown twice. Among the instances of one name
 * whose metadata has the same `pg_cluster`, "primary" is shown of one only: of the one that
 * claims it with the highest `pg_term` ever seen there. If that one has gone, or two claim with
 * the same term, nobody shows it. Instances with a `term` of their own and no `pg_cluster` are a
 * cluster too; those with neither show what they say. What is hidden still travels. */
#define CATALOG_UNIQUE_TAG "primary"

/* The same for tags of a service whose right lies elsewhere: only the instance that `holder`
 * names shows them, by its id, the id's part behind the last '/', or its node's name. "" or a
 * name that fits none or two: nobody does. */
struct catalog_unique {
    const char *service;
    const char *const *tags;
    size_t tag_count;
    const char *holder;
};

/* Replaces the rule of that service (or adds it); copied. RC_OK or RC_ENOMEM (nothing
 * changed). */
int catalog_set_unique(struct catalog *c, uint64_t now_ms,
                       const struct catalog_unique *rule);

/* ---- life ---------------------------------------------------------------------------- */

struct catalog_options {
    const char *node_name; /* ours; copied; 1..CATALOG_NODE_NAME_MAX bytes */
    const char
        *datacenter;       /* ours, and of nodes that did not tell; copied; NULL: "dc1" */
    uint64_t seed;         /* for hashing, jitter and choice of peers */
    uint64_t now_ms;       /* monotonic, as in all later calls */
    uint64_t wall_ms;      /* first index: its seconds; first epoch: its milliseconds */
    uint32_t services_max; /* a node; 0: 16384 */
    uint32_t checks_max;   /* a node; 0: 32768 */
    uint32_t nodes_max;    /* in all; 0: 16384 */
    uint32_t sync_every_ms; /* when summaries differ; 0: by size, 1 s to 10 s */
};

/* A catalog that knows one node, ourselves, alive, without services. The caller owns
 * `*out`. RC_OK, RC_EINVAL (name empty or too long) or RC_ENOMEM. */
int catalog_create(const struct catalog_options *options, struct catalog **out);
void catalog_destroy(struct catalog *c); /* NULL is allowed */

/* When catalog_tick() is next due, in ms of the caller's clock; UINT64_MAX: nothing waits. */
uint64_t catalog_deadline_ms(const struct catalog *c);
void catalog_tick(struct catalog *c, uint64_t now_ms);

/* ---- our own record ------------------------------------------------------------------ */

/* All are idempotent: writing what already stands raises no index and spreads nothing.
 * Inputs are copied. `error` gets a sentence when the result is not RC_OK; NULL if not
 * wanted. RC_EINVAL: an id or name is empty; RC_ETOOBIG: a text or a count is over its
 * maximum, or the record over CATALOG_RECORD_BYTES_MAX; RC_ENOMEM. On error nothing
 * changed. */

/* Everything between is one step: one index, one version, one rumour. May be nested. What
 * is derived (health of a service, unions of tags, lists of checks) is brought up to date
 * at the end; until then read by catalog_service_find() and catalog_check_find() only. */
void catalog_begin(struct catalog *c);
void catalog_end(struct catalog *c, uint64_t now_ms);

/* Facts of our node; `name` is ignored: it stays. */
int catalog_set_node(struct catalog *c, uint64_t now_ms, const struct catalog_node *node,
                     char error[CATALOG_ERROR_MAX]);

/* Adds or replaces by id. Checks of the service stay. */
int catalog_put_service(struct catalog *c, uint64_t now_ms,
                        const struct catalog_service *service,
                        char error[CATALOG_ERROR_MAX]);

/* Removes the service and its checks. RC_OK or RC_ENOTFOUND. */
int catalog_remove_service(struct catalog *c, uint64_t now_ms, const char *id);

/* Adds or replaces by id, with status, output and since. A check of a service that is not
 * there is refused with RC_ENOTFOUND. */
int catalog_put_check(struct catalog *c, uint64_t now_ms,
                      const struct catalog_check *check, char error[CATALOG_ERROR_MAX]);
int catalog_remove_check(struct catalog *c, uint64_t now_ms, const char *id);

/* A result of a check. A new status is told at once; an output that alone has changed is
 * told later, at most once in 5 s and check (longer in large pools), so text that differs
 * at every run does not drown the pool. RC_OK, RC_ENOTFOUND or RC_ENOMEM. */
struct catalog_result {
    const char *check_id;
    enum check_status status;
    const char *output; /* cut to CATALOG_OUTPUT_MAX */
    uint64_t wall_ms;   /* since when, if the status is new */
};
int catalog_update_check(struct catalog *c, uint64_t now_ms,
                         const struct catalog_result *result);

/* The epoch in a few bytes, to be kept in a file over restarts, written again whenever
 * catalog_epoch() differs. Import before the first command; the epoch then is at least
 * one above the imported. RC_OK, RC_EMALFORMED (ignored: the wall clock decides). */
uint64_t catalog_epoch(const struct catalog *c);
void catalog_export(const struct catalog *c, struct rc_buffer *out);
int catalog_import(struct catalog *c, const void *bytes, size_t size);

/* Our own record whole, as it travels, and back into an empty catalog of the same name:
 * for tools and tests; the registrations are kept by agent/local. */
void catalog_export_record(struct catalog *c, struct rc_buffer *out);
int catalog_import_record(struct catalog *c, uint64_t now_ms, const void *bytes,
                          size_t size);

/* ---- joined to gossip: the mirror of its lane ----------------------------------------- */

struct catalog_member {
    const char *name;
    const char *address; /* IP address text; "" unknown */
    enum catalog_liveness liveness;
    const char *datacenter; /* of its tag "dc"; NULL unknown */
    bool
        peer; /* carries the tag "rc": speaks catalog. Others are nodes without services */
};

/* A member joined, changed or changed its state. CATALOG_LEFT drops its record and keeps a
 * tombstone. Events about ourselves are ignored. */
void catalog_member_event(struct catalog *c, uint64_t now_ms, uint64_t wall_ms,
                          const struct catalog_member *member);

/* The next rumour of at most `size` bytes into `space`; returns its size, 0: no more for
 * this packet. */
size_t catalog_fill(struct catalog *c, uint64_t now_ms, void *space, size_t size);

/* A rumour. `from` is the sender's name or NULL. RC_OK, or why it was ignored (counted). */
int catalog_receive(struct catalog *c, uint64_t now_ms, const char *from,
                    const void *bytes, size_t size);

/* What we know in 24 bytes, and what a peer says it knows. */
void catalog_summary(const struct catalog *c, uint8_t out[CATALOG_SUMMARY_SIZE]);
void catalog_peer_summary(struct catalog *c, uint64_t now_ms, const char *member,
                          const uint8_t in[CATALOG_SUMMARY_SIZE]);

/* What the catalog wants done; taken one by one after each call that is not const. */
enum catalog_action_type {
    CATALOG_KICK,         /* new rumours wait: send them now */
    CATALOG_STREAM_OPEN,  /* to `member`; answer with _opened, or _closed with stream 0 */
    CATALOG_STREAM_SEND,  /* `bytes` as one message on `stream` */
    CATALOG_STREAM_CLOSE, /* `stream`, after what was sent has gone out */
    CATALOG_ACTION_COUNT
};
struct catalog_action {
    enum catalog_action_type type;
    const char *member; /* borrowed until the next call, as are `bytes` */
    uint64_t stream;
    const uint8_t *bytes;
    size_t size;
};
bool catalog_next_action(struct catalog *c, struct catalog_action *out);

/* Streams. Ids are the caller's, never 0. A first message on an unknown id is a stream
 * that the peer opened. Messages are at most 16 MiB. */
void catalog_stream_opened(struct catalog *c, uint64_t now_ms, const char *member,
                           uint64_t stream);
int catalog_stream_message(struct catalog *c, uint64_t now_ms, uint64_t stream,
                           const void *bytes, size_t size);
void catalog_stream_closed(struct catalog *c, uint64_t now_ms, uint64_t stream);

/* ---- counters ------------------------------------------------------------------------ */

/* Since the start, for metrics; all only grow. */
struct catalog_counters {
    uint64_t commands;          /* writes to our own record that changed it */
    uint64_t outputs_held_back; /* output-only results that waited or were replaced */
    uint64_t quota_refused;     /* commands over a maximum */
    uint64_t rumours_sent;
    uint64_t rumours_received;
    uint64_t rumours_stale;      /* told nothing new */
    uint64_t rumours_gap;        /* started after what we know */
    uint64_t rumours_dropped;    /* too many at a time: left to syncs */
    uint64_t messages_malformed; /* rumours and stream messages */
    uint64_t messages_version;   /* of a format we do not know */
    uint64_t records_over_quota; /* parts of other records ignored for their size */
    uint64_t records_own_echo;   /* our own record seen with a foreign epoch */
    uint64_t records_buried;     /* refused because their owner left */
    uint64_t records_damaged;    /* in our memory; asked for again */
    uint64_t syncs_started;
    uint64_t syncs_served;
    uint64_t syncs_failed;
    uint64_t syncs_refused; /* too many at a time, ours or theirs */
    uint64_t sync_bytes_sent;
    uint64_t sync_bytes_received;
    uint64_t changes_lost; /* changes folded into CATALOG_TOPIC_ALL */
};
const struct catalog_counters *catalog_counters(const struct catalog *c);

#endif

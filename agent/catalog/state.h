/* state.h - what the catalog is made of, for the files of this folder only.
 *
 * A node_entry is one owner's record with what gossip says about the node. It is listed
 * (shown to readers) once gossip knows the node; a record may arrive before that. A
 * name_entry is one service name over all listed nodes. A step is everything that one
 * call (or one begin/end) changes: it gets one index, told at step_commit(). */
#ifndef AGENT_CATALOG_STATE_H
#define AGENT_CATALOG_STATE_H

#include "agent/catalog/digest.h"
#include "agent/catalog/item.h"
#include "base/random.h"
#include "base/table.h"

enum {
    STATE_TOMBSTONES_MAX = 128, /* deletions kept for each record */
    STATE_CHANGES_MAX = 1024,   /* waiting to be taken */
    STATE_BURIED_MAX = 4096,    /* records of nodes that left */
    STATE_RUMOURS_MAX = 128,    /* owners told of at a time; the rest is left to syncs */
    STATE_STREAMS_OURS = 4,     /* syncs that we start, at a time, */
    STATE_STREAMS_THEIRS = 20,  /* ... and that others start with us */
    STATE_STREAMS_MAX = STATE_STREAMS_OURS + STATE_STREAMS_THEIRS,
    STATE_BUCKETS = 256
};

/* What an operation does; the numbers are on the wire. */
enum op_kind {
    OP_NODE,
    OP_NO_CHECK,
    OP_NO_SERVICE,
    OP_SERVICE,
    OP_CHECK,
    OP_RESULT, /* of a check that is known: status and output only */
    OP_KIND_COUNT
};

struct tombstone {
    enum op_kind kind; /* OP_NO_SERVICE or OP_NO_CHECK */
    char *id;          /* owned */
    uint64_t version;
};

/* What of a record is still to be told to others. */
struct rumour {
    bool queued;
    bool urgent;     /* more than the text of outputs: worth packets of its own */
    uint32_t sent;   /* whole rounds */
    uint32_t packet; /* the last one that carried it */
    uint64_t base;   /* peers are told what changed after this version */
    uint64_t cursor; /* how far this round has come, if one packet did not do */
    uint8_t *bytes;  /* owned; all of it as it goes into a packet, or NULL, */
    size_t size;
    uint64_t version; /* ... as of this version */
};

struct node_entry {
    struct catalog_node view;  /* first: a view is turned back into its entry */
    char *name;                /* owned */
    struct digest_key key;     /* of the name */
    struct item_facts *facts;  /* of its record; NULL until told */
    struct item_facts *member; /* of gossip; NULL until told */
    struct item_check *health; /* serfHealth */

    const struct catalog_service **services; /* by id */
    size_t services_capacity;
    const struct catalog_check **checks;       /* in the order readers see, with health */
    const struct catalog_check **checks_by_id; /* without health */
    size_t checks_count;                       /* in checks_by_id */
    size_t checks_capacity;                    /* of both */

    bool listed;
    bool fresh;  /* its first record has not come, */
    bool silent; /* ... or nothing of it is news: it was here before us, or it goes */
    bool peer;   /* speaks catalog */
    uint64_t want_epoch; /* a rumour told of this place in time: to be passed on */
    uint64_t want_version;
    uint64_t index;
    uint64_t floor;      /* deletions up to this version are forgotten */
    uint64_t weight;     /* bytes of its items, about */
    uint64_t cut_below;  /* 0, or 1 + a version after which cut outputs may stand */
    uint64_t mark;       /* of the last digest that named it, */
    uint64_t sync_since; /* ... and the version from which its sender lacks changes */
    uint64_t print;      /* its share of the summary's hash */
    uint64_t unlisted_ms;
    struct tombstone *tombstones; /* by version */
    size_t tombstone_count;
    size_t tombstones_capacity;
    struct rumour rumour;

    bool touched;
    struct node_entry *next_touched;
    bool removed; /* freed when the step is over */
};

struct name_entry {
    struct catalog_name view; /* first, as above */
    char *name;
    const struct catalog_service **instances;
    size_t instances_capacity;
    const char **tags;
    size_t tags_capacity;
    bool tags_moved;
    struct unique_term *terms; /* the highest seen of each cluster; owned */
    size_t term_count;
    bool touched;
    struct name_entry *next_touched;
};

/* A record whose owner left: nothing up to (epoch, version) may come back. */
struct buried {
    struct digest_key key; /* of its name */
    uint64_t epoch;
    uint64_t version;
    uint64_t until_ms;
};

/* Why a sync is to be started; a larger number is more urgent. */
enum sync_reason { SYNC_NONE, SYNC_SUMMARY, SYNC_FAR, SYNC_GAP };

/* What a stream of ours is for. */
enum stream_aim {
    STREAM_COMPARE, /* all that both know */
    STREAM_GAPS,    /* what rumours told of and we lack */
    STREAM_OUTPUTS  /* outputs of `member` that were cut */
};

struct stream {
    bool used;
    bool mine; /* we opened it, or are about to */
    bool more; /* this round left something for the next */
    enum stream_aim aim;
    unsigned rounds;
    uint64_t id; /* 0: not open yet */
    uint64_t idle_until_ms;
    char member[CATALOG_NODE_NAME_MAX + 1]; /* "" for the peer's streams */
};

struct waiting_action {
    struct catalog_action action;
    uint8_t *bytes; /* owned */
    char *member;   /* owned */
};

/* An output of our own check that waits to be told. */
struct held_output {
    char *check_id;
    char *text;
    uint64_t due_ms;
};

struct catalog {
    struct catalog_options options;
    struct catalog_counters counters;
    struct rc_random random;
    char *datacenter;
    uint64_t now_ms; /* of the call under way */
    catalog_told *told;
    void *told_context;
    bool settled; /* nodes that come now are news */

    struct rc_table *by_name;          /* folded node name -> node_entry, listed or not */
    struct rc_table *by_key;           /* digest key of the exact name -> the same */
    const struct catalog_node **nodes; /* listed, by name */
    size_t node_count;
    size_t nodes_capacity;
    struct rc_table *names_by_key; /* folded service name -> name_entry */
    const struct catalog_name **names;
    size_t name_count;
    size_t names_capacity;
    struct node_entry *self;
    struct unique_rule *unique_rules; /* owned */
    size_t unique_rule_count;

    /* The step under way and what it has touched. */
    unsigned depth;
    bool step_open;
    bool step_nodes;
    bool step_services;
    bool step_checks[CHECK_STATUS_COUNT];
    bool step_own;     /* our record got its new version, */
    bool step_loud;    /* ... by more than the text of outputs */
    bool tell_pending; /* our own record waits for its turn to be told */
    bool changes_lost;
    bool kick_waiting;
    struct node_entry *touched_nodes;
    struct name_entry *touched_names;
    struct item_service *dead_services;
    struct item_check *dead_checks;
    struct item_facts *dead_facts;

    uint64_t index;
    uint64_t index_nodes;
    uint64_t index_services;
    uint64_t index_vanished;
    uint64_t index_checks[CHECK_STATUS_COUNT];
    uint64_t index_any_check;

    struct catalog_change *changes; /* to be taken; names are owned */
    size_t change_count;
    struct catalog_change *taken; /* handed out; freed at the next take */
    size_t taken_count;

    /* Replication. */
    uint64_t sum_versions;
    uint64_t sum_owners;
    uint64_t sum_prints;
    uint64_t seen_mark;
    size_t peer_count;       /* listed nodes that speak catalog, ourselves included */
    struct rc_table *buried; /* digest key -> struct buried, oldest first */
    uint64_t clean_due_ms;   /* old graves and records of nobody */
    size_t scrub_at;         /* how far the look for bad memory has come */
    struct node_entry *rumours[STATE_RUMOURS_MAX]; /* least told first, then newest */
    size_t rumour_count;
    size_t rumour_at;     /* how far the packet under way has come */
    size_t packet_left;   /* how much room it still has, */
    uint32_t packet_mark; /* ... and its number */
    uint64_t again_ms;    /* what is urgent is told once more; 0: nothing is */
    uint64_t told_ms;     /* when our own record was last put into the queue */
    uint64_t tell_base;
    bool tell_urgent;
    uint64_t overlap_base; /* our rumours tell from here on, */
    uint64_t overlap_ms;   /* ... since then */
    size_t cut_count;      /* records with outputs that were cut */
    struct held_output *held;
    size_t held_count;
    size_t held_capacity;
    struct rc_buffer out;    /* what is being written, */
    struct rc_buffer packed; /* ... and digests for it */
    struct rc_buffer texts;  /* what is being read, with NULs */
    struct op_ref *refs;     /* what of a record is newer than a base */
    size_t refs_capacity;

    struct stream streams[STATE_STREAMS_MAX];
    enum sync_reason sync_reason;
    uint64_t sync_due_ms;
    uint64_t sync_last_ms; /* 0: never */
    char sync_member[CATALOG_NODE_NAME_MAX + 1];
    uint8_t sync_summary[CATALOG_SUMMARY_SIZE]; /* SYNC_SUMMARY: what the peer told */
    uint64_t outputs_due_ms;                    /* fetch cut outputs; 0: none */

    struct waiting_action *actions;
    size_t action_count;
    size_t actions_capacity;
    struct waiting_action taken_action;
};

/* ---- listing.c: nodes, and the names over all of them */

/* Lower-case ASCII copy with NUL. Returns its size; 0 if it is empty or too long. */
size_t listing_fold(const void *name, size_t size, char space[CATALOG_NAME_MAX + 1]);

/* Finds or makes the entry of a node, unlisted at first. NULL: no memory, too many nodes,
 * or another spelling of the name is taken. */
struct node_entry *listing_entry(struct catalog *c, const char *name);
struct node_entry *listing_find(const struct catalog *c, const char *name);

/* Where a service name stands, or should stand, among the names. */
size_t listing_place_of_name(const struct catalog *c, const char *name);

int listing_show(struct catalog *c, struct node_entry *entry); /* RC_OK or RC_ENOMEM */
/* Takes everything of a node away, the entry itself too when the step ends. */
void listing_remove(struct catalog *c, struct node_entry *entry);
/* Fills the view's facts from record and gossip; touches what that changes. */
void listing_set_facts(struct catalog *c, struct node_entry *entry);

/* Lists a service of a listed node under its name, and the reverse. RC_OK or RC_ENOMEM. */
int listing_link_service(struct catalog *c, struct item_service *item);
void listing_unlink_service(struct catalog *c, struct item_service *item);

/* Makes room for one more pointer: returns the array, moved if need be, or NULL. */
void *listing_with_room(void *items, size_t count, size_t *capacity);

/* ---- listing_items.c: what one node runs */

/* Puts the item in place of what has its id (taken; also on error). RC_OK or RC_ENOMEM. */
int listing_put_service(struct catalog *c, struct node_entry *entry,
                        struct item_service *item);
int listing_put_check(struct catalog *c, struct node_entry *entry,
                      struct item_check *item);
void listing_drop_service(struct catalog *c, struct item_service *item);
void listing_drop_check(struct catalog *c, struct node_entry *entry,
                        struct item_check *item);

/* Status, since and output of a check from `result`, whose other fields are not read. */
int listing_set_result(struct catalog *c, struct item_check *item,
                       const struct catalog_check *result);
void listing_set_liveness(struct catalog *c, struct node_entry *entry,
                          enum catalog_liveness liveness, uint64_t wall_ms);

/* ---- step.c: one index for all that a call changes */

uint64_t step_index(struct catalog *c); /* opens the step if none is open */
void step_touch_node(struct catalog *c, struct node_entry *entry);
void step_touch_name(struct catalog *c, struct name_entry *name);
void step_touch_names_of(struct catalog *c, const struct node_entry *entry);
/* A check came, went or changed from `before` to its status of now. */
void step_touch_check(struct catalog *c, const struct node_entry *entry,
                      const struct catalog_check *check, enum check_status before);
void step_bury_service(struct catalog *c, struct item_service *item);
void step_bury_check(struct catalog *c, struct item_check *item);
void step_bury_facts(struct catalog *c, struct item_facts *item);
void step_begin(struct catalog *c);
void step_end(struct catalog *c); /* commits when the outermost step ends */

/* ---- happening.c: what is told one by one */

void happening_check(struct catalog *c, struct item_check *item, enum check_status from);
/* A check came or went: a switch of maintenance, if it is one. */
void happening_switch(struct catalog *c, const struct node_entry *entry,
                      const struct catalog_check *check,
                      enum catalog_happening_kind kind);
void happening_service(struct catalog *c, const struct node_entry *entry,
                       const struct catalog_service *service,
                       enum catalog_happening_kind kind);
void happening_primary(struct catalog *c, const struct catalog_service *service,
                       uint64_t term, const char *group, const char *was);

/* ---- unique.c: tags that only one instance may show */

/* Decides for every instance of a name which of its tags are shown. */
void unique_settle(struct catalog *c, struct name_entry *name);
void unique_forget(struct name_entry *name); /* what the name remembers of terms */
void unique_free_rules(struct catalog *c);

static inline struct node_entry *entry_of_node(const struct catalog_node *view)
{
    return (struct node_entry *)view;
}

static inline struct name_entry *entry_of_name(const struct catalog_name *view)
{
    return (struct name_entry *)view;
}

#endif

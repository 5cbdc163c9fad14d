/* record.h - one owner's record: what changed since a version, as bytes and back.
 *
 * A delta is [owner, epoch, base, flags, operations, version, signature]: a peer that
 * knows the record up to base or further, applies what is newer and then stands at
 * version. Operations come in order of version and are cut only between versions, so
 * what arrives is a prefix. A whole record (flag RECORD_WHOLE) replaces what is known.
 * The signature is nil until records are signed (security.md G4). For this folder only. */
#ifndef AGENT_CATALOG_RECORD_H
#define AGENT_CATALOG_RECORD_H

#include "agent/catalog/state.h"
#include "base/pack.h"

enum {
    RECORD_FORMAT = 1,        /* first byte of every rumour and stream message */
    RECORD_WHOLE = 1,         /* flag */
    RECORD_RUMOUR_MAX = 4096, /* a larger limit is a sync's */
    RECORD_RUMOUR_TEXT = 256, /* output in a rumour is cut to that when space is short */
    RECORD_TRAILER = 16       /* version and signature behind the operations */
};

struct op_ref {
    uint64_t version;
    enum op_kind kind;
    const void *item;
};

/* One operation as read; strings lie in the catalog's `texts` until the next one. */
struct op {
    enum op_kind kind;
    uint64_t version;
    uint64_t state_version; /* OP_CHECK and OP_RESULT */
    const char *id;         /* of what is removed or has a result */
    struct catalog_node node;
    struct catalog_service service;
    struct catalog_check check;
    const char *tags[CATALOG_TAGS_MAX];
    struct catalog_pair meta[CATALOG_META_MAX];
    struct catalog_tagged_address tagged[CATALOG_TAGGED_MAX];
};

struct delta {
    char owner[CATALOG_NODE_NAME_MAX + 1];
    uint64_t epoch;
    uint64_t base;
    uint64_t version;
    bool whole;
    struct rc_cursor ops; /* at the first operation */
    size_t op_count;
};

/* What a delta did to the record. */
struct applied {
    bool news;     /* the record moved on */
    bool urgent;   /* more than the text of outputs changed */
    bool gap;      /* it starts after what we know, or is a hint */
    uint64_t from; /* what was known before */
};

/* Appends what changed after `base` to c->out, at most up to `limit` bytes of it in all
 * (0: no limit); `*reached` is the version a reader then has. Without room for the first
 * step RC_ETOOBIG and nothing is appended. */
int record_write(struct catalog *c, const struct node_entry *entry, uint64_t base,
                 size_t limit, uint64_t *reached);

/* Appends a delta without operations: "there is something newer, ask". */
void record_write_hint(struct catalog *c, const struct node_entry *entry);

/* One operation for c->out, its version told as distance from `base`. */
void record_write_op(struct rc_buffer *out, const struct op_ref *ref, uint64_t base,
                     size_t output_max);

/* Reads the next item of an array as a delta, checking its whole shape. RC_OK,
 * RC_ETRUNCATED, RC_EMALFORMED or RC_ETOOBIG. */
int record_read(struct rc_cursor *in, struct rc_pack_items *from, struct delta *out);

/* Reads one operation; texts must have room for the rest of the message. */
int record_read_op(struct rc_cursor *in, uint64_t base, struct rc_buffer *texts,
                   struct op *out);

/* Applies a delta of another owner, or of our own (see catalog.h). Opens no step. RC_OK,
 * RC_EMALFORMED, RC_ENOMEM, RC_ETOOBIG (no room for one more node), RC_EDENIED (its owner
 * left). */
int record_apply(struct catalog *c, uint64_t now_ms, const struct delta *delta,
                 struct applied *out);

/* Deletions. */
void record_bury_item(struct node_entry *entry, enum op_kind kind, const char *id,
                      uint64_t version);
void record_unbury_item(struct node_entry *entry, enum op_kind kind, const char *id);

/* The only place where a record's place in time changes; keeps the summary. */
void record_stand_at(struct catalog *c, struct node_entry *entry, uint64_t epoch,
                     uint64_t version);
/* Takes the record out of the summary: it is about to be removed. */
void record_forget(struct catalog *c, struct node_entry *entry);

/* The share of one record in the summary's and the buckets' hashes, and its bucket. */
uint64_t record_print(const char *owner, uint64_t epoch, uint64_t version);
unsigned record_bucket(const char *owner);

#endif

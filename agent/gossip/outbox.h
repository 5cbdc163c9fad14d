/* outbox.h - the actions that wait for the owner, and the bytes they carry. */
#ifndef AGENT_GOSSIP_OUTBOX_H
#define AGENT_GOSSIP_OUTBOX_H

#include "agent/gossip/gossip.h"
#include "base/pack.h"

enum {
    OUTBOX_ACTIONS_MAX = 65536,
    OUTBOX_BYTES_MAX = 64 * 1024 * 1024 /* of all waiting actions together */
};

struct outbox {
    struct outbox_item *items;
    size_t count;
    size_t capacity;
    size_t taken;           /* items the owner has had */
    struct rc_buffer bytes; /* of packets, stream data and names */
};

struct outbox_item {
    struct gossip_action action; /* its pointers are filled in when it is taken */
    size_t bytes_at;
    size_t name_at;
    size_t asker_at;
};

void outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);

/* Appends an action; its `bytes`, `name` and `asker` are copied. RC_OK, RC_ETOOBIG (the
 * owner does not drain) or RC_ENOMEM. */
int outbox_add(struct outbox *outbox, const struct gossip_action *action);

/* For bytes that are written in place: append them to `outbox->bytes` after this, then call
 * outbox_add_written(), which takes all that was appended, or drops it on an error. */
size_t outbox_mark(const struct outbox *outbox);
int outbox_add_written(struct outbox *outbox, const struct gossip_action *action,
                       size_t mark);

/* The next action; false when all were taken, which also gives the memory back. */
bool outbox_take(struct outbox *outbox, struct gossip_action *out);

#endif

#include "agent/engine/follow_log.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

enum kind { BEGIN, PUT, REMOVED, END };

/* Before each entry's key and value. Never leaves the process. */
struct head {
    enum kind kind;
    size_t key_size;
    size_t value_size;
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t lease;
};

static void append(struct rc_buffer *log, const struct head *head, const void *key,
                   const void *value)
{
    size_t size = sizeof *head + head->key_size + head->value_size;

    if (rc_buffer_reserve(log, size) != RC_OK) {
        return;
    }
    rc_buffer_append(log, head, sizeof *head);
    if (head->key_size > 0) {
        rc_buffer_append(log, key, head->key_size);
    }
    if (head->value_size > 0) {
        rc_buffer_append(log, value, head->value_size);
    }
}

void follow_log_begin(struct rc_buffer *log)
{
    append(log, &(struct head){.kind = BEGIN}, NULL, NULL);
}

void follow_log_put(struct rc_buffer *log, const struct engine_item *item)
{
    struct head head = {PUT,
                        item->key.size,
                        item->value.size,
                        item->create_revision,
                        item->mod_revision,
                        item->lease};

    append(log, &head, item->key.at, item->value.at);
}

void follow_log_removed(struct rc_buffer *log, struct rc_pack_bytes key,
                        uint64_t revision)
{
    struct head head = {.kind = REMOVED, .key_size = key.size, .mod_revision = revision};

    append(log, &head, key.at, NULL);
}

void follow_log_end(struct rc_buffer *log, uint64_t revision)
{
    append(log, &(struct head){.kind = END, .mod_revision = revision}, NULL, NULL);
}

static void tell(const struct head *head, const uint8_t *bytes,
                 const struct engine_follower *follower)
{
    struct engine_item item = {
        .key = {bytes, head->key_size},
        .value = {bytes + head->key_size, head->value_size},
        .create_revision = head->create_revision,
        .mod_revision = head->mod_revision,
        .lease = head->lease,
    };

    switch (head->kind) {
    case BEGIN:
        follower->begin(follower->context);
        break;
    case PUT:
        follower->put(follower->context, &item);
        break;
    case REMOVED:
        follower->removed(follower->context, item.key, head->mod_revision);
        break;
    case END:
        follower->end(follower->context, head->mod_revision);
        break;
    }
}

void follow_log_tell(const struct rc_buffer *log, const struct engine_follower *follower)
{
    size_t at = 0;

    while (at < log->size) {
        struct head head;
        memcpy(&head, log->bytes + at, sizeof head);
        at += sizeof head;
        assert(head.key_size + head.value_size <= log->size - at);
        tell(&head, log->bytes + at, follower);
        at += head.key_size + head.value_size;
    }
}

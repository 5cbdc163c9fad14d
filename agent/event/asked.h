/* asked.h - the queries that this agent has asked for somebody, and what came back so far.
 *
 * A query (Serf's) is asked of the pool; acks and responses come one by one until its time is
 * up. Here they are gathered, each sender once, for the one answer that the API gives. Pure. */
#ifndef AGENT_EVENT_ASKED_H
#define AGENT_EVENT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    ASKED_MAX = 64,            /* queries open at once */
    ASKED_BYTES_MAX = 4 << 20, /* gathered for one of them; the rest is counted only */
    ASKED_NAMES_MAX = 65536,   /* whom one of them is for, and who acknowledged */
};

struct asked_list;
struct asked;

struct asked_list *asked_create(uint64_t seed); /* NULL when memory is out */
void asked_destroy(struct asked_list *list);

/* A new one: `id` is gossip's, `ticket` the caller's own. NULL: too many are open, or memory is
 * out. Lives until asked_remove(). */
struct asked *asked_add(struct asked_list *list, uint32_t id, uint64_t ticket,
                        const char *name);
struct asked *asked_find(struct asked_list *list, uint32_t id); /* or NULL */
void asked_remove(struct asked_list *list, struct asked *asked);

bool asked_is_full(const struct asked_list *list);

uint64_t asked_ticket(const struct asked *asked);

/* Somebody it is for, as far as is known here: told as unanswered if nothing comes. */
void asked_expect(struct asked *asked, const char *member);

/* What came; a second one from the same member is ignored. */
void asked_ack(struct asked *asked, const char *from);
void asked_response(struct asked *asked, const char *from, const uint8_t *bytes,
                    size_t size);

/* Appends the whole as JSON: {ID, Name, Acks[], Responses[{From, Payload}], Unanswered[],
 * Dropped}; payloads in base64, as in events; null when empty. */
void asked_render(const struct asked *asked, struct rc_buffer *out);

#endif

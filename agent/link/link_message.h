/* link_message.h - what is said inside the frames of a link.
 *
 * A frame holds whole messages: kind (1 byte), number of the request (4), size (4), payload.
 * Numbers are chosen by whoever asks, grow and are not used again; HELLO, PING, PONG and BYE
 * have 0. A body follows its head in pieces, between those of others.
 *
 * Parsers take what an authenticated peer says, and still believe nothing. */
#ifndef AGENT_LINK_LINK_MESSAGE_H
#define AGENT_LINK_LINK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"

enum link_message_kind {
    LINK_HELLO = 1, /* first, each way: the node's name */
    LINK_REQUEST,
    LINK_REQUEST_BODY,
    LINK_CANCEL, /* the reply is not wanted any more */
    LINK_REPLY,
    LINK_REPLY_BODY,
    LINK_REFUSE, /* instead of a reply: it was not done, ask somebody else */
    LINK_PING,
    LINK_PONG,
    LINK_BYE, /* nothing more will be answered here */
    LINK_MESSAGE_END
};

enum {
    LINK_MESSAGE_HEAD_SIZE = 9,
    LINK_NAME_MAX = 255,
    LINK_METHOD_MAX = 16,
    LINK_TARGET_MAX = 9216,
    LINK_TOKEN_MAX = 1024,
    LINK_HEADERS_MAX = 16,
    LINK_HEADER_TEXT_MAX = 8192,
    LINK_REQUEST_ID_SIZE = 16,
    LINK_BODY_MAX = 256 << 20 /* a snapshot */
};

struct link_message {
    enum link_message_kind kind;
    uint32_t number;
    const uint8_t *payload; /* borrowed */
    size_t size;
};

/* The next message of a frame. RC_OK, RC_EMALFORMED, or RC_ENOTFOUND: the frame is at its end. */
int link_message_next(struct rc_cursor *frame, struct link_message *out);

/* Appends a message. */
void link_message_write(struct rc_buffer *out, const struct link_message *message);

/* Strings end with a NUL and live in one block. */
struct link_request {
    uint8_t request_id[LINK_REQUEST_ID_SIZE];
    const char *method;
    const char *target;
    const char *token; /* "": none */
    const void *body;
    size_t body_size;
};

struct link_header {
    const char *name;
    const char *value;
};

struct link_reply {
    unsigned status;
    const char *content_type; /* "": none */
    struct link_header headers[LINK_HEADERS_MAX];
    size_t header_count;
    const void *body;
    size_t body_size;
};

/* Appends the payload of a head: everything but the body, whose size it tells. RC_OK,
 * RC_ETOOBIG: one of the maxima above; RC_ENOMEM. */
int link_message_write_request(const struct link_request *request, struct rc_buffer *out);
int link_message_write_reply(const struct link_reply *reply, struct rc_buffer *out);

/* Reads such a head. `body` is left NULL. The caller frees `*block`, where its strings are.
 * RC_OK, RC_EMALFORMED, RC_ETOOBIG or RC_ENOMEM. */
int link_message_read_request(const struct link_message *message,
                              struct link_request *out, char **block);
int link_message_read_reply(const struct link_message *message, struct link_reply *out,
                            char **block);

#endif

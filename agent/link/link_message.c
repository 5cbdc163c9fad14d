#include "agent/link/link_message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void write_u32(struct rc_buffer *out, uint32_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                             (uint8_t)(value >> 8), (uint8_t)value};
    rc_buffer_append(out, bytes, sizeof bytes);
}

static void write_u16(struct rc_buffer *out, size_t value)
{
    rc_buffer_byte(out, (uint8_t)(value >> 8));
    rc_buffer_byte(out, (uint8_t)value);
}

int link_message_next(struct rc_cursor *frame, struct link_message *out)
{
    if (rc_cursor_left(frame) == 0) {
        return RC_ENOTFOUND;
    }
    uint8_t kind = rc_cursor_u8(frame);
    out->number = rc_cursor_u32(frame);
    out->size = rc_cursor_u32(frame);
    out->payload = rc_cursor_take(frame, out->size);
    if (frame->err != RC_OK || kind < LINK_HELLO || kind >= LINK_MESSAGE_END) {
        return RC_EMALFORMED;
    }
    out->kind = (enum link_message_kind)kind;
    return RC_OK;
}

void link_message_write(struct rc_buffer *out, const struct link_message *message)
{
    rc_buffer_byte(out, (uint8_t)message->kind);
    write_u32(out, message->number);
    write_u32(out, (uint32_t)message->size);
    if (message->size > 0) {
        rc_buffer_append(out, message->payload, message->size);
    }
}

/* ---- Texts: their length in 2 bytes, and they. */

static void write_text(struct rc_buffer *out, const char *text)
{
    size_t size = strlen(text);

    write_u16(out, size);
    rc_buffer_append(out, text, size);
}

/* Where the strings of a head are put. */
struct block {
    char *at;
};

/* A text of at most `max` bytes without NULs among them, copied into the block. */
static const char *read_text(struct rc_cursor *in, size_t max, struct block *block)
{
    size_t size = rc_cursor_u16(in);
    const uint8_t *bytes = rc_cursor_take(in, size);
    char *text = block->at;

    if (bytes == NULL || size > max || memchr(bytes, 0, size) != NULL) {
        rc_cursor_fail(in, RC_EMALFORMED);
        text[0] = '\0';
        return text;
    }
    memcpy(text, bytes, size);
    text[size] = '\0';
    block->at += size + 1;
    return text;
}

/* Each text takes two bytes of length in the message and one of NUL in the block. */
static char *make_block(const struct link_message *message, struct block *block)
{
    block->at = malloc(message->size + 1);
    return block->at;
}

static int conclude(const struct rc_cursor *in, size_t body_size, char *bytes,
                    char **block)
{
    if (in->err != RC_OK || rc_cursor_left(in) > 0) {
        free(bytes);
        return RC_EMALFORMED;
    }
    if (body_size > LINK_BODY_MAX) {
        free(bytes);
        return RC_ETOOBIG;
    }
    *block = bytes;
    return RC_OK;
}

/* ---- Requests. */

int link_message_write_request(const struct link_request *request, struct rc_buffer *out)
{
    if (strlen(request->method) > LINK_METHOD_MAX ||
        strlen(request->target) > LINK_TARGET_MAX ||
        strlen(request->token) > LINK_TOKEN_MAX || request->body_size > LINK_BODY_MAX) {
        return RC_ETOOBIG;
    }
    rc_buffer_append(out, request->request_id, sizeof request->request_id);
    write_u32(out, (uint32_t)request->body_size);
    write_text(out, request->method);
    write_text(out, request->target);
    write_text(out, request->token);
    return out->err;
}

int link_message_read_request(const struct link_message *message,
                              struct link_request *out, char **block)
{
    struct rc_cursor in = rc_cursor_over(message->payload, message->size);
    struct block space;
    char *bytes = make_block(message, &space);

    if (bytes == NULL) {
        return RC_ENOMEM;
    }
    *out = (struct link_request){0};
    const uint8_t *id = rc_cursor_take(&in, sizeof out->request_id);
    if (id != NULL) {
        memcpy(out->request_id, id, sizeof out->request_id);
    }
    out->body_size = rc_cursor_u32(&in);
    out->method = read_text(&in, LINK_METHOD_MAX, &space);
    out->target = read_text(&in, LINK_TARGET_MAX, &space);
    out->token = read_text(&in, LINK_TOKEN_MAX, &space);
    return conclude(&in, out->body_size, bytes, block);
}

/* ---- Replies. */

int link_message_write_reply(const struct link_reply *reply, struct rc_buffer *out)
{
    size_t text_size = strlen(reply->content_type);

    if (reply->header_count > LINK_HEADERS_MAX || reply->body_size > LINK_BODY_MAX) {
        return RC_ETOOBIG;
    }
    for (size_t i = 0; i < reply->header_count; i++) {
        text_size += strlen(reply->headers[i].name) + strlen(reply->headers[i].value);
    }
    if (text_size > LINK_HEADER_TEXT_MAX) {
        return RC_ETOOBIG;
    }
    write_u16(out, reply->status);
    write_u32(out, (uint32_t)reply->body_size);
    rc_buffer_byte(out, (uint8_t)reply->header_count);
    write_text(out, reply->content_type);
    for (size_t i = 0; i < reply->header_count; i++) {
        write_text(out, reply->headers[i].name);
        write_text(out, reply->headers[i].value);
    }
    return out->err;
}

int link_message_read_reply(const struct link_message *message, struct link_reply *out,
                            char **block)
{
    struct rc_cursor in = rc_cursor_over(message->payload, message->size);
    struct block space;
    char *bytes = make_block(message, &space);

    if (bytes == NULL) {
        return RC_ENOMEM;
    }
    *out = (struct link_reply){0};
    out->status = rc_cursor_u16(&in);
    out->body_size = rc_cursor_u32(&in);
    size_t count = rc_cursor_u8(&in);
    if (count > LINK_HEADERS_MAX) {
        rc_cursor_fail(&in, RC_EMALFORMED);
        count = 0;
    }
    out->content_type = read_text(&in, LINK_HEADER_TEXT_MAX, &space);
    for (size_t i = 0; i < count && in.err == RC_OK; i++) {
        out->headers[i].name = read_text(&in, LINK_HEADER_TEXT_MAX, &space);
        out->headers[i].value = read_text(&in, LINK_HEADER_TEXT_MAX, &space);
        out->header_count++;
    }
    return conclude(&in, out->body_size, bytes, block);
}

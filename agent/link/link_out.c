/* link_out.c - what a link sends: short messages first, bodies by turns. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/link_state.h"
#include "base/err.h"

enum { INLINE_BODY_MAX = 4096, CONTROL_KEPT_BYTES = 64 << 10 };

void link_out_say(struct link *link, enum link_message_kind kind, uint32_t number,
                  const void *payload, size_t size)
{
    const struct link_message message = {kind, number, payload, size};

    if (!link->is_silent) {
        link_message_write(&link->control, &message);
    }
}

int link_out_send(struct link *link, const struct link_message *head,
                  enum link_message_kind body_kind, const void *body, size_t size)
{
    struct link_body *rest = NULL;

    if (size > INLINE_BODY_MAX) {
        rest = malloc(sizeof *rest + size);
        if (rest == NULL) {
            return RC_ENOMEM;
        }
        *rest =
            (struct link_body){.kind = body_kind, .number = head->number, .size = size};
        memcpy(rest->bytes, body, size);
        link->body_bytes += size;
        if (size > LINK_LARGE_BYTES && size > link->large_bytes) {
            link->large_bytes = size;
        }
    }
    link_message_write(&link->control, head);
    if (rest == NULL) {
        if (size > 0) {
            link_out_say(link, body_kind, head->number, body, size);
        }
        return link->control.err;
    }
    if (link->last_body != NULL) {
        link->last_body->next = rest;
    } else {
        link->first_body = rest;
    }
    link->last_body = rest;
    return link->control.err;
}

/* One that is in no list any more. */
static void free_body(struct link *link, struct link_body *body)
{
    size_t size = body->size;

    link->body_bytes -= size;
    free(body);
    if (size < link->large_bytes || size <= LINK_LARGE_BYTES) {
        return;
    }
    link->large_bytes = 0;
    for (body = link->first_body; body != NULL; body = body->next) {
        if (body->size > LINK_LARGE_BYTES && body->size > link->large_bytes) {
            link->large_bytes = body->size;
        }
    }
}

void link_out_drop(struct link *link, enum link_message_kind kind, uint32_t number)
{
    struct link_body **place = &link->first_body;
    struct link_body *before = NULL;

    while (*place != NULL) {
        struct link_body *body = *place;
        if (body->kind == kind && body->number == number) {
            *place = body->next;
            link->last_body = link->last_body == body ? before : link->last_body;
            free_body(link, body);
            return;
        }
        before = body;
        place = &body->next;
    }
}

void link_out_fini(struct link *link)
{
    while (link->first_body != NULL) {
        struct link_body *body = link->first_body;
        link->first_body = body->next;
        free(body);
    }
    link->last_body = NULL;
    rc_buffer_fini(&link->control);
    rc_buffer_fini(&link->plain);
    rc_buffer_fini(&link->raw);
}

size_t link_out_backlog(const struct link *link)
{
    return link->body_bytes - link->large_bytes + link->control.size - link->control_at;
}

bool link_has_output(const struct link *link)
{
    if (link->raw.size > 0) {
        return true;
    }
    return link->cipher != NULL && !link->is_silent &&
           (link->control.size > link->control_at || link->first_body != NULL ||
            link->says_goodbye);
}

/* The size of the whole message that starts here; the control buffer holds only such. */
static size_t message_size(const uint8_t *at)
{
    struct rc_cursor head = rc_cursor_over(at, LINK_MESSAGE_HEAD_SIZE);

    (void)rc_cursor_take(&head, LINK_MESSAGE_HEAD_SIZE - 4);
    return LINK_MESSAGE_HEAD_SIZE + rc_cursor_u32(&head);
}

/* As many whole messages as fit. */
static void add_control(struct link *link)
{
    size_t size = 0;
    const uint8_t *bytes = link->control.bytes + link->control_at;
    size_t left = link->control.size - link->control_at;

    while (size < left) {
        size_t next = message_size(bytes + size);
        if (link->plain.size + size + next > CIPHER_FRAME_MAX) {
            break;
        }
        size += next;
    }
    rc_buffer_append(&link->plain, bytes, size);
    link->control_at += size;
    if (link->control_at == link->control.size) {
        link->control_at = 0;
        if (link->control.capacity > CONTROL_KEPT_BYTES) {
            rc_buffer_fini(&link->control);
        } else {
            rc_buffer_clear(&link->control);
        }
    }
}

/* One piece of the body whose turn it is. */
static void add_piece(struct link *link)
{
    struct link_body *body = link->first_body;
    size_t left = body->size - body->sent;
    size_t size = left < LINK_PIECE_BYTES ? left : LINK_PIECE_BYTES;
    const struct link_message piece = {body->kind, body->number, body->bytes + body->sent,
                                       size};

    link_message_write(&link->plain, &piece);
    body->sent += size;
    link->first_body = body->next;
    if (link->first_body == NULL) {
        link->last_body = NULL;
    }
    body->next = NULL;
    if (body->sent == body->size) {
        free_body(link, body);
        return;
    }
    if (link->last_body != NULL) {
        link->last_body->next = body;
    } else {
        link->first_body = body;
    }
    link->last_body = body;
}

static bool has_control(const struct link *link)
{
    return link->control.size > link->control_at;
}

/* A frame of what is there: all that is short, then a few pieces. */
static int make_frame(struct link *link, uint64_t now_ms, struct rc_buffer *out)
{
    enum cipher_kind kind = CIPHER_MORE;

    rc_buffer_clear(&link->plain);
    if (has_control(link)) {
        add_control(link);
    }
    while (!has_control(link) && link->first_body != NULL &&
           link->plain.size + LINK_MESSAGE_HEAD_SIZE + LINK_PIECE_BYTES <=
               CIPHER_FRAME_MAX) {
        add_piece(link);
    }
    if (link->says_goodbye && !has_control(link)) {
        kind = CIPHER_LAST; /* bodies that are not out yet stay */
        link->is_silent = true;
    }
    if (link->plain.err != RC_OK || link->control.err != RC_OK) {
        return RC_ENOMEM;
    }
    return cipher_seal(link->cipher, now_ms, link->plain.bytes, link->plain.size, kind,
                       out);
}

int link_pull(struct link *link, uint64_t now_ms, size_t size, struct rc_buffer *out)
{
    if (link->raw.size > 0) {
        rc_buffer_append(out, link->raw.bytes, link->raw.size);
        rc_buffer_fini(&link->raw);
    }
    while (out->size < size && link_has_output(link)) {
        int err = make_frame(link, now_ms, out);
        if (err != RC_OK) {
            return err;
        }
    }
    return out->err;
}

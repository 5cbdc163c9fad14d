#include "agent/link/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/link_state.h"
#include "base/err.h"
#include "base/text.h"

enum { IN_KEPT_BYTES = 64 << 10, PONG_BEHIND_BYTES = 64 << 10, LATE_MS = 1000 };

/* ---- Life. */

static void free_open(struct link_open *open)
{
    if (open != NULL) {
        free(open->block);
        rc_buffer_fini(&open->body);
        free(open);
    }
}

static void free_table(struct rc_table *table)
{
    size_t position = 0;

    if (table == NULL) {
        return;
    }
    struct link_open *open = rc_table_next(table, &position, NULL);
    while (open != NULL) {
        free_open(open);
        open = rc_table_next(table, &position, NULL);
    }
    rc_table_destroy(table);
}

static uint64_t silence_of(uint64_t wished_ms)
{
    if (wished_ms == 0 || wished_ms > LINK_SILENCE_MS) {
        return LINK_SILENCE_MS;
    }
    return wished_ms > LINK_SILENCE_LEAST_MS ? wished_ms : LINK_SILENCE_LEAST_MS;
}

struct link *link_create(const struct link_options *options, uint64_t now_ms)
{
    struct link *link = calloc(1, sizeof *link);
    uint8_t hello[HANDSHAKE_MESSAGE_MAX];

    if (link == NULL) {
        return NULL;
    }
    link->asked = rc_table_create(0); /* the numbers are counted, nobody chooses them */
    link->served = rc_table_create(0);
    handshake_init(&link->handshake, options->role, options->ring, options->credential,
                   options->secret);
    (void)rc_text_put(link->name, sizeof link->name, options->name);
    link->body_max = options->body_max;
    link->context = options->context;
    link->silence_ms = silence_of(options->silence_ms);
    link->made_ms = link->heard_ms = now_ms;
    if (options->role == HANDSHAKE_CALLER) {
        rc_buffer_append(&link->raw, hello, handshake_begin(&link->handshake, hello));
    }
    if (link->asked == NULL || link->served == NULL || link->raw.err != RC_OK) {
        link_destroy(link);
        return NULL;
    }
    return link;
}

void link_destroy(struct link *link)
{
    if (link == NULL) {
        return;
    }
    free_table(link->asked);
    free_table(link->served);
    free_open(link->told);
    link_out_fini(link);
    rc_buffer_fini(&link->in);
    rc_buffer_fini(&link->frame);
    cipher_destroy(link->cipher);
    handshake_fini(&link->handshake);
    free(link);
}

bool link_is_up(const struct link *link)
{
    return link->is_up;
}

const struct handshake_peer *link_peer(const struct link *link)
{
    return &link->handshake.result.peer;
}

const char *link_peer_name(const struct link *link)
{
    return link->peer_name;
}

const uint8_t *link_key_id(const struct link *link)
{
    return link->handshake.result.key_id;
}

size_t link_open_count(const struct link *link)
{
    return rc_table_count(link->asked) + rc_table_count(link->served);
}

/* ---- The handshake. */

/* It is over: the streams begin, ours with its header and our name. */
static int begin_streams(struct link *link, uint64_t now_ms)
{
    struct handshake_result *result = &link->handshake.result;
    uint8_t header[CIPHER_HEADER_SIZE];

    link->cipher = cipher_create(result->send_key, result->receive_key, now_ms);
    explicit_bzero(result->send_key, sizeof result->send_key);
    explicit_bzero(result->receive_key, sizeof result->receive_key);
    if (link->cipher == NULL) {
        return RC_ENOMEM;
    }
    cipher_header(link->cipher, header);
    rc_buffer_append(&link->raw, header, sizeof header);
    link_out_say(link, LINK_HELLO, 0, link->name, strlen(link->name));
    return link->raw.err;
}

/* The next `size` bytes, or NULL if they are not all there. */
static const uint8_t *take(struct link *link, size_t size)
{
    if (link->in.size - link->in_at < size) {
        return NULL;
    }
    const uint8_t *bytes = link->in.bytes + link->in_at;
    link->in_at += size;
    return bytes;
}

/* RC_EAGAIN: more bytes are needed. */
static int shake_hands(struct link *link)
{
    uint8_t out[HANDSHAKE_MESSAGE_MAX];
    size_t size = 0;
    const uint8_t *message = take(link, handshake_wants(&link->handshake));

    if (message == NULL) {
        return RC_EAGAIN;
    }
    int err = handshake_take(&link->handshake, message, out, &size);
    if (err != RC_OK) {
        return err;
    }
    rc_buffer_append(&link->raw, out, size);
    return link->handshake.is_done ? begin_streams(link, link->heard_ms) : link->raw.err;
}

/* ---- Frames. */

static int open_frame(struct link *link)
{
    enum cipher_kind kind = CIPHER_MORE;
    size_t size = 0;

    if (!link->has_header) {
        const uint8_t *header = take(link, CIPHER_HEADER_SIZE);
        if (header == NULL) {
            return RC_EAGAIN;
        }
        link->has_header = true;
        return cipher_take_header(link->cipher, header);
    }
    if (link->in.size - link->in_at < CIPHER_LENGTH_SIZE) {
        return RC_EAGAIN;
    }
    const uint8_t *length = link->in.bytes + link->in_at;
    int err = cipher_length(length, &size);
    if (err != RC_OK) {
        return err;
    }
    if (take(link, CIPHER_LENGTH_SIZE + size) == NULL) {
        return RC_EAGAIN;
    }
    err = cipher_open(link->cipher, length, length + CIPHER_LENGTH_SIZE, size,
                      &link->frame, &kind);
    link->frame_at = rc_cursor_over(link->frame.bytes, link->frame.size);
    link->is_over = kind == CIPHER_LAST;
    return err;
}

static void forget_taken(struct link *link)
{
    rc_buffer_consume(&link->in, link->in_at);
    link->in_at = 0;
    if (link->in.size == 0 && link->in.capacity > IN_KEPT_BYTES) {
        rc_buffer_fini(&link->in);
    }
}

int link_receive(struct link *link, uint64_t now_ms, const void *bytes, size_t size)
{
    link->heard_ms = now_ms;
    link->has_pinged = false;
    link->expects_ms = now_ms;
    forget_taken(link);
    rc_buffer_append(&link->in, bytes, size);
    return link->in.err;
}

/* ---- Messages. */

static struct link_open *find(const struct rc_table *table, uint32_t number)
{
    return rc_table_get_bytes(table, &number, sizeof number);
}

static struct link_open *add(struct rc_table *table, uint32_t number)
{
    struct link_open *open = calloc(1, sizeof *open);

    if (open == NULL) {
        return NULL;
    }
    open->number = number;
    if (rc_table_put_bytes(table, &number, sizeof number, open, NULL) != RC_OK) {
        free(open);
        return NULL;
    }
    return open;
}

static void remove_open(struct link *link, struct rc_table *table, struct link_open *open)
{
    (void)rc_table_remove_bytes(table, &open->number, sizeof open->number);
    link->assembly_bytes -= open->is_delivered ? 0 : open->body.size;
    link->delivered = link->delivered == open ? NULL : link->delivered;
}

static int on_hello(struct link *link, const struct link_message *message,
                    struct link_event *out)
{
    if (link->is_up || message->size == 0 || message->size > LINK_NAME_MAX ||
        memchr(message->payload, 0, message->size) != NULL) {
        return RC_EMALFORMED;
    }
    memcpy(link->peer_name, message->payload, message->size);
    link->is_up = true;
    *out = (struct link_event){
        .type = LINK_UP, .peer = link_peer(link), .name = link->peer_name};
    return RC_OK;
}

static int told_request(struct link *link, struct link_open *open, struct link_event *out)
{
    open->head.request.body = open->body.bytes;
    open->is_delivered = true;
    link->delivered = open;
    link->assembly_bytes -= open->body.size;
    *out = (struct link_event){
        .type = LINK_ASKED, .number = open->number, .request = &open->head.request};
    return RC_OK;
}

static int told_reply(struct link *link, struct link_open *open, struct link_event *out)
{
    remove_open(link, link->asked, open);
    open->head.reply.body = open->body.bytes;
    link->told = open;
    *out = (struct link_event){
        .type = LINK_REPLIED, .number = open->number, .reply = &open->head.reply};
    return RC_OK;
}

static bool is_too_long(const struct link *link, const struct link_request *request)
{
    return link->body_max != NULL &&
           request->body_size > link->body_max(link->context, request->target);
}

static int on_request(struct link *link, const struct link_message *message,
                      struct link_event *out)
{
    if (message->number <= link->last_asked) {
        return RC_EMALFORMED;
    }
    link->last_asked = message->number;
    if (link_out_backlog(link) > LINK_BACKLOG_END) {
        return RC_ETOOBIG;
    }
    if (rc_table_count(link->served) >= LINK_OPEN_MAX ||
        link_out_backlog(link) > LINK_BACKLOG_MAX) {
        link_out_say(link, LINK_REFUSE, message->number, NULL, 0);
        return RC_OK; /* its body is nobody's */
    }
    struct link_open *open = add(link->served, message->number);
    if (open == NULL) {
        return RC_ENOMEM;
    }
    int err = link_message_read_request(message, &open->head.request, &open->block);
    if (err != RC_OK) {
        return err;
    }
    open->body_size = open->head.request.body_size;
    open->is_too_long = is_too_long(link, &open->head.request);
    return open->body_size == 0 || open->is_too_long ? told_request(link, open, out)
                                                     : RC_OK;
}

static int on_reply(struct link *link, const struct link_message *message,
                    struct link_event *out)
{
    struct link_open *open = find(link->asked, message->number);

    if (open == NULL) {
        return message->number <= link->last_number ? RC_OK : RC_EMALFORMED;
    }
    if (open->block != NULL) {
        return RC_EMALFORMED;
    }
    int err = link_message_read_reply(message, &open->head.reply, &open->block);
    if (err != RC_OK) {
        return err;
    }
    open->body_size = open->head.reply.body_size;
    return open->body_size == 0 ? told_reply(link, open, out) : RC_OK;
}

/* RC_OK with `*is_complete`. */
static int add_to_body(struct link *link, struct link_open *open,
                       const struct link_message *message, bool *is_complete)
{
    if (open->block == NULL || open->is_delivered || message->size == 0 ||
        message->size > open->body_size - open->body.size) {
        return RC_EMALFORMED;
    }
    if (link->assembly_bytes + message->size > LINK_ASSEMBLY_MAX) {
        return RC_ETOOBIG;
    }
    rc_buffer_append(&open->body, message->payload, message->size);
    if (open->body.err != RC_OK) {
        return open->body.err;
    }
    link->assembly_bytes += message->size;
    *is_complete = open->body.size == open->body_size;
    return RC_OK;
}

static int on_body(struct link *link, const struct link_message *message,
                   struct link_event *out)
{
    bool asks = message->kind == LINK_REQUEST_BODY;
    struct link_open *open = find(asks ? link->served : link->asked, message->number);
    uint32_t last = asks ? link->last_asked : link->last_number;
    bool is_complete = false;

    if (open == NULL) { /* refused, or cancelled meanwhile */
        return message->number <= last ? RC_OK : RC_EMALFORMED;
    }
    if (open->is_too_long) {
        return RC_OK; /* it is being answered already */
    }
    int err = add_to_body(link, open, message, &is_complete);
    if (err != RC_OK || !is_complete) {
        return err;
    }
    return asks ? told_request(link, open, out) : told_reply(link, open, out);
}

static int on_cancel(struct link *link, const struct link_message *message,
                     struct link_event *out)
{
    struct link_open *open = find(link->served, message->number);

    link_out_drop(link, LINK_REPLY_BODY, message->number);
    if (open == NULL) {
        return RC_OK; /* it was answered while this was on its way */
    }
    if (open->is_delivered) {
        *out = (struct link_event){.type = LINK_CANCELLED, .number = open->number};
    }
    remove_open(link, link->served, open);
    free_open(open);
    return RC_OK;
}

static int on_refuse(struct link *link, const struct link_message *message,
                     struct link_event *out)
{
    struct link_open *open = find(link->asked, message->number);

    link_out_drop(link, LINK_REQUEST_BODY, message->number);
    if (open == NULL) {
        return RC_OK;
    }
    *out = (struct link_event){.type = LINK_REFUSED, .number = open->number};
    remove_open(link, link->asked, open);
    free_open(open);
    return RC_OK;
}

static int on_message(struct link *link, const struct link_message *message,
                      struct link_event *out)
{
    if (!link->is_up && message->kind != LINK_HELLO) {
        return RC_EMALFORMED;
    }
    switch (message->kind) {
    case LINK_HELLO:
        return on_hello(link, message, out);
    case LINK_REQUEST:
        return on_request(link, message, out);
    case LINK_REPLY:
        return on_reply(link, message, out);
    case LINK_REQUEST_BODY:
    case LINK_REPLY_BODY:
        return on_body(link, message, out);
    case LINK_CANCEL:
        return on_cancel(link, message, out);
    case LINK_REFUSE:
        return on_refuse(link, message, out);
    case LINK_PING:
        if (link->control.size < PONG_BEHIND_BYTES) { /* else it hears of us anyway */
            link_out_say(link, LINK_PONG, 0, NULL, 0);
        }
        return RC_OK;
    case LINK_PONG:
        return RC_OK;
    case LINK_BYE:
        out->type = LINK_LEAVES;
        return RC_OK;
    case LINK_MESSAGE_END:
        break;
    }
    return RC_EMALFORMED;
}

/* RC_EAGAIN: more bytes are needed. */
static int advance(struct link *link, struct link_event *out)
{
    struct link_message message;

    if (link->cipher == NULL) {
        return shake_hands(link);
    }
    int err = link_message_next(&link->frame_at, &message);
    if (err == RC_OK) {
        return on_message(link, &message, out);
    }
    if (err != RC_ENOTFOUND) {
        return err;
    }
    return link->is_over ? RC_ECLOSED : open_frame(link);
}

/* Whoever was told has what it wants of it. */
static void forget_told(struct link *link)
{
    free_open(link->told);
    link->told = NULL;
    if (link->delivered != NULL) {
        free(link->delivered->block);
        link->delivered->block = NULL;
        rc_buffer_fini(&link->delivered->body);
        link->delivered = NULL;
    }
}

int link_next(struct link *link, struct link_event *out)
{
    int err = RC_OK;

    forget_told(link);
    *out = (struct link_event){.type = LINK_NOTHING};
    while (err == RC_OK && out->type == LINK_NOTHING) {
        err = advance(link, out);
    }
    return err == RC_EAGAIN ? RC_OK : err;
}

/* ---- Requests and replies. */

/* Whether a sign of life is due. */
static bool expects(const struct link *link)
{
    return link->has_pinged || rc_table_count(link->asked) > 0;
}

int link_ask(struct link *link, uint64_t now_ms, const struct link_request *request,
             uint32_t *number)
{
    struct rc_buffer head = {0};

    assert(link->is_up);
    if (rc_table_count(link->asked) >= LINK_OPEN_MAX || link->last_number == UINT32_MAX ||
        link->says_goodbye) {
        return RC_EAGAIN;
    }
    int err = link_message_write_request(request, &head);
    bool did_expect = expects(link);
    struct link_open *open =
        err == RC_OK ? add(link->asked, link->last_number + 1) : NULL;
    if (err == RC_OK && open == NULL) {
        err = RC_ENOMEM;
    }
    if (err == RC_OK) {
        *number = ++link->last_number;
        const struct link_message message = {LINK_REQUEST, *number, head.bytes,
                                             head.size};
        err = link_out_send(link, &message, LINK_REQUEST_BODY, request->body,
                            request->body_size);
        link->expects_ms = did_expect ? link->expects_ms : now_ms;
    }
    rc_buffer_fini(&head);
    return err;
}

void link_cancel(struct link *link, uint32_t number)
{
    struct link_open *open = find(link->asked, number);

    if (open == NULL) {
        return;
    }
    remove_open(link, link->asked, open);
    free_open(open);
    link_out_drop(link, LINK_REQUEST_BODY, number);
    link_out_say(link, LINK_CANCEL, number, NULL, 0);
}

int link_answer(struct link *link, uint32_t number, const struct link_reply *reply)
{
    struct link_open *open = find(link->served, number);
    struct rc_buffer head = {0};

    if (open == NULL) {
        return RC_OK;
    }
    int err = link_message_write_reply(reply, &head);
    if (err == RC_OK && !link->is_silent) {
        const struct link_message message = {LINK_REPLY, number, head.bytes, head.size};
        err =
            link_out_send(link, &message, LINK_REPLY_BODY, reply->body, reply->body_size);
    }
    rc_buffer_fini(&head);
    if (err == RC_OK) {
        remove_open(link, link->served, open);
        free_open(open);
    }
    return err;
}

void link_refuse(struct link *link, uint32_t number)
{
    struct link_open *open = find(link->served, number);

    if (open != NULL) {
        remove_open(link, link->served, open);
        free_open(open);
        link_out_say(link, LINK_REFUSE, number, NULL, 0);
    }
}

void link_leave(struct link *link)
{
    if (!link->says_goodbye && link->is_up) {
        link_out_say(link, LINK_BYE, 0, NULL, 0);
        link->says_goodbye = true;
    }
}

/* ---- Time. */

static uint64_t ping_at_ms(const struct link *link)
{
    bool waits = rc_table_count(link->asked) > 0;
    uint64_t soon_ms = link->silence_ms * LINK_PING_MS / LINK_SILENCE_MS;

    return link->heard_ms + (waits ? soon_ms : LINK_IDLE_PING_MS);
}

/* When the other side counts as dead; UINT64_MAX: nothing is expected of it. */
static uint64_t dead_at_ms(const struct link *link)
{
    return expects(link) ? link->expects_ms + link->silence_ms : UINT64_MAX;
}

static uint64_t shaken_at_ms(const struct link *link)
{
    uint64_t twice_ms = 2 * link->silence_ms;

    return link->made_ms + (twice_ms < LINK_HANDSHAKE_MS ? twice_ms : LINK_HANDSHAKE_MS);
}

uint64_t link_deadline_ms(const struct link *link)
{
    if (!link->is_up) {
        return shaken_at_ms(link);
    }
    uint64_t dead_ms = dead_at_ms(link);
    uint64_t ping_ms = link->has_pinged ? UINT64_MAX : ping_at_ms(link);
    return dead_ms < ping_ms ? dead_ms : ping_ms;
}

void link_hurry(struct link *link, uint64_t silence_ms)
{
    uint64_t new_ms = silence_of(silence_ms);

    link->silence_ms = new_ms < link->silence_ms ? new_ms : link->silence_ms;
}

int link_tick(struct link *link, uint64_t now_ms)
{
    if (!link->is_up) {
        return now_ms >= shaken_at_ms(link) ? RC_ETIMEOUT : RC_OK;
    }
    uint64_t dead_ms = dead_at_ms(link);
    if (now_ms >= dead_ms && now_ms - dead_ms > LATE_MS) {
        link->expects_ms = now_ms; /* it was us who slept: the answer may lie here */
        link->has_pinged = false;
    } else if (now_ms >= dead_ms) {
        return RC_ETIMEOUT;
    }
    if (!link->has_pinged && now_ms >= ping_at_ms(link)) {
        link->expects_ms = expects(link) ? link->expects_ms : now_ms;
        link->has_pinged = true;
        link_out_say(link, LINK_PING, 0, NULL, 0);
    }
    return RC_OK;
}

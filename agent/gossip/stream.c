/* stream.c - what goes over TCP: state exchange, fallback pings, and the lane's streams. */
#include "agent/gossip/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/join_check.h"
#include "agent/gossip/key_query.h"
#include "agent/gossip/lzw.h"
#include "agent/gossip/probe.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/swim.h"
#include "base/err.h"

enum {
    INBOUND_MAX = 128, /* memberlist's bound of push/pulls in progress */
    LARGE_MAX = 16,    /* accepted streams that may hold more than ... */
    SMALL_BYTES_MAX = 65536,
    BUFFER_MAX = ENVELOPE_FRAME_MAX + 64,
    USER_MESSAGE_MAX = 65536
};

/* ---- The table. */

struct gossip_stream *stream_find(const struct gossip *g, uint32_t id)
{
    for (size_t i = 0; i < g->stream_count; i++) {
        if (g->streams[i]->id == id && !g->streams[i]->is_closed) {
            return g->streams[i];
        }
    }
    return NULL;
}

static size_t count_of(const struct gossip *g, bool dialed)
{
    size_t count = 0;
    for (size_t i = 0; i < g->stream_count; i++) {
        count += g->streams[i]->is_dialed == dialed;
    }
    return count;
}

size_t stream_lane_count(const struct gossip *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->stream_count; i++) {
        count += g->streams[i]->purpose == STREAM_LANE;
    }
    return count;
}

static void free_stream(struct gossip_stream *s)
{
    rc_buffer_fini(&s->in);
    rc_buffer_fini(&s->plain);
    rc_buffer_fini(&s->unpacked);
    free(s);
}

static int add(struct gossip *g, const struct rc_address *address,
               enum stream_purpose purpose, struct gossip_stream **out)
{
    bool is_full = purpose == STREAM_UNKNOWN && count_of(g, false) >= INBOUND_MAX;

    if (g->stream_count == STREAMS_MAX || is_full) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return RC_ETOOBIG;
    }
    struct gossip_stream *s = calloc(1, sizeof *s);
    if (s == NULL ||
        deadline_heap_reserve(&g->deadlines, g->deadlines.count + 1) != RC_OK) {
        free(s);
        return RC_ENOMEM;
    }
    do {
        g->next_stream++;
    } while (g->next_stream == 0 || stream_find(g, g->next_stream) != NULL);
    s->id = g->next_stream;
    s->purpose = purpose;
    s->is_dialed = purpose != STREAM_UNKNOWN;
    s->address = *address;
    s->in.max = BUFFER_MAX;
    s->plain.max = BUFFER_MAX;
    s->deadline.kind = DEADLINE_STREAM;
    s->deadline.owner = s;
    gossip_arm(g, &s->deadline, g->profile->tcp_timeout_ms);
    g->streams[g->stream_count++] = s;
    *out = s;
    return RC_OK;
}

void stream_sweep(struct gossip *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->stream_count; i++) {
        if (g->streams[i]->is_closed) {
            free_stream(g->streams[i]);
        } else {
            g->streams[kept++] = g->streams[i];
        }
    }
    g->stream_count = kept;
}

void stream_fini(struct gossip *g)
{
    for (size_t i = 0; i < g->stream_count; i++) {
        free_stream(g->streams[i]);
    }
    g->stream_count = 0;
}

/* ---- Ends. */

/* Whoever waits for the stream hears how it ended: RC_OK or why not. */
static void settle(struct gossip *g, struct gossip_stream *s, int err)
{
    assert(!s->is_closed);
    s->is_closed = true;
    deadline_clear(&g->deadlines, &s->deadline);
    if (s->purpose == STREAM_JOIN) {
        gossip_tell(g, &(struct gossip_action){.type = GOSSIP_JOIN_RESULT,
                                               .address = s->address,
                                               .err = err});
    }
    if (s->purpose == STREAM_PING && err != RC_OK) {
        probe_on_tcp_failed(g, s->seq);
    }
    if (s->purpose == STREAM_CHECK) {
        join_check_settle(g, err);
    }
    if (s->purpose == STREAM_LANE && g->lane.stream_closed != NULL) {
        g->lane.stream_closed(g->lane.ctx, gossip_now_ms(g), s->id);
    }
}

void stream_hang_up(struct gossip *g, const struct gossip_stream *s)
{
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_STREAM_CLOSE, .stream = s->id});
}

static void finish(struct gossip *g, struct gossip_stream *s, int err)
{
    settle(g, s, err);
    stream_hang_up(g, s);
}

void stream_gone(struct gossip *g, uint32_t id)
{
    struct gossip_stream *s = stream_find(g, id);
    if (s != NULL) {
        settle(g, s, RC_ECLOSED);
    }
}

void stream_expired(struct gossip *g, struct gossip_stream *s)
{
    finish(g, s, RC_ETIMEOUT);
}

/* ---- Sending. */

int stream_send(struct gossip *g, struct gossip_stream *s, struct rc_pack_bytes plain)
{
    struct gossip_action action = {.type = GOSSIP_STREAM_SEND, .stream = s->id};
    size_t mark = outbox_mark(&g->outbox);

    if (s->is_dialed && !s->has_label) {
        envelope_open_stream(&g->envelope, &g->outbox.bytes);
        s->has_label = true;
    }
    if (s->cover_out == STREAM_COVER_OPEN) {
        s->cover_out =
            envelope_seals(&g->envelope) ? STREAM_COVER_SEALED : STREAM_COVER_PLAIN;
    }
    if (s->cover_out == STREAM_COVER_SEALED) {
        envelope_close_frame(&g->envelope, plain, &g->outbox.bytes);
    } else {
        rc_buffer_append(&g->outbox.bytes, plain.at, plain.size);
    }
    size_t size = g->outbox.bytes.size - mark;
    int err = outbox_add_written(&g->outbox, &action, mark);
    if (err != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
        return err;
    }
    g->counters.bytes_out += size;
    return RC_OK;
}

int stream_dial(struct gossip *g, const struct rc_address *to,
                enum stream_purpose purpose, struct gossip_stream **out)
{
    int err = add(g, to, purpose, out);
    if (err == RC_OK) {
        g->counters.streams_out++;
        gossip_tell(g, &(struct gossip_action){.type = GOSSIP_STREAM_OPEN,
                                               .stream = (*out)->id,
                                               .address = *to});
    }
    return err;
}

/* The same message compressed, if that makes it smaller. */
static struct rc_pack_bytes compressed(const struct rc_buffer *plain,
                                       struct rc_buffer *out)
{
    struct rc_buffer packed = {0};
    int err = lzw_encode(plain->bytes, plain->size, &packed);
    const struct wire_compress compress = {.bytes = {packed.bytes, packed.size}};

    if (err == RC_OK) {
        wire_write_typed(WIRE_COMPRESS, &wire_format_compress, &compress, out);
    }
    rc_buffer_fini(&packed);
    if (err != RC_OK || out->err != RC_OK || out->size >= plain->size) {
        return (struct rc_pack_bytes){plain->bytes, plain->size};
    }
    return (struct rc_pack_bytes){out->bytes, out->size};
}

static int send_state(struct gossip *g, struct gossip_stream *s, enum pushpull_kind kind)
{
    struct rc_buffer state = {0};
    struct rc_buffer packed = {0};

    pushpull_write(g, kind, &state);
    int err = state.err;
    if (err == RC_OK) {
        err = stream_send(g, s, compressed(&state, &packed));
    }
    rc_buffer_fini(&state);
    rc_buffer_fini(&packed);
    return err;
}

static int push_pull(struct gossip *g, const struct rc_address *to,
                     enum stream_purpose purpose, struct gossip_stream **out)
{
    int err = stream_dial(g, to, purpose, out);
    if (err != RC_OK) {
        return err;
    }
    /* A newcomer's history starts now; who was here before missed something. */
    (*out)->skips_events =
        purpose == STREAM_JOIN && g->serf.event_min == 0 && gossip_member_count(g) == 1;
    err = send_state(g, *out,
                     purpose == STREAM_JOIN || purpose == STREAM_RECONNECT
                         ? PUSHPULL_JOIN
                         : PUSHPULL_EXCHANGE);
    if (err != RC_OK) {
        finish(g, *out, err);
    }
    return RC_OK;
}

int stream_push_pull(struct gossip *g, const struct rc_address *to,
                     enum stream_purpose purpose)
{
    struct gossip_stream *s;

    return push_pull(g, to, purpose, &s);
}

/* Nobody else lives, as far as we know. */
static bool is_alone(const struct gossip *g)
{
    const struct gossip_member *member;
    size_t position = 0;

    while ((member = gossip_next_member(g, &position)) != NULL) {
        if (member != &g->self->view && member->status == GOSSIP_ALIVE) {
            return false;
        }
    }
    return true;
}

/* The other side could not read us, and said so under a key that we have but do not use: what
 * its pool uses. Ours is of a keyring that is older. We take its key to the front, and try
 * once more; who waits for this stream waits for that one. Only who is alone does: in a pool
 * it is the other who missed something, and must not drag us back. */
static bool follow(struct gossip *g, struct gossip_stream *s)
{
    const struct keyring *ring = &g->envelope.keyring;
    struct gossip_stream *second;

    if (s->is_second || s->cover_in != STREAM_COVER_SEALED || s->opened_by == 0 ||
        s->opened_by >= ring->count || !is_alone(g)) {
        return false;
    }
    struct gossip_key key = ring->slots[s->opened_by].key;
    int err = key_query_change(g, GOSSIP_KEY_FOLLOWED, &key);
    explicit_bzero(&key, sizeof key);
    if (err != RC_OK || s->purpose == STREAM_LANE || s->purpose == STREAM_PING ||
        push_pull(g, &s->address, s->purpose, &second) != RC_OK) {
        return false;
    }
    second->is_second = true;
    s->purpose = STREAM_EXCHANGE; /* nobody waits for it any more */
    return true;
}

void stream_ping(struct gossip *g, const struct member *target, uint32_t seq,
                 uint64_t until_ns)
{
    struct gossip_stream *s;

    if (stream_dial(g, &target->view.said->address, STREAM_PING, &s) == RC_OK) {
        s->seq = seq;
        (void)deadline_set(&g->deadlines, &s->deadline, until_ns);
        (void)stream_send(g, s,
                          (struct rc_pack_bytes){g->message.bytes, g->message.size});
    }
}

static void send_err(struct gossip *g, struct gossip_stream *s, const char *text)
{
    const struct wire_err message = {.error = rc_pack_text(text)};

    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_ERR, &wire_format_err, &message, &g->message);
    (void)stream_send(g, s, (struct rc_pack_bytes){g->message.bytes, g->message.size});
}

/* ---- Receiving: what the content means. Handlers return RC_OK when the stream is done (and
 * finished), RC_ETRUNCATED when more must come, anything else to refuse it. */

static int on_ping(struct gossip *g, struct gossip_stream *s, struct rc_cursor *in)
{
    struct wire_ping ping;

    int err = wire_read(&wire_format_ping, in, &ping);
    if (err != RC_OK) {
        return err;
    }
    if (ping.node.size > 0 && !rc_pack_equals(ping.node, gossip_own_name(g))) {
        gossip_refuse(g, GOSSIP_REFUSED_PING);
        finish(g, s, RC_OK);
        return RC_OK;
    }
    const struct wire_ack ack = {.seq = ping.seq};
    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_ACK, &wire_format_ack, &ack, &g->message);
    (void)stream_send(g, s, (struct rc_pack_bytes){g->message.bytes, g->message.size});
    finish(g, s, RC_OK);
    return RC_OK;
}

static int on_ack(struct gossip *g, struct gossip_stream *s, struct rc_cursor *in)
{
    struct wire_ack ack;

    int err = wire_read(&wire_format_ack, in, &ack);
    if (err != RC_OK) {
        return err;
    }
    if (s->purpose != STREAM_PING || ack.seq != s->seq) {
        return RC_EMALFORMED;
    }
    probe_on_tcp_ack(g, ack.seq);
    finish(g, s, RC_OK);
    return RC_OK;
}

static int on_err(struct gossip *g, struct gossip_stream *s, struct rc_cursor *in)
{
    struct wire_err message;

    int err = wire_read(&wire_format_err, in, &message);
    if (err != RC_OK) {
        return err;
    }
    if (!follow(g, s)) {
        gossip_refuse(g, GOSSIP_REFUSED_KEY); /* they could not read us */
    }
    finish(g, s, RC_EDENIED);
    return RC_OK;
}

static int on_user(struct gossip *g, struct gossip_stream *s, struct rc_cursor *in)
{
    struct wire_user_head head;

    int err = wire_read(&wire_format_user_head, in, &head);
    if (err != RC_OK) {
        return err;
    }
    if (head.size > USER_MESSAGE_MAX) {
        return RC_ETOOBIG;
    }
    const uint8_t *bytes = rc_cursor_take(in, head.size);
    if (bytes == NULL) {
        return in->err;
    }
    struct rc_cursor message = rc_cursor_over(bytes, head.size);
    carrier_user_message(g, NULL, &message);
    finish(g, s, RC_OK);
    return RC_OK;
}

/* An accepted stream is answered with our state as it was before the merge. */
static int on_push_pull(struct gossip *g, struct gossip_stream *s,
                        struct rc_pack_bytes content)
{
    if (s->purpose == STREAM_PING) {
        return RC_EMALFORMED; /* no answer to a ping */
    }
    int err = pushpull_scan(&s->scan, content);
    if (err != RC_OK) {
        return err;
    }
    if (!s->is_dialed) {
        err = send_state(g, s, s->scan.head.join ? PUSHPULL_JOIN : PUSHPULL_EXCHANGE);
        if (err != RC_OK) {
            return err;
        }
    }
    pushpull_merge(g, content,
                   s->skips_events ? PUSHPULL_NEW_EVENTS : PUSHPULL_ALL_EVENTS);
    if (s->purpose == STREAM_JOIN || s->purpose == STREAM_RECONNECT) {
        /* Who took us may die before it has told the others, or its few words may miss one. */
        swim_announce(g);
        serf_announce_join(g);
    }
    if (s->purpose == STREAM_JOIN) {
        join_check_begin(g, &s->address);
    }
    finish(g, s, RC_OK);
    return RC_OK;
}

static int on_once(struct gossip *g, struct gossip_stream *s,
                   struct rc_pack_bytes content)
{
    struct rc_cursor in = rc_cursor_over(content.at, content.size);
    uint8_t type = rc_cursor_u8(&in);

    if (type == WIRE_PUSH_PULL) {
        return on_push_pull(g, s, content);
    }
    if (s->is_dialed) {
        return type == WIRE_ACK   ? on_ack(g, s, &in)
               : type == WIRE_ERR ? on_err(g, s, &in)
                                  : RC_EMALFORMED;
    }
    return type == WIRE_PING   ? on_ping(g, s, &in)
           : type == WIRE_USER ? on_user(g, s, &in)
                               : RC_EMALFORMED;
}

/* One request or answer, maybe compressed. */
static int handle_once(struct gossip *g, struct gossip_stream *s,
                       struct rc_pack_bytes content)
{
    bool is_whole = s->cover_in == STREAM_COVER_SEALED; /* a frame holds all of it */

    if (content.at[0] == WIRE_COMPRESS) {
        struct rc_cursor in = rc_cursor_over(content.at + 1, content.size - 1);
        rc_buffer_clear(&s->unpacked);
        int err = envelope_unpack(&in, PUSHPULL_SIZE_MAX, &s->unpacked);
        if (err != RC_OK) {
            return err == RC_ETRUNCATED && is_whole ? RC_EMALFORMED : err;
        }
        content = (struct rc_pack_bytes){s->unpacked.bytes, s->unpacked.size};
        is_whole = true;
    }
    int err = on_once(g, s, content);
    return err == RC_ETRUNCATED && is_whole ? RC_EMALFORMED : err;
}

static int handle_content(struct gossip *g, struct gossip_stream *s,
                          struct rc_buffer *content)
{
    size_t used = 0;

    if (content->size == 0) {
        return RC_ETRUNCATED;
    }
    if (s->purpose == STREAM_UNKNOWN && content->bytes[0] == WIRE_LANE) {
        if (stream_lane_count(g) >= GOSSIP_LANE_STREAMS_MAX) {
            return RC_ETOOBIG;
        }
        s->purpose = STREAM_LANE;
    }
    if (s->purpose != STREAM_LANE) {
        return handle_once(g, s, (struct rc_pack_bytes){content->bytes, content->size});
    }
    int err = stream_lane_data(
        g, s, (struct rc_pack_bytes){content->bytes, content->size}, &used);
    rc_buffer_consume(content, used);
    return err;
}

/* ---- Receiving: label and encryption. */

static int read_label(struct gossip *g, struct gossip_stream *s)
{
    struct rc_cursor in = rc_cursor_over(s->in.bytes, s->in.size);

    if (s->is_dialed || s->has_label) {
        return RC_OK; /* answers carry no header */
    }
    int err = envelope_accept_stream(&g->envelope, &in);
    if (err == RC_OK) {
        rc_buffer_consume(&s->in, (size_t)(in.at - s->in.bytes));
        s->has_label = true;
    }
    return err;
}

/* Settles whether what comes in is encrypted. Only one side has keys: the other side is told
 * why, in words that Go peers also use. */
static int check_encryption(struct gossip *g, struct gossip_stream *s)
{
    size_t key_count = g->envelope.keyring.count;

    if (s->in.size == 0 || s->cover_in != STREAM_COVER_OPEN) {
        return RC_OK;
    }
    bool is_sealed = s->in.bytes[0] == WIRE_ENCRYPT;
    bool takes_plain = key_count == 0 || g->envelope.cover.takes_plain;
    if (is_sealed ? key_count > 0 : takes_plain) {
        s->cover_in = is_sealed ? STREAM_COVER_SEALED : STREAM_COVER_PLAIN;
        if (!is_sealed) {
            gossip_count_opened(g, key_count);
        }
        return RC_OK;
    }
    if (!s->is_dialed) {
        send_err(g, s,
                 is_sealed
                     ? "Remote state is encrypted and encryption is not configured"
                     : "Encryption is configured but remote state is not encrypted");
    }
    return is_sealed ? RC_EDENIED : RC_EUNSUPPORTED;
}

static int open_frames(struct gossip *g, struct gossip_stream *s)
{
    for (;;) {
        struct rc_cursor in = rc_cursor_over(s->in.bytes, s->in.size);
        int err = envelope_open_frame(&g->envelope, &in, &s->plain, &s->opened_by);
        if (err == RC_EDENIED && !s->is_dialed && s->purpose == STREAM_UNKNOWN) {
            send_err(g, s,
                     "No installed keys could decrypt the message"); /* as Go peers */
        }
        if (err != RC_OK) {
            return err;
        }
        gossip_count_opened(g, s->opened_by);
        rc_buffer_consume(&s->in, (size_t)(in.at - s->in.bytes));
        err = handle_content(g, s, &s->plain);
        if (err != RC_ETRUNCATED) {
            return err;
        }
    }
}

static int advance(struct gossip *g, struct gossip_stream *s)
{
    int err = read_label(g, s);
    if (err == RC_OK) {
        err = check_encryption(g, s);
    }
    if (err != RC_OK) {
        return err;
    }
    return s->cover_in == STREAM_COVER_SEALED ? open_frames(g, s)
                                              : handle_content(g, s, &s->in);
}

static enum gossip_refusal refusal_of(int err)
{
    if (err == RC_EDENIED) {
        return GOSSIP_REFUSED_KEY;
    }
    if (err == RC_EUNSUPPORTED) {
        return GOSSIP_REFUSED_PLAIN;
    }
    if (err == RC_ECONFLICT) {
        return GOSSIP_REFUSED_LABEL;
    }
    if (err == RC_ENOMEM) {
        return GOSSIP_REFUSED_NO_MEMORY;
    }
    return err == RC_ETOOBIG ? GOSSIP_REFUSED_TOO_BIG : GOSSIP_REFUSED_MALFORMED;
}

static void refuse(struct gossip *g, struct gossip_stream *s, int err)
{
    gossip_refuse(g, refusal_of(err));
    if (!s->is_closed) {
        finish(g, s, err);
    }
}

static bool is_over_budget(const struct gossip *g, size_t more)
{
    size_t held = more;
    for (size_t i = 0; i < g->stream_count; i++) {
        held += g->streams[i]->in.capacity + g->streams[i]->plain.capacity;
    }
    return held > STREAMS_BYTES_MAX;
}

/* Pools of thousands exchange megabytes, and all may come at once (memberlist 158: 3000 of them
 * held 7 GB). A few at a time may; who is refused comes again at its next interval. */
static bool may_grow(const struct gossip *g, struct gossip_stream *s)
{
    size_t large = 0;

    if (s->is_dialed || s->is_large || s->purpose != STREAM_UNKNOWN ||
        s->in.size <= SMALL_BYTES_MAX) {
        return true;
    }
    for (size_t i = 0; i < g->stream_count; i++) {
        large += g->streams[i]->is_large && g->streams[i]->purpose == STREAM_UNKNOWN;
    }
    s->is_large = large < LARGE_MAX;
    return s->is_large;
}

void stream_data(struct gossip *g, uint32_t id, struct rc_pack_bytes bytes)
{
    struct gossip_stream *s = stream_find(g, id);

    if (s == NULL) {
        return;
    }
    struct rc_address from = s->address;
    if (!s->is_dialed) {
        from.port = 0; /* streams come from any port */
    }
    g->source = &from;
    g->counters.bytes_in += bytes.size;
    rc_buffer_append(&s->in, bytes.at, bytes.size);
    if (!may_grow(g, s)) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        finish(g, s, RC_ETOOBIG);
        g->source = NULL;
        return;
    }
    int err = s->in.err != RC_OK || is_over_budget(g, 0) ? RC_ETOOBIG : advance(g, s);
    if (err != RC_OK && err != RC_ETRUNCATED) {
        refuse(g, s, err);
    }
    g->source = NULL;
}

int stream_accept(struct gossip *g, const struct rc_address *from, uint32_t *out)
{
    struct gossip_stream *s;

    int err = add(g, from, STREAM_UNKNOWN, &s);
    if (err != RC_OK) {
        return RC_ETOOBIG;
    }
    g->counters.streams_in++;
    *out = s->id;
    return RC_OK;
}

/* test_link.c - two ends of a link on one table: handshake, frames, requests, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/cipher.h"
#include "agent/link/door.h"
#include "agent/link/link.h"
#include "base/err.h"

enum { START_MS = 1000 };

#define HELLO_LAST_BYTE  "9e"
#define ANSWER_LAST_BYTE "8d"

struct pair {
    struct handshake_ring rings[2];
    struct credential credentials[2];
    struct link *ends[2]; /* the caller, the called */
    uint64_t now_ms;
    size_t slice; /* bytes carried at once; 0: all */
    uint64_t silence_ms;
};

static void set_ring(struct handshake_ring *ring, const char *keys)
{
    ring->count = 0;
    for (; *keys != '\0'; keys++) {
        uint8_t key[32];
        memset(key, *keys, sizeof key);
        handshake_key_from(key, sizeof key, &ring->keys[ring->count++]);
    }
}

/* Of the called one. */
static size_t body_max(void *context, const char *target)
{
    (void)context;
    return strcmp(target, "/v1/short") == 0 ? 5000 : LINK_BODY_MAX;
}

static struct link *make_end(struct pair *pair, int which)
{
    struct link_options options = {
        .role = which == 0 ? HANDSHAKE_CALLER : HANDSHAKE_CALLED,
        .ring = &pair->rings[which],
        .credential = &pair->credentials[which],
        .name = which == 0 ? "web1" : "adm1",
        .body_max = which == 0 ? NULL : body_max,
        .silence_ms = pair->silence_ms,
    };
    memset(options.secret, 7 + which, sizeof options.secret);
    return link_create(&options, pair->now_ms);
}

static void make(struct pair *pair, const char *caller_keys, const char *called_keys)
{
    pair->now_ms = START_MS;
    set_ring(&pair->rings[0], caller_keys);
    set_ring(&pair->rings[1], called_keys);
    pair->ends[0] = make_end(pair, 0);
    pair->ends[1] = make_end(pair, 1);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct pair));
    return *state == NULL;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    link_destroy(pair->ends[0]);
    link_destroy(pair->ends[1]);
    free(pair);
    return 0;
}

/* Everything one end has to send, to the other. */
static void carry(struct pair *pair, int from)
{
    struct rc_buffer bytes = {0};
    size_t at = 0;

    assert_int_equal(link_pull(pair->ends[from], pair->now_ms, SIZE_MAX, &bytes), RC_OK);
    while (at < bytes.size) {
        size_t size = pair->slice != 0 && pair->slice < bytes.size - at ? pair->slice
                                                                        : bytes.size - at;
        (void)link_receive(pair->ends[1 - from], pair->now_ms, bytes.bytes + at, size);
        at += size;
    }
    rc_buffer_fini(&bytes);
}

static struct link_event expect(struct pair *pair, int which, enum link_event_type type)
{
    struct link_event event;

    assert_int_equal(link_next(pair->ends[which], &event), RC_OK);
    assert_int_equal(event.type, type);
    return event;
}

static void connect_ends(struct pair *pair)
{
    carry(pair, 0);
    expect(pair, 1, LINK_NOTHING);
    carry(pair, 1);
    expect(pair, 0, LINK_NOTHING);
    carry(pair, 0);
    struct link_event up = expect(pair, 1, LINK_UP);
    assert_string_equal(up.name, "web1");
    expect(pair, 1, LINK_NOTHING);
    carry(pair, 1);
    up = expect(pair, 0, LINK_UP);
    assert_string_equal(up.name, "adm1");
    expect(pair, 0, LINK_NOTHING);
}

static uint32_t ask(struct pair *pair, const char *target, const void *body, size_t size)
{
    const struct link_request request = {.request_id = {1, 2, 3},
                                         .method = "PUT",
                                         .target = target,
                                         .token = "secret",
                                         .body = body,
                                         .body_size = size};
    uint32_t number = 0;
    assert_int_equal(link_ask(pair->ends[0], pair->now_ms, &request, &number), RC_OK);
    return number;
}

static int answer(struct pair *pair, uint32_t number, const void *body, size_t size)
{
    const struct link_reply reply = {.status = 200,
                                     .content_type = "application/json",
                                     .headers = {{"X-Consul-Index", "7"}},
                                     .header_count = 1,
                                     .body = body,
                                     .body_size = size};
    return link_answer(pair->ends[1], number, &reply);
}

static void a_request_and_its_reply_arrive_as_they_were(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);

    uint32_t number = ask(pair, "/v1/kv/x?raw", "true", 4);
    carry(pair, 0);
    struct link_event asked = expect(pair, 1, LINK_ASKED);
    assert_string_equal(asked.request->method, "PUT");
    assert_string_equal(asked.request->target, "/v1/kv/x?raw");
    assert_string_equal(asked.request->token, "secret");
    assert_int_equal(asked.request->request_id[2], 3);
    assert_int_equal(asked.request->body_size, 4);
    assert_memory_equal(asked.request->body, "true", 4);

    assert_int_equal(answer(pair, asked.number, "[]", 2), RC_OK);
    carry(pair, 1);
    struct link_event replied = expect(pair, 0, LINK_REPLIED);
    assert_int_equal(replied.number, number);
    assert_int_equal(replied.reply->status, 200);
    assert_string_equal(replied.reply->headers[0].value, "7");
    assert_memory_equal(replied.reply->body, "[]", 2);
    assert_int_equal(link_open_count(pair->ends[0]), 0);
    assert_int_equal(link_open_count(pair->ends[1]), 0);
}

static void bytes_may_come_one_by_one(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    pair->slice = 1;
    connect_ends(pair);

    ask(pair, "/v1/kv/x", "true", 4);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);
}

static void a_key_that_the_other_does_not_have_is_refused(void **state)
{
    struct pair *pair = *state;
    struct link_event event;
    struct rc_buffer none = {0};
    make(pair, "a", "bc");

    carry(pair, 0);
    assert_int_equal(link_next(pair->ends[1], &event), RC_EDENIED);
    assert_int_equal(link_pull(pair->ends[1], pair->now_ms, SIZE_MAX, &none), RC_OK);
    assert_int_equal(none.size, 0); /* not a byte for strangers */
}

static void any_key_of_the_ring_is_taken(void **state)
{
    struct pair *pair = *state;
    make(pair, "b", "ab");

    connect_ends(pair);
    assert_memory_equal(link_key_id(pair->ends[0]), pair->rings[0].keys[0].id, 8);
    assert_memory_equal(link_key_id(pair->ends[1]), pair->rings[0].keys[0].id, 8);
}

static void whoever_has_a_key_never_speaks_without(void **state)
{
    struct pair *pair = *state;
    struct link_event event;
    make(pair, "a", "a");

    handshake_key_from(NULL, 0, &pair->rings[0].keys[0]);
    link_destroy(pair->ends[0]);
    pair->ends[0] = make_end(pair, 0);
    carry(pair, 0);
    assert_int_equal(link_next(pair->ends[1], &event), RC_EDENIED);
}

static void a_server_proves_its_credential(void **state)
{
    struct pair *pair = *state;
    const uint8_t seed[CREDENTIAL_SEED_SIZE] = {9};
    make(pair, "a", "a");
    credential_from_seed(seed, &pair->credentials[1]);

    connect_ends(pair);
    assert_true(link_peer(pair->ends[0])->has_credential);
    assert_memory_equal(link_peer(pair->ends[0])->public_key,
                        pair->credentials[1].public_key, CREDENTIAL_PUBLIC_SIZE);
    assert_false(link_peer(pair->ends[1])->has_credential);
}

static void a_public_key_without_its_secret_proves_nothing(void **state)
{
    struct pair *pair = *state;
    struct link_event event;
    const uint8_t seed[CREDENTIAL_SEED_SIZE] = {9};
    const uint8_t other[CREDENTIAL_SEED_SIZE] = {8};
    struct credential thief;
    make(pair, "a", "a");
    credential_from_seed(seed, &pair->credentials[1]);
    credential_from_seed(other, &thief);
    memcpy(pair->credentials[1].secret, thief.secret, sizeof thief.secret);

    carry(pair, 0);
    expect(pair, 1, LINK_NOTHING);
    carry(pair, 1);
    assert_int_equal(link_next(pair->ends[0], &event), RC_EDENIED);
}

/* The bytes that one end has to send. */
static struct rc_buffer taken(struct pair *pair, int from)
{
    struct rc_buffer bytes = {0};
    assert_int_equal(link_pull(pair->ends[from], pair->now_ms, SIZE_MAX, &bytes), RC_OK);
    return bytes;
}

static int feed(struct pair *pair, int to, const uint8_t *bytes, size_t size)
{
    struct link_event event = {.type = LINK_NOTHING};

    (void)link_receive(pair->ends[to], pair->now_ms, bytes, size);
    int err;
    do {
        err = link_next(pair->ends[to], &event);
    } while (err == RC_OK && event.type != LINK_NOTHING);
    return err;
}

/* Shakes hands up to `message` (0 to 2), where one bit is turned; how that ended. */
static int shake_with_a_wrong_bit(struct pair *pair, size_t message, size_t bit)
{
    static const int senders[] = {0, 1, 0};
    static const size_t sizes[] = {HANDSHAKE_HELLO_SIZE, HANDSHAKE_ANSWER_SIZE,
                                   HANDSHAKE_PROOF_SIZE};
    int err = RC_OK;

    for (size_t i = 0; i <= message && err == RC_OK; i++) {
        struct rc_buffer bytes = taken(pair, senders[i]);
        if (i == message) {
            bytes.bytes[bit / 8 % sizes[i]] ^= (uint8_t)(1 << (bit % 8));
        }
        err = feed(pair, 1 - senders[i], bytes.bytes, bytes.size);
        rc_buffer_fini(&bytes);
    }
    return err;
}

static void no_bit_of_the_handshake_may_change(void **state)
{
    struct pair *pair = *state;

    for (size_t message = 0; message < 3; message++) {
        for (size_t bit = 0; bit < HANDSHAKE_MESSAGE_MAX * (size_t)8; bit += 5) {
            make(pair, "a", "a");
            assert_int_not_equal(shake_with_a_wrong_bit(pair, message, bit), RC_OK);
            assert_false(link_is_up(pair->ends[1]));
            link_destroy(pair->ends[0]);
            link_destroy(pair->ends[1]);
            pair->ends[0] = pair->ends[1] = NULL;
        }
    }
}

static void another_version_is_told_from_a_stranger(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    struct rc_buffer hello = taken(pair, 0);

    hello.bytes[3] = HANDSHAKE_VERSION + 1;
    assert_int_equal(feed(pair, 1, hello.bytes, hello.size), RC_EUNSUPPORTED);
    rc_buffer_fini(&hello);
}

/* Someone has recorded a whole conversation, and says the caller's part again. */
static void a_recorded_caller_gets_no_further_than_the_answer(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    struct rc_buffer hello = taken(pair, 0);
    assert_int_equal(feed(pair, 1, hello.bytes, hello.size), RC_OK);
    struct rc_buffer reply = taken(pair, 1);
    assert_int_equal(feed(pair, 0, reply.bytes, reply.size), RC_OK);
    struct rc_buffer proof = taken(pair, 0);

    link_destroy(pair->ends[1]);
    struct link_options options = {.role = HANDSHAKE_CALLED,
                                   .ring = &pair->rings[1],
                                   .credential = &pair->credentials[1],
                                   .name = "adm1",
                                   .secret = {99}};
    pair->ends[1] = link_create(&options, pair->now_ms);
    assert_int_equal(feed(pair, 1, hello.bytes, hello.size), RC_OK);
    assert_int_equal(feed(pair, 1, proof.bytes, proof.size), RC_EDENIED);
    assert_false(link_is_up(pair->ends[1]));
    rc_buffer_fini(&hello);
    rc_buffer_fini(&reply);
    rc_buffer_fini(&proof);
}

static void frames_cannot_be_swapped_repeated_or_changed(void **state)
{
    struct pair *pair = *state;
    enum { SWAPPED, REPEATED, CHANGED, SHORTENED, CASES };

    for (int kind = 0; kind < CASES; kind++) {
        make(pair, "a", "a");
        connect_ends(pair);
        ask(pair, "/v1/kv/1", NULL, 0);
        struct rc_buffer first = taken(pair, 0);
        ask(pair, "/v1/kv/2", NULL, 0);
        struct rc_buffer second = taken(pair, 0);
        if (kind != SWAPPED) {
            assert_int_equal(feed(pair, 1, first.bytes, first.size), RC_OK);
        }
        if (kind == CHANGED) {
            second.bytes[second.size - 1] ^= 1;
        } else if (kind == SHORTENED) {
            second.bytes[3]--; /* the length is sealed too */
        }
        const struct rc_buffer *next = kind == REPEATED ? &first : &second;
        assert_int_equal(feed(pair, 1, next->bytes, next->size), RC_EDENIED);
        rc_buffer_fini(&first);
        rc_buffer_fini(&second);
        link_destroy(pair->ends[0]);
        link_destroy(pair->ends[1]);
        pair->ends[0] = pair->ends[1] = NULL;
    }
}

static void a_length_is_checked_before_anything_is_kept_for_it(void **state)
{
    struct pair *pair = *state;
    const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff};
    const uint8_t tiny[] = {0, 0, 0, CIPHER_OVERHEAD - 1};
    make(pair, "a", "a");
    connect_ends(pair);

    assert_int_equal(feed(pair, 1, huge, sizeof huge), RC_ETOOBIG);
    assert_int_equal(feed(pair, 0, tiny, sizeof tiny), RC_ETOOBIG);
}

static void a_long_body_does_not_hold_up_a_short_one(void **state)
{
    struct pair *pair = *state;
    enum { LONG = 8 << 20 };
    uint8_t *body = calloc(1, LONG);
    struct rc_buffer bytes = {0};
    struct link_event event = {.type = LINK_NOTHING};
    make(pair, "a", "a");
    connect_ends(pair);
    uint32_t slow = ask(pair, "/v1/kv/long", NULL, 0);
    uint32_t quick = ask(pair, "/v1/kv/short", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);
    expect(pair, 1, LINK_ASKED);

    assert_int_equal(answer(pair, slow, body, LONG), RC_OK);
    assert_int_equal(link_pull(pair->ends[1], pair->now_ms, 1, &bytes), RC_OK);
    assert_int_equal(answer(pair, quick, body, 100 << 10), RC_OK);
    while (link_has_output(pair->ends[1])) {
        (void)link_receive(pair->ends[0], pair->now_ms, bytes.bytes, bytes.size);
        rc_buffer_clear(&bytes);
        assert_int_equal(link_next(pair->ends[0], &event), RC_OK);
        if (event.type == LINK_REPLIED) {
            break;
        }
        assert_int_equal(link_pull(pair->ends[1], pair->now_ms, 1, &bytes), RC_OK);
    }

    assert_int_equal(event.number, quick);
    rc_buffer_fini(&bytes);
    carry(pair, 1);
    event = expect(pair, 0, LINK_REPLIED);
    assert_int_equal(event.number, slow);
    assert_int_equal(event.reply->body_size, LONG);
    free(body);
}

static void what_is_cancelled_is_not_answered(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    uint32_t number = ask(pair, "/v1/kv/x?index=1", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);

    link_cancel(pair->ends[0], number);
    carry(pair, 0);
    struct link_event event = expect(pair, 1, LINK_CANCELLED);
    assert_int_equal(event.number, number);
    assert_int_equal(answer(pair, number, "late", 4), RC_OK);
    assert_false(link_has_output(pair->ends[1]));
}

static void what_is_refused_is_told_apart_from_a_reply(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    uint32_t number = ask(pair, "/v1/kv/x", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);

    link_refuse(pair->ends[1], number);
    carry(pair, 1);
    assert_int_equal(expect(pair, 0, LINK_REFUSED).number, number);
}

static void whoever_does_not_read_replies_is_refused_more(void **state)
{
    struct pair *pair = *state;
    char *body = calloc(1, LINK_LARGE_BYTES);
    make(pair, "a", "a");
    connect_ends(pair);

    assert_non_null(body);
    for (int i = 0; i < 2; i++) {
        uint32_t number = ask(pair, "/v1/kv/x", NULL, 0);
        carry(pair, 0);
        expect(pair, 1, LINK_ASKED);
        assert_int_equal(answer(pair, number, body, LINK_LARGE_BYTES), RC_OK);
    }
    free(body);
    (void)ask(pair, "/v1/kv/x", NULL,
              0); /* the heads alone are more than the limit now */
    carry(pair, 0);
    expect(pair, 1, LINK_NOTHING);
}

static void one_large_reply_keeps_nobody_else_out(void **state)
{
    enum { SNAPSHOT_BYTES = LINK_BACKLOG_MAX + 1000 };
    struct pair *pair = *state;
    char *body = calloc(1, SNAPSHOT_BYTES);
    make(pair, "a", "a");
    connect_ends(pair);

    assert_non_null(body);
    uint32_t number = ask(pair, "/v1/snapshot", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);
    assert_int_equal(answer(pair, number, body, SNAPSHOT_BYTES), RC_OK);
    free(body);
    number = ask(pair, "/v1/kv/x", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);
    assert_int_equal(answer(pair, number, "[]", 2), RC_OK);
    carry(pair, 1);
    assert_int_equal(expect(pair, 0, LINK_REPLIED).number, number); /* ahead of it */
    assert_int_equal(expect(pair, 0, LINK_REPLIED).reply->body_size, SNAPSHOT_BYTES);
}

static void a_body_that_is_too_long_for_its_target_is_told_of_and_not_kept(void **state)
{
    static const char body[5001];
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);

    uint32_t number = ask(pair, "/v1/short", body, sizeof body);
    uint32_t other = ask(pair, "/v1/kv/x", body, sizeof body);
    carry(pair, 0);
    struct link_event asked = expect(pair, 1, LINK_ASKED);
    assert_int_equal(asked.number, number);
    assert_int_equal(asked.request->body_size, sizeof body);
    assert_null(asked.request->body);
    asked = expect(pair, 1, LINK_ASKED);
    assert_int_equal(asked.number, other);
    assert_non_null(asked.request->body);
    expect(pair, 1, LINK_NOTHING);

    assert_int_equal(answer(pair, number, "too long", 8), RC_OK);
    carry(pair, 1);
    assert_int_equal(expect(pair, 0, LINK_REPLIED).number, number);
    assert_int_equal(link_open_count(pair->ends[1]), 1);
}

static void whoever_leaves_says_so_and_nothing_more(void **state)
{
    struct pair *pair = *state;
    struct link_event event;
    make(pair, "a", "a");
    connect_ends(pair);

    link_leave(pair->ends[1]);
    carry(pair, 1);
    expect(pair, 0, LINK_LEAVES);
    assert_int_equal(link_next(pair->ends[0], &event), RC_ECLOSED);
    assert_false(link_has_output(pair->ends[1]));
}

static void a_dead_peer_is_noticed_within_three_seconds(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    pair->now_ms += 15000; /* idle; nothing is asked of it */
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);
    assert_false(link_has_output(pair->ends[0]));

    ask(pair, "/v1/kv/x", NULL, 0);
    assert_true(link_deadline_ms(pair->ends[0]) <= pair->now_ms);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);
    uint64_t asked_ms = pair->now_ms;
    while (link_tick(pair->ends[0], pair->now_ms) == RC_OK) {
        assert_true(link_deadline_ms(pair->ends[0]) > pair->now_ms);
        pair->now_ms = link_deadline_ms(pair->ends[0]);
        assert_true(pair->now_ms - asked_ms <= 3000);
    }
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_ETIMEOUT);
}

static void a_link_at_rest_is_kept(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    uint32_t number = ask(pair, "/v1/kv/x", NULL, 0);
    carry(pair, 0);
    expect(pair, 1, LINK_ASKED);
    assert_int_equal(answer(pair, number, NULL, 0), RC_OK);
    carry(pair, 1);
    expect(pair, 0, LINK_REPLIED);

    assert_true(link_deadline_ms(pair->ends[0]) >= pair->now_ms + LINK_IDLE_PING_MS);
    for (int i = 0; i < 10; i++) {
        pair->now_ms = link_deadline_ms(pair->ends[0]);
        assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);
        carry(pair, 0);
        expect(pair, 1, LINK_NOTHING);
        carry(pair, 1);
        expect(pair, 0, LINK_NOTHING);
    }
}

static void whoever_slept_himself_accuses_nobody(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    ask(pair, "/v1/kv/x", NULL, 0);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);

    pair->now_ms += 60000;
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);
    pair->now_ms += LINK_SILENCE_MS;
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_ETIMEOUT);
}

static void who_is_in_a_hurry_waits_less_for_a_sign_of_life(void **state)
{
    struct pair *pair = *state;
    pair->silence_ms = 700;
    make(pair, "a", "a");
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 1399), RC_OK);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 1400), RC_ETIMEOUT);
    connect_ends(pair);
    ask(pair, "/v1/kv/x", NULL, 0);
    assert_int_equal(link_deadline_ms(pair->ends[0]), pair->now_ms + 250);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 699), RC_OK);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 700), RC_ETIMEOUT);
}

static void haste_may_come_later_and_does_not_go(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    ask(pair, "/v1/postgres/main?wait=250ms", NULL, 0);
    link_hurry(pair->ends[0], 700);
    link_hurry(pair->ends[0], 1400);
    assert_int_equal(link_deadline_ms(pair->ends[0]), pair->now_ms + 250);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 699), RC_OK);
    assert_int_equal(link_tick(pair->ends[0], pair->now_ms + 700), RC_ETIMEOUT);
}

static void a_peer_that_is_slow_to_answer_but_alive_is_waited_for(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);
    ask(pair, "/v1/kv/x?index=1&wait=10m", NULL, 0);

    for (int second = 0; second < 600; second++) {
        pair->now_ms += 1000;
        assert_int_equal(link_tick(pair->ends[0], pair->now_ms), RC_OK);
        assert_int_equal(link_tick(pair->ends[1], pair->now_ms), RC_OK);
        carry(pair, 0);
        struct link_event event;
        assert_int_equal(link_next(pair->ends[1], &event), RC_OK);
        carry(pair, 1);
        expect(pair, 0, LINK_NOTHING);
    }
}

static void a_handshake_that_does_not_end_is_ended(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    carry(pair, 0);
    expect(pair, 1, LINK_NOTHING);

    assert_int_equal(link_deadline_ms(pair->ends[1]), START_MS + LINK_HANDSHAKE_MS);
    assert_int_equal(link_tick(pair->ends[1], START_MS + LINK_HANDSHAKE_MS - 1), RC_OK);
    assert_int_equal(link_tick(pair->ends[1], START_MS + LINK_HANDSHAKE_MS), RC_ETIMEOUT);
}

static void keys_change_after_an_hour_and_nobody_notices(void **state)
{
    struct pair *pair = *state;
    make(pair, "a", "a");
    connect_ends(pair);

    for (int i = 0; i < 5; i++) {
        pair->now_ms += 3600 * 1000 + 1;
        uint32_t number = ask(pair, "/v1/kv/x", NULL, 0);
        carry(pair, 0);
        expect(pair, 1, LINK_ASKED);
        assert_int_equal(answer(pair, number, NULL, 0), RC_OK);
        carry(pair, 1);
        expect(pair, 0, LINK_REPLIED);
    }
}

/* The keys of two ends that are given the same secrets never change: whoever changes the
 * handshake breaks pools of two versions. */
static void the_handshake_is_what_it_was(void **state)
{
    struct pair *pair = *state;
    static const uint8_t hello_start[] = {'r', 'l', 'k', 1};
    char hello[3];
    make(pair, "a", "a");
    struct rc_buffer bytes = taken(pair, 0);

    assert_int_equal(bytes.size, HANDSHAKE_HELLO_SIZE);
    assert_memory_equal(bytes.bytes, hello_start, sizeof hello_start);
    (void)snprintf(hello, sizeof hello, "%02x", bytes.bytes[HANDSHAKE_HELLO_SIZE - 1]);
    assert_string_equal(hello, HELLO_LAST_BYTE);
    assert_int_equal(feed(pair, 1, bytes.bytes, bytes.size), RC_OK);
    rc_buffer_fini(&bytes);
    bytes = taken(pair, 1);
    assert_int_equal(bytes.size, HANDSHAKE_ANSWER_SIZE);
    (void)snprintf(hello, sizeof hello, "%02x", bytes.bytes[HANDSHAKE_ANSWER_SIZE - 1]);
    assert_string_equal(hello, ANSWER_LAST_BYTE);
    rc_buffer_fini(&bytes);
}

static void the_door_is_narrow(void **state)
{
    struct door door = {.count = 0};
    struct rc_address address = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 1};

    (void)state;
    for (int i = 0; i < DOOR_PER_ADDRESS_MAX; i++) {
        address.port++; /* another port is no other address */
        assert_true(door_enter(&door, &address));
    }
    assert_false(door_enter(&door, &address));
    for (int i = DOOR_PER_ADDRESS_MAX; i < DOOR_WAITING_MAX; i++) {
        address.ip[3]++;
        assert_true(door_enter(&door, &address));
    }
    address.ip[3]++;
    assert_false(door_enter(&door, &address));
    address.ip[3]--;
    door_leave(&door, &address);
    address.ip[3]++;
    assert_true(door_enter(&door, &address));
}

static void credentials_are_read_as_they_are_shown(void **state)
{
    const uint8_t seed[CREDENTIAL_SEED_SIZE] = {1, 2, 3};
    struct credential made;
    struct credential again = {0};
    uint8_t key[CREDENTIAL_PUBLIC_SIZE];
    char text[CREDENTIAL_TEXT_MAX];

    (void)state;
    credential_from_seed(seed, &made);
    credential_show_secret(&made, text);
    assert_int_equal(credential_read_secret(text, &again), RC_OK);
    assert_memory_equal(&again, &made, sizeof made);
    assert_int_equal(credential_read_public(text, key), RC_EMALFORMED);
    credential_show_public(made.public_key, text);
    assert_int_equal(credential_read_public(text, key), RC_OK);
    assert_memory_equal(key, made.public_key, sizeof key);
    assert_int_equal(credential_read_secret(text, &again), RC_EMALFORMED);
    text[30]++;
    text[strlen(text) - 1] = '\0';
    assert_int_equal(credential_read_public(text, key), RC_EMALFORMED);
    assert_int_equal(credential_read_public("", key), RC_EMALFORMED);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_request_and_its_reply_arrive_as_they_were),
        CLAIM(bytes_may_come_one_by_one),
        CLAIM(a_key_that_the_other_does_not_have_is_refused),
        CLAIM(any_key_of_the_ring_is_taken),
        CLAIM(whoever_has_a_key_never_speaks_without),
        CLAIM(a_server_proves_its_credential),
        CLAIM(a_public_key_without_its_secret_proves_nothing),
        CLAIM(no_bit_of_the_handshake_may_change),
        CLAIM(another_version_is_told_from_a_stranger),
        CLAIM(a_recorded_caller_gets_no_further_than_the_answer),
        CLAIM(frames_cannot_be_swapped_repeated_or_changed),
        CLAIM(a_length_is_checked_before_anything_is_kept_for_it),
        CLAIM(a_long_body_does_not_hold_up_a_short_one),
        CLAIM(what_is_cancelled_is_not_answered),
        CLAIM(what_is_refused_is_told_apart_from_a_reply),
        CLAIM(whoever_does_not_read_replies_is_refused_more),
        CLAIM(one_large_reply_keeps_nobody_else_out),
        CLAIM(a_body_that_is_too_long_for_its_target_is_told_of_and_not_kept),
        CLAIM(whoever_leaves_says_so_and_nothing_more),
        CLAIM(a_dead_peer_is_noticed_within_three_seconds),
        CLAIM(a_link_at_rest_is_kept),
        CLAIM(whoever_slept_himself_accuses_nobody),
        CLAIM(who_is_in_a_hurry_waits_less_for_a_sign_of_life),
        CLAIM(haste_may_come_later_and_does_not_go),
        CLAIM(a_peer_that_is_slow_to_answer_but_alive_is_waited_for),
        CLAIM(a_handshake_that_does_not_end_is_ended),
        CLAIM(keys_change_after_an_hour_and_nobody_notices),
        CLAIM(the_handshake_is_what_it_was),
        cmocka_unit_test(the_door_is_narrow),
        cmocka_unit_test(credentials_are_read_as_they_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Any bytes to one end of a link, in pieces. The first byte tells to which: one that was called,
 * one that called, or one whose handshake is over and whose frames open (the stream is then
 * sealed here, so that what is inside is the fuzzer's). The second says how it is split. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/link/cipher.h"
#include "agent/link/link_state.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { NOW_MS = 1000 };

static struct link *make(enum handshake_role role, const struct handshake_ring *ring)
{
    struct link_options options = {.role = role, .ring = ring, .name = "n"};
    memset(options.secret, 1 + (int)role, sizeof options.secret);
    return link_create(&options, NOW_MS);
}

/* Until it wants more, or has enough. */
static int drain(struct link *link)
{
    struct link_event event = {.type = LINK_NOTHING};
    int err;

    do {
        err = link_next(link, &event);
        if (err == RC_OK && event.type == LINK_ASKED) {
            assert(strlen(event.request->target) <= LINK_TARGET_MAX);
            assert(event.request->body_size <= LINK_BODY_MAX);
            if (event.number % 3 == 0) {
                const struct link_reply reply = {.status = 200, .content_type = ""};
                (void)link_answer(link, event.number, &reply);
            } else if (event.number % 3 == 1) {
                link_refuse(link, event.number);
            }
        }
    } while (err == RC_OK && event.type != LINK_NOTHING);
    assert(link->assembly_bytes <= LINK_ASSEMBLY_MAX);
    return err;
}

static void feed(struct link *link, const uint8_t *bytes, size_t size, size_t step)
{
    int err = RC_OK;

    for (size_t at = 0; at < size && err == RC_OK; at += step) {
        size_t left = size - at;
        err = link_receive(link, NOW_MS, bytes + at, left < step ? left : step);
        err = err == RC_OK ? drain(link) : err;
    }
}

static void carry(struct link *from, struct link *to)
{
    struct rc_buffer bytes = {0};

    (void)link_pull(from, NOW_MS, SIZE_MAX, &bytes);
    (void)link_receive(to, NOW_MS, bytes.bytes, bytes.size);
    (void)drain(to);
    rc_buffer_fini(&bytes);
}

/* What the other end of a good link says in its frames. */
static void feed_messages(const struct handshake_ring *ring, const uint8_t *bytes,
                          size_t size, size_t step)
{
    struct link *ends[] = {make(HANDSHAKE_CALLER, ring), make(HANDSHAKE_CALLED, ring)};
    const struct link_request request = {.method = "GET", .target = "/", .token = ""};
    struct rc_buffer frames = {0};
    uint32_t number = 0;

    carry(ends[0], ends[1]);
    carry(ends[1], ends[0]);
    carry(ends[0], ends[1]);
    carry(ends[1], ends[0]);
    assert(link_is_up(ends[0]) && link_is_up(ends[1]));
    (void)link_ask(ends[1], NOW_MS, &request,
                   &number); /* so that replies fit something */
    while (size > 0) {
        size_t some = size < CIPHER_FRAME_MAX ? size : CIPHER_FRAME_MAX;
        (void)cipher_seal(ends[0]->cipher, NOW_MS, bytes, some, CIPHER_MORE, &frames);
        bytes += some;
        size -= some;
    }
    feed(ends[1], frames.bytes, frames.size, step * 7);
    rc_buffer_fini(&frames);
    link_destroy(ends[0]);
    link_destroy(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct handshake_ring ring = {.count = 1};

    if (size < 2) {
        return 0;
    }
    handshake_key_from("0123456789abcdef", 16, &ring.keys[0]);
    size_t step = 1 + bytes[1];
    if (bytes[0] % 3 == 2) {
        feed_messages(&ring, bytes + 2, size - 2, step);
        return 0;
    }
    struct link *link =
        make(bytes[0] % 3 == 0 ? HANDSHAKE_CALLED : HANDSHAKE_CALLER, &ring);
    feed(link, bytes + 2, size - 2, step);
    assert(!link_is_up(link)); /* nobody guesses a key */
    link_destroy(link);
    return 0;
}

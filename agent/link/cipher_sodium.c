#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "agent/link/cipher.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/writer.h"

static_assert(CIPHER_HEADER_SIZE == crypto_secretstream_xchacha20poly1305_HEADERBYTES,
              "header");
static_assert(CIPHER_OVERHEAD == crypto_secretstream_xchacha20poly1305_ABYTES, "tag");

struct cipher {
    crypto_secretstream_xchacha20poly1305_state send;
    crypto_secretstream_xchacha20poly1305_state receive;
    uint8_t header[CIPHER_HEADER_SIZE];
    uint8_t receive_key[32]; /* until the other's header is there */
    uint32_t frames;         /* since the key was last changed */
    uint64_t since_ms;
};

struct cipher *cipher_create(const uint8_t send_key[32], const uint8_t receive_key[32],
                             uint64_t now_ms)
{
    struct cipher *cipher = calloc(1, sizeof *cipher);

    if (cipher == NULL) {
        return NULL;
    }
    (void)crypto_secretstream_xchacha20poly1305_init_push(&cipher->send, cipher->header,
                                                          send_key); /* always 0 */
    memcpy(cipher->receive_key, receive_key, sizeof cipher->receive_key);
    cipher->since_ms = now_ms;
    return cipher;
}

void cipher_destroy(struct cipher *cipher)
{
    if (cipher != NULL) {
        sodium_memzero(cipher, sizeof *cipher);
        free(cipher);
    }
}

void cipher_header(const struct cipher *cipher, uint8_t out[CIPHER_HEADER_SIZE])
{
    memcpy(out, cipher->header, CIPHER_HEADER_SIZE);
}

int cipher_take_header(struct cipher *cipher, const uint8_t header[CIPHER_HEADER_SIZE])
{
    int failed = crypto_secretstream_xchacha20poly1305_init_pull(&cipher->receive, header,
                                                                 cipher->receive_key);
    sodium_memzero(cipher->receive_key, sizeof cipher->receive_key);
    return failed ? RC_EDENIED : RC_OK;
}

static uint8_t tag_for(struct cipher *cipher, uint64_t now_ms, enum cipher_kind kind)
{
    if (kind == CIPHER_LAST) {
        return crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    }
    cipher->frames++;
    if (cipher->frames < CIPHER_REKEY_FRAMES &&
        now_ms - cipher->since_ms < CIPHER_REKEY_MS) {
        return crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    }
    cipher->frames = 0;
    cipher->since_ms = now_ms;
    return crypto_secretstream_xchacha20poly1305_TAG_REKEY;
}

int cipher_seal(struct cipher *cipher, uint64_t now_ms, const void *plain, size_t size,
                enum cipher_kind kind, struct rc_buffer *out)
{
    size_t sealed_size = size + CIPHER_OVERHEAD;

    assert(size <= CIPHER_FRAME_MAX);
    int err = rc_buffer_reserve(out, CIPHER_LENGTH_SIZE + sealed_size);
    if (err != RC_OK) {
        return err;
    }
    uint8_t *length = out->bytes + out->size;
    struct rc_writer w = rc_writer_over(length, CIPHER_LENGTH_SIZE);
    rc_writer_u32(&w, (uint32_t)sealed_size);
    (void)crypto_secretstream_xchacha20poly1305_push(
        &cipher->send, length + CIPHER_LENGTH_SIZE, NULL, plain, size, length,
        CIPHER_LENGTH_SIZE, tag_for(cipher, now_ms, kind)); /* always 0 */
    out->size += CIPHER_LENGTH_SIZE + sealed_size;
    return RC_OK;
}

int cipher_length(const uint8_t length[CIPHER_LENGTH_SIZE], size_t *out)
{
    struct rc_cursor in = rc_cursor_over(length, CIPHER_LENGTH_SIZE);
    uint32_t size = rc_cursor_u32(&in);

    if (size < CIPHER_OVERHEAD || size > CIPHER_FRAME_MAX + CIPHER_OVERHEAD) {
        return RC_ETOOBIG;
    }
    *out = size;
    return RC_OK;
}

int cipher_open(struct cipher *cipher, const uint8_t length[CIPHER_LENGTH_SIZE],
                const uint8_t *sealed, size_t size, struct rc_buffer *out,
                enum cipher_kind *kind)
{
    unsigned char tag = 0;

    assert(size >= CIPHER_OVERHEAD);
    rc_buffer_clear(out);
    int err = rc_buffer_reserve(out, size);
    if (err != RC_OK) {
        return err;
    }
    if (crypto_secretstream_xchacha20poly1305_pull(&cipher->receive, out->bytes, NULL,
                                                   &tag, sealed, size, length,
                                                   CIPHER_LENGTH_SIZE) != 0) {
        return RC_EDENIED;
    }
    out->size = size - CIPHER_OVERHEAD;
    *kind = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL ? CIPHER_LAST
                                                                   : CIPHER_MORE;
    return RC_OK;
}

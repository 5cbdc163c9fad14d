#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "agent/link/handshake.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/writer.h"

enum {
    HEAD_SIZE = 4,
    MAC_SIZE = 32,
    SIGNED_MAX = 64,
    /* Which key is derived for what. */
    KEY_OF_ANSWER = 1,
    KEY_OF_PROOF = 2,
    KEY_OF_CALLER = 3,
    KEY_OF_CALLED = 4
};

static const uint8_t head[HEAD_SIZE] = {'r', 'l', 'k', HANDSHAKE_VERSION};
static const char purpose[] = "rc-link1"; /* crypto_kdf_CONTEXTBYTES */

static_assert(sizeof purpose - 1 == crypto_kdf_CONTEXTBYTES, "context");
static_assert(HANDSHAKE_SECRET_SIZE == crypto_kdf_KEYBYTES, "key");
static_assert(HANDSHAKE_SECRET_SIZE == crypto_scalarmult_SCALARBYTES, "scalar");
static_assert(CREDENTIAL_SIGNATURE_SIZE == crypto_sign_BYTES, "signature");
static_assert(HANDSHAKE_CLAIM_SIZE == 1 + crypto_sign_PUBLICKEYBYTES + crypto_sign_BYTES +
                                          crypto_aead_chacha20poly1305_ietf_ABYTES,
              "claim");

/* ---- Keys of the pool. */

static void digest(const void *key, size_t key_size, const char *words, uint8_t *out,
                   size_t size)
{
    (void)crypto_generichash(out, size, (const uint8_t *)words, strlen(words), key,
                             key_size); /* fails for wrong sizes alone */
}

void handshake_key_from(const void *key, size_t size, struct handshake_key *out)
{
    assert(size <= crypto_generichash_KEYBYTES_MAX);
    *out = (struct handshake_key){0};
    if (size == 0) {
        return;
    }
    digest(key, size, "rollcall link 1, name of a key", out->id, sizeof out->id);
    digest(key, size, "rollcall link 1, secret", out->secret, sizeof out->secret);
}

const struct handshake_key *handshake_ring_find(const struct handshake_ring *ring,
                                                const uint8_t id[HANDSHAKE_KEY_ID_SIZE])
{
    for (size_t i = 0; i < ring->count; i++) {
        if (memcmp(ring->keys[i].id, id, HANDSHAKE_KEY_ID_SIZE) == 0) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

/* ---- What was said. */

static void mix(struct handshake *h, const uint8_t *bytes, size_t size)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, sizeof h->transcript);
    (void)crypto_generichash_update(&state, h->transcript, sizeof h->transcript);
    (void)crypto_generichash_update(&state, bytes, size);
    (void)crypto_generichash_final(&state, h->transcript, sizeof h->transcript);
}

static void keyed(const uint8_t key[32], const uint8_t *a, size_t a_size,
                  const uint8_t *b, size_t b_size, uint8_t out[32])
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, 32, 32);
    (void)crypto_generichash_update(&state, a, a_size);
    (void)crypto_generichash_update(&state, b, b_size);
    (void)crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof state);
}

/* From both ephemeral keys, the pool's secret and all that was said. */
static int agree(struct handshake *h, const uint8_t theirs[32])
{
    uint8_t shared[crypto_scalarmult_BYTES];

    if (crypto_scalarmult(shared, h->secret, theirs) != 0) {
        return RC_EDENIED; /* a point that makes any secret zero */
    }
    keyed(h->pool_secret, shared, sizeof shared, h->transcript, sizeof h->transcript,
          h->master);
    sodium_memzero(shared, sizeof shared);
    sodium_memzero(h->secret, sizeof h->secret);
    return RC_OK;
}

static void conclude(struct handshake *h)
{
    static const uint8_t words[] = "stream";
    uint8_t session[32];
    bool calls = h->role == HANDSHAKE_CALLER;

    keyed(h->master, h->transcript, sizeof h->transcript, words, sizeof words, session);
    (void)crypto_kdf_derive_from_key(
        h->result.send_key, 32, calls ? KEY_OF_CALLER : KEY_OF_CALLED, purpose, session);
    (void)crypto_kdf_derive_from_key(h->result.receive_key, 32,
                                     calls ? KEY_OF_CALLED : KEY_OF_CALLER, purpose,
                                     session);
    sodium_memzero(session, sizeof session);
    sodium_memzero(h->master, sizeof h->master);
    sodium_memzero(h->pool_secret, sizeof h->pool_secret);
    h->is_done = true;
}

/* ---- Who says it. */

/* What is signed: by whom, and all that was said. */
static size_t words_of(const struct handshake *h, enum handshake_role role,
                       uint8_t out[SIGNED_MAX])
{
    struct rc_writer w = rc_writer_over(out, SIGNED_MAX);
    const char *words =
        role == HANDSHAKE_CALLER ? "rollcall link 1, caller" : "rollcall link 1, called";

    rc_writer_bytes(&w, words, strlen(words));
    rc_writer_bytes(&w, h->transcript, sizeof h->transcript);
    return rc_writer_size(&w);
}

static void claim_key(const struct handshake *h, enum handshake_role role,
                      uint8_t out[32])
{
    (void)crypto_kdf_derive_from_key(
        out, 32, role == HANDSHAKE_CALLER ? KEY_OF_PROOF : KEY_OF_ANSWER, purpose,
        h->master);
}

/* Each key seals one claim, so the nonce is a constant. */
static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

static void write_claim(struct handshake *h, uint8_t out[HANDSHAKE_CLAIM_SIZE])
{
    uint8_t plain[1 + CREDENTIAL_PUBLIC_SIZE + CREDENTIAL_SIGNATURE_SIZE] = {0};
    uint8_t words[SIGNED_MAX];
    uint8_t key[32];

    if (h->credential != NULL && h->credential->is_set) {
        size_t size = words_of(h, h->role, words);
        plain[0] = 1;
        memcpy(plain + 1, h->credential->public_key, CREDENTIAL_PUBLIC_SIZE);
        (void)crypto_sign_detached(plain + 1 + CREDENTIAL_PUBLIC_SIZE, NULL, words, size,
                                   h->credential->secret); /* always 0 */
    }
    claim_key(h, h->role, key);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, sizeof plain,
                                                    h->transcript, sizeof h->transcript,
                                                    NULL, nonce, key); /* always 0 */
    sodium_memzero(key, sizeof key);
    mix(h, out, HANDSHAKE_CLAIM_SIZE);
}

static int read_claim(struct handshake *h, const uint8_t sealed[HANDSHAKE_CLAIM_SIZE])
{
    enum handshake_role theirs =
        h->role == HANDSHAKE_CALLER ? HANDSHAKE_CALLED : HANDSHAKE_CALLER;
    uint8_t plain[1 + CREDENTIAL_PUBLIC_SIZE + CREDENTIAL_SIGNATURE_SIZE];
    uint8_t words[SIGNED_MAX];
    uint8_t key[32];

    claim_key(h, theirs, key);
    int failed = crypto_aead_chacha20poly1305_ietf_decrypt(
        plain, NULL, NULL, sealed, HANDSHAKE_CLAIM_SIZE, h->transcript,
        sizeof h->transcript, nonce, key);
    sodium_memzero(key, sizeof key);
    if (failed) {
        return RC_EDENIED;
    }
    if (plain[0] != 0) {
        size_t size = words_of(h, theirs, words);
        if (crypto_sign_verify_detached(plain + 1 + CREDENTIAL_PUBLIC_SIZE, words, size,
                                        plain + 1) != 0) {
            return RC_EDENIED;
        }
        h->result.peer.has_credential = true;
        memcpy(h->result.peer.public_key, plain + 1, CREDENTIAL_PUBLIC_SIZE);
    }
    mix(h, sealed, HANDSHAKE_CLAIM_SIZE);
    return RC_OK;
}

/* ---- The messages. */

static void use_key(struct handshake *h, const struct handshake_key *key)
{
    memcpy(h->pool_secret, key->secret, sizeof h->pool_secret);
    memcpy(h->result.key_id, key->id, sizeof h->result.key_id);
}

void handshake_init(struct handshake *h, enum handshake_role role,
                    const struct handshake_ring *ring,
                    const struct credential *credential,
                    const uint8_t secret[HANDSHAKE_SECRET_SIZE])
{
    assert(ring->count > 0 && ring->count <= HANDSHAKE_KEYS_MAX);
    *h = (struct handshake){.role = role, .ring = ring, .credential = credential};
    memcpy(h->secret, secret, sizeof h->secret);
}

void handshake_fini(struct handshake *h)
{
    sodium_memzero(h, sizeof *h);
}

size_t handshake_begin(struct handshake *h, uint8_t out[HANDSHAKE_MESSAGE_MAX])
{
    struct rc_writer w = rc_writer_over(out, HANDSHAKE_HELLO_SIZE);
    uint8_t mine[32];
    uint8_t mac[MAC_SIZE];

    assert(h->role == HANDSHAKE_CALLER);
    use_key(h, &h->ring->keys[0]);
    (void)crypto_scalarmult_base(mine, h->secret);
    rc_writer_bytes(&w, head, sizeof head);
    rc_writer_bytes(&w, h->result.key_id, sizeof h->result.key_id);
    rc_writer_bytes(&w, mine, sizeof mine);
    keyed(h->pool_secret, out, rc_writer_size(&w), NULL, 0, mac);
    rc_writer_bytes(&w, mac, sizeof mac);
    assert(rc_writer_size(&w) == HANDSHAKE_HELLO_SIZE);
    mix(h, out, HANDSHAKE_HELLO_SIZE);
    return HANDSHAKE_HELLO_SIZE;
}

size_t handshake_wants(const struct handshake *h)
{
    if (h->is_done || h->has_failed) {
        return 0;
    }
    if (h->role == HANDSHAKE_CALLER) {
        return HANDSHAKE_ANSWER_SIZE;
    }
    return h->taken == 0 ? HANDSHAKE_HELLO_SIZE : HANDSHAKE_PROOF_SIZE;
}

static int check_head(struct rc_cursor *in)
{
    const uint8_t *bytes = rc_cursor_take(in, HEAD_SIZE);

    if (bytes == NULL || memcmp(bytes, head, HEAD_SIZE - 1) != 0) {
        return RC_EDENIED;
    }
    return bytes[HEAD_SIZE - 1] == HANDSHAKE_VERSION ? RC_OK : RC_EUNSUPPORTED;
}

static int take_hello(struct handshake *h, const uint8_t *message,
                      uint8_t out[HANDSHAKE_MESSAGE_MAX], size_t *out_size)
{
    struct rc_cursor in = rc_cursor_over(message, HANDSHAKE_HELLO_SIZE);
    uint8_t mac[MAC_SIZE];

    int err = check_head(&in);
    if (err != RC_OK) {
        return err;
    }
    const struct handshake_key *key =
        handshake_ring_find(h->ring, rc_cursor_take(&in, HANDSHAKE_KEY_ID_SIZE));
    const uint8_t *theirs = rc_cursor_take(&in, 32);
    if (key == NULL) {
        return RC_EDENIED;
    }
    use_key(h, key);
    keyed(h->pool_secret, message, HANDSHAKE_HELLO_SIZE - MAC_SIZE, NULL, 0, mac);
    if (sodium_memcmp(mac, rc_cursor_take(&in, MAC_SIZE), MAC_SIZE) != 0) {
        return RC_EDENIED;
    }
    mix(h, message, HANDSHAKE_HELLO_SIZE);
    memcpy(out, head, sizeof head);
    (void)crypto_scalarmult_base(out + HEAD_SIZE, h->secret);
    mix(h, out, HEAD_SIZE + 32);
    err = agree(h, theirs);
    if (err == RC_OK) {
        write_claim(h, out + HEAD_SIZE + 32);
        *out_size = HANDSHAKE_ANSWER_SIZE;
    }
    return err;
}

static int take_answer(struct handshake *h, const uint8_t *message,
                       uint8_t out[HANDSHAKE_MESSAGE_MAX], size_t *out_size)
{
    struct rc_cursor in = rc_cursor_over(message, HANDSHAKE_ANSWER_SIZE);

    int err = check_head(&in);
    if (err != RC_OK) {
        return err;
    }
    const uint8_t *theirs = rc_cursor_take(&in, 32);
    mix(h, message, HEAD_SIZE + 32);
    err = agree(h, theirs);
    if (err == RC_OK) {
        err = read_claim(h, rc_cursor_take(&in, HANDSHAKE_CLAIM_SIZE));
    }
    if (err == RC_OK) {
        write_claim(h, out);
        *out_size = HANDSHAKE_PROOF_SIZE;
        conclude(h);
    }
    return err;
}

static int take_proof(struct handshake *h, const uint8_t *message)
{
    int err = read_claim(h, message);

    if (err == RC_OK) {
        conclude(h);
    }
    return err;
}

int handshake_take(struct handshake *h, const uint8_t *message,
                   uint8_t out[HANDSHAKE_MESSAGE_MAX], size_t *out_size)
{
    int err;

    assert(handshake_wants(h) > 0);
    *out_size = 0;
    if (h->role == HANDSHAKE_CALLER) {
        err = take_answer(h, message, out, out_size);
    } else if (h->taken == 0) {
        err = take_hello(h, message, out, out_size);
    } else {
        err = take_proof(h, message);
    }
    h->taken++;
    h->has_failed = err != RC_OK;
    return err;
}

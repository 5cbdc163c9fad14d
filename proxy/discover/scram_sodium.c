/* scram_sodium.c - see scram_sodium.h. */
#include "proxy/discover/scram_sodium.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/err.h"
#include "base/text.h"

enum { KEY = 32, SALT_MAX = 64, MESSAGE_MAX = 512, FIELD_MAX = 128 };

int scram_begin(struct scram *scram, const char *user, const char *nonce,
                struct rc_buffer *out)
{
    int err = rc_text_put(scram->nonce, sizeof scram->nonce, nonce);
    int wrote =
        snprintf(scram->first_bare, sizeof scram->first_bare, "n=%s,r=%s", user, nonce);
    if (err != RC_OK || wrote < 0 || (size_t)wrote >= sizeof scram->first_bare) {
        return RC_ETOOBIG;
    }
    rc_buffer_format(out, "n,,%s", scram->first_bare);
    return out->err;
}

/* Attribute `name` of a message such as "r=..,s=..,i=..". RC_OK or RC_EMALFORMED. */
static int find_field(const char *message, char name, char out[FIELD_MAX])
{
    for (const char *at = message; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (at[0] != name || at[1] != '=') {
            continue;
        }
        size_t size = strcspn(at + 2, ",");
        if (size >= FIELD_MAX) {
            return RC_EMALFORMED;
        }
        memcpy(out, at + 2, size);
        out[size] = '\0';
        return RC_OK;
    }
    return RC_EMALFORMED;
}

static void hmac(const uint8_t *key, size_t key_size, const void *bytes, size_t size,
                 uint8_t out[KEY])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key, key_size);
    (void)crypto_auth_hmacsha256_update(&state, bytes, size);
    (void)crypto_auth_hmacsha256_final(&state, out);
}

/* Hi() of RFC 5802 section 2.2: PBKDF2 of one block. */
static void salt_password(const char *password, const uint8_t *salt, size_t salt_size,
                          uint64_t iterations, uint8_t out[KEY])
{
    uint8_t block[SALT_MAX + 4];
    uint8_t u[KEY];
    const uint8_t *key = (const uint8_t *)password;
    size_t key_size = strlen(password);

    static const uint8_t first_block[4] = {0, 0, 0, 1};
    memcpy(block, salt, salt_size);
    memcpy(block + salt_size, first_block, sizeof first_block);
    hmac(key, key_size, block, salt_size + 4, u);
    memcpy(out, u, KEY);
    for (uint64_t i = 1; i < iterations; i++) {
        hmac(key, key_size, u, KEY, u);
        for (size_t k = 0; k < KEY; k++) {
            out[k] ^= u[k];
        }
    }
}

/* What the server has said first, taken apart. */
struct challenge {
    char text[MESSAGE_MAX];
    char nonce[FIELD_MAX];
    uint8_t salt[SALT_MAX];
    size_t salt_size;
    uint64_t iterations;
};

static int read_challenge(const struct scram *scram, const void *bytes, size_t size,
                          struct challenge *out)
{
    char field[FIELD_MAX];
    if (size >= sizeof out->text || memchr(bytes, '\0', size) != NULL) {
        return RC_EMALFORMED;
    }
    memcpy(out->text, bytes, size);
    out->text[size] = '\0';
    int err = find_field(out->text, 'r', out->nonce);
    if (err == RC_OK && (!rc_text_starts_with(out->nonce, scram->nonce) ||
                         strlen(out->nonce) == strlen(scram->nonce))) {
        err = RC_EMALFORMED; /* it must continue our nonce */
    }
    if (err == RC_OK) {
        err = find_field(out->text, 's', field);
    }
    if (err == RC_OK) {
        err = rc_text_from_base64(field, out->salt, sizeof out->salt, &out->salt_size);
    }
    if (err == RC_OK) {
        err = find_field(out->text, 'i', field);
    }
    if (err == RC_OK) {
        err = rc_text_to_u64(field, SCRAM_ITERATIONS_MAX, &out->iterations);
    }
    return err == RC_OK && out->iterations == 0 ? RC_EMALFORMED : err;
}

int scram_continue(struct scram *scram, const char *password, const void *bytes,
                   size_t size, struct rc_buffer *out)
{
    struct challenge challenge;
    struct rc_buffer message = {0};
    uint8_t salted[KEY];
    uint8_t client_key[KEY];
    uint8_t stored_key[KEY];
    uint8_t proof[KEY];
    char text[4 * KEY];

    int err = read_challenge(scram, bytes, size, &challenge);
    if (err != RC_OK) {
        return err;
    }
    rc_buffer_format(&message, "%s,%s,c=biws,r=%s", scram->first_bare, challenge.text,
                     challenge.nonce);
    salt_password(password, challenge.salt, challenge.salt_size, challenge.iterations,
                  salted);
    hmac(salted, KEY, "Client Key", 10, client_key);
    (void)crypto_hash_sha256(stored_key, client_key, KEY);
    hmac(stored_key, KEY, message.bytes, message.size, proof);
    for (size_t i = 0; i < KEY; i++) {
        proof[i] ^= client_key[i];
    }
    hmac(salted, KEY, "Server Key", 10, client_key);
    hmac(client_key, KEY, message.bytes, message.size, scram->server_signature);
    rc_text_to_base64(proof, KEY, text);
    rc_buffer_format(out, "c=biws,r=%s,p=%s", challenge.nonce, text);
    err = message.err != RC_OK ? message.err : out->err;
    rc_buffer_fini(&message);
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client_key, sizeof client_key);
    return err;
}

int scram_finish(const struct scram *scram, const void *bytes, size_t size)
{
    char text[MESSAGE_MAX];
    char field[FIELD_MAX];
    uint8_t signature[FIELD_MAX];
    size_t signature_size = 0;

    if (size >= sizeof text) {
        return RC_EDENIED;
    }
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (find_field(text, 'v', field) != RC_OK ||
        rc_text_from_base64(field, signature, sizeof signature, &signature_size) !=
            RC_OK ||
        signature_size != KEY ||
        sodium_memcmp(signature, scram->server_signature, KEY) != 0) {
        return RC_EDENIED;
    }
    return RC_OK;
}

/* credential.h - what makes an agent a server in the eyes of others: an Ed25519 key pair.
 *
 * The secret is in a file of the servers (one line, mode 0600), the public key in the
 * configuration of everybody who wants to be sure whom a request is sent to. Separate from the
 * pool's key, which every member has. */
#ifndef AGENT_LINK_CREDENTIAL_H
#define AGENT_LINK_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CREDENTIAL_PUBLIC_SIZE = 32,
    CREDENTIAL_SECRET_SIZE = 64, /* seed and public key */
    CREDENTIAL_SEED_SIZE = 32,
    CREDENTIAL_SIGNATURE_SIZE = 64,
    CREDENTIAL_TEXT_MAX = 80
};

struct credential {
    bool is_set;
    uint8_t public_key[CREDENTIAL_PUBLIC_SIZE];
    uint8_t secret[CREDENTIAL_SECRET_SIZE];
};

/* From a seed: 32 random bytes for a new one. */
void credential_from_seed(const uint8_t seed[CREDENTIAL_SEED_SIZE],
                          struct credential *out);

/* Wipes it. */
void credential_fini(struct credential *credential);

/* Signs, and whether this key has signed that. */
void credential_sign(const struct credential *credential, const void *message,
                     size_t size, uint8_t out[CREDENTIAL_SIGNATURE_SIZE]);
bool credential_verify(const uint8_t key[CREDENTIAL_PUBLIC_SIZE], const void *message,
                       size_t size, const uint8_t signature[CREDENTIAL_SIGNATURE_SIZE]);

/* "rollcall-server-public:<base64>", as configurations name it. */
void credential_show_public(const uint8_t key[CREDENTIAL_PUBLIC_SIZE],
                            char out[CREDENTIAL_TEXT_MAX]);
/* RC_OK or RC_EMALFORMED. */
int credential_read_public(const char *text, uint8_t out[CREDENTIAL_PUBLIC_SIZE]);

/* "rollcall-server-secret:<base64 of the seed>", the file's one line. The caller wipes it. */
void credential_show_secret(const struct credential *credential,
                            char out[CREDENTIAL_TEXT_MAX]);
/* RC_OK or RC_EMALFORMED. A newline at the end is allowed. */
int credential_read_secret(const char *text, struct credential *out);

#endif

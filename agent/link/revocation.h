/* revocation.h - credentials of servers that must not be trusted any more, and who says so.
 *
 * A revocation is signed by a server's key: by the one it ends (whoever holds that may end it, a
 * thief too, who harms nobody by it) or by another one. It counts only if its signer is one that
 * the listener trusts, or the key itself; what signed it may be revoked by others and it counts
 * still, so of two keys that revoke each other none is left: nobody is better than a thief. There
 * is no way back: make a new key. So lists from anywhere can be put together in any order. */
#ifndef AGENT_LINK_REVOCATION_H
#define AGENT_LINK_REVOCATION_H

#include "agent/link/credential.h"

enum {
    REVOCATIONS_MAX = 16,
    REVOCATION_TEXT_MAX = 200 /* "KEY SIGNER SIGNATURE", each in base64 */
};

struct revocation {
    uint8_t key[CREDENTIAL_PUBLIC_SIZE];
    uint8_t signer[CREDENTIAL_PUBLIC_SIZE];
    uint8_t signature[CREDENTIAL_SIGNATURE_SIZE];
};

/* A zeroed struct is empty. */
struct revocation_list {
    struct revocation items[REVOCATIONS_MAX];
    size_t count;
};

/* Signs one; `by` is set. */
void revocation_make(const struct credential *by,
                     const uint8_t key[CREDENTIAL_PUBLIC_SIZE], struct revocation *out);

void revocation_show(const struct revocation *revocation, char out[REVOCATION_TEXT_MAX]);
/* RC_OK; RC_EMALFORMED: it is none; RC_EDENIED: its signer has not signed that. */
int revocation_read(const char *text, struct revocation *out);

bool revocation_is_own(
    const struct revocation *revocation); /* signed by the key it ends */

bool revocation_list_has(const struct revocation_list *list,
                         const uint8_t key[CREDENTIAL_PUBLIC_SIZE]);

/* Adds one that counts. True: it is new. False: the key was revoked before, or the list is full. */
bool revocation_list_add(struct revocation_list *list,
                         const struct revocation *revocation);

#endif

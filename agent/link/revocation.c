#include "agent/link/revocation.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static const char said[] = "rollcall: nobody shall trust this server's key any more: ";

enum { SAID_SIZE = sizeof said - 1 + CREDENTIAL_PUBLIC_SIZE, BASE64_MAX = 89 };

static void write_said(const uint8_t key[CREDENTIAL_PUBLIC_SIZE], uint8_t out[SAID_SIZE])
{
    memcpy(out, said, sizeof said - 1);
    memcpy(out + sizeof said - 1, key, CREDENTIAL_PUBLIC_SIZE);
}

void revocation_make(const struct credential *by,
                     const uint8_t key[CREDENTIAL_PUBLIC_SIZE], struct revocation *out)
{
    uint8_t message[SAID_SIZE];

    write_said(key, message);
    memcpy(out->key, key, sizeof out->key);
    memcpy(out->signer, by->public_key, sizeof out->signer);
    credential_sign(by, message, sizeof message, out->signature);
}

void revocation_show(const struct revocation *revocation, char out[REVOCATION_TEXT_MAX])
{
    char key[BASE64_MAX];
    char signer[BASE64_MAX];
    char signature[BASE64_MAX];

    rc_text_to_base64(revocation->key, sizeof revocation->key, key);
    rc_text_to_base64(revocation->signer, sizeof revocation->signer, signer);
    rc_text_to_base64(revocation->signature, sizeof revocation->signature, signature);
    (void)snprintf(out, REVOCATION_TEXT_MAX, "%s %s %s", key, signer, signature);
}

/* The next word, in base64 exactly `size` bytes. */
static int read_word(const char **at, uint8_t *out, size_t size)
{
    char word[BASE64_MAX];
    uint8_t bytes[BASE64_MAX];
    size_t length = strcspn(*at, " \r\n");
    size_t got = 0;

    if (length == 0 || length >= sizeof word) {
        return RC_EMALFORMED;
    }
    memcpy(word, *at, length);
    word[length] = '\0';
    if (rc_text_from_base64(word, bytes, sizeof bytes, &got) != RC_OK || got != size) {
        return RC_EMALFORMED;
    }
    memcpy(out, bytes, size);
    *at += length + strspn(*at + length, " \r\n");
    return RC_OK;
}

int revocation_read(const char *text, struct revocation *out)
{
    uint8_t message[SAID_SIZE];
    struct revocation read;

    if (read_word(&text, read.key, sizeof read.key) != RC_OK ||
        read_word(&text, read.signer, sizeof read.signer) != RC_OK ||
        read_word(&text, read.signature, sizeof read.signature) != RC_OK ||
        text[0] != '\0') {
        return RC_EMALFORMED;
    }
    write_said(read.key, message);
    if (!credential_verify(read.signer, message, sizeof message, read.signature)) {
        return RC_EDENIED;
    }
    *out = read;
    return RC_OK;
}

bool revocation_is_own(const struct revocation *revocation)
{
    return memcmp(revocation->key, revocation->signer, sizeof revocation->key) == 0;
}

bool revocation_list_has(const struct revocation_list *list,
                         const uint8_t key[CREDENTIAL_PUBLIC_SIZE])
{
    for (size_t i = 0; i < list->count; i++) {
        if (memcmp(list->items[i].key, key, CREDENTIAL_PUBLIC_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

bool revocation_list_add(struct revocation_list *list,
                         const struct revocation *revocation)
{
    if (list->count == REVOCATIONS_MAX || revocation_list_has(list, revocation->key)) {
        return false;
    }
    list->items[list->count++] = *revocation;
    return true;
}

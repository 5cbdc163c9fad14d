#include "agent/link_settings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config.h"
#include "base/err.h"
#include "base/file.h"

static_assert(GOSSIP_KEYS_MAX + 1 <= HANDSHAKE_KEYS_MAX, "one more for plain text");

enum { KEY_FILE_MAX = 4096, OTHERS_BITS = 077 };

static int read_key_file(const char *path, struct credential *out,
                         char error[LINK_SETTINGS_ERROR_MAX])
{
    struct rc_buffer text = {0};
    struct stat status;

    if (stat(path, &status) == 0 && (status.st_mode & OTHERS_BITS) != 0) {
        (void)snprintf(error, LINK_SETTINGS_ERROR_MAX,
                       "link.server_key_file %.300s may be read by others: its mode must "
                       "be 0600",
                       path);
        return RC_EINVAL;
    }
    int err = rc_file_read(path, KEY_FILE_MAX, &text);
    if (err == RC_OK) {
        err = credential_read_secret(rc_buffer_string(&text), out);
    }
    if (text.bytes != NULL) {
        explicit_bzero(text.bytes, text.size);
    }
    rc_buffer_fini(&text);
    if (err != RC_OK) {
        (void)snprintf(
            error, LINK_SETTINGS_ERROR_MAX, "link.server_key_file %.300s %s", path,
            err == RC_EMALFORMED ? "is no server key: rollcall keygen -server makes one"
                                 : "cannot be read");
    }
    return err;
}

int link_settings_load(const struct agent_config *config, struct link_settings *out,
                       char error[LINK_SETTINGS_ERROR_MAX])
{
    const struct agent_link_config *from = &config->link;

    *out = (struct link_settings){.allow_plaintext = from->allow_plaintext};
    if (from->server_public_keys.count > LINK_PINS_MAX) {
        (void)snprintf(error, LINK_SETTINGS_ERROR_MAX,
                       "link.server_public_keys: at most %d", LINK_PINS_MAX);
        return RC_EINVAL;
    }
    for (size_t i = 0; i < from->server_public_keys.count; i++) {
        if (credential_read_public(from->server_public_keys.items[i],
                                   out->pins[out->pin_count++]) != RC_OK) {
            (void)snprintf(error, LINK_SETTINGS_ERROR_MAX,
                           "link.server_public_keys: '%.100s' is no public key of a "
                           "server (rollcall-server-public:...)",
                           from->server_public_keys.items[i]);
            return RC_EINVAL;
        }
    }
    if (from->server_key_file != NULL) {
        return read_key_file(from->server_key_file, &out->credential, error);
    }
    return RC_OK;
}

void link_settings_fini(struct link_settings *settings)
{
    credential_fini(&settings->credential);
}

bool link_settings_trusts(const struct link_settings *settings,
                          const struct handshake_peer *peer)
{
    if (settings->pin_count == 0) {
        return true;
    }
    for (size_t i = 0; i < settings->pin_count && peer->has_credential; i++) {
        if (memcmp(settings->pins[i], peer->public_key, CREDENTIAL_PUBLIC_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

void link_settings_ring(const struct link_settings *settings,
                        const struct gossip_key *keys, size_t count,
                        struct handshake_ring *out)
{
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        handshake_key_from(keys[i].bytes, keys[i].size, &out->keys[out->count++]);
    }
    if (count == 0 || settings->allow_plaintext) {
        handshake_key_from(NULL, 0, &out->keys[out->count++]);
    }
}

bool link_settings_is_plain(const struct handshake_ring *ring)
{
    static const uint8_t zeros[HANDSHAKE_KEY_ID_SIZE];

    return memcmp(ring->keys[0].id, zeros, sizeof zeros) == 0;
}

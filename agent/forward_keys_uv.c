/* forward_keys_uv.c - what links rest on: the pool's keys, servers' credentials, and those that were
 * revoked. */
#include <stdlib.h>
#include <string.h>

#include "agent/forward_state_uv.h"
#include "base/err.h"
#include "base/logger.h"

enum { RETIRE_MS = 3000 }; /* those who ask renew their links within that */

/* Links under keys that are gone. */
void forward_retire(struct forwarder *f)
{
    struct link_uv *next = link_host_next(f->host, NULL);

    f->retire_at_ms = 0;
    while (next != NULL) {
        struct link_uv *connection = next;
        next = link_host_next(f->host, next);
        if (connection != f->current &&
            handshake_ring_find(&f->ring, link_key_id(link_uv_link(connection))) ==
                NULL) {
            serve_forget(f, connection);
            link_uv_end(connection);
        }
    }
}

/* A link that must not be used any more; what was asked over it is asked again. */
static void renew_current(struct forwarder *f, const char *why)
{
    if (f->current == NULL) {
        return;
    }
    rc_log(RC_LOG_INFO, "link", "the link to %s is made anew: %s",
           link_peer_name(link_uv_link(f->current)), why);
    forward_end_current(f);
    courier_renew(f->courier, forward_now_ms(f));
}

void forwarder_set_keys(struct forwarder *f, const struct gossip_key *keys, size_t count)
{
    if (f == NULL) {
        return;
    }
    link_settings_ring(&f->settings, keys, count, &f->ring);
    f->places_are_stale = true;
    f->retire_at_ms = forward_now_ms(f) + RETIRE_MS;
    if (f->current != NULL && link_is_up(link_uv_link(f->current)) &&
        handshake_ring_find(&f->ring, link_key_id(link_uv_link(f->current))) == NULL) {
        renew_current(f, "its key was removed");
    }
    forward_carry_out(f);
}

/* ---- Revoked credentials. */

bool forward_is_revoked(const struct forwarder *f, const struct handshake_peer *peer)
{
    return peer->has_credential &&
           revocation_list_has(f->options.revoked, peer->public_key);
}

void forwarder_revoked_changed(struct forwarder *f)
{
    if (f == NULL) {
        return;
    }
    struct link_uv *next = link_host_next(f->host, NULL);
    while (next != NULL) {
        struct link_uv *connection = next;
        next = link_host_next(f->host, next);
        if (connection != f->current &&
            forward_is_revoked(f, link_peer(link_uv_link(connection)))) {
            serve_forget(f, connection);
            link_uv_end(connection);
        }
    }
    if (f->current != NULL && link_is_up(link_uv_link(f->current)) &&
        forward_is_revoked(f, link_peer(link_uv_link(f->current)))) {
        renew_current(f, "its credential was revoked");
    }
    if (f->settings.credential.is_set &&
        revocation_list_has(f->options.revoked, f->settings.credential.public_key)) {
        rc_log(RC_LOG_ERROR, "link",
               "this server's own key (link.server_key_file) was revoked: others send "
               "nothing here until it has a new one, and they its public key");
    }
    forward_carry_out(f);
}

bool forwarder_pins(const struct forwarder *f, const uint8_t key[CREDENTIAL_PUBLIC_SIZE])
{
    for (size_t i = 0; i < f->settings.pin_count; i++) {
        if (memcmp(f->settings.pins[i], key, CREDENTIAL_PUBLIC_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

bool forwarder_sign(const struct forwarder *f, const uint8_t key[CREDENTIAL_PUBLIC_SIZE],
                    struct revocation *out)
{
    if (!f->settings.credential.is_set) {
        return false;
    }
    revocation_make(&f->settings.credential, key, out);
    return true;
}

/* ---- Settings. */

int forwarder_check(const struct agent_config *config, char error[FORWARDER_ERROR_MAX])
{
    struct link_settings settings;

    int err = link_settings_load(config, &settings, error);
    link_settings_fini(&settings);
    return err;
}

void forwarder_reload(struct forwarder *f, const struct agent_config *config)
{
    struct link_settings fresh;
    char error[FORWARDER_ERROR_MAX];

    if (link_settings_load(config, &fresh, error) != RC_OK) {
        rc_log(RC_LOG_ERROR, "link", "%s", error);
        link_settings_fini(&fresh);
        return;
    }
    fresh.allow_plaintext = f->settings.allow_plaintext; /* read at the start only */
    link_settings_fini(&f->settings);
    f->settings = fresh;
    explicit_bzero(&fresh, sizeof fresh);
    if (f->current != NULL && link_is_up(link_uv_link(f->current)) &&
        !link_settings_trusts(&f->settings, link_peer(link_uv_link(f->current)))) {
        renew_current(f, "its credential is not one of link.server_public_keys");
    }
    forward_carry_out(f);
}

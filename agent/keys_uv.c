#include <stdio.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

/* The pool's keys: which ones we start with, what is kept of them, and what operators order. No
 * key is ever logged. */

static const struct gossip_key *configured(const struct agent *agent)
{
    return agent->identity.key_count > 0 ? &agent->identity.key : NULL;
}

/* NULL: nothing is kept. */
static const char *folder(const struct agent *agent)
{
    return agent->config.disable_keyring_file ? NULL : agent->config.data_dir;
}

static void tell_source(enum keyring_source source)
{
    switch (source) {
    case KEYRING_FROM_CHANGED_CONFIG:
        rc_log(
            RC_LOG_INFO, "keys",
            "encrypt has changed since the last run: that key goes first now, those of "
            "keyring.json open what others still send");
        return;
    case KEYRING_FROM_FILE_LACKING:
        rc_log(RC_LOG_WARN, "keys",
               "encrypt is not the pool's key any more: keyring.json goes first. It is "
               "tried too; give encrypt the key that the pool uses now");
        return;
    case KEYRING_FROM_FILE_SECOND:
        rc_log(RC_LOG_INFO, "keys",
               "encrypt is not the key that keyring.json has first, which goes first; "
               "`rollcall keyring -use` would change that for the pool");
        return;
    case KEYRING_FROM_NOTHING:
    case KEYRING_FROM_CONFIG:
    case KEYRING_FROM_FILE:
    case KEYRING_SOURCE_COUNT:
        return;
    }
}

int agent_settle_keys(struct agent *agent, struct keyring_list *out)
{
    enum keyring_source source = KEYRING_FROM_NOTHING;

    int err = keyring_file_settle(folder(agent), configured(agent), out, &source);
    if (err == RC_EMALFORMED) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "%.900s/keyring.json was no list of 1 to %d keys and is now "
                       "keyring.json.broken; put a good copy back, or start again to go "
                       "on with the configured key (encrypt) alone",
                       agent->config.data_dir, GOSSIP_KEYS_MAX);
    } else if (err != RC_OK) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "%.900s/keyring.json cannot be read or written",
                       agent->config.data_dir);
    } else {
        tell_source(source);
    }
    return err;
}

int agent_keep_keys(void *context, enum gossip_key_change change,
                    const struct gossip_key *keys, size_t count)
{
    static const char *const words[GOSSIP_KEY_CHANGE_COUNT] = {
        [GOSSIP_KEY_INSTALLED] = "a key was installed",
        [GOSSIP_KEY_USED] = "another key goes first",
        [GOSSIP_KEY_REMOVED] = "a key was removed",
        [GOSSIP_KEY_FOLLOWED] =
            ("the pool could not read us and answered under another key of ours, which "
             "goes first now"),
    };
    struct agent *agent = context;
    struct keyring_list list = {.count = count};

    memcpy(list.keys, keys, count * sizeof list.keys[0]);
    int err = keyring_file_save(folder(agent), configured(agent), &list);
    explicit_bzero(&list, sizeof list);
    if (err == RC_OK) {
        rc_log(RC_LOG_INFO, "keys", "keyring: %s; %zu now", words[change], count);
        forwarder_set_keys(agent->forwarder, keys, count);
    } else {
        rc_log(RC_LOG_ERROR, "keys",
               "keyring: refused to change, %s/keyring.json cannot be written",
               agent->config.data_dir);
    }
    return err;
}

struct gossip_cover agent_cover(const struct agent_config *config)
{
    return (struct gossip_cover){.sends_plain = !config->encrypt_verify_outgoing,
                                 .takes_plain = !config->encrypt_verify_incoming};
}

void agent_tell_encryption(const struct agent *agent)
{
    struct gossip_encryption how;

    gossip_encryption(agent->gossip, &how);
    if (how.key_count == 0) {
        return; /* told already */
    }
    rc_log(RC_LOG_INFO, "keys", "gossip is encrypted by %s; %zu key%s", how.cipher,
           how.key_count, how.key_count == 1 ? "" : "s");
    if (rc_text_equals(how.cipher, "AES-256-GCM, libcrypto")) {
        rc_log(RC_LOG_WARN, "keys",
               "this processor has no AES instructions: OpenSSL's libcrypto encrypts "
               "instead of libsodium");
    }
    if (how.cover.sends_plain || how.cover.takes_plain) {
        rc_log(RC_LOG_WARN, "keys",
               "encryption is being switched: we %s, and %s plain gossip of others "
               "(encrypt_verify_outgoing, encrypt_verify_incoming)",
               how.cover.sends_plain ? "do NOT encrypt yet" : "encrypt",
               how.cover.takes_plain ? "take" : "refuse");
    }
}

/* ---- Orders. */

static void answer(void *context, uint64_t ticket, enum key_outcome outcome,
                   const char *text)
{
    static const unsigned statuses[KEY_OUTCOME_COUNT] = {
        [KEY_DONE] = 200,
        [KEY_FAILED] = 500,
        [KEY_REFUSED] = 409,
        [KEY_BUSY] = 503,
    };
    const struct agent *agent = context;

    if (agent->http == NULL) {
        return;
    }
    if (outcome == KEY_DONE && text[0] == '[') {
        http_finish_json(agent->http, ticket, text, strlen(text));
    } else {
        http_finish_text(agent->http, ticket, statuses[outcome], text);
    }
}

int agent_open_key_orders(struct agent *agent)
{
    const struct key_orders_options options = {
        .gossip = agent->gossip,
        .datacenter = agent->config.datacenter,
        .context = agent,
        .answer = answer,
    };
    return key_orders_create(&options, &agent->key_orders);
}

void agent_order_keys(void *context, const struct http_key_order *given,
                      http_ticket ticket)
{
    static const char *const words[KEYRING_ORDER_COUNT] = {
        [KEYRING_INSTALL] = "install",
        [KEYRING_USE] = "use",
        [KEYRING_REMOVE] = "remove",
    };
    const struct agent *agent = context;
    struct key_order order = {
        .request = *given->request,
        .scope = given->local ? KEY_LOCAL : KEY_POOL,
        .care = given->forced ? KEY_FORCED : KEY_CAREFUL,
        .ticket = ticket,
    };

    if (words[order.request.order] != NULL) {
        rc_log(RC_LOG_INFO, "keys", "keyring: order by the API: %s%s",
               words[order.request.order], given->forced ? ", forced" : "");
    }
    key_orders_give(agent->key_orders, rc_clock_ns(), &order);
    explicit_bzero(&order, sizeof order);
}

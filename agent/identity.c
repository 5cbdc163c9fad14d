#include "agent/identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/advertise.h"
#include "agent/cli/cli.h"
#include "agent/config.h"
#include "agent/config_store.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000 };

static int settle_name(const struct agent_config *config, struct identity *out,
                       char *error)
{
    char host[256];
    const char *name = config->node_name;

    if (name == NULL) {
        if (gethostname(host, sizeof host) != 0) {
            host[0] = '\0';
        }
        host[sizeof host - 1] = '\0';
        name = host;
    }
    if (name[0] == '\0' ||
        rc_text_put(out->node_name, sizeof out->node_name, name) != RC_OK) {
        (void)snprintf(
            error, IDENTITY_ERROR_MAX,
            "the node needs a name of 1 to %d characters; set -node (node_name)",
            GOSSIP_NAME_MAX);
        return RC_EINVAL;
    }
    return RC_OK;
}

static int settle_id(const struct agent_config *config, struct identity *out, char *error)
{
    int err = keep_load(config->data_dir, &out->kept);
    if (err == RC_EMALFORMED) {
        (void)snprintf(
            error, IDENTITY_ERROR_MAX,
            "%s/node.json was damaged and is now node.json.broken; start again to go "
            "on as a new node, or put a good copy back",
            config->data_dir);
        return err;
    }
    if (err != RC_OK) {
        (void)snprintf(error, IDENTITY_ERROR_MAX, "%s/node.json cannot be read: %s",
                       config->data_dir, rc_strerror(err));
        return err;
    }
    if (config->node_id != NULL) {
        (void)rc_text_put(out->kept.node_id, sizeof out->kept.node_id, config->node_id);
    } else if (out->kept.node_id[0] == '\0') {
        uint8_t random[16];
        rc_entropy(random, sizeof random);
        rc_text_uuid(random, out->kept.node_id);
    }
    memcpy(out->node_id, out->kept.node_id, sizeof out->node_id);
    return RC_OK;
}

static int parse_address(const char *text, const char *key, uint16_t port,
                         struct rc_address *out, char *error)
{
    int err = rc_address_parse(text, port, out);
    if (err != RC_OK) {
        (void)snprintf(error, IDENTITY_ERROR_MAX, "%s: '%s' is not an IP address", key,
                       text);
    }
    return err;
}

static int settle_addresses(const struct agent_config *config, struct identity *out,
                            char *error)
{
    uint16_t port = (uint16_t)config->ports.serf_lan;
    const char *bind =
        config->serf_lan_addr != NULL ? config->serf_lan_addr : config->bind_addr;

    int err = parse_address(bind, "bind_addr", port, &out->bind, error);
    if (err != RC_OK) {
        return err;
    }
    if (config->advertise_addr != NULL) {
        return parse_address(config->advertise_addr, "advertise_addr", port,
                             &out->advertise, error);
    }
    out->advertise = out->bind;
    if (!rc_address_is_any(&out->bind)) {
        return RC_OK;
    }
    err = advertise_pick(&out->advertise, error, IDENTITY_ERROR_MAX);
    out->advertise.port = port;
    return err;
}

static int settle_key(const struct agent_config *config, struct identity *out,
                      char *error)
{
    if (config->encrypt == NULL) {
        return RC_OK;
    }
    if (rc_text_from_base64(config->encrypt, out->key.bytes, sizeof out->key.bytes,
                            &out->key.size) != RC_OK) {
        (void)snprintf(
            error, IDENTITY_ERROR_MAX,
            "encrypt: not base64 of 16, 24 or 32 bytes; `rollcall keygen` makes one");
        return RC_EINVAL;
    }
    out->key_count = 1;
    return RC_OK;
}

static void add_tag(struct identity *out, const char *key, const char *value)
{
    out->tags[out->tag_count++] = (struct gossip_tag){key, value};
}

/* Consul's names where it has them: its `members` columns, and tools, read them. */
static void settle_tags(const struct agent_config *config, struct identity *out)
{
    (void)snprintf(out->port_text, sizeof out->port_text, "%d",
                   (int)config->ports.server);
    (void)snprintf(out->build_text, sizeof out->build_text, "%s:", cli_version);
    add_tag(out, "build", out->build_text);
    add_tag(out, "dc", config->datacenter);
    add_tag(out, "rc", "1");
    add_tag(out, "role", config->server ? "consul" : "node");
    if (config_store_engine(config) != CONFIG_STORE_NONE) {
        add_tag(out, CONFIG_STORE_TAG, config_store_name(config_store_engine(config)));
    }
    if (config->server) {
        add_tag(out, "port", out->port_text);
    }
    if (config->advertise_reconnect_timeout_ms > 0) {
        rc_text_from_duration_ns(config->advertise_reconnect_timeout_ms * NS_PER_MS,
                                 out->reconnect_text, sizeof out->reconnect_text);
        add_tag(out, "rc_tm", out->reconnect_text);
    }
}

int identity_settle(const struct agent_config *config, struct identity *out,
                    char error[IDENTITY_ERROR_MAX])
{
    int (*const steps[])(const struct agent_config *, struct identity *,
                         char *) = {settle_name, settle_addresses, settle_key, settle_id};

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int err = steps[i](config, out, error);
        if (err != RC_OK) {
            return err;
        }
    }
    settle_tags(config, out);
    return RC_OK;
}

void identity_fini(struct identity *identity)
{
    keep_fini(&identity->kept);
    explicit_bzero(&identity->key, sizeof identity->key);
}

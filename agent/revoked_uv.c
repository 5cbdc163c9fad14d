#include "agent/revoked_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "agent/forward_uv.h"
#include "agent/store_uv.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/text.h"

enum { FILE_MAX = 64 << 10, PATH_SPACE = 4096, NAME_MAX_SIZE = 40 };

static const char pair_head[] = "rollcall-revoked-";

struct revoked {
    struct revocation_list list;
    char names[REVOCATIONS_MAX][NAME_MAX_SIZE]; /* of the metadata */
    char texts[REVOCATIONS_MAX][REVOCATION_TEXT_MAX];
    size_t shown; /* in our node's metadata */
};

const struct revocation_list *agent_revocations(const struct agent *agent)
{
    return &agent->revoked->list;
}

/* ---- The file. */

static bool find_path(const struct agent *agent, char out[PATH_SPACE])
{
    const char *folder = agent->config.data_dir;

    if (folder != NULL) {
        (void)snprintf(out, PATH_SPACE, "%s/link-revoked", folder);
    }
    return folder != NULL;
}

static void keep(const struct agent *agent)
{
    char path[PATH_SPACE];
    struct rc_buffer text = {0};

    for (size_t i = 0; i < agent->revoked->list.count; i++) {
        rc_buffer_format(&text, "%s\n", agent->revoked->texts[i]);
    }
    if (find_path(agent, path) &&
        (text.err != RC_OK || rc_file_replace(path, text.bytes, text.size) != RC_OK)) {
        rc_log(RC_LOG_ERROR, "link",
               "%s cannot be written: after a restart revoked keys count only when they "
               "are heard of again",
               path);
    }
    rc_buffer_fini(&text);
}

/* True if it is new. */
static bool add(struct revoked *revoked, const struct revocation *revocation)
{
    size_t place = revoked->list.count;
    char hex[2 * 8 + 1];

    if (!revocation_list_add(&revoked->list, revocation)) {
        return false;
    }
    rc_text_to_hex(revocation->key, 8, hex);
    (void)snprintf(revoked->names[place], NAME_MAX_SIZE, "%s%s", pair_head, hex);
    revocation_show(revocation, revoked->texts[place]);
    return true;
}

static void load(const struct agent *agent)
{
    char path[PATH_SPACE];
    struct rc_buffer text = {0};
    struct revocation revocation;

    if (!find_path(agent, path) || rc_file_read(path, FILE_MAX, &text) != RC_OK) {
        return;
    }
    char *all = rc_text_copy(rc_buffer_string(&text));
    for (char *line = all; line != NULL && *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        char *next = *end == '\n' ? end + 1 : end;
        *end = '\0';
        if (revocation_read(line, &revocation) == RC_OK) {
            (void)add(agent->revoked, &revocation);
        } else {
            rc_log(RC_LOG_ERROR, "link", "%s: a line is no revocation", path);
        }
        line = next;
    }
    free(all);
    rc_buffer_fini(&text);
}

/* ---- News. */

static void tell(const struct revocation *revocation)
{
    char key[CREDENTIAL_TEXT_MAX];
    char signer[CREDENTIAL_TEXT_MAX];

    credential_show_public(revocation->key, key);
    credential_show_public(revocation->signer, signer);
    rc_log(RC_LOG_WARN, "link", "a server's key is not trusted any more: %s, says %s",
           key, signer);
}

/* Something was added: kept, shown to others, and heeded. */
static void spread(struct agent *agent)
{
    keep(agent);
    agent->revoked->shown = agent->revoked->list.count;
    if (agent_store(agent) != NULL && agent_set_node(agent) != RC_OK) {
        rc_log(RC_LOG_ERROR, "link", "revoked keys cannot be shown to others: %s",
               agent->error);
    }
    forwarder_revoked_changed(agent->forwarder);
}

void agent_revoked_store_changed(struct agent *agent)
{
    const struct store *store = agent_store(agent);
    struct store_pair pair = {.key = {NULL, 0}};
    struct revocation revocation;
    bool is_news = false;

    if (store == NULL || agent->revoked == NULL) {
        return;
    }
    while (store_next(store, STORE_SETTINGS, rc_pack_text(HTTP_REVOKED_SETTING), pair.key,
                      &pair)) {
        char text[REVOCATION_TEXT_MAX];
        (void)snprintf(text, sizeof text, "%.*s", (int)pair.value.size,
                       (const char *)pair.value.at);
        if (pair.value.size < sizeof text &&
            revocation_read(text, &revocation) == RC_OK &&
            add(agent->revoked, &revocation)) { /* the store's servers trust each other */
            tell(&revocation);
            is_news = true;
        }
    }
    if (is_news || agent->revoked->shown < agent->revoked->list.count) {
        spread(agent);
    }
}

static bool counts(const struct agent *agent, const struct revocation *revocation)
{
    return revocation_is_own(revocation) ||
           forwarder_pins(agent->forwarder, revocation->signer);
}

static bool look_at(struct agent *agent, const struct catalog_node *node)
{
    struct revocation revocation;
    bool is_news = false;

    for (size_t i = 0; i < node->meta_count; i++) {
        if (rc_text_starts_with(node->meta[i].key, pair_head) &&
            revocation_read(node->meta[i].value, &revocation) == RC_OK &&
            counts(agent, &revocation) && add(agent->revoked, &revocation)) {
            tell(&revocation);
            is_news = true;
        }
    }
    return is_news;
}

void agent_revoked_nodes_changed(struct agent *agent)
{
    bool is_news = false;

    if (agent->revoked == NULL || agent->forwarder == NULL) {
        return;
    }
    for (size_t i = 0; i < catalog_node_count(agent->catalog); i++) {
        is_news = look_at(agent, catalog_node_at(agent->catalog, i)) || is_news;
    }
    if (is_news) {
        spread(agent);
    }
}

size_t agent_revoked_pairs(const struct agent *agent, struct catalog_pair *out,
                           size_t max)
{
    const struct revoked *revoked = agent->revoked;
    size_t count = 0;

    if (revoked == NULL || agent_store(agent) == NULL) {
        return 0;
    }
    for (; count < revoked->list.count && count < max; count++) {
        out[count] = (struct catalog_pair){revoked->names[count], revoked->texts[count]};
    }
    return count;
}

/* ---- For the API. */

int agent_sign_revocation(void *context, const char *key, char out[HTTP_REVOCATION_MAX],
                          const char **why)
{
    const struct agent *agent = context;
    uint8_t public_key[CREDENTIAL_PUBLIC_SIZE];
    struct revocation revocation;

    *why = NULL;
    if (credential_read_public(key, public_key) != RC_OK) {
        *why = "Key must be the public key of a server (rollcall-server-public:...)";
        return RC_EINVAL;
    }
    if (agent->revoked->list.count == REVOCATIONS_MAX &&
        !revocation_list_has(&agent->revoked->list, public_key)) {
        *why =
            "Too many keys were revoked: take new ones into link.server_public_keys, and "
            "away what stands in link-revoked of all data folders";
        return RC_ETOOBIG;
    }
    if (!forwarder_sign(agent->forwarder, public_key, &revocation)) {
        *why = "This server has no key to sign with (link.server_key_file)";
        return RC_ENOTFOUND;
    }
    revocation_show(&revocation, out);
    return RC_OK;
}

void agent_describe_revoked(void *context, struct rc_json *json)
{
    const struct agent *agent = context;
    const struct revocation_list *list = agent_revocations(agent);
    char text[CREDENTIAL_TEXT_MAX];

    rc_json_array(json);
    for (size_t i = 0; i < list->count; i++) {
        rc_json_object(json);
        credential_show_public(list->items[i].key, text);
        rc_json_put_string(json, "Key", text);
        credential_show_public(list->items[i].signer, text);
        rc_json_put_string(json, "Signer", text);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

/* ---- Life. */

int agent_open_revoked(struct agent *agent)
{
    agent->revoked = calloc(1, sizeof *agent->revoked);
    if (agent->revoked == NULL) {
        return RC_ENOMEM;
    }
    load(agent);
    return RC_OK;
}

void agent_close_revoked(struct agent *agent)
{
    free(agent->revoked);
    agent->revoked = NULL;
}

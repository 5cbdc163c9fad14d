/* acl_endpoints.c - the first token, what this agent says of tokens to other agents and to
 * people, and what of Consul's API is not here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/acl_object.h"
#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permits.h"
#include "agent/http/permits_state.h"
#include "agent/http/store_query.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

/* ---- Bootstrap. */

static const char bootstrap_words[] = "Bootstrap Token (Global Management)";

static void refuse_again(struct http_exchange *x, uint64_t index)
{
    exchange_error(
        x, 403, "Permission denied: ACL bootstrap no longer allowed (reset index: %llu)",
        (unsigned long long)index);
}

static void told_bootstrap(struct http_api *api, struct http_exchange *x,
                           const struct store_outcome *outcome)
{
    if (outcome->err == RC_OK && !outcome->succeeded) {
        refuse_again(x, outcome->revision); /* somebody was faster */
        return;
    }
    acl_object_told(api, x, outcome);
}

/* The three documents that a first token is. */
struct first {
    char accessor[SUBJECT_ID_SIZE];
    char secret[SUBJECT_ID_SIZE];
    uint8_t key[SECRET_KEY_SIZE];
    char key_hex[2 * SECRET_KEY_SIZE + 1];
    bool is_key_new;
    uint64_t reset_index; /* of what stands there already; 0: nothing */
};

static void draw(struct http_api *api, struct http_exchange *x, struct first *first)
{
    struct store_pair pair;

    acl_object_id(api, x, "bootstrap accessor", first->accessor);
    acl_object_id(api, x, "bootstrap secret", first->secret);
    first->is_key_new =
        !store_read(api->store, STORE_SETTINGS, rc_pack_text(PERMITS_KEY), &pair);
    if (first->is_key_new) {
        rc_entropy(first->key, sizeof first->key);
    } else {
        memcpy(first->key, api->permits->key, sizeof first->key);
    }
    rc_text_to_hex(first->key, sizeof first->key, first->key_hex);
}

static json_t *first_document(struct http_api *api, const struct first *first)
{
    uint8_t hash[SECRET_HASH_SIZE];
    char hex[2 * SECRET_HASH_SIZE + 1];

    secret_hash(first->key, first->secret, hash);
    rc_text_to_hex(hash, sizeof hash, hex);
    return json_pack("{s:s,s:s,s:s,s:[s],s:[],s:[],s:[],s:b,s:I,s:I}", "AccessorID",
                     first->accessor, "SecretHash", hex, "Description", bootstrap_words,
                     "Policies", DIRECTORY_MANAGEMENT, "Roles", "ServiceIdentities",
                     "NodeIdentities", "Local", 0, "CreateTime", (json_int_t)api->wall_ms,
                     "ExpirationTime", (json_int_t)0);
}

static void submit_first(struct http_api *api, struct http_exchange *x,
                         const struct first *first, const char *text)
{
    char mark[64];
    struct errand *errand = errand_begin(api, x, told_bootstrap);

    if (errand == NULL) {
        return;
    }
    (void)snprintf(mark, sizeof mark, "{\"AccessorID\":\"%s\"}", first->accessor);
    const struct store_op ops[] = {
        {.verb = STORE_CAS,
         .table = STORE_SETTINGS,
         .key = rc_pack_text(PERMITS_BOOTSTRAP),
         .value = rc_pack_text(mark),
         .index = first->reset_index},
        {.verb = STORE_CAS,
         .table = STORE_TOKENS,
         .key = rc_pack_text(first->accessor),
         .value = rc_pack_text(text)},
        {.verb = STORE_CAS,
         .table = STORE_SETTINGS,
         .key = rc_pack_text(PERMITS_KEY),
         .value = rc_pack_text(first->key_hex)},
    };
    /* Not by request: what comes again must not be told the secret of another. */
    int err = store_submit(api->store, api->now_ms, ops, first->is_key_new ? 3 : 2, NULL,
                           errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}

void acl_bootstrap(struct http_api *api, struct http_exchange *x)
{
    struct first first = {.reset_index = 0};
    struct store_pair pair;

    if (!store_query_begin(api, x)) {
        return;
    }
    permits_read_store(api);
    if (store_read(api->store, STORE_SETTINGS, rc_pack_text(PERMITS_BOOTSTRAP), &pair)) {
        first.reset_index = pair.modify_index;
        if (x->node != NULL || !permits_may_reset(api, first.reset_index)) {
            refuse_again(x, first.reset_index);
            return;
        }
    } else if (!x->is_local) {
        exchange_error(x, 403,
                       "Permission denied: the first token is made on a server's own "
                       "machine");
        return;
    }
    draw(api, x, &first);
    json_t *document = first_document(api, &first);
    const struct directory_item item = {.id = first.accessor, .body = document};
    json_t *shown = acl_object_show(permits_directory(api), DIRECTORY_TOKEN, &item,
                                    first.secret, ACL_OBJECT_WHOLE);
    x->draft = json_pack("{s:s}", "ID", first.secret); /* as 1.10 does */
    (void)json_object_update(x->draft, shown);
    json_decref(shown);
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (text != NULL) {
        submit_first(api, x, &first, text);
    } else {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
    }
    free(text);
    explicit_bzero(&first, sizeof first);
}

/* ---- For agents without an engine. */

static void put_policy(void *context, const char *name, const char *rules)
{
    (void)json_array_append_new(context,
                                json_pack("{s:s,s:s}", "Name", name, "Rules", rules));
}

void acl_subject(struct http_api *api, struct http_exchange *x)
{
    const struct subject *subject = x->subject;
    json_t *policies = json_array();

    (void)directory_policies(permits_directory(api), subject->accessor, put_policy,
                             policies);
    acl_object_answer(x, json_pack("{s:s,s:I,s:b,s:o}", "AccessorID", subject->accessor,
                                   "ExpiresMs", (json_int_t)subject->expires_ms,
                                   "Bootstrapped", (int)permits_are_bootstrapped(api),
                                   "Policies", policies));
}

/* ---- Why. */

/* What is asked about. */
struct question {
    enum rule_resource resource;
    enum rule_access access;
    const char *name;
};

static const struct {
    enum rule_resource resource;
    enum rule_access access;
} needs[ROUTE_PERMISSION_COUNT] = {
    [ROUTE_ACL_READ] = {RULE_ACL, RULE_TO_READ},
    [ROUTE_ACL_WRITE] = {RULE_ACL, RULE_TO_WRITE},
    [ROUTE_AGENT_READ] = {RULE_AGENT, RULE_TO_READ},
    [ROUTE_AGENT_WRITE] = {RULE_AGENT, RULE_TO_WRITE},
    [ROUTE_NODE_READ] = {RULE_NODE, RULE_TO_READ},
    [ROUTE_NODE_WRITE] = {RULE_NODE, RULE_TO_WRITE},
    [ROUTE_SERVICE_READ] = {RULE_SERVICE, RULE_TO_READ},
    [ROUTE_SERVICE_WRITE] = {RULE_SERVICE, RULE_TO_WRITE},
    [ROUTE_EVENT_READ] = {RULE_EVENT, RULE_TO_READ},
    [ROUTE_EVENT_WRITE] = {RULE_EVENT, RULE_TO_WRITE},
    [ROUTE_OPERATOR_READ] = {RULE_OPERATOR, RULE_TO_READ},
    [ROUTE_OPERATOR_WRITE] = {RULE_OPERATOR, RULE_TO_WRITE},
    [ROUTE_KEYRING_READ] = {RULE_KEYRING, RULE_TO_READ},
    [ROUTE_KEYRING_WRITE] = {RULE_KEYRING, RULE_TO_WRITE},
    [ROUTE_KEY_READ] = {RULE_KEY, RULE_TO_READ},
    [ROUTE_KEY_WRITE] = {RULE_KEY, RULE_TO_WRITE},
    [ROUTE_SESSION_READ] = {RULE_SESSION, RULE_TO_READ},
    [ROUTE_SESSION_WRITE] = {RULE_SESSION, RULE_TO_WRITE},
    [ROUTE_QUERY_READ] = {RULE_QUERY, RULE_TO_READ},
    [ROUTE_QUERY_WRITE] = {RULE_QUERY, RULE_TO_WRITE},
};

static const char *text_of(const struct http_exchange *x, const char *name)
{
    const char *value = target_parameter(&x->target, name);
    return value != NULL ? value : "";
}

/* By ?method= and ?path=: what its route needs, of the name behind it. */
static bool read_path(struct http_api *api, struct http_exchange *x, const char *path,
                      struct question *out)
{
    const struct route *route = routes_find(path, exchange_method(text_of(x, "method")));

    if (route == NULL) {
        exchange_error(x, 400, "There is no such method and path");
        return false;
    }
    if (route->permission == ROUTE_OPEN || route->permission == ROUTE_TOKEN) {
        acl_object_answer(x, json_pack("{s:b,s:s}", "Allowed", 1, "Why",
                                       "the path is open to all tokens"));
        return false;
    }
    size_t size = strlen(route->path);
    const char *rest = route->path[size - 1] == '/' ? path + size : "";
    const char *name = text_of(x, "name");
    out->resource = needs[route->permission].resource;
    out->access = needs[route->permission].access;
    out->name = name[0] != '\0' ? name : rest;
    bool is_self = out->name[0] == '\0' &&
                   (out->resource == RULE_AGENT || out->resource == RULE_NODE);
    out->name = is_self ? exchange_node(api, x) : out->name;
    return true;
}

static bool read_question(struct http_api *api, struct http_exchange *x,
                          struct question *out)
{
    const char *path = text_of(x, "path");

    if (path[0] != '\0') {
        return read_path(api, x, path, out);
    }
    out->name = text_of(x, "name");
    if (rule_resource_parse(text_of(x, "resource"), &out->resource) != RC_OK) {
        exchange_error(x, 400, "There is no resource \"%s\"", text_of(x, "resource"));
        return false;
    }
    if (rule_access_parse(text_of(x, "access"), &out->access) != RC_OK) {
        exchange_error(x, 400, "access is read, list or write");
        return false;
    }
    return true;
}

static void write_why(struct rc_buffer *out, const struct question *question,
                      const struct grant_reason *why)
{
    if (why->rule == NULL) {
        rc_buffer_format(out,
                         "no rule speaks of %s \"%s\", so the default policy decides",
                         rule_resource_name(question->resource), question->name);
        return;
    }
    rc_buffer_format(out, "rule %s%s", rule_resource_name(why->rule->resource),
                     why->rule->scope == RULE_PREFIX ? "_prefix" : "");
    if (rule_resource_has_names(why->rule->resource)) {
        rc_buffer_format(out, " \"%s\"", why->rule->name);
    }
    rc_buffer_format(out, " = %s in line %u of policy %s",
                     rule_level_name(why->rule->level), why->rule->line, why->policy);
}

/* Ours: GET /v1/acl/explain, about the token that it comes with. */
void acl_explain(struct http_api *api, struct http_exchange *x)
{
    struct question question;
    struct grant_reason why = {NULL, NULL};
    struct rc_buffer words = {0};

    if (!read_question(api, x, &question)) {
        return;
    }
    bool is_prefix = target_parameter(&x->target, "recurse") != NULL &&
                     rule_resource_has_names(question.resource);
    const struct grant *grant = x->subject->grant;
    bool allowed = is_prefix ? grant_allows_prefix(grant, question.resource,
                                                   question.name, question.access, &why)
                             : grant_allows(grant, question.resource, question.name,
                                            question.access, &why);
    write_why(&words, &question, &why);
    if (!permits_are_bootstrapped(api)) {
        rc_buffer_text(&words,
                       "; but there are no tokens yet, so whoever is on a server's "
                       "machine may do everything");
    }
    acl_object_answer(
        x,
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:s?}", "AccessorID", x->subject->accessor,
                  "Resource", rule_resource_name(question.resource), "Name",
                  question.name, "Access", rule_access_name(question.access), "Allowed",
                  (int)allowed, "Why", rc_buffer_string(&words), "Policy", why.policy));
    rc_buffer_fini(&words);
}

/* ---- What is not here. */

/* There is one datacenter, so nothing is copied to another. */
void acl_replication(struct http_api *api, struct http_exchange *x)
{
    (void)api;
    acl_object_answer(
        x, json_pack("{s:b,s:b,s:s,s:s,s:i,s:i,s:i,s:s,s:s}", "Enabled", 0, "Running", 0,
                     "SourceDatacenter", "", "ReplicationType", "", "ReplicatedIndex", 0,
                     "ReplicatedRoleIndex", 0, "ReplicatedTokenIndex", 0, "LastSuccess",
                     "0001-01-01T00:00:00Z", "LastError", "0001-01-01T00:00:00Z"));
}

void acl_gone(struct http_api *api, struct http_exchange *x)
{
    (void)api;
    exchange_error(x, 410,
                   "The legacy ACL system is gone (Consul removed it in 1.11): use "
                   "/v1/acl/token and /v1/acl/policy");
}

void acl_absent(struct http_api *api, struct http_exchange *x)
{
    (void)api;
    exchange_error(x, 501,
                   "rollcall has no auth methods, binding rules or templated policies: "
                   "make tokens by PUT /v1/acl/token");
}

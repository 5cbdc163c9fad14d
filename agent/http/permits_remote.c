/* permits_remote.c - who a token is, where there is no engine: servers are asked, and their
 * answers kept for a while. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/http/permits_state.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

enum { ANSWER_MS = 50 };

/* A token that servers were asked about. The token itself is not kept. */
struct remote {
    uint8_t hash[SECRET_HASH_SIZE];
    struct subject *subject; /* NULL: none known */
    uint64_t asked_ms;       /* when what is known was told, or asking failed */
    uint64_t used_ms;
    bool is_asking;
    bool is_away;     /* the last question was not answered */
    bool is_doubtful; /* something has changed since it was asked */
    uint64_t serial;
};

static void free_remote(struct remote *remote)
{
    if (remote != NULL) {
        subject_drop(remote->subject);
        free(remote);
    }
}

void permits_free_remotes(struct permits *permits)
{
    size_t position = 0;
    struct remote *remote;

    while (permits->remotes != NULL &&
           (remote = rc_table_next(permits->remotes, &position, NULL)) != NULL) {
        free_remote(remote);
    }
    rc_table_destroy(permits->remotes);
    permits->remotes = NULL;
}

void permits_doubt_remotes(struct permits *permits)
{
    size_t position = 0;
    struct remote *remote;

    while ((remote = rc_table_next(permits->remotes, &position, NULL)) != NULL) {
        remote->is_doubtful = true;
    }
}

/* Room for one more: whoever was not used for longest goes, but for those being asked about. */
static void make_room(struct permits *permits)
{
    struct remote *oldest = NULL;
    struct remote *remote;
    size_t position = 0;

    if (rc_table_count(permits->remotes) < PERMITS_REMOTE_MAX) {
        return;
    }
    while ((remote = rc_table_next(permits->remotes, &position, NULL)) != NULL) {
        if (!remote->is_asking && (oldest == NULL || remote->used_ms < oldest->used_ms)) {
            oldest = remote;
        }
    }
    if (oldest != NULL) {
        (void)rc_table_remove_bytes(permits->remotes, oldest->hash, SECRET_HASH_SIZE);
        free_remote(oldest);
    }
}

static struct remote *settle(struct permits *permits, const char *token)
{
    uint8_t hash[SECRET_HASH_SIZE];

    secret_hash(permits->options.cache_key, token, hash);
    struct remote *remote = rc_table_get_bytes(permits->remotes, hash, sizeof hash);
    if (remote != NULL) {
        return remote;
    }
    make_room(permits);
    remote = rc_table_count(permits->remotes) < PERMITS_REMOTE_MAX
                 ? calloc(1, sizeof *remote)
                 : NULL;
    if (remote == NULL) {
        return NULL;
    }
    memcpy(remote->hash, hash, sizeof hash);
    if (rc_table_put_bytes(permits->remotes, remote->hash, SECRET_HASH_SIZE, remote,
                           NULL) != RC_OK) {
        free(remote);
        return NULL;
    }
    return remote;
}

static uint64_t wake_of(const struct remote *remote)
{
    uint64_t wake = 0;

    memcpy(&wake, remote->hash, sizeof wake);
    return wake;
}

static void ask(struct http_api *api, struct remote *remote, const char *token)
{
    const struct http_relay relay = {
        .method = "GET",
        .target = PERMITS_SUBJECT_PATH,
        .token = token,
        .node = api->facts.node_name,
    };
    http_ticket ticket = ++api->last_ticket;

    if (api->operations.forward == NULL ||
        rc_table_put_bytes(api->permits->asked, &ticket, sizeof ticket, remote, NULL) !=
            RC_OK) {
        remote->is_away = true;
        remote->asked_ms = api->now_ms;
        return;
    }
    remote->is_doubtful = false;
    remote->is_asking = true; /* stands first: the reply may come from inside */
    api->operations.forward(api->operations.context, &relay, ticket);
}

static bool is_fresh(const struct http_api *api, const struct remote *remote)
{
    uint64_t known_ms =
        permits_news_come(api->permits) ? PERMITS_FRESH_MS : PERMITS_UNSURE_MS;
    uint64_t keeps_ms =
        remote->subject != NULL && !remote->is_away ? known_ms : PERMITS_ABSENT_MS;

    if (remote
            ->is_doubtful) { /* who waited for it takes it, however much changes meanwhile */
        keeps_ms = ANSWER_MS;
    }
    return remote->asked_ms != 0 && api->now_ms - remote->asked_ms < keeps_ms;
}

enum permits_found permits_ask_remote(struct http_api *api, const char *token,
                                      struct subject **out, uint64_t *wake)
{
    struct permits *permits = api->permits;
    struct remote *remote = settle(permits, token);

    if (remote == NULL) {
        return PERMITS_AWAY;
    }
    remote->used_ms = api->now_ms;
    permits_want_news(api);
    if (!remote->is_asking && !is_fresh(api, remote)) {
        ask(api, remote, token);
    }
    if (remote->is_asking) {
        *wake = wake_of(remote);
        return PERMITS_ASKED;
    }
    if (remote->is_away &&
        (remote->subject == NULL || permits->options.down == HTTP_ACL_DOWN_DENY)) {
        return PERMITS_AWAY;
    }
    if (remote->subject == NULL) {
        return PERMITS_UNKNOWN;
    }
    *out = subject_keep(remote->subject);
    return PERMITS_FOUND;
}

/* ---- What a server says. */

static int read_subject(struct permits *permits, const json_t *body, struct subject **out)
{
    struct subject_policy policies[DIRECTORY_POLICIES_MAX];
    const json_t *list = json_object_get(body, "Policies");
    size_t count = json_array_size(list);

    if (count > DIRECTORY_POLICIES_MAX || !json_is_array(list)) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *policy = json_array_get(list, i);
        policies[i] = (struct subject_policy){rc_json_read_text(policy, "Name"),
                                              rc_json_read_text(policy, "Rules")};
    }
    enum grant_default fallback =
        permits->options.fallback == HTTP_ACL_ALLOW ? GRANT_ALLOWS : GRANT_DENIES;
    int err = subject_create(rc_json_read_text(body, "AccessorID"), policies, count,
                             fallback, out);
    if (err == RC_OK) {
        (*out)->expires_ms =
            (uint64_t)json_integer_value(json_object_get(body, "ExpiresMs"));
        permits->is_bootstrapped = !json_is_false(json_object_get(body, "Bootstrapped"));
    }
    return err;
}

static void take_reply(struct http_api *api, struct remote *remote,
                       const struct http_reply *reply)
{
    struct subject *subject = NULL;
    int err = RC_EAGAIN;

    if (reply->status == 200) {
        json_t *body = json_loadb(reply->body, reply->body_size, 0, NULL);
        err = body != NULL ? read_subject(api->permits, body, &subject) : RC_EMALFORMED;
        json_decref(body);
    } else if (reply->status == 403) {
        err = RC_ENOTFOUND;
    }
    remote->asked_ms = api->now_ms > 0 ? api->now_ms : 1;
    remote->is_away = err != RC_OK && err != RC_ENOTFOUND;
    if (remote->is_away) {
        return; /* what was known before may be good enough */
    }
    subject_drop(remote->subject);
    remote->subject = subject;
    if (subject != NULL) {
        subject->serial = ++api->last_ticket; /* any number not used before */
    }
}

bool permits_told(struct http_api *api, http_ticket ticket,
                  const struct http_reply *reply, uint64_t *wake)
{
    *wake = 0;
    if (api->permits == NULL) {
        return false;
    }
    if (permits_told_news(api, ticket, reply)) {
        return true;
    }
    struct remote *remote =
        rc_table_remove_bytes(api->permits->asked, &ticket, sizeof ticket);
    if (remote == NULL) {
        return false;
    }
    remote->is_asking = false;
    take_reply(api, remote, reply);
    *wake = wake_of(remote);
    return true;
}

#include "agent/watch_keys_uv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "agent/forward_uv.h"
#include "agent/http/relay.h"
#include "agent/store_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { AGAIN_MS = 1000, AGAIN_MAX_MS = 10 * 1000, WORDS_MAX = 200 };

/* One question and its last answer. */
struct watched {
    struct watched *next;
    struct watch_keys *keys;
    enum watch_type type;
    char *key;
    char *token; /* "": none */
    struct rc_buffer body;
    uint64_t index;     /* of `body`; 0: not known yet */
    uint64_t known;     /* what the next question names; 0: it is answered at once */
    http_ticket served; /* while it is asked here, or */
    http_ticket sent;   /* at a server; both 0: it is not asked */
    uint64_t due_ms;    /* when it is asked next, while it is not */
    unsigned failures;
    bool is_wanted;
};

struct watch_keys {
    struct agent *agent;
    struct watched *first;
    uv_timer_t timer;
    uint64_t last_ticket;
};

static bool is_of_keys(enum watch_type type)
{
    return type == WATCH_KEY || type == WATCH_KEY_PREFIX;
}

static const char *text_or(const char *text, const char *other)
{
    return text != NULL && text[0] != '\0' ? text : other;
}

static const char *token_of(const struct watch_keys *keys,
                            const struct watch_question *question)
{
    const struct agent_acl_config *acl = &keys->agent->config.acl;

    return text_or(question->token,
                   text_or(acl->agent_token, text_or(acl->default_token, "")));
}

static struct watched *find(const struct watch_keys *keys,
                            const struct watch_question *question)
{
    const char *token = token_of(keys, question);
    struct watched *watched = keys->first;

    while (watched != NULL &&
           (watched->type != question->type || strcmp(watched->key, question->key) != 0 ||
            strcmp(watched->token, token) != 0)) {
        watched = watched->next;
    }
    return watched;
}

/* ---- Asking. */

static void arm(struct watch_keys *keys);
static void take(struct watched *watched, const struct http_reply *reply);

static void on_served(void *context, const struct http_reply *reply)
{
    struct watched *watched = context;

    watched->served = 0;
    take(watched, reply);
}

static void send_off(struct watched *watched, const struct http_relay *relay)
{
    const struct agent *agent = watched->keys->agent;

    if (agent_store(agent) != NULL) {
        watched->served = http_serve(agent->http, relay, on_served, watched);
        watched->due_ms = rc_clock_ms() + AGAIN_MS; /* if there is no memory */
        return;
    }
    watched->sent =
        FORWARDER_OWN | ++watched->keys->last_ticket; /* the reply may come from
                                                                     inside */
    forwarder_forward(agent->forwarder, relay, watched->sent);
}

static void ask(struct watched *watched)
{
    const struct agent *agent = watched->keys->agent;
    const struct watch_question question = {.type = watched->type, .key = watched->key};
    struct rc_buffer target = {0};

    watch_question_target(&question, &target);
    if (watched->known != 0) {
        rc_buffer_format(&target, "%cindex=%" PRIu64,
                         watched->type == WATCH_KEY ? '?' : '&', watched->known);
    }
    const struct http_relay relay = {
        .method = "GET",
        .target = rc_buffer_string(&target),
        .token = watched->token,
        .node = agent->identity.node_name,
    };
    bool can_ask = target.err == RC_OK && agent->http != NULL && agent->forwarder != NULL;
    if (can_ask) {
        send_off(watched, &relay);
    } else {
        watched->due_ms = rc_clock_ms() + AGAIN_MS;
    }
    rc_buffer_fini(&target);
}

static bool is_asking(const struct watched *watched)
{
    return watched->served != 0 || watched->sent != 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct watch_keys *keys = timer->data;
    uint64_t now_ms = rc_clock_ms();

    for (struct watched *w = keys->first; w != NULL; w = w->next) {
        if (!is_asking(w) && w->due_ms <= now_ms) {
            ask(w);
        }
    }
    arm(keys);
}

static void arm(struct watch_keys *keys)
{
    uint64_t due_ms = UINT64_MAX;
    uint64_t now_ms = rc_clock_ms();

    for (const struct watched *w = keys->first; w != NULL; w = w->next) {
        due_ms = !is_asking(w) && w->due_ms < due_ms ? w->due_ms : due_ms;
    }
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&keys->timer);
        return;
    }
    uv_update_time(&keys->agent->loop);
    (void)uv_timer_start(&keys->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0,
                         0);
}

/* ---- Answers. */

static void fail(struct watched *watched, const struct http_reply *reply)
{
    uint64_t wait_ms = AGAIN_MS;

    for (unsigned i = 0; i < watched->failures && wait_ms < AGAIN_MAX_MS; i++) {
        wait_ms *= 2;
    }
    if (watched->failures++ == 0) {
        rc_log(RC_LOG_WARN, "watch", "%s %s cannot be watched now: %u %.*s",
               watch_type_name(watched->type), watched->key, reply->status,
               (int)(reply->body_size < WORDS_MAX ? reply->body_size : WORDS_MAX),
               reply->body_size > 0 ? (const char *)reply->body : "");
    }
    watched->known = 0;
    watched->due_ms = rc_clock_ms() + (wait_ms < AGAIN_MAX_MS ? wait_ms : AGAIN_MAX_MS);
    if (watched->failures == 1) {
        agent_tell_watches(watched->keys->agent, WATCH_KEYS); /* it is not current now */
    }
}

/* A server answers with a list, also for a single key; nothing there is 404 and no list. */
static void keep(struct watched *watched, const struct http_reply *reply)
{
    const char *text = reply->body;
    size_t size = reply->body_size;

    rc_buffer_clear(&watched->body);
    if (reply->status == 404) {
        rc_buffer_text(&watched->body, watched->type == WATCH_KEY ? "null" : "[]");
        return;
    }
    while (size > 0 && strchr("\r\n ", text[size - 1]) != NULL) {
        size--;
    }
    bool is_one = watched->type == WATCH_KEY && size >= 2;
    rc_buffer_append(&watched->body, text + is_one, is_one ? size - 2 : size);
}

static void take(struct watched *watched, const struct http_reply *reply)
{
    struct watch_keys *keys = watched->keys;
    uint64_t index = relay_index(reply);
    bool is_good =
        reply->status == 200 || (reply->status == 404 && reply->body_size == 0);

    if (!is_good || index == 0) {
        fail(watched, reply);
        arm(keys);
        return;
    }
    if (watched->failures > 0) {
        rc_log(RC_LOG_INFO, "watch", "%s %s is watched again",
               watch_type_name(watched->type), watched->key);
    }
    watched->failures = 0;
    watched->known =
        index < watched->known ? 0 : index; /* another store's: from the start */
    watched->due_ms = 0;
    keep(watched, reply);
    watched->index = index;
    agent_tell_watches(keys->agent, WATCH_KEYS);
    arm(keys);
}

bool watch_keys_replied(struct watch_keys *keys, http_ticket ticket,
                        const struct http_reply *reply)
{
    for (struct watched *w = keys != NULL ? keys->first : NULL; w != NULL; w = w->next) {
        if (w->sent == ticket) {
            w->sent = 0;
            take(w, reply);
            return true;
        }
    }
    return false;
}

/* ---- Looking. */

uint64_t watch_keys_index(const struct watch_keys *keys,
                          const struct watch_question *question)
{
    const struct watched *watched = find(keys, question);

    return watched != NULL ? watched->index : 0;
}

uint64_t watch_keys_read(const struct watch_keys *keys,
                         const struct watch_question *question, struct rc_buffer *out)
{
    const struct watched *watched = find(keys, question);

    if (watched == NULL || watched->index == 0) {
        return 0;
    }
    rc_buffer_append(out, watched->body.bytes, watched->body.size);
    return watched->index;
}

bool watch_keys_is_current(const struct watch_keys *keys,
                           const struct watch_question *question)
{
    const struct watched *watched = find(keys, question);

    return watched != NULL && watched->index != 0 && watched->failures == 0;
}

/* ---- Which. */

static void destroy(struct watched *watched)
{
    const struct agent *agent = watched->keys->agent;

    if (watched->served != 0 && agent->http != NULL) {
        http_serve_end(agent->http, watched->served);
    }
    if (watched->sent != 0 && agent->forwarder != NULL) {
        forwarder_forget(agent->forwarder, watched->sent);
    }
    if (watched->token != NULL) {
        explicit_bzero(watched->token, strlen(watched->token));
    }
    free(watched->token);
    free(watched->key);
    rc_buffer_fini(&watched->body);
    free(watched);
}

static int add(struct watch_keys *keys, const struct watch_question *question)
{
    struct watched *watched = calloc(1, sizeof *watched);

    if (watched == NULL) {
        return RC_ENOMEM;
    }
    watched->keys = keys;
    watched->type = question->type;
    watched->key = rc_text_copy(question->key);
    watched->token = rc_text_copy(token_of(keys, question));
    if (watched->key == NULL || watched->token == NULL) {
        destroy(watched);
        return RC_ENOMEM;
    }
    watched->is_wanted = true;
    watched->next = keys->first;
    keys->first = watched;
    return RC_OK;
}

static void drop_unwanted(struct watch_keys *keys)
{
    struct watched **place = &keys->first;

    while (*place != NULL) {
        struct watched *watched = *place;
        if (watched->is_wanted) {
            place = &watched->next;
        } else {
            *place = watched->next;
            destroy(watched);
        }
    }
}

int watch_keys_set(struct watch_keys *keys, const struct watch_definition *watches,
                   size_t count)
{
    int err = RC_OK;

    for (struct watched *w = keys->first; w != NULL; w = w->next) {
        w->is_wanted = false;
    }
    for (size_t i = 0; i < count && err == RC_OK; i++) {
        const struct watch_question question = watch_definition_question(&watches[i]);
        struct watched *watched =
            is_of_keys(question.type) ? find(keys, &question) : NULL;
        if (watched != NULL) {
            watched->is_wanted = true;
        } else if (is_of_keys(question.type)) {
            err = add(keys, &question);
        }
    }
    drop_unwanted(keys);
    arm(keys);
    return err;
}

/* ---- Life. */

int watch_keys_open(struct agent *agent, struct watch_keys **out)
{
    struct watch_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL) {
        return RC_ENOMEM;
    }
    keys->agent = agent;
    (void)uv_timer_init(&agent->loop, &keys->timer);
    keys->timer.data = keys;
    *out = keys;
    return RC_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct watch_keys *keys = handle->data;

    keys->agent->open--;
    free(keys);
}

void watch_keys_close(struct watch_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    for (struct watched *w = keys->first; w != NULL; w = w->next) {
        w->is_wanted = false;
    }
    drop_unwanted(keys);
    keys->agent->open++;
    uv_close((uv_handle_t *)&keys->timer, on_closed);
}

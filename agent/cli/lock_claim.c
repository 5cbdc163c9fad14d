/* lock_claim.c - see lock.h. Keys, flags and values are those of Consul's own clients, so
 * that both may stand in one line for a lock. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/client.h"
#include "agent/cli/kv.h"
#include "agent/cli/lock.h"
#include "agent/cli/lock_semaphore.h"
#include "base/err.h"
#include "base/text.h"

/* What tells a lock's key from others (Consul's Go client: LockFlagValue, SemaphoreFlagValue). */
#define LOCK_FLAGS      UINT64_C(0x2ddccbc058a50c18)
#define SEMAPHORE_FLAGS UINT64_C(0xe0f69a2baa414de0)

uint64_t lock_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t lock_flags(const struct lock_claim *claim)
{
    return claim->limit > 1 ? SEMAPHORE_FLAGS : LOCK_FLAGS;
}

/* ---- One request. */

static int ask(struct lock_claim *claim, const struct cli_request *request,
               struct cli_answer *answer)
{
    struct cli_request timed = *request;

    if (timed.timeout_ms == 0) {
        timed.timeout_ms = (long)(claim->ttl_ms / 4);
    }
    int err = cli_ask(claim->client, &timed, answer);
    if (err != RC_OK) {
        (void)rc_text_put(claim->why, sizeof claim->why,
                          answer->status > 0 ? rc_buffer_string(&answer->body)
                                             : answer->error);
    }
    return err;
}

static json_t *json_of(const struct cli_answer *answer)
{
    return kv_load(rc_buffer_string(&answer->body), answer->body.size, NULL);
}

/* PUT or DELETE: RC_OK for "true", RC_ECONFLICT for "false", else no answer. */
int lock_write_key(struct lock_claim *claim, const char *method,
                   const struct rc_buffer *path, const char *body)
{
    const struct cli_request request = {
        .method = method, .path = rc_buffer_string(path), .body = body};
    struct cli_answer answer;

    int err = ask(claim, &request, &answer);
    if (err == RC_OK && strncmp(rc_buffer_string(&answer.body), "true", 4) != 0) {
        err = RC_ECONFLICT;
    }
    rc_buffer_fini(&answer.body);
    return err;
}

/* All pairs under `key` (or it alone): RC_OK with `*out` owned by the caller, an empty list when
 * there is nothing. With `wait_ms` it waits for a change since the last read. */
int lock_read_keys(struct lock_claim *claim, const char *key, uint64_t wait_ms,
                   json_t **out)
{
    struct rc_buffer path = {0};
    struct cli_answer answer;
    char text[32];

    kv_path(&path, key);
    kv_parameter(&path, "consistent", NULL);
    if (claim->limit > 1) {
        kv_parameter(&path, "recurse", NULL);
    }
    if (wait_ms > 0 && claim->index > 0) {
        (void)snprintf(text, sizeof text, "%" PRIu64, claim->index);
        kv_parameter(&path, "index", text);
        (void)snprintf(text, sizeof text, "%" PRIu64 "ms", wait_ms);
        kv_parameter(&path, "wait", text);
    }
    const struct cli_request request = {
        .method = "GET",
        .path = rc_buffer_string(&path),
        .timeout_ms = (long)(wait_ms + wait_ms / 8 + claim->ttl_ms / 8 + 100)};
    int err = ask(claim, &request, &answer);
    *out = NULL;
    if (err == RC_OK) {
        *out = json_of(&answer);
        err = json_is_array(*out) ? RC_OK : RC_EMALFORMED;
    } else if (answer.status == 404 && answer.body.size == 0) {
        *out = json_array();
        err = RC_OK;
    }
    claim->index = err == RC_OK ? answer.index : 0;
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err;
}

const json_t *lock_pair(const json_t *pairs, const char *key)
{
    size_t i;
    json_t *pair;

    json_array_foreach((json_t *)pairs, i, pair)
    {
        const char *name = json_string_value(json_object_get(pair, "Key"));
        if (name != NULL && strcmp(name, key) == 0) {
            return pair;
        }
    }
    return NULL;
}

bool lock_is_held_by(const json_t *pair, const char *session)
{
    const char *holder = json_string_value(json_object_get(pair, "Session"));
    return holder != NULL && session[0] != '\0' && strcmp(holder, session) == 0;
}

/* ---- The session. */

static int create_session(struct lock_claim *claim)
{
    struct cli_answer answer;
    char ttl[32];

    (void)snprintf(ttl, sizeof ttl, "%" PRIu64 "ms", claim->ttl_ms);
    /* No checks: whether gossip thinks well of this node is no reason to give a lock away. */
    json_t *body = json_pack("{s:s, s:s, s:s, s:[]}", "Name", claim->session_name, "TTL",
                             ttl, "Behavior", "release", "Checks");
    if (claim->lock_delay != NULL) {
        (void)json_object_set_new(body, "LockDelay", json_string(claim->lock_delay));
    }
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    uint64_t asked_ms = lock_now_ms();
    const struct cli_request request = {
        .method = "PUT", .path = "/v1/session/create", .body = text != NULL ? text : ""};
    int err = ask(claim, &request, &answer);
    free(text);
    if (err == RC_OK) {
        json_t *made = json_of(&answer);
        const char *id = json_string_value(json_object_get(made, "ID"));
        err = id != NULL ? rc_text_put(claim->session, sizeof claim->session, id)
                         : RC_EMALFORMED;
        claim->good_until_ms = asked_ms + claim->ttl_ms;
        json_decref(made);
    } else if ((answer.status >= 400 && answer.status < 500) ||
               rc_text_starts_with(rc_buffer_string(&answer.body),
                                   "Invalid Session TTL")) {
        err = RC_EINVAL; /* asking again would not help */
    }
    rc_buffer_fini(&answer.body);
    return err;
}

int lock_renew(struct lock_claim *claim)
{
    struct rc_buffer path = {0};
    struct cli_answer answer;

    rc_buffer_format(&path, "/v1/session/renew/%s", claim->session);
    uint64_t asked_ms = lock_now_ms();
    const struct cli_request request = {.method = "PUT", .path = rc_buffer_string(&path)};
    int err = ask(claim, &request, &answer);
    if (err == RC_OK) {
        claim->good_until_ms = asked_ms + claim->ttl_ms;
    } else if (answer.status == 404) {
        claim->session[0] = '\0';
        err = RC_ENOTFOUND;
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err;
}

/* ---- A lock. */

int lock_acquire_key(struct lock_claim *claim, const char *key, const char *value)
{
    struct rc_buffer path = {0};
    char flags[24];

    kv_path(&path, key);
    kv_parameter(&path, "acquire", claim->session);
    (void)snprintf(flags, sizeof flags, "%" PRIu64, lock_flags(claim));
    kv_parameter(&path, "flags", flags);
    int err = lock_write_key(claim, "PUT", &path, value);
    rc_buffer_fini(&path);
    return err;
}

/* Whoever uses the key for something else would have it overwritten. */
int lock_test_use(struct lock_claim *claim, const json_t *pair)
{
    if (pair == NULL || (uint64_t)json_integer_value(json_object_get(pair, "Flags")) ==
                            lock_flags(claim)) {
        return RC_OK;
    }
    (void)rc_text_put(claim->why, sizeof claim->why,
                      claim->limit > 1 ? "existing key does not match semaphore use"
                                       : "existing key does not match lock use");
    return RC_EINVAL;
}

static int try_lock(struct lock_claim *claim)
{
    json_t *pairs = NULL;

    int err = lock_read_keys(claim, claim->key, 0, &pairs);
    const json_t *pair = lock_pair(pairs, claim->key);
    if (err == RC_OK) {
        err = lock_test_use(claim, pair);
    }
    if (err == RC_OK && json_object_get(pair, "Session") != NULL &&
        !lock_is_held_by(pair, claim->session)) {
        (void)rc_text_put(claim->why, sizeof claim->why, "it is held by another session");
        err = RC_EAGAIN;
    }
    json_decref(pairs);
    if (err != RC_OK) {
        return err;
    }
    err = lock_acquire_key(claim, claim->key, "");
    /* What came of it, also when the answer was lost on the way. */
    int read = lock_read_keys(claim, claim->key, 0, &pairs);
    pair = lock_pair(pairs, claim->key);
    if (read == RC_OK && lock_is_held_by(pair, claim->session)) {
        claim->term = (uint64_t)json_integer_value(json_object_get(pair, "Term"));
        err = RC_OK;
    } else if (read == RC_OK && err == RC_ECONFLICT) {
        (void)rc_text_put(claim->why, sizeof claim->why,
                          "another got it, or a lock-delay runs");
        err = RC_EAGAIN;
    } else if (err == RC_OK) {
        err = RC_EAGAIN; /* taken and gone again, or nobody can tell */
    }
    json_decref(pairs);
    return err;
}

/* ---- Either. */

int lock_try(struct lock_claim *claim)
{
    int err = claim->session[0] != '\0' ? lock_renew(claim) : RC_ENOTFOUND;

    if (err == RC_ENOTFOUND) {
        err = create_session(claim);
    }
    if (err == RC_OK) {
        err = claim->limit > 1 ? lock_try_place(claim) : try_lock(claim);
    }
    return err == RC_OK || err == RC_EINVAL || err == RC_ENOMEM ? err : RC_EAGAIN;
}

void lock_wait(struct lock_claim *claim, uint64_t wait_ms)
{
    json_t *pairs = NULL;
    uint64_t known = claim->index;
    uint64_t began_ms = lock_now_ms();

    int err = lock_read_keys(claim, claim->limit > 1 ? claim->prefix : claim->key,
                             wait_ms, &pairs);
    bool is_free = claim->limit == 1 &&
                   json_object_get(lock_pair(pairs, claim->key), "Session") == NULL;
    json_decref(pairs);
    /* Nothing to wait for there: nobody answers, or a lock-delay runs. */
    if (err != RC_OK || is_free || known == 0 || lock_now_ms() == began_ms) {
        const struct timespec pause = {0, 200 * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
}

int lock_watch(struct lock_claim *claim, uint64_t wait_ms)
{
    json_t *pairs = NULL;
    bool ours = false;

    int err = lock_read_keys(claim, claim->limit > 1 ? claim->prefix : claim->key,
                             wait_ms, &pairs);
    if (err == RC_OK && claim->limit == 1) {
        ours = lock_is_held_by(lock_pair(pairs, claim->key), claim->session);
    } else if (err == RC_OK) {
        ours = lock_has_place(claim, pairs);
    }
    json_decref(pairs);
    return err != RC_OK ? err : ours ? RC_OK : RC_ENOTFOUND;
}

int lock_give_back(struct lock_claim *claim)
{
    struct rc_buffer path = {0};
    int err;

    if (claim->limit > 1) {
        err = lock_give_place_back(claim);
    } else {
        kv_path(&path, claim->key);
        kv_parameter(&path, "release", claim->session);
        char flags[24];
        (void)snprintf(flags, sizeof flags, "%" PRIu64, lock_flags(claim));
        kv_parameter(&path, "flags", flags);
        err = lock_write_key(claim, "PUT", &path, "");
        rc_buffer_fini(&path);
    }
    rc_buffer_format(&path, "/v1/session/destroy/%s", claim->session);
    const struct cli_request request = {.method = "PUT", .path = rc_buffer_string(&path)};
    struct cli_answer answer;
    int ended = ask(claim, &request, &answer);
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err != RC_OK ? err : ended;
}

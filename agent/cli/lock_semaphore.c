/* lock_semaphore.c - see lock_semaphore.h. */
#include "agent/cli/lock_semaphore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/kv.h"
#include "base/err.h"
#include "base/text.h"

/* {"Limit": n, "Holders": {session: true}} without those whose own key is gone or not theirs
 * any more. Owned by the caller; NULL when memory is out. */
static json_t *holders_of(const struct lock_claim *claim, const json_t *pairs)
{
    const json_t *pair = lock_pair(pairs, claim->key);
    struct rc_buffer text = {0};
    char key[LOCK_PATH_MAX + LOCK_SESSION_SIZE + 1];
    const char *session;
    json_t *value;

    (void)kv_decode(json_string_value(json_object_get(pair, "Value")), &text);
    json_t *state = json_loadb(rc_buffer_string(&text), text.size, 0, NULL);
    rc_buffer_fini(&text);
    json_t *holders = json_object();
    json_object_foreach(json_object_get(state, "Holders"), session, value)
    {
        (void)snprintf(key, sizeof key, "%s/%s", claim->prefix, session);
        if (lock_is_held_by(lock_pair(pairs, key), session)) {
            (void)json_object_set(holders, session, value);
        }
    }
    json_t *limit = json_object_get(state, "Limit");
    json_t *out =
        json_pack("{s:I, s:o}", "Limit",
                  limit != NULL ? json_integer_value(limit) : (json_int_t)claim->limit,
                  "Holders", holders);
    json_decref(state);
    return out;
}

static int put_holders(struct lock_claim *claim, const json_t *pairs, const json_t *state)
{
    const json_t *pair = lock_pair(pairs, claim->key);
    struct rc_buffer path = {0};
    char text[24];

    kv_path(&path, claim->key);
    (void)snprintf(text, sizeof text, "%lld",
                   (long long)json_integer_value(json_object_get(pair, "ModifyIndex")));
    kv_parameter(&path, "cas", pair != NULL ? text : "0");
    (void)snprintf(text, sizeof text, "%" PRIu64, lock_flags(claim));
    kv_parameter(&path, "flags", text);
    char *value = json_dumps(state, JSON_COMPACT);
    int err = value != NULL ? lock_write_key(claim, "PUT", &path, value) : RC_ENOMEM;
    free(value);
    rc_buffer_fini(&path);
    return err;
}

static int take_place(struct lock_claim *claim, const json_t *pairs)
{
    json_t *state = holders_of(claim, pairs);
    json_t *holders = json_object_get(state, "Holders");
    long long limit = json_integer_value(json_object_get(state, "Limit"));
    int err = RC_OK;

    if (state == NULL) {
        return RC_ENOMEM;
    }
    if (limit != claim->limit) {
        (void)snprintf(claim->why, sizeof claim->why,
                       "semaphore limit conflict (lock: %lld, local: %u)", limit,
                       claim->limit);
        err = RC_EINVAL;
    } else if (json_object_get(holders, claim->session) == NULL) {
        if (json_object_size(holders) >= claim->limit) {
            (void)rc_text_put(claim->why, sizeof claim->why, "all places are taken");
            err = RC_EAGAIN;
        } else {
            (void)json_object_set_new(holders, claim->session, json_true());
            err = put_holders(claim, pairs, state);
            err = err == RC_ECONFLICT ? RC_EAGAIN : err;
        }
    }
    json_decref(state);
    return err;
}

int lock_try_place(struct lock_claim *claim)
{
    char own[LOCK_PATH_MAX + LOCK_SESSION_SIZE + 1];
    json_t *pairs = NULL;

    (void)snprintf(own, sizeof own, "%s/%s", claim->prefix, claim->session);
    int err = lock_acquire_key(claim, own, "");
    if (err == RC_OK) {
        err = lock_read_keys(claim, claim->prefix, 0, &pairs);
    }
    if (err == RC_OK) {
        err = lock_test_use(claim, lock_pair(pairs, claim->key));
    }
    if (err == RC_OK) {
        err = take_place(claim, pairs);
    }
    json_decref(pairs);
    return err;
}

bool lock_has_place(const struct lock_claim *claim, const json_t *pairs)
{
    json_t *state = holders_of(claim, pairs);
    bool has = json_object_get(json_object_get(state, "Holders"), claim->session) != NULL;

    json_decref(state);
    return has;
}

int lock_give_place_back(struct lock_claim *claim)
{
    enum { TRIES = 10 };
    struct rc_buffer path = {0};
    int err = RC_ECONFLICT;

    for (int i = 0; i < TRIES && err == RC_ECONFLICT; i++) {
        json_t *pairs = NULL;
        json_t *state = NULL;
        err = lock_read_keys(claim, claim->prefix, 0, &pairs);
        if (err == RC_OK) {
            state = holders_of(claim, pairs);
            (void)json_object_del(json_object_get(state, "Holders"), claim->session);
            err = put_holders(claim, pairs, state);
        }
        json_decref(state);
        json_decref(pairs);
    }
    kv_path(&path, claim->prefix);
    rc_buffer_format(&path, "%%2F%s", claim->session);
    (void)lock_write_key(claim, "DELETE", &path, NULL);
    rc_buffer_fini(&path);
    return err;
}

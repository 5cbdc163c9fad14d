#include "agent/keeper_request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/http/relay.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_read.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000 };

static const char prefix[] = "rollcall/pg/";

void keeper_request_fini(struct keeper_request_text *text)
{
    rc_buffer_fini(&text->target);
    rc_buffer_fini(&text->body);
}

/* ---- Writing. */

static void write_session(const struct keeper_action *action, const char *cluster,
                          const char *node, struct keeper_request_text *out)
{
    struct rc_json json = rc_json_over(&out->body, 0);
    char name[256];
    char ttl[32];

    (void)snprintf(name, sizeof name, "pg/%s/%s", cluster, node);
    (void)snprintf(ttl, sizeof ttl, "%llums", (unsigned long long)action->ttl_ms);
    rc_buffer_text(&out->target, "/v1/session/create");
    rc_json_object(&json);
    rc_json_put_string(&json, "Name", name);
    rc_json_put_string(&json, "TTL", ttl);
    rc_json_put_string(&json, "Behavior", "delete");
    rc_json_put_string(&json, "LockDelay", "0s");
    rc_json_key(&json, "NodeChecks");
    rc_json_array(&json);
    rc_json_array_end(&json);
    rc_json_object_end(&json);
}

static const char *const verbs[] = {
    [KEEPER_OP_LOCK] = "lock",
    [KEEPER_OP_CAS] = "cas",
    [KEEPER_OP_DELETE] = "delete",
    [KEEPER_OP_DELETE_CAS] = "delete-cas",
    [KEEPER_OP_CHECK_INDEX] = "check-index",
    [KEEPER_OP_CHECK_SESSION] = "check-session",
    [KEEPER_OP_CHECK_NONE] = "check-not-exists",
};

static bool has_value(enum keeper_verb verb)
{
    return verb == KEEPER_OP_LOCK || verb == KEEPER_OP_CAS;
}

static int put_value(struct rc_json *json, const struct keeper_op *op)
{
    char *text = malloc(4 * ((op->value_size + 2) / 3) + 1);

    if (text == NULL) {
        return RC_ENOMEM;
    }
    rc_text_to_base64(op->value, op->value_size, text);
    rc_json_put_string(json, "Value", text);
    free(text);
    return RC_OK;
}

static int put_op(struct rc_json *json, const struct keeper_op *op, const char *cluster)
{
    char key[256];
    int err = RC_OK;

    (void)snprintf(key, sizeof key, "%s%s/%s", prefix, cluster, op->key);
    rc_json_object(json);
    rc_json_key(json, "KV");
    rc_json_object(json);
    rc_json_put_string(json, "Verb", verbs[op->verb]);
    rc_json_put_string(json, "Key", key);
    if (has_value(op->verb)) {
        err = put_value(json, op);
    }
    if (op->verb == KEEPER_OP_LOCK || op->verb == KEEPER_OP_CHECK_SESSION) {
        rc_json_put_string(json, "Session", op->session);
    } else {
        rc_json_put_u64(json, "Index", op->index);
    }
    rc_json_object_end(json);
    rc_json_object_end(json);
    return err;
}

static int write_txn(const struct keeper_action *action, const char *cluster,
                     struct keeper_request_text *out)
{
    struct rc_json json = rc_json_over(&out->body, 0);
    int err = RC_OK;

    rc_buffer_text(&out->target, "/v1/txn");
    rc_json_array(&json);
    for (size_t i = 0; i < action->op_count && err == RC_OK; i++) {
        err = put_op(&json, &action->ops[i], cluster);
    }
    rc_json_array_end(&json);
    return err;
}

static int sum_up(const struct keeper_request_text *text, int err)
{
    if (err != RC_OK) {
        return err;
    }
    return text->target.err != RC_OK ? text->target.err : text->body.err;
}

int keeper_request_write(const struct keeper_action *action, const char *cluster,
                         const char *node, struct keeper_request_text *out)
{
    int err = RC_OK;

    out->method = "PUT";
    if (action->kind == KEEPER_OPEN_SESSION) {
        write_session(action, cluster, node, out);
    } else if (action->kind == KEEPER_RENEW) {
        rc_buffer_format(&out->target, "/v1/session/renew/%s", action->session);
        if (action->ttl_ms != 0) {
            rc_buffer_format(&out->target, "?ttl=%llums&cas=%llu",
                             (unsigned long long)action->ttl_ms,
                             (unsigned long long)action->index);
        }
    } else {
        assert(action->kind == KEEPER_TXN);
        err = write_txn(action, cluster, out);
    }
    return sum_up(out, err);
}

int keeper_request_write_view(const char *cluster, uint64_t index, uint64_t wait_ms,
                              struct keeper_request_text *out)
{
    out->method = "GET";
    rc_buffer_format(&out->target, "/v1/kv/%s%s/?recurse=1", prefix, cluster);
    if (index != 0) {
        rc_buffer_format(&out->target, "&index=%llu&wait=%llums",
                         (unsigned long long)index, (unsigned long long)wait_ms);
    }
    return sum_up(out, RC_OK);
}

/* ---- Reading. */

static bool body_has(const struct http_reply *reply, const char *text)
{
    return reply->body_size > 0 &&
           memmem(reply->body, reply->body_size, text, strlen(text)) != NULL;
}

/* What an error means: refused words are certain, all else may have been done. */
static enum keeper_end end_of(const struct http_reply *reply)
{
    if (body_has(reply, "invalid session")) {
        return KEEPER_GONE;
    }
    if (reply->status == 409) {
        return KEEPER_REFUSED;
    }
    return reply->status >= 400 && reply->status < 500 ? KEEPER_FAILED : KEEPER_UNKNOWN;
}

static json_t *parse(const struct http_reply *reply)
{
    return reply->body_size > 0 ? json_loadb(reply->body, reply->body_size, 0, NULL)
                                : NULL;
}

static void read_txn(const json_t *body, struct keeper_answer *out)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(body, "Results"), i, item)
    {
        const json_t *pair = json_object_get(item, "KV");
        const char *key = json_string_value(json_object_get(pair, "Key"));
        uint64_t index = rc_json_read_number(pair, "ModifyIndex");
        out->index = index > out->index ? index : out->index;
        if (key != NULL && rc_text_starts_with(key, prefix) &&
            rc_text_ends_with(key, "/lease")) {
            out->term = rc_json_read_number(pair, "Term");
        }
    }
}

static void read_renewal(const json_t *body, struct keeper_answer *out)
{
    const json_t *session = json_array_get(body, 0);
    const char *ttl = json_string_value(json_object_get(session, "TTL"));
    uint64_t ttl_ns = 0;

    if (ttl != NULL && rc_text_to_duration_ns(ttl, &ttl_ns) == RC_OK) {
        out->ttl_ms = ttl_ns / NS_PER_MS;
        out->index = rc_json_read_number(session, "ModifyIndex");
    }
}

void keeper_request_read(enum keeper_action_kind kind, const struct http_reply *reply,
                         char session[KEEPER_SESSION_MAX], struct keeper_answer *out)
{
    session[0] = '\0';
    out->session = session;
    out->term = 0;
    out->index = 0;
    out->ttl_ms = 0;
    if (reply->status != 200) {
        bool is_gone = kind == KEEPER_RENEW && reply->status == 404;
        out->end = is_gone ? KEEPER_GONE : end_of(reply);
        return;
    }
    json_t *body = parse(reply);
    out->end = KEEPER_DONE;
    if (kind == KEEPER_OPEN_SESSION) {
        const char *id = json_string_value(json_object_get(body, "ID"));
        if (id == NULL || rc_text_put(session, KEEPER_SESSION_MAX, id) != RC_OK) {
            out->end = KEEPER_UNKNOWN;
        }
    } else if (kind == KEEPER_TXN) {
        read_txn(body, out);
    } else if (kind == KEEPER_RENEW) {
        read_renewal(body, out);
    }
    json_decref(body);
}

static int add_pair(const json_t *item, size_t skip, struct keeper_view *out)
{
    const char *key = json_string_value(json_object_get(item, "Key"));
    const char *text = json_string_value(json_object_get(item, "Value"));
    size_t size = 0;

    if (key == NULL || strlen(key) <= skip) {
        return RC_OK;
    }
    uint8_t *value = malloc(text != NULL ? strlen(text) + 1 : 1);
    if (value == NULL) {
        return RC_ENOMEM;
    }
    if (text != NULL && rc_text_from_base64(text, value, strlen(text), &size) != RC_OK) {
        size = 0;
    }
    const struct keeper_pair pair = {
        .key = key + skip,
        .value = (const char *)value,
        .size = size,
        .modify_index = rc_json_read_number(item, "ModifyIndex"),
        .session = json_string_value(json_object_get(item, "Session")),
        .term = rc_json_read_number(item, "Term"),
    };
    (void)keeper_view_add(out, &pair); /* what it does not know is not ours */
    free(value);
    return RC_OK;
}

int keeper_request_read_view(const struct http_reply *reply, const char *cluster,
                             struct keeper_view *out)
{
    size_t skip = strlen(prefix) + strlen(cluster) + 1;
    size_t i;
    json_t *item;

    keeper_view_clear(out);
    out->index = relay_index(reply);
    if (reply->status == 404 && out->index != 0) {
        return RC_OK; /* there is nothing yet */
    }
    json_t *body = reply->status == 200 ? parse(reply) : NULL;
    int err = json_is_array(body) ? RC_OK : RC_EIO;
    json_array_foreach(body, i, item)
    {
        err = err == RC_OK ? add_pair(item, skip, out) : err;
    }
    json_decref(body);
    return err;
}

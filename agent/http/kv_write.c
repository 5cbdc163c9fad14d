#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/kv_pair.h"
#include "agent/http/permit.h"
#include "agent/http/query.h"
#include "agent/http/store_query.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000, TTL_MS_MIN = 1000 };

static const uint64_t ttl_ms_max = 366ULL * 24 * 3600 * 1000;

static void answer_bool(struct http_exchange *x, bool value)
{
    struct rc_json json = exchange_json(x);
    rc_json_bool(&json, value);
    exchange_json_end(x);
}

static void on_written(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    (void)api;
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    if (outcome->succeeded && outcome->term != 0 &&
        target_parameter(&x->target, "acquire") != NULL) {
        exchange_header_u64(x, "X-Rollcall-Term", outcome->term);
    }
    errand_revision(x, outcome);
    answer_bool(x, outcome->succeeded);
}

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct store_op *op)
{
    errand_submit(api, x, op, 1, on_written);
}

static void put_escaped(struct rc_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == ' ') {
            rc_buffer_byte(out, '+');
        } else if (strchr("-_.~", *text) != NULL || (*text >= '0' && *text <= '9') ||
                   (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')) {
            rc_buffer_byte(out, (uint8_t)*text);
        } else {
            rc_buffer_format(out, "%%%02X", (unsigned)(uint8_t)*text);
        }
    }
}

/* Go's url.Values.Encode(): all parameters in order of their names. */
static void put_parameters(const struct target *target, struct rc_buffer *out)
{
    bool done[TARGET_PARAMETERS_MAX] = {false};

    for (size_t n = 0; n < target->parameter_count; n++) {
        size_t best = target->parameter_count;
        for (size_t i = 0; i < target->parameter_count; i++) {
            if (!done[i] &&
                (best == target->parameter_count ||
                 strcmp(target->parameters[i].name, target->parameters[best].name) < 0)) {
                best = i;
            }
        }
        done[best] = true;
        if (n > 0) {
            rc_buffer_byte(out, '&');
        }
        put_escaped(out, target->parameters[best].name);
        rc_buffer_byte(out, '=');
        put_escaped(out, target->parameters[best].value);
    }
}

/* At most one of them may be given. */
static bool conflict(struct http_exchange *x, const char *const *names, size_t count)
{
    size_t given = 0;

    for (size_t i = 0; i < count; i++) {
        given += target_parameter(&x->target, names[i]) != NULL ? 1 : 0;
    }
    if (given < 2) {
        return false;
    }
    struct rc_buffer text = {0};
    put_parameters(&x->target, &text);
    exchange_error(x, 400, "Conflicting flags: %s", rc_buffer_string(&text));
    rc_buffer_fini(&text);
    return true;
}

/* Go's strconv.ParseUint and its words. True: `*out` is set, or there is no such parameter. */
static bool read_number(struct http_exchange *x, const char *name, uint64_t *out)
{
    const char *text = target_parameter(&x->target, name);

    if (text == NULL) {
        return true;
    }
    int err = rc_text_to_u64(text, UINT64_MAX, out);
    if (err == RC_OK) {
        return true;
    }
    exchange_error(x, 500, "strconv.ParseUint: parsing \"%s\": %s", text,
                   err == RC_ETOOBIG ? "value out of range" : "invalid syntax");
    return false;
}

static bool read_ttl(struct http_exchange *x, uint64_t *out)
{
    const char *text = target_parameter(&x->target, "ttl");
    uint64_t ns = 0;

    if (text == NULL) {
        return true;
    }
    if (rc_text_to_duration_ns(text, &ns) != RC_OK || ns / NS_PER_MS < TTL_MS_MIN ||
        ns / NS_PER_MS > ttl_ms_max) {
        exchange_error(x, 400, "Invalid ttl \"%s\": a duration of 1s to 8784h is wanted",
                       text);
        return false;
    }
    *out = ns / NS_PER_MS;
    return true;
}

/* Whether the session of an acquire can be one at all. */
static bool check_session(struct http_exchange *x, const struct store_op *op)
{
    if (op->session[0] == '\0') {
        exchange_error(x, 500, "missing session");
        return false;
    }
    if (kv_pair_is_session_id(op->session)) {
        return true;
    }
    if (op->verb == STORE_UNLOCK) { /* nobody of that name holds anything */
        answer_bool(x, false);
    } else {
        exchange_error(x, 500,
                       "failed session lookup: index error: UUID must be 36 characters");
    }
    return false;
}

static bool read_verb(struct http_exchange *x, struct store_op *op)
{
    const char *acquire = target_parameter(&x->target, "acquire");
    const char *release = target_parameter(&x->target, "release");

    if (acquire != NULL || release != NULL) {
        op->verb = acquire != NULL ? STORE_LOCK : STORE_UNLOCK;
        op->session = acquire != NULL ? acquire : release;
        return check_session(x, op);
    }
    op->verb = target_parameter(&x->target, "cas") != NULL ? STORE_CAS : STORE_SET;
    return true;
}

/* The key of a write; false: answered. */
static bool check_key(struct http_exchange *x, struct rc_pack_bytes key)
{
    const char *fault = kv_pair_refuses(key);

    if (fault != NULL) {
        exchange_error(x, 400, "%s", fault);
    }
    return fault == NULL;
}

void kv_answer_put(struct http_api *api, struct http_exchange *x)
{
    static const char *const exclusive[] = {"cas", "acquire", "release", "ttl"};
    struct store_op op = {
        .table = STORE_KV,
        .key = rc_pack_text(x->argument),
        .value = {x->body.bytes, x->body.size},
    };

    if (!query_begin(api, x) || !check_key(x, op.key) ||
        conflict(x, exclusive, sizeof exclusive / sizeof exclusive[0]) ||
        !read_number(x, "flags", &op.flags) || !read_number(x, "cas", &op.index) ||
        !read_ttl(x, &op.ttl_ms) ||
        !permit(api, x, PERMIT_KEY, x->argument, PERMIT_WRITE) ||
        !store_query_admits(api, x) || !read_verb(x, &op)) {
        return;
    }
    submit(api, x, &op);
}

void kv_answer_delete(struct http_api *api, struct http_exchange *x)
{
    static const char *const exclusive[] = {"recurse", "cas"};
    bool tree = target_parameter(&x->target, "recurse") != NULL;
    bool cas = target_parameter(&x->target, "cas") != NULL;
    struct store_op op = {
        .verb = tree  ? STORE_DELETE_TREE
                : cas ? STORE_DELETE_CAS
                      : STORE_DELETE_KEY,
        .table = STORE_KV,
        .key = rc_pack_text(x->argument),
    };

    if (!query_begin(api, x)) {
        return;
    }
    if (!tree && x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing key name");
        return;
    }
    bool allowed = !conflict(x, exclusive, sizeof exclusive / sizeof exclusive[0]) &&
                   read_number(x, "cas", &op.index) &&
                   (tree ? permit_prefix(api, x, PERMIT_KEY, x->argument, PERMIT_WRITE)
                         : permit(api, x, PERMIT_KEY, x->argument, PERMIT_WRITE));
    if (allowed && store_query_admits(api, x)) {
        submit(api, x, &op);
    }
}

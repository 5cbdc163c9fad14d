/* test_http_acl.c - who may do what: every route by every role, as tests/fixtures/acl/matrix.txt
 * says; a route that is missing there fails the test. And what else tokens promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/permits_state.h"
#include "agent/http/routes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/unit/acl_world.h"

enum { TABLE_MAX = 1 << 20, ROLE_COUNT = 7 };

/* The columns of the table, in order. */
static const struct {
    const char *name;
    const char *secret;
} roles[ROLE_COUNT] = {
    {"none", NULL},
    {"anonymous", "anonymous"},
    {"read", ACL_READ},
    {"register", ACL_REGISTER},
    {"other prefix", ACL_OTHER},
    {"expired", ACL_EXPIRED},
    {"admin", ACL_ADMIN},
};

/* A row: "METHOD TARGET COLUMNS [BODY]". */
struct row {
    char method[8];
    char target[256];
    char columns[ROLE_COUNT + 1];
    const char *body;
};

/* '+' it may, '~' it may and something is left out, '-' it lacks a right, '?' there is no
 * such token. */
static char verdict_of(const struct http_exchange *x)
{
    if (x->status == 403) {
        return strstr(rc_buffer_string(&x->out), "ACL not found") != NULL ? '?' : '-';
    }
    return exchange_header_value(x, "X-Consul-Results-Filtered-By-ACLs") != NULL ? '~'
                                                                                 : '+';
}

static bool read_row(char *line, struct row *row)
{
    int size = 0;

    if (sscanf(line, "%7s %255s %7s%n", row->method, row->target, row->columns, &size) !=
            3 || // NOLINT(cert-err34-c)
        line[0] == '#') {
        return false;
    }
    row->body = line + size + (line[size] == ' ' ? 1 : 0);
    return true;
}

static void check_row(const struct row *row, size_t *wrong)
{
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    bool is_read = strcmp(row->method, "GET") == 0;
    char got[ROLE_COUNT + 1] = "";

    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (!is_read && i > 0) { /* what one has changed the next would not find */
            acl_world_destroy(w);
            w = acl_world_create(HTTP_ACL_ENFORCE);
        }
        got[i] = verdict_of(
            acl_world_ask(w, row->method, row->target, row->body, roles[i].secret));
    }
    if (strcmp(got, row->columns) != 0) {
        (*wrong)++;
        (void)fprintf(stderr, "%s %s %s %s\n", row->method, row->target, got, row->body);
    }
    acl_world_destroy(w);
}

/* Calls `each` for every row. */
static void walk(void (*each)(const struct row *row, size_t *number), size_t *number)
{
    struct rc_buffer text = {0};

    assert_int_equal(rc_file_read("tests/fixtures/acl/matrix.txt", TABLE_MAX, &text),
                     RC_OK);
    char *all = rc_text_copy(rc_buffer_string(&text));
    assert_non_null(all);
    for (char *line = all; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        struct row row;
        if (end != NULL) {
            *end = '\0';
        }
        if (read_row(line, &row)) {
            each(&row, number);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    free(all);
    rc_buffer_fini(&text);
}

static void each_role_may_what_the_table_says(void **state)
{
    size_t wrong = 0;

    (void)state;
    walk(check_row, &wrong);
    if (wrong > 0) {
        fail_msg("%zu rows of the matrix are otherwise: see above", wrong);
    }
}

static bool seen[1024];

/* The signature is walk()'s. NOLINTNEXTLINE(readability-non-const-parameter) */
static void mark(const struct row *row, size_t *number)
{
    size_t count;
    const struct route *all = routes_all(&count);
    char path[256];

    (void)number;
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(row->target, "?"),
                   row->target);
    const struct route *route = routes_find(path, exchange_method(row->method));
    if (route == NULL) {
        fail_msg("%s %s is no route", row->method, row->target);
    }
    assert_true(count <= sizeof seen / sizeof seen[0]);
    seen[route - all] = true;
}

static void every_route_is_in_the_table(void **state)
{
    size_t count;
    const struct route *all = routes_all(&count);

    (void)state;
    memset(seen, 0, sizeof seen);
    walk(mark, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!seen[i]) {
            fail_msg("%s, method %d, is missing in tests/fixtures/acl/matrix.txt",
                     all[i].path, (int)all[i].method);
        }
    }
}

/* ---- Beyond the table. */

static const char *body_of(const struct http_exchange *x)
{
    return rc_buffer_string(&x->out);
}

static void refusals_name_token_and_right(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_string_equal(body_of(acl_world_ask(w, "PUT", "/v1/kv/a", "2", ACL_READ)),
                        "Permission denied: token with AccessorID "
                        "'daaaaaaa-0000-4000-8000-000000000002' lacks permission "
                        "'key:write' on \"a\"");
    assert_string_equal(
        body_of(acl_world_ask(w, "GET", "/v1/operator/keyring", "", ACL_READ)),
        "Permission denied: token with AccessorID "
        "'daaaaaaa-0000-4000-8000-000000000002' lacks permission 'keyring:read'");
    acl_world_destroy(w);
}

static void recursive_delete_asks_every_rule_under_the_prefix(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_int_equal(
        acl_world_ask(w, "DELETE", "/v1/kv/other?recurse", "", ACL_OTHER)->status, 200);
    assert_int_equal(
        acl_world_ask(w, "DELETE", "/v1/kv/othe?recurse", "", ACL_OTHER)->status, 403);
    assert_int_equal(acl_world_ask(w, "DELETE", "/v1/kv/?recurse", "", ACL_OTHER)->status,
                     403);
    acl_world_destroy(w);
}

static void transactions_ask_for_each_operation(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    const char *both =
        "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"other/x\",\"Value\":\"MQ==\"}},"
        "{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"MQ==\"}}]";
    const char *one =
        "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"other/x\",\"Value\":\"MQ==\"}}]";

    assert_int_equal(acl_world_ask(w, "PUT", "/v1/txn", both, ACL_OTHER)->status, 403);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/txn", one, ACL_OTHER)->status, 200);
    acl_world_destroy(w);
}

static void name_in_other_letters_is_the_same_service(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_int_equal(acl_world_ask(w, "PUT", "/v1/agent/service/register",
                                   "{\"Name\":\"OTHER1\"}", ACL_OTHER)
                         ->status,
                     200);
    /* Under the id of a service that it may not write. */
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/agent/service/register",
                                   "{\"ID\":\"web\",\"Name\":\"other2\"}", ACL_OTHER)
                         ->status,
                     403);
    acl_world_destroy(w);
}

static void kept_answers_are_not_shown_to_others(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_non_null(strstr(
        body_of(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_ADMIN)), "node1"));
    assert_string_equal(
        body_of(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_OTHER)), "[]");
    assert_string_equal(body_of(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", NULL)),
                        "[]");
    acl_world_destroy(w);
}

static void warn_lets_pass_and_says_so_once_a_minute(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_WARN);

    assert_int_equal(acl_world_ask(w, "PUT", "/v1/kv/a", "2", NULL)->status, 200);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/kv/b", "2", NULL)->status, 200);
    assert_string_equal(rc_buffer_string(&w->told),
                        "would refuse PUT /v1/kv/a: token with AccessorID "
                        "'00000000-0000-0000-0000-000000000002' lacks permission "
                        "'key:write' on \"a\"\n");
    world_run_ms(w->store, 61000);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/kv/b", "2", NULL)->status, 200);
    assert_non_null(strstr(rc_buffer_string(&w->told), "/v1/kv/b"));
    /* But not who would keep a token for later. */
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/acl/token", "{}", NULL)->status, 403);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/snapshot", "", NULL)->status, 403);
    acl_world_destroy(w);
}

static void secrets_are_told_once_and_kept_as_hashes(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    const char *secret = "99999999-0000-4000-8000-000000000009";
    struct store_pair pair;
    struct rc_pack_bytes after = {0};

    const struct http_exchange *x = acl_world_ask(
        w, "PUT", "/v1/acl/token",
        "{\"AccessorID\":\"12345678-0000-4000-8000-000000000009\","
        "\"SecretID\":\"99999999-0000-4000-8000-000000000009\",\"Roles\":[{\"Name\":"
        "\"read\"}]}",
        ACL_ADMIN);
    assert_int_equal(x->status, 200);
    assert_non_null(strstr(body_of(x), secret));
    assert_int_equal(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", secret)->status,
                     200);

    static const char *const targets[] = {
        "/v1/acl/token/12345678-0000-4000-8000-000000000009", "/v1/acl/tokens",
        "/v1/agent/self", "/v1/agent/debug/gossip", "/v1/agent/metrics"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        x = acl_world_ask(w, "GET", targets[i], "", ACL_ADMIN);
        assert_int_equal(x->status, 200);
        assert_null(strstr(body_of(x), secret));
    }
    while (store_next(w->api.store, STORE_TOKENS, rc_pack_text(""), after, &pair)) {
        after = pair.key;
        assert_null(memmem(pair.value.at, pair.value.size, secret, strlen(secret)));
    }
    acl_world_destroy(w);
}

static void deleted_token_is_gone_at_once(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_int_equal(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_READ)->status,
                     200);
    assert_string_equal(
        body_of(acl_world_ask(w, "DELETE",
                              "/v1/acl/token/daaaaaaa-0000-4000-8000-000000000002", "",
                              ACL_ADMIN)),
        "true");
    assert_string_equal(
        body_of(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_READ)),
        "ACL not found");
    acl_world_destroy(w);
}

static void changed_policy_counts_for_all_who_have_it(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_int_equal(acl_world_ask(w, "PUT", "/v1/kv/other/x", "1", ACL_OTHER)->status,
                     200);
    const struct http_exchange *x = acl_world_ask(
        w, "PUT", "/v1/acl/policy/eeeeeeee-0000-4000-8000-000000000001",
        "{\"Name\":\"other\",\"Rules\":\"key_prefix \\\"other\\\" { policy = \\\"read\\\" "
        "}\"}",
        ACL_ADMIN);
    assert_int_equal(x->status, 200);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/kv/other/x", "1", ACL_OTHER)->status,
                     403);
    acl_world_destroy(w);
}

static void guesses_are_limited_but_not_who_was_right(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    char guess[SUBJECT_ID_SIZE];
    unsigned last = 0;

    assert_int_equal(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_READ)->status,
                     200);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(guess, sizeof guess, "11111111-0000-4000-8000-%012d", i);
        last = acl_world_ask(w, "GET", "/v1/catalog/nodes", "", guess)->status;
    }
    assert_int_equal(last, 429);
    assert_int_equal(acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_READ)->status,
                     200);
    assert_int_equal(
        acl_world_ask(w, "GET", "/v1/catalog/nodes", "", ACL_REGISTER)->status, 429);
    acl_world_destroy(w);
}

static void token_in_the_query_is_refused_in_words(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    const struct http_exchange *x =
        acl_world_ask(w, "GET", "/v1/catalog/nodes?token=" ACL_ADMIN, "", NULL);
    assert_int_equal(x->status, 400);
    assert_non_null(strstr(body_of(x), "X-Consul-Token"));
    acl_world_destroy(w);
}

static void names_are_taken_once(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    assert_string_equal(body_of(acl_world_ask(w, "PUT", "/v1/acl/policy",
                                              "{\"Name\":\"other\"}", ACL_ADMIN)),
                        "Invalid Policy: A policy with Name \"other\" already exists");
    assert_string_equal(
        body_of(acl_world_ask(w, "PUT", "/v1/acl/role", "{\"Name\":\"a b\"}", ACL_ADMIN)),
        "Invalid Role: invalid Name. Only alphanumeric characters, '-' and '_' are "
        "allowed");
    assert_string_equal(
        body_of(acl_world_ask(w, "PUT", "/v1/acl/token",
                              "{\"Policies\":[{\"Name\":\"nope\"}]}", ACL_ADMIN)),
        "No such ACL policy with name \"nope\"");
    acl_world_destroy(w);
}

static void life_of_a_token_is_limited_as_asked(void **state)
{
    static const struct {
        const char *body;
        const char *want; /* in the answer */
    } cases[] = {
        {"{\"ExpirationTTL\":\"1h\"}", "\"ExpirationTime\":\"2023-11-14T23:13:20.000Z\""},
        {"{\"ExpirationTime\":\"2023-11-15T00:00:00Z\"}",
         "\"ExpirationTime\":\"2023-11-15T00:00:00.000Z\""},
        {"{\"ExpirationTime\":\"2023-11-15T00:00:00.5+01:30\"}",
         "\"ExpirationTime\":\"2023-11-14T22:30:00.000Z\""},
        {"{\"ExpirationTime\":\"2023-11-15T00:00:00-01:30\"}",
         "\"ExpirationTime\":\"2023-11-15T01:30:00.000Z\""},
        {"{\"ExpirationTime\":\"2020-01-01T00:00:00Z\"}", "must be a time to come"},
        {"{\"ExpirationTime\":\"tomorrow\"}", "must be a time to come"},
        {"{\"ExpirationTTL\":\"720h\"}",
         "\"ExpirationTime\":\"2023-12-14T22:13:20.000Z\""},
        {"{\"ExpirationTTL\":\"1ms\"}", "must be a duration of at least 1s"},
        {"{\"ExpirationTTL\":\"1h\",\"ExpirationTime\":\"2030-01-01T00:00:00Z\"}",
         "cannot both be set"},
    };

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x =
            acl_world_ask(w, "PUT", "/v1/acl/token", cases[i].body, ACL_ADMIN);
        if (strstr(body_of(x), cases[i].want) == NULL) {
            fail_msg("%s: %s", cases[i].body, body_of(x));
        }
    }
    acl_world_destroy(w);
}

/* The time that a request waits for what is known of tokens is over. */
static const struct http_exchange *go_on(struct acl_world *w)
{
    assert_int_equal(w->x.outcome, EXCHANGE_WAITING);
    w->x.expired = true;
    routes_answer(&w->api, &w->x);
    return &w->x;
}

static void nobody_is_let_in_before_the_store_is_there(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    struct engine *engine = engine_memory_connect(w->store->memory);
    struct store *store = store_create(
        &(struct store_options){.engine = engine, .now_ms = w->store->now_ms});
    const struct permits_options options = {
        .mode = HTTP_ACL_ENFORCE, .datacenter = "dc1", .seed = 1};
    permits_destroy(w->api.permits);
    w->api.permits = permits_create(&options);
    w->api.store = store; /* follows, and was not told of anything yet */

    (void)acl_world_ask(w, "GET", "/v1/agent/self", "", NULL);
    assert_int_equal(go_on(w)->status, 403);
    (void)acl_world_ask(w, "GET", "/v1/internal/acl/subject", "", NULL);
    assert_int_equal(go_on(w)->status, 500); /* another agent keeps what it knows */
    (void)acl_world_ask(w, "GET", "/v1/internal/acl/subject", "", ACL_ADMIN);
    assert_int_equal(go_on(w)->status, 500);
    world_run_ms(w->store, 100);
    assert_int_equal(acl_world_ask(w, "GET", "/v1/agent/self", "", ACL_READ)->status,
                     200);
    w->api.store = w->store->stores[0];
    engine->class->close(engine, NULL, NULL);
    store_destroy(store);
    acl_world_destroy(w);
}

static void ignore(void *context, const struct engine_answer *answer)
{
    (void)context;
    assert_int_equal(answer->err, RC_OK);
}

static void tokens_count_while_the_store_is_restored(void **state)
{
    const struct engine_op ops[] = {
        {.verb = ENGINE_PUT,
         .key = rc_pack_text("restoring"),
         .value = rc_pack_text("1")},
        {.verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text("setting/")},
        {.verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text("acl/")}};
    const struct engine_txn txn = {.then = ops, .then_count = 3};

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    engine_txn(w->store->engines[0], &txn, ignore, NULL);
    world_run_ms(w->store, 100);
    assert_true(store_is_restoring(w->api.store));
    assert_int_equal(acl_world_ask(w, "GET", "/v1/agent/self", "", NULL)->status, 403);
    assert_int_equal(acl_world_ask(w, "GET", "/v1/agent/self", "", ACL_READ)->status,
                     200);
    acl_world_destroy(w);
}

/* A server that starts now, and reads the store from its beginning. */
static void start_anew(struct acl_world *w, struct engine **engine)
{
    const struct permits_options options = {
        .mode = HTTP_ACL_ENFORCE, .datacenter = "dc1", .seed = 1};

    *engine = engine_memory_connect(w->store->memory);
    w->api.store = store_create(
        &(struct store_options){.engine = *engine, .now_ms = w->store->now_ms});
    assert_non_null(w->api.store);
    permits_destroy(w->api.permits);
    w->api.permits = permits_create(&options);
    world_run_ms(w->store, 100);
}

static void when_a_snapshot_was_last_taken_is_told(void **state)
{
    static const char target[] = "/v1/operator/autopilot/state";

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    (void)acl_world_ask(w, "GET", target, "", ACL_ADMIN);
    assert_non_null(strstr(body_of(&w->x), "\"SnapshotMs\":0"));
    assert_int_equal(acl_world_ask(w, "GET", "/v1/snapshot", "", ACL_READ)->status, 403);
    assert_int_equal(acl_world_ask(w, "GET", "/v1/snapshot", "", ACL_ADMIN)->status, 200);
    world_run_ms(w->store, 100);
    (void)acl_world_ask(w, "GET", target, "", ACL_ADMIN);
    assert_non_null(strstr(body_of(&w->x), "\"SnapshotMs\":1"));
    acl_world_destroy(w);
}

/* Cut short after its first step, begun by whose token has this print. */
static void cut_short_a_restore(struct acl_world *w, const char *by)
{
    const struct engine_op ops[] = {
        {.verb = ENGINE_PUT, .key = rc_pack_text("restoring"), .value = rc_pack_text(by)},
        {.verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text("setting/")},
        {.verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text("acl/")}};
    const struct engine_txn txn = {.then = ops, .then_count = 3};

    engine_txn(w->store->engines[0], &txn, ignore, NULL);
    world_run_ms(w->store, 100);
}

static void amid_a_restore_only_its_beginner_goes_on(void **state)
{
    static const char health[] = "/v1/operator/autopilot/health";
    char print[PERMITS_PRINT_SIZE];
    struct engine *engine = NULL;

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    (void)acl_world_ask(w, "GET", "/v1/agent/self", "", ACL_ADMIN);
    cut_short_a_restore(w, permits_print(&w->api, &w->x, print));
    start_anew(w, &engine);
    assert_true(store_is_restoring(w->api.store));

    static const char *const tokens[] = {NULL, ACL_READ, ACL_ADMIN};
    for (size_t i = 0; i < 3; i++) { /* nobody, not even who may finish it */
        assert_int_equal(
            acl_world_ask(w, "PUT", "/v1/agent/leave", "", tokens[i])->status, 500);
        assert_non_null(strstr(body_of(&w->x), "being restored"));
        assert_int_equal(
            acl_world_ask(w, "GET", "/v1/agent/services", "", tokens[i])->status, 500);
        bool may = tokens[i] != NULL && strcmp(tokens[i], ACL_ADMIN) == 0;
        assert_int_equal(acl_world_ask(w, "GET", health, "", tokens[i])->status,
                         may ? 200 : 500);
        assert_int_equal(acl_world_ask(w, "PUT", "/v1/snapshot", "x", tokens[i])->status,
                         may ? 400 : 500); /* 400: it is no snapshot */
    }
    assert_int_equal(acl_world_ask(w, "GET", "/v1/status/leader", "", NULL)->status, 200);
    struct store *store = w->api.store;
    w->api.store = w->store->stores[0];
    engine->class->close(engine, NULL, NULL);
    store_destroy(store);
    acl_world_destroy(w);
}

static void a_token_that_was_deleted_elsewhere_does_not_come_back(void **state)
{
    static const char path[] = "/v1/acl/token/12345678-0000-4000-8000-000000000009";
    const struct store_op gone = {
        .verb = STORE_DELETE_KEY,
        .table = STORE_TOKENS,
        .key = rc_pack_text("12345678-0000-4000-8000-000000000009")};
    struct store_pair pair;

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    const char *body = "{\"AccessorID\":\"12345678-0000-4000-8000-000000000009\","
                       "\"ExpirationTTL\":\"1h\"}";
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/acl/token", body, ACL_ADMIN)->status,
                     200);
    w->store->answer.is_there = false;
    assert_int_equal(store_submit(w->store->stores[1], w->store->now_ms, &gone, 1, NULL,
                                  world_done, w->store),
                     RC_OK);

    assert_int_equal(acl_world_ask(w, "PUT", path, "{}", ACL_ADMIN)->status, 409);
    assert_true(w->store->answer.succeeded);
    assert_false(store_read(w->api.store, STORE_TOKENS, gone.key, &pair));
    acl_world_destroy(w);
}

static void what_is_made_twice_by_one_request_is_made_once(void **state)
{
    static const struct {
        const char *path;
        const char *body;
    } cases[] = {
        {"/v1/acl/token", "{\"Description\":\"t\"}"},
        {"/v1/acl/token", "{\"AccessorID\":\"12345678-0000-4000-8000-000000000009\","
                          "\"SecretID\":\"99999999-0000-4000-8000-000000000009\"}"},
        {"/v1/acl/policy", "{\"Name\":\"p\"}"},
        {"/v1/acl/role", "{\"Name\":\"r\"}"},
    };

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char request[] = {1, 2,  3,  4,  5,  6,  7,  8,
                                9, 10, 11, 12, 13, 14, 15, (char)i};
        const struct http_exchange *x =
            acl_world_relay(w, "PUT", cases[i].path, cases[i].body, ACL_ADMIN, request);
        assert_int_equal(x->status, 200);
        char *first = rc_text_copy(body_of(x));
        x = acl_world_relay(w, "PUT", cases[i].path, cases[i].body, ACL_ADMIN, request);
        assert_int_equal(x->status, 200);
        assert_string_equal(body_of(x), first);
        free(first);
        if (i > 0) { /* another request is refused */
            x = acl_world_relay(w, "PUT", cases[i].path, cases[i].body, ACL_ADMIN,
                                "another request");
            assert_int_equal(x->status, 400);
        }
    }
    acl_world_destroy(w);
}

/* Both servers think that the name is free: the engine knows better. */
static void a_name_is_taken_once_whoever_takes_it_where(void **state)
{
    static const char id[] = "eeeeeeee-0000-4000-8000-000000000002";
    const struct store_op ops[] = {
        {.verb = STORE_CAS,
         .table = STORE_POLICIES,
         .key = rc_pack_text(id),
         .value = rc_pack_text("{\"ID\":\"eeeeeeee-0000-4000-8000-000000000002\","
                               "\"Name\":\"race\",\"Rules\":\"\"}")},
        {.verb = STORE_CAS,
         .table = STORE_SETTINGS,
         .key = rc_pack_text("acl-name/policy/race"),
         .value = rc_pack_text(id)}};
    const char *body = "{\"Name\":\"race\"}";

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    w->store->answer.is_there = false;
    assert_int_equal(store_submit(w->store->stores[1], w->store->now_ms, ops, 2, NULL,
                                  world_done, w->store),
                     RC_OK);
    const struct http_exchange *x =
        acl_world_ask(w, "PUT", "/v1/acl/policy", body, ACL_ADMIN);
    assert_true(w->store->answer.succeeded);
    assert_int_equal(x->status, 400);
    assert_string_equal(body_of(x),
                        "Invalid Policy: A policy with Name \"race\" already exists");

    /* It is free again when its policy has another name, or is gone. */
    assert_int_equal(acl_world_ask(w, "PUT",
                                   "/v1/acl/policy/eeeeeeee-0000-4000-8000-000000000002",
                                   "{\"Name\":\"raced\"}", ACL_ADMIN)
                         ->status,
                     200);
    assert_int_equal(acl_world_ask(w, "PUT", "/v1/acl/policy", body, ACL_ADMIN)->status,
                     200);
    assert_int_equal(acl_world_ask(w, "DELETE",
                                   "/v1/acl/policy/eeeeeeee-0000-4000-8000-000000000002",
                                   "", ACL_ADMIN)
                         ->status,
                     200);
    assert_int_equal(
        acl_world_ask(w, "PUT", "/v1/acl/policy", "{\"Name\":\"raced\"}", ACL_ADMIN)
            ->status,
        200);
    acl_world_destroy(w);
}

static void an_agent_that_guesses_is_limited_as_a_whole(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    char guess[SUBJECT_ID_SIZE];
    unsigned last = 0;

    assert_int_equal(acl_world_relay(w, "GET", "/v1/kv/a", "", ACL_ADMIN, NULL)->status,
                     200);
    for (int i = 0; i < 110; i++) {
        (void)snprintf(guess, sizeof guess, "11111111-0000-4000-8000-%012d", i);
        last = acl_world_relay(w, "GET", "/v1/kv/a", "", guess, NULL)->status;
    }
    assert_int_equal(last, 429);
    assert_int_equal(acl_world_relay(w, "GET", "/v1/kv/a", "", ACL_ADMIN, NULL)->status,
                     200);
    assert_int_equal(acl_world_ask(w, "GET", "/v1/kv/a", "", ACL_ADMIN)->status, 200);
    acl_world_destroy(w);
}

static void audit(void *context, const void *line, size_t size)
{
    rc_buffer_append(context, line, size);
}

static void refusals_and_changes_are_audited_without_secrets(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    struct rc_buffer lines = {0};

    w->api.permits->options.audit = audit;
    w->api.permits->options.context = &lines;
    (void)acl_world_ask(w, "PUT", "/v1/kv/a?token=", "2", ACL_READ);
    (void)acl_world_ask(w, "GET", "/v1/kv/a", "", ACL_ADMIN); /* is no matter */
    (void)acl_world_relay(w, "GET", "/v1/kv/a", "", "nobody's", NULL);
    (void)acl_world_ask(w, "PUT", "/v1/acl/token",
                        "{\"AccessorID\":\"12345678-0000-4000-8000-000000000009\","
                        "\"SecretID\":\"99999999-0000-4000-8000-000000000009\"}",
                        ACL_ADMIN);
    assert_string_equal(
        rc_buffer_string(&lines),
        "{\"Time\":\"2023-11-14T22:13:20.000Z\",\"Event\":\"refused\",\"Method\":\"PUT\","
        "\"Path\":\"/v1/kv/a\",\"AccessorID\":\"daaaaaaa-0000-4000-8000-000000000002\","
        "\"Node\":\"node1\",\"Client\":\"\",\"Status\":403,\"Why\":\"Permission denied: "
        "token with AccessorID 'daaaaaaa-0000-4000-8000-000000000002' lacks permission "
        "'key:write' on \\\"a\\\"\"}\n"
        "{\"Time\":\"2023-11-14T22:13:20.000Z\",\"Event\":\"refused\",\"Method\":\"GET\","
        "\"Path\":\"/v1/kv/a\",\"AccessorID\":\"\",\"Node\":\"node2\",\"Client\":\"\","
        "\"Status\":403,\"Why\":\"ACL not found\"}\n"
        "{\"Time\":\"2023-11-14T22:13:20.000Z\",\"Event\":\"changed\",\"Method\":\"PUT\","
        "\"Path\":\"/v1/acl/token\",\"AccessorID\":\"daaaaaaa-0000-4000-8000-000000000001\","
        "\"Node\":\"node1\",\"Client\":\"\",\"Object\":\"12345678-0000-4000-8000-000000000009"
        "\"}\n");
    rc_buffer_clear(&lines);
    for (int i = 0; i < 200; i++) { /* a flood is counted */
        w->api.now_ms = w->store->now_ms;
        (void)acl_world_ask(w, "GET", "/v1/operator/keyring", "", ACL_READ);
    }
    size_t count = 0;
    for (size_t i = 0; i < lines.size; i++) {
        count += lines.bytes[i] == '\n';
    }
    assert_int_equal(count, 98); /* two were before */
    world_run_ms(w->store, 1000);
    (void)acl_world_ask(w, "GET", "/v1/operator/keyring", "", ACL_READ);
    assert_non_null(strstr(rc_buffer_string(&lines), "\"Dropped\":102}"));
    rc_buffer_fini(&lines);
    acl_world_destroy(w);
}

/* A permission that the table of explanations forgets would be taken for that of tokens. */
static void explanation_knows_what_each_route_needs(void **state)
{
    size_t count;
    const struct route *all = routes_all(&count);
    static const char *const methods[] = {[HTTP_GET] = "GET",
                                          [HTTP_PUT] = "PUT",
                                          [HTTP_POST] = "POST",
                                          [HTTP_DELETE] = "DELETE"};
    char target[256];

    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(target, sizeof target, "/v1/acl/explain?method=%s&path=%s",
                       methods[all[i].method], all[i].path);
        const struct http_exchange *x = acl_world_ask(w, "GET", target, "", ACL_ADMIN);
        assert_int_equal(x->status, 200);
        bool is_of_tokens =
            all[i].permission == ROUTE_ACL_READ || all[i].permission == ROUTE_ACL_WRITE;
        bool says_so = strstr(body_of(x), "\"Resource\":\"acl\"") != NULL;
        if (is_of_tokens != says_so) {
            fail_msg("%s: %s", all[i].path, body_of(x));
        }
    }
    acl_world_destroy(w);
}

static void explanation_names_the_rule(void **state)
{
    (void)state;
    struct acl_world *w = acl_world_create(HTTP_ACL_ENFORCE);

    const struct http_exchange *x = acl_world_ask(
        w, "GET", "/v1/acl/explain?method=PUT&path=/v1/kv/otherwise", "", ACL_OTHER);
    assert_non_null(strstr(body_of(x), "\"Allowed\":true"));
    assert_non_null(strstr(
        body_of(x), "rule key_prefix \\\"other\\\" = write in line 3 of policy other"));
    acl_world_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_what_the_table_says),
        cmocka_unit_test(every_route_is_in_the_table),
        cmocka_unit_test(refusals_name_token_and_right),
        cmocka_unit_test(recursive_delete_asks_every_rule_under_the_prefix),
        cmocka_unit_test(transactions_ask_for_each_operation),
        cmocka_unit_test(name_in_other_letters_is_the_same_service),
        cmocka_unit_test(kept_answers_are_not_shown_to_others),
        cmocka_unit_test(warn_lets_pass_and_says_so_once_a_minute),
        cmocka_unit_test(secrets_are_told_once_and_kept_as_hashes),
        cmocka_unit_test(deleted_token_is_gone_at_once),
        cmocka_unit_test(changed_policy_counts_for_all_who_have_it),
        cmocka_unit_test(guesses_are_limited_but_not_who_was_right),
        cmocka_unit_test(token_in_the_query_is_refused_in_words),
        cmocka_unit_test(names_are_taken_once),
        cmocka_unit_test(life_of_a_token_is_limited_as_asked),
        cmocka_unit_test(nobody_is_let_in_before_the_store_is_there),
        cmocka_unit_test(tokens_count_while_the_store_is_restored),
        cmocka_unit_test(when_a_snapshot_was_last_taken_is_told),
        cmocka_unit_test(amid_a_restore_only_its_beginner_goes_on),
        cmocka_unit_test(a_token_that_was_deleted_elsewhere_does_not_come_back),
        cmocka_unit_test(what_is_made_twice_by_one_request_is_made_once),
        cmocka_unit_test(a_name_is_taken_once_whoever_takes_it_where),
        cmocka_unit_test(an_agent_that_guesses_is_limited_as_a_whole),
        cmocka_unit_test(refusals_and_changes_are_audited_without_secrets),
        cmocka_unit_test(explanation_knows_what_each_route_needs),
        cmocka_unit_test(explanation_names_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/unit/kv_world.h"

/* Makes a session and keeps its id in `id`. */
static void make(struct kv_world *world, const char *body, char id[STORE_ID_SIZE])
{
    const struct http_exchange *x =
        kv_world_ask(world, "PUT", "/v1/session/create", body);

    if (x->status != 200) {
        fail_msg("%s: %u %s", body, x->status, rc_buffer_string(&x->out));
    }
    assert_true(rc_text_starts_with(rc_buffer_string(&x->out), "{\"ID\":\""));
    memcpy(id, rc_buffer_string(&x->out) + strlen("{\"ID\":\""), STORE_ID_SIZE - 1);
    id[STORE_ID_SIZE - 1] = '\0';
}

static const char *with_id(char *space, size_t size, const char *before, const char *id)
{
    (void)snprintf(space, size, "%s%s", before, id);
    return space;
}

static void a_session_is_shown_as_it_was_made(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];
    char want[512];

    make(world,
         "{\"name\":\"pgdemo-pg1\",\"checks\":[\"serfHealth\"],\"lockdelay\":\"0.001s\","
         "\"ttl\":\"15.0s\",\"behavior\":\"delete\"}",
         id);
    const struct http_exchange *x = kv_world_ask(
        world, "GET", with_id(target, sizeof target, "/v1/session/info/", id), "");

    (void)snprintf(want, sizeof want,
                   "[{\"ID\":\"%s\",\"Name\":\"pgdemo-pg1\",\"Node\":\"node1\","
                   "\"LockDelay\":1000000,\"Behavior\":\"delete\",\"TTL\":\"15.0s\","
                   "\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":null,"
                   "\"CreateIndex\":",
                   id);
    assert_int_equal(x->status, 200);
    if (!rc_text_starts_with(rc_buffer_string(&x->out), want)) {
        fail_msg("%s", rc_buffer_string(&x->out));
    }
}

static void defaults_are_consuls(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];

    make(world, "", id);
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/session/list", "");
    assert_non_null(strstr(rc_buffer_string(&x->out),
                           "\"Node\":\"node1\",\"LockDelay\":15000000000,\"Behavior\":"
                           "\"release\",\"TTL\":\"\",\"NodeChecks\":[\"serfHealth\"]"));
}

static void lock_delays_are_read_in_all_their_forms(void **state)
{
    static const struct {
        const char *body;
        const char *want;
    } cases[] = {
        {"{\"LockDelay\":5}", "\"LockDelay\":5000000000,"},
        {"{\"LockDelay\":\"20s\"}", "\"LockDelay\":20000000000,"},
        {"{\"LockDelay\":2000000000}", "\"LockDelay\":2000000000,"},
        {"{\"LockDelay\":\"0.001s\"}", "\"LockDelay\":1000000,"},
        {"{\"LockDelay\":\"5m\"}", "\"LockDelay\":60000000000,"},
        {"{\"LockDelay\":0}", "\"LockDelay\":0,"},
    };
    char id[STORE_ID_SIZE];
    char target[128];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make(*state, cases[i].body, id);
        const struct http_exchange *x = kv_world_ask(
            *state, "GET", with_id(target, sizeof target, "/v1/session/info/", id), "");
        if (strstr(rc_buffer_string(&x->out), cases[i].want) == NULL) {
            fail_msg("%s: %s", cases[i].body, rc_buffer_string(&x->out));
        }
    }
}

static void wrong_sessions_are_refused_in_consuls_words(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *text;
    } cases[] = {
        {"{\"TTL\":\"0.5s\"}", 500,
         "Invalid Session TTL '500000000', must be between [1s=24h0m0s]"},
        {"{\"TTL\":\"25h\"}", 500,
         "Invalid Session TTL '90000000000000', must be between [1s=24h0m0s]"},
        {"{\"TTL\":\"abc\"}", 500,
         "Session TTL 'abc' invalid: time: invalid duration \"abc\""},
        {"{\"Behavior\":\"abc\"}", 500, "Invalid Behavior setting 'abc'"},
        {"{\"Checks\":[\"nope\"]}", 500, "Missing check 'nope' registration"},
        {"{\"ServiceChecks\":[{\"ID\":\"nope\"}],\"Checks\":[]}", 500,
         "Missing check 'nope' registration"},
        {"{\"Node\":\"nobody\"}", 500, "Missing node registration"},
        {"{\"TTL\":5}", 400,
         "Request decode failed: json: cannot unmarshal value into Go struct field .TTL "
         "of type string"},
        {"{", 400, "Request decode failed: unexpected EOF"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kv_world_expect(*state, "PUT", "/v1/session/create", cases[i].body,
                        cases[i].status, cases[i].text);
    }
}

static void a_session_is_renewed_and_ends(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];

    make(world, "{\"TTL\":\"2s\",\"Checks\":[]}", id);
    for (int i = 0; i < 5; i++) {
        kv_world_run(world, 1000);
        const struct http_exchange *x = kv_world_ask(
            world, "PUT", with_id(target, sizeof target, "/v1/session/renew/", id), "");
        assert_int_equal(x->status, 200);
    }
    kv_world_expect(world, "PUT",
                    with_id(target, sizeof target, "/v1/session/destroy/", id), "", 200,
                    "true");
    kv_world_expect(world, "PUT", target, "", 200, "true");
    kv_world_expect(world, "GET", with_id(target, sizeof target, "/v1/session/info/", id),
                    "", 200, "[]");
    kv_world_ask(world, "PUT", with_id(target, sizeof target, "/v1/session/renew/", id),
                 "");
    assert_int_equal(world->x.status, 404);
    assert_true(rc_text_starts_with(rc_buffer_string(&world->x.out), "Session id '"));
}

static void a_session_is_given_another_time_by_its_index(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[160];
    uint64_t index;

    make(world, "{\"TTL\":\"2s\",\"Checks\":[]}", id);
    kv_world_ask(world, "PUT", with_id(target, sizeof target, "/v1/session/renew/", id),
                 "");
    json_t *list = json_loads(rc_buffer_string(&world->x.out), 0, NULL);
    index = (uint64_t)json_integer_value(
        json_object_get(json_array_get(list, 0), "ModifyIndex"));
    json_decref(list);
    (void)snprintf(target, sizeof target, "/v1/session/renew/%s?ttl=30s", id);
    kv_world_ask(world, "PUT", target, "");
    assert_int_equal(world->x.status, 400);
    (void)snprintf(target, sizeof target, "/v1/session/renew/%s?ttl=30s&cas=%llu", id,
                   (unsigned long long)index);
    kv_world_ask(world, "PUT", target, "");
    assert_int_equal(world->x.status, 200);
    assert_non_null(strstr(rc_buffer_string(&world->x.out), "\"TTL\":\"30s\""));
    kv_world_ask(world, "PUT", target, "");
    assert_int_equal(world->x.status, 409);
    kv_world_run(world, 20000);
    kv_world_ask(world, "GET", with_id(target, sizeof target, "/v1/session/info/", id),
                 "");
    assert_non_null(strstr(rc_buffer_string(&world->x.out), "\"TTL\":\"30s\""));
}

static void what_a_session_holds_goes_with_it(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];

    make(world,
         "{\"TTL\":\"1s\",\"Checks\":[],\"Behavior\":\"delete\","
         "\"LockDelay\":\"0.001s\"}",
         id);
    kv_world_expect(world, "PUT", with_id(target, sizeof target, "/v1/kv/l?acquire=", id),
                    "me", 200, "true");
    assert_non_null(exchange_header_value(&world->x, "X-Rollcall-Term"));
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/kv/l", "");
    assert_non_null(strstr(rc_buffer_string(&x->out), ",\"Session\":\""));
    assert_non_null(strstr(rc_buffer_string(&x->out), ",\"Term\":"));
    kv_world_run(world, 1200);
    kv_world_run(world, 10);
    kv_world_expect(world, "GET", "/v1/kv/l", "", 404, "");
}

static void who_holds_what_is_told_without_the_values(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];

    kv_world_expect(world, "PUT", "/v1/kv/free", "1", 200, "true");
    kv_world_expect(world, "GET", "/v1/internal/ui/locks", "", 200, "[]");
    make(world, "{\"TTL\":\"10s\",\"Checks\":[]}", id);
    kv_world_expect(world, "PUT", with_id(target, sizeof target, "/v1/kv/l?acquire=", id),
                    "secret", 200, "true");
    const struct http_exchange *x =
        kv_world_ask(world, "GET", "/v1/internal/ui/locks", "");
    const char *text = rc_buffer_string(&x->out);
    assert_non_null(strstr(text, "\"Key\":\"l\",\"Flags\":0,\"Value\":null,"));
    assert_non_null(strstr(text, id));
    assert_non_null(strstr(text, "\"Term\":"));
    assert_null(strstr(text, "free"));
}

static void a_session_may_live_several_ttls(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];

    world->api.facts.session_ttl_factor = 2;
    make(world, "{\"TTL\":\"10s\",\"Checks\":[]}", id);
    (void)with_id(target, sizeof target, "/v1/session/info/", id);
    kv_world_run(world, 19000);
    const struct http_exchange *x = kv_world_ask(world, "GET", target, "");
    assert_non_null(strstr(rc_buffer_string(&x->out), "\"TTL\":\"10s\""));
    kv_world_run(world, 2000);
    kv_world_expect(world, "GET", target, "", 200, "[]");
}

static void a_long_ttl_times_the_factor_ends_at_a_day(void **state)
{
    struct kv_world *world = *state;
    char id[STORE_ID_SIZE];
    char target[128];

    world->api.facts.session_ttl_factor = 2;
    make(world, "{\"TTL\":\"86400s\",\"Checks\":[]}", id);
    (void)with_id(target, sizeof target, "/v1/session/info/", id);
    kv_world_run(world, 86390000);
    const struct http_exchange *x = kv_world_ask(world, "GET", target, "");
    assert_non_null(strstr(rc_buffer_string(&x->out), id));
    kv_world_run(world, 20000);
    kv_world_expect(world, "GET", target, "", 200, "[]");
}

static void sessions_of_a_node_are_its_own(void **state)
{
    char id[STORE_ID_SIZE];

    make(*state, "{\"Name\":\"a\"}", id);
    kv_world_expect(*state, "GET", "/v1/session/node/other", "", 200, "[]");
    const struct http_exchange *x =
        kv_world_ask(*state, "GET", "/v1/session/node/NODE1", "");
    assert_non_null(strstr(rc_buffer_string(&x->out), id));
    kv_world_expect(*state, "PUT", "/v1/session/renew/", "", 400, "Missing session");
}

int main(void)
{
#define WITH_WORLD(test) \
    cmocka_unit_test_setup_teardown(test, kv_world_set_up, kv_world_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_session_is_shown_as_it_was_made),
        WITH_WORLD(defaults_are_consuls),
        WITH_WORLD(lock_delays_are_read_in_all_their_forms),
        WITH_WORLD(wrong_sessions_are_refused_in_consuls_words),
        WITH_WORLD(a_session_is_renewed_and_ends),
        WITH_WORLD(a_session_is_given_another_time_by_its_index),
        WITH_WORLD(what_a_session_holds_goes_with_it),
        WITH_WORLD(who_holds_what_is_told_without_the_values),
        WITH_WORLD(a_session_may_live_several_ttls),
        WITH_WORLD(a_long_ttl_times_the_factor_ends_at_a_day),
        WITH_WORLD(sessions_of_a_node_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/errand.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/kv_world.h"

static void put(struct kv_world *world, const char *target, const char *body)
{
    kv_world_expect(world, "PUT", target, body, 200, "true");
}

static uint64_t index_of(const struct http_exchange *x)
{
    const char *text = exchange_header_value(x, "X-Consul-Index");
    uint64_t index = 0;

    assert_non_null(text);
    assert_int_equal(rc_text_to_u64(text, UINT64_MAX, &index), RC_OK);
    return index;
}

static void a_value_is_read_as_it_was_written(void **state)
{
    struct kv_world *world = *state;

    put(world, "/v1/kv/app/port?flags=42", "8080");
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/kv/app/port", "");

    assert_int_equal(x->status, 200);
    const char *text = rc_buffer_string(&x->out);
    assert_non_null(strstr(text, "[{\"LockIndex\":0,\"Key\":\"app/port\",\"Flags\":42,"
                                 "\"Value\":\"ODA4MA==\",\"CreateIndex\":"));
    assert_string_equal(exchange_header_value(x, "X-Consul-Knownleader"), "true");
    assert_string_equal(exchange_header_value(x, "X-Consul-Lastcontact"), "0");
    assert_true(index_of(x) > 1);
}

static void what_is_not_there_is_404_with_an_index(void **state)
{
    static const char *const targets[] = {"/v1/kv/none", "/v1/kv/none/?recurse",
                                          "/v1/kv/none/?keys", "/v1/kv/none?stale"};

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        const struct http_exchange *x = kv_world_ask(*state, "GET", targets[i], "");
        assert_int_equal(x->status, 404);
        assert_int_equal(x->out.size, 0);
        assert_null(x->content_type);
        assert_true(index_of(x) > 0);
    }
    kv_world_expect(*state, "GET", "/v1/kv/?keys", "", 200, "[]");
}

static void raw_bytes_cannot_act_as_a_page(void **state)
{
    put(*state, "/v1/kv/page", "<script>");
    const struct http_exchange *x = kv_world_ask(*state, "GET", "/v1/kv/page?raw", "");

    assert_string_equal(rc_buffer_string(&x->out), "<script>");
    assert_string_equal(x->content_type, "text/plain; charset=utf-8");
    assert_string_equal(exchange_header_value(x, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(exchange_header_value(x, "Content-Security-Policy"), "sandbox");
}

static void keys_are_listed_in_order_and_cut_at_separators(void **state)
{
    struct kv_world *world = *state;

    put(world, "/v1/kv/app/empty", "");
    put(world, "/v1/kv/app/config/port", "1");
    put(world, "/v1/kv/app/config/host", "2");
    kv_world_expect(world, "GET", "/v1/kv/app/?keys", "", 200,
                    "[\"app/config/host\",\"app/config/port\",\"app/empty\"]");
    kv_world_expect(world, "GET", "/v1/kv/app/?keys&separator=/", "", 200,
                    "[\"app/config/\",\"app/empty\"]");
    kv_world_expect(world, "GET", "/v1/kv/?keys&seperator=/", "", 200, "[\"app/\"]");
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/kv/app/?recurse", "");
    assert_non_null(strstr(rc_buffer_string(&x->out), "\"Key\":\"app/empty\",\"Flags\":0,"
                                                      "\"Value\":null"));
}

static void a_write_may_be_bound_to_what_was_read(void **state)
{
    struct kv_world *world = *state;
    char target[64];

    put(world, "/v1/kv/a?cas=0", "1");
    kv_world_expect(world, "PUT", "/v1/kv/a?cas=0", "2", 200, "false");
    kv_world_expect(world, "PUT", "/v1/kv/a?cas=1", "2", 200, "false");
    uint64_t index = index_of(kv_world_ask(world, "GET", "/v1/kv/a", ""));
    (void)snprintf(target, sizeof target, "/v1/kv/a?cas=%llu", (unsigned long long)index);
    put(world, target, "2");
    kv_world_expect(world, "PUT", target, "3", 200, "false");
    kv_world_expect(world, "DELETE", target, "", 200, "false");
    kv_world_expect(world, "DELETE", "/v1/kv/a?cas=0", "", 200, "false");
    kv_world_expect(world, "DELETE", "/v1/kv/a", "", 200, "true");
    kv_world_expect(world, "DELETE", target, "", 200, "true");
}

static void wrong_requests_are_refused_in_consuls_words(void **state)
{
    static const struct {
        const char *method;
        const char *target;
        unsigned status;
        const char *text;
    } cases[] = {
        {"GET", "/v1/kv/", 400, "Missing key name"},
        {"PUT", "/v1/kv/", 400, "Missing key name"},
        {"DELETE", "/v1/kv/", 400, "Missing key name"},
        {"PUT", "/v1/kv/x?cas=abc", 500,
         "strconv.ParseUint: parsing \"abc\": invalid syntax"},
        {"PUT", "/v1/kv/x?flags=99999999999999999999", 500,
         "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"},
        {"PUT", "/v1/kv/x?cas=1&acquire=y", 400, "Conflicting flags: acquire=y&cas=1"},
        {"DELETE", "/v1/kv/x?recurse&cas=1", 400, "Conflicting flags: cas=1&recurse="},
        {"PUT", "/v1/kv/x?acquire=abc", 500,
         "failed session lookup: index error: UUID must be 36 characters"},
        {"PUT", "/v1/kv/x?acquire=", 500, "missing session"},
        {"PUT", "/v1/kv/x?acquire=00000000-0000-4000-8000-000000000000", 500,
         "invalid session \"00000000-0000-4000-8000-000000000000\""},
        {"PUT", "/v1/kv/x?release=abc", 200, "false"},
        {"PUT", "/v1/kv/x?ttl=soon", 400,
         "Invalid ttl \"soon\": a duration of 1s to 8784h is wanted"},
        {"PUT", "/v1/kv/x?dc=elsewhere", 500, "No path to datacenter"},
        {"GET", "/v1/kv/x?stale&consistent", 400,
         "Cannot specify ?stale with ?consistent, conflicting semantics."},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kv_world_expect(*state, cases[i].method, cases[i].target, "v", cases[i].status,
                        cases[i].text);
    }
}

static void a_reader_waits_for_its_key_and_for_no_other(void **state)
{
    struct kv_world *world = *state;
    struct http_exchange waiting = {.method = HTTP_GET};
    char target[64];

    put(world, "/v1/kv/a", "1");
    uint64_t index = index_of(kv_world_ask(world, "GET", "/v1/kv/a", ""));
    (void)snprintf(target, sizeof target, "/v1/kv/a?index=%llu&wait=10s",
                   (unsigned long long)index);
    kv_world_begin(world, &waiting, "GET", target, "");
    kv_world_run(world, 0);
    assert_int_equal(waiting.outcome, EXCHANGE_WAITING);
    assert_int_equal(waiting.waiter.key,
                     waiters_store_key(STORE_KV, rc_pack_text("a"), world->api.seed));
    assert_in_range(waiting.waiter.deadline_ms, WORLD_NOW_MS + 10000,
                    WORLD_NOW_MS + 10000 + 10000 / 16 + 1);
    waiting.expired = true; /* as the transport says when the time is over */
    put(world, "/v1/kv/a", "2");
    kv_world_begin(world, &world->x, "GET", target, "");
    kv_world_run(world, 0);
    assert_int_equal(world->x.outcome, EXCHANGE_ANSWERED);
    assert_true(index_of(&world->x) > index);
    exchange_fini(&waiting);
}

static void a_deleted_key_has_a_greater_index(void **state)
{
    struct kv_world *world = *state;

    put(world, "/v1/kv/t/a", "1");
    uint64_t key = index_of(kv_world_ask(world, "GET", "/v1/kv/t/a", ""));
    uint64_t tree = index_of(kv_world_ask(world, "GET", "/v1/kv/t/?recurse", ""));
    kv_world_expect(world, "DELETE", "/v1/kv/t/?recurse", "", 200, "true");
    assert_true(index_of(kv_world_ask(world, "GET", "/v1/kv/t/a", "")) > key);
    assert_true(index_of(kv_world_ask(world, "GET", "/v1/kv/t/?recurse", "")) > tree);
}

static void whoever_writes_is_told_the_revision(void **state)
{
    struct kv_world *world = *state;

    put(world, "/v1/kv/a", "1");
    const char *text = exchange_header_value(&world->x, "X-Rollcall-Index");
    assert_non_null(text);
    uint64_t written = strtoull(text, NULL, 10);
    assert_int_equal(index_of(kv_world_ask(world, "GET", "/v1/kv/a", "")), written);
}

static void a_request_that_comes_again_is_done_once(void **state)
{
    struct kv_world *world = *state;
    const char *const id = "00112233445566778899aabbccddeeff";

    exchange_reset(&world->x);
    for (int i = 0; i < 2; i++) {
        struct http_exchange x = {.method = HTTP_PUT};
        exchange_reset(&x);
        x.request.request_id = id;
        uint8_t space[STORE_REQUEST_SIZE];
        const uint8_t *request = NULL;
        assert_true(errand_request(&x, space, &request));
        assert_ptr_equal(request, space);
        assert_int_equal(space[15], 0xff);
        exchange_fini(&x);
    }
    world->x.request.request_id = "zz";
    const uint8_t *request = NULL;
    uint8_t space[STORE_REQUEST_SIZE];
    assert_false(errand_request(&world->x, space, &request));
    assert_int_equal(world->x.status, 400);
}

static void a_client_that_has_gone_hears_nothing(void **state)
{
    struct kv_world *world = *state;
    struct http_exchange gone = {.method = HTTP_PUT};

    kv_world_begin(world, &gone, "PUT", "/v1/kv/gone", "1");
    assert_int_equal(gone.outcome, EXCHANGE_PENDING);
    unsigned resumed = world->resumed;
    exchange_fini(&gone);
    kv_world_run(world, 0);
    assert_int_equal(world->resumed, resumed);
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/kv/gone", "");
    assert_int_equal(x->status, 200);
}

static void nobody_leads_and_that_is_said(void **state)
{
    struct kv_world *world = *state;

    put(world, "/v1/kv/a", "1");
    engine_memory_lose_leader(world->memory, world->api.now_ms + 60000);
    kv_world_begin(world, &world->x, "GET", "/v1/kv/a", "");
    for (int i = 0; i < 100 && world->x.outcome == EXCHANGE_PENDING; i++) {
        kv_world_run(world, 100);
    }
    assert_int_equal(world->x.status, 500);
    assert_true(
        rc_text_starts_with(rc_buffer_string(&world->x.out), "No cluster leader"));
    const struct http_exchange *x = kv_world_ask(world, "GET", "/v1/kv/a?stale", "");
    assert_int_equal(x->status, 200);
}

static void two_stores_in_a_pool_refuse(void **state)
{
    struct kv_world *world = *state;

    world->api.store_trouble = "Two servers";
    kv_world_expect(world, "GET", "/v1/kv/a", "", 500, "Two servers");
    kv_world_expect(world, "PUT", "/v1/kv/a", "1", 500, "Two servers");
    kv_world_expect(world, "PUT", "/v1/session/create", "", 500, "Two servers");
    kv_world_expect(world, "PUT", "/v1/txn", "[]", 500, "Two servers");
    world->api.store_trouble = NULL;
}

int main(void)
{
#define WITH_WORLD(test) \
    cmocka_unit_test_setup_teardown(test, kv_world_set_up, kv_world_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_value_is_read_as_it_was_written),
        WITH_WORLD(what_is_not_there_is_404_with_an_index),
        WITH_WORLD(raw_bytes_cannot_act_as_a_page),
        WITH_WORLD(keys_are_listed_in_order_and_cut_at_separators),
        WITH_WORLD(a_write_may_be_bound_to_what_was_read),
        WITH_WORLD(wrong_requests_are_refused_in_consuls_words),
        WITH_WORLD(a_reader_waits_for_its_key_and_for_no_other),
        WITH_WORLD(a_deleted_key_has_a_greater_index),
        WITH_WORLD(whoever_writes_is_told_the_revision),
        WITH_WORLD(a_request_that_comes_again_is_done_once),
        WITH_WORLD(a_client_that_has_gone_hears_nothing),
        WITH_WORLD(nobody_leads_and_that_is_said),
        WITH_WORLD(two_stores_in_a_pool_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

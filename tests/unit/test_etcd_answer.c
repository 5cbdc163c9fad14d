#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_answer.h"
#include "base/err.h"

enum { TEXT_MAX = 2048 };

/* Answers are read in place, so each is copied first. */
static char space[TEXT_MAX];
static char told[TEXT_MAX];

static size_t put(const char *text)
{
    size_t size = strlen(text);

    assert_true(size < sizeof space);
    memcpy(space, text, size + 1);
    told[0] = '\0';
    return size;
}

static void tell(const char *what, const struct engine_item *item)
{
    size_t size = strlen(told);

    (void)snprintf(
        told + size, sizeof told - size, "%s %.*s=%.*s %llu/%llu lease %llu; ", what,
        (int)item->key.size, (const char *)item->key.at, (int)item->value.size,
        (const char *)item->value.at, (unsigned long long)item->create_revision,
        (unsigned long long)item->mod_revision, (unsigned long long)item->lease);
}

static void on_put(void *context, const struct engine_item *item)
{
    (void)context;
    tell("put", item);
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    const struct engine_item item = {
        .key = key, .value = rc_pack_text(""), .mod_revision = revision};
    (void)context;
    tell("removed", &item);
}

static const struct etcd_watcher watcher = {NULL, on_put, on_removed};

#define HEADER "\"header\":{\"cluster_id\":\"1\",\"member_id\":\"2\",\"revision\":\"9\"}"

static void transaction_says_what_became_of_each_inside(void **state)
{
    struct etcd_txn_answer answer;
    (void)state;
    size_t size =
        put("{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_txn\":{\"header\":"
            "{}}},{\"response_txn\":{\"header\":{},\"succeeded\":true,\"responses\":[{"
            "\"response_put\":{\"header\":{\"revision\":\"9\"}}}]}}]}");

    assert_int_equal(etcd_answer_txn(space, size, &answer), RC_OK);

    assert_int_equal(answer.revision, 9);
    assert_true(answer.succeeded);
    assert_int_equal(answer.nested_count, 2);
    assert_false(answer.nested[0]);
    assert_true(answer.nested[1]);
}

static void missing_fields_are_zero(void **state)
{
    struct etcd_txn_answer txn;
    struct etcd_lease_answer lease;
    (void)state;

    assert_int_equal(etcd_answer_txn(space, put("{" HEADER "}"), &txn), RC_OK);
    assert_false(txn.succeeded);
    assert_int_equal(
        etcd_answer_lease(space, put("{\"result\":{" HEADER ",\"ID\":\"6\"}}"), &lease),
        RC_OK);
    assert_int_equal(lease.lease, 6);
    assert_int_equal(lease.ttl_s, 0);
}

static void page_tells_each_key(void **state)
{
    struct etcd_page_answer page;
    (void)state;
    size_t size =
        put("{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":\"2\","
            "\"mod_revision\":\"3\",\"version\":\"1\",\"value\":\"dmFs\",\"lease\":"
            "\"9223372036854775807\"},{\"key\":\"YWI=\",\"mod_revision\":\"4\"}],"
            "\"more\":true,\"count\":\"5\"}");

    assert_int_equal(etcd_answer_page(space, size, on_put, NULL, &page), RC_OK);

    assert_string_equal(told,
                        "put a=val 2/3 lease 9223372036854775807; put ab= 0/4 lease 0; ");
    assert_true(page.has_more);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.revision, 9);
}

static void watch_tells_puts_and_deletes(void **state)
{
    struct etcd_watch_answer answer;
    (void)state;
    size_t size = put("{\"result\":{" HEADER ",\"fragment\":true,\"events\":[{\"kv\":{"
                      "\"key\":\"YQ==\",\"mod_revision\":\"8\"}},{\"type\":\"DELETE\","
                      "\"kv\":{\"key\":\"YWJj\",\"mod_revision\":\"9\"}}]}}");

    assert_int_equal(etcd_answer_watch(space, size, &watcher, &answer), RC_OK);

    assert_string_equal(told, "put a= 0/8 lease 0; removed abc= 0/9 lease 0; ");
    assert_true(answer.is_fragment);
    assert_int_equal(answer.count, 2);
    assert_false(answer.is_canceled);
}

static void watch_that_came_too_late_says_so(void **state)
{
    struct etcd_watch_answer answer;
    (void)state;
    size_t size = put("{\"result\":{" HEADER ",\"canceled\":true,\"compact_revision\":"
                      "\"77\",\"cancel_reason\":\"etcdserver: compacted\\u0021\"}}");

    assert_int_equal(etcd_answer_watch(space, size, &watcher, &answer), RC_OK);

    assert_true(answer.is_canceled);
    assert_int_equal(answer.compact_revision, 77);
    assert_string_equal(answer.text, "etcdserver: compacted!");
}

static void refusals_mean_what_they_say(void **state)
{
    static const struct {
        const char *why;
        const char *body;
        int err;
        bool is_of_member;
        bool needs_login;
    } cases[] = {
        {"lease gone", "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}",
         RC_ENOTFOUND, false, false},
        {"full", "{\"message\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
         RC_ENOSPC, false, false},
        {"timed out", "{\"error\":\"etcdserver: request timed out\",\"code\":14}",
         RC_EUNKNOWN, true, false},
        {"no leader", "{\"error\":\"etcdserver: no leader\",\"code\":14}", RC_EAGAIN,
         true, false},
        {"token ended", "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}",
         RC_EAGAIN, false, true},
        {"compacted",
         "{\"error\":\"etcdserver: mvcc: required revision has been compacted\"}",
         RC_ECONFLICT, false, false},
        {"may not", "{\"error\":\"etcdserver: permission denied\",\"code\":7}", RC_EIO,
         false, false},
        {"new words, known code", "{\"error\":\"strange\",\"code\":14}", RC_EUNKNOWN,
         true, false},
        {"new words, new code", "{\"error\":\"strange\",\"code\":99}", RC_EUNKNOWN, true,
         false},
        {"no JSON", "<html>", RC_EUNKNOWN, true, false},
        {"nothing", "", RC_EUNKNOWN, true, false},
    };
    struct etcd_refusal refusal;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        etcd_answer_refusal(space, put(cases[i].body), 503, &refusal);
        if (refusal.err != cases[i].err ||
            refusal.is_of_member != cases[i].is_of_member ||
            refusal.needs_login != cases[i].needs_login || refusal.text[0] == '\0') {
            fail_msg("%s: %s, %s", cases[i].why, rc_strerror(refusal.err), refusal.text);
        }
    }
}

static void members_states_and_alarms_are_read(void **state)
{
    struct etcd_member_answer members;
    struct etcd_status_answer status;
    char alarm[ENGINE_ERROR_MAX];
    char token[ETCD_TOKEN_MAX];
    (void)state;

    size_t size = put("{\"members\":[{\"ID\":\"255\",\"name\":\"m0\",\"clientURLs\":["
                      "\"http://a\",\"http://b\"]},{\"ID\":\"1\",\"isLearner\":true}]}");
    assert_int_equal(etcd_answer_members(space, size, &members), RC_OK);
    assert_int_equal(members.count, 2);
    assert_string_equal(members.members[0].id, "ff");
    assert_string_equal(members.members[0].address, "http://a");
    assert_true(members.members[0].is_voter);
    assert_false(members.members[1].is_voter);

    size = put("{" HEADER ",\"dbSize\":\"4096\",\"leader\":\"2\"}");
    assert_int_equal(etcd_answer_status(space, size, &status), RC_OK);
    assert_int_equal(status.member, 2);
    assert_int_equal(status.leader, 2);
    assert_int_equal(status.size_bytes, 4096);

    size = put("{\"alarms\":[{\"memberID\":\"2\",\"alarm\":\"NOSPACE\"}]}");
    assert_int_equal(etcd_answer_alarms(space, size, alarm), RC_OK);
    assert_non_null(strstr(alarm, "quota"));
    assert_int_equal(etcd_answer_alarms(space, put("{}"), alarm), RC_OK);
    assert_string_equal(alarm, "");

    assert_int_equal(etcd_answer_token(space, put("{\"token\":\"abc.1\"}"), token),
                     RC_OK);
    assert_string_equal(token, "abc.1");
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "[",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"header\":[]}",
        "{\"result\":5}",
        "{\"a\":}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"YQ\"}}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"Y*==\"}}]}}",
        "{\"result\":{\"events\":[{\"kv\":{\"mod_revision\":\"x\"}}]}}",
        "{\"result\":{\"cancel_reason\":\"\\q\"}}",
        "{\"result\":{\"cancel_reason\":\"\\u1"};
    struct etcd_watch_answer answer;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = put(cases[i]);
        if (strcmp(cases[i], "{\"header\":[]}") == 0) {
            struct etcd_txn_answer txn;
            assert_int_equal(etcd_answer_txn(space, size, &txn), RC_EMALFORMED);
            continue;
        }
        if (etcd_answer_watch(space, size, &watcher, &answer) != RC_EMALFORMED) {
            fail_msg("%s was taken", cases[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_says_what_became_of_each_inside),
        cmocka_unit_test(missing_fields_are_zero),
        cmocka_unit_test(page_tells_each_key),
        cmocka_unit_test(watch_tells_puts_and_deletes),
        cmocka_unit_test(watch_that_came_too_late_says_so),
        cmocka_unit_test(refusals_mean_what_they_say),
        cmocka_unit_test(members_states_and_alarms_are_read),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_answer.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"

enum { TEXT_MAX = 2048 };

static char told[TEXT_MAX];

/* The message that is being written. */
static struct rc_buffer out;

static struct rc_pack_bytes written(void)
{
    assert_int_equal(out.err, RC_OK);
    told[0] = '\0';
    return (struct rc_pack_bytes){out.bytes, out.size};
}

static void put(uint32_t number, uint64_t value)
{
    protobuf_put_number(&out, number, value);
}

static void put_text(uint32_t number, const char *text)
{
    protobuf_put_bytes(&out, number, rc_pack_text(text));
}

static size_t begin(uint32_t number)
{
    return protobuf_open(&out, number);
}

static void end(size_t place)
{
    protobuf_close(&out, place);
}

/* A response's begin: cluster 1, member 2, revision 9. */
static void put_header(void)
{
    rc_buffer_clear(&out);
    size_t header = begin(1);
    put(1, 1);
    put(2, 2);
    put(3, 9);
    put(4, 3);
    end(header);
}

static void put_key(const char *key, uint64_t mod_revision)
{
    size_t place = begin(2);

    put_text(1, key);
    put(3, mod_revision);
    end(place);
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

static void transaction_says_what_became_of_each_inside(void **state)
{
    struct etcd_txn_answer answer;
    (void)state;
    put_header();
    put(2, 1);
    for (uint64_t i = 0; i < 2; i++) {
        size_t response = begin(3);
        size_t inner = begin(4);
        size_t header = begin(1);
        end(header);
        if (i == 1) {
            put(2, 1);
        }
        end(inner);
        end(response);
    }
    size_t response = begin(3); /* of a put: no transaction */
    size_t put_response = begin(2);
    end(put_response);
    end(response);

    assert_int_equal(etcd_answer_txn(written(), &answer), RC_OK);

    assert_int_equal(answer.revision, 9);
    assert_true(answer.succeeded);
    assert_int_equal(answer.nested_count, 2);
    assert_false(answer.nested[0]);
    assert_true(answer.nested[1]);
}

static void more_transactions_than_were_sent_are_not_counted(void **state)
{
    struct etcd_txn_answer answer;
    (void)state;
    put_header();
    for (size_t i = 0; i < ETCD_NESTED_MAX + 5; i++) {
        size_t response = begin(3);
        size_t inner = begin(4);
        end(inner);
        end(response);
    }

    assert_int_equal(etcd_answer_txn(written(), &answer), RC_OK);
    assert_int_equal(answer.nested_count, ETCD_NESTED_MAX);
}

static void missing_fields_are_zero(void **state)
{
    struct etcd_txn_answer txn;
    struct etcd_lease_answer lease;
    (void)state;

    put_header();
    assert_int_equal(etcd_answer_txn(written(), &txn), RC_OK);
    assert_false(txn.succeeded);
    put(2, 6);
    assert_int_equal(etcd_answer_lease(written(), &lease), RC_OK);
    assert_int_equal(lease.lease, 6);
    assert_int_equal(lease.ttl_s, 0);
    put(3, (uint64_t)-1);
    assert_int_equal(etcd_answer_lease(written(), &lease), RC_OK);
    assert_int_equal(lease.ttl_s, 0); /* that is: none */
}

static void page_tells_each_key(void **state)
{
    struct etcd_page_answer page;
    (void)state;
    put_header();
    size_t item = begin(2);
    put_text(1, "a");
    put(2, 2);
    put(3, 3);
    put(4, 1);
    put_text(5, "val");
    put(6, INT64_MAX);
    end(item);
    put_key("ab", 4);
    put(3, 1);
    put(4, 5);

    assert_int_equal(etcd_answer_page(written(), on_put, NULL, &page), RC_OK);

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
    put_header();
    put(7, 1);
    size_t event = begin(11);
    put_key("a", 8);
    end(event);
    event = begin(11);
    put(1, 1);
    put_key("abc", 9);
    end(event);

    assert_int_equal(etcd_answer_watch(written(), &watcher, &answer), RC_OK);

    assert_string_equal(told, "put a= 0/8 lease 0; removed abc= 0/9 lease 0; ");
    assert_true(answer.is_fragment);
    assert_int_equal(answer.count, 2);
    assert_false(answer.is_canceled);
}

static void watch_that_came_too_late_says_so(void **state)
{
    struct etcd_watch_answer answer;
    (void)state;
    put_header();
    put(4, 1);
    put(5, 77);
    put_text(6, "etcdserver: compacted\n");

    assert_int_equal(etcd_answer_watch(written(), &watcher, &answer), RC_OK);

    assert_true(answer.is_canceled);
    assert_int_equal(answer.compact_revision, 77);
    assert_string_equal(answer.text, "etcdserver: compacted\\n");
}

static void refusals_mean_what_they_say(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        int status;
        int err;
        bool is_of_member;
        bool needs_login;
    } cases[] = {
        {"lease gone", "etcdserver: requested lease not found", GRPC_NOT_FOUND,
         RC_ENOTFOUND, false, false},
        {"full", "etcdserver: mvcc: database space exceeded", GRPC_RESOURCE_EXHAUSTED,
         RC_ENOSPC, false, false},
        {"too many operations", "etcdserver: too many operations in txn request",
         GRPC_INVALID_ARGUMENT, RC_ETOOBIG, false, false},
        {"timed out", "etcdserver: request timed out", GRPC_UNAVAILABLE, RC_EUNKNOWN,
         true, false},
        {"no leader", "etcdserver: no leader", GRPC_UNAVAILABLE, RC_EAGAIN, true, false},
        {"token ended", "etcdserver: invalid auth token", GRPC_UNAUTHENTICATED, RC_EAGAIN,
         false, true},
        {"compacted", "etcdserver: mvcc: required revision has been compacted",
         GRPC_OUT_OF_RANGE, RC_ECONFLICT, false, false},
        {"may not", "etcdserver: permission denied", GRPC_PERMISSION_DENIED, RC_EIO,
         false, false},
        {"new words, known status", "strange", GRPC_UNAVAILABLE, RC_EUNKNOWN, true,
         false},
        {"new words, new status", "strange", 99, RC_EUNKNOWN, true, false},
        {"nothing was said", "", -1, RC_EUNKNOWN, true, false},
        {"no such method: no etcd", "", GRPC_UNIMPLEMENTED, RC_EIO, true, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct etcd_refusal refusal = etcd_answer_refusal(cases[i].status, cases[i].text);
        if (refusal.err != cases[i].err ||
            refusal.is_of_member != cases[i].is_of_member ||
            refusal.needs_login != cases[i].needs_login) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(refusal.err));
        }
    }
    assert_true(etcd_answer_refusal(GRPC_FAILED_PRECONDITION,
                                    "etcdserver: authentication is not enabled")
                    .is_without_auth);
}

static void members_states_and_alarms_are_read(void **state)
{
    struct etcd_member_answer members;
    struct etcd_status_answer status;
    char alarm[ENGINE_ERROR_MAX];
    char token[ETCD_TOKEN_MAX];
    (void)state;

    put_header();
    size_t member = begin(2);
    put(1, 255);
    put_text(2, "m0");
    put_text(3, "http://peer");
    put_text(4, "http://a");
    put_text(4, "http://b");
    end(member);
    member = begin(2);
    put(1, 1);
    put(5, 1);
    end(member);
    assert_int_equal(etcd_answer_members(written(), &members), RC_OK);
    assert_int_equal(members.count, 2);
    assert_string_equal(members.members[0].id, "ff");
    assert_string_equal(members.members[0].name, "m0");
    assert_string_equal(members.members[0].address, "http://a");
    assert_true(members.members[0].is_voter);
    assert_false(members.members[1].is_voter);

    put_header();
    put_text(2, "3.4.23");
    put(3, 4096);
    put(4, 2);
    assert_int_equal(etcd_answer_status(written(), &status), RC_OK);
    assert_int_equal(status.member, 2);
    assert_int_equal(status.leader, 2);
    assert_int_equal(status.size_bytes, 4096);
    assert_int_equal(status.revision, 9);

    put_header();
    assert_int_equal(etcd_answer_alarms(written(), alarm), RC_OK);
    assert_string_equal(alarm, "");
    size_t place = begin(2);
    put(1, 2);
    put(2, 1);
    end(place);
    assert_int_equal(etcd_answer_alarms(written(), alarm), RC_OK);
    assert_non_null(strstr(alarm, "quota"));

    put_header();
    assert_int_equal(etcd_answer_token(written(), token), RC_EMALFORMED);
    put_text(2, "abc.1");
    assert_int_equal(etcd_answer_token(written(), token), RC_OK);
    assert_string_equal(token, "abc.1");
}

static void texts_longer_than_their_place_are_cut_or_refused(void **state)
{
    struct etcd_member_answer members;
    char token[ETCD_TOKEN_MAX];
    char name[ETCD_TOKEN_MAX + 1];
    (void)state;

    memset(name, 'x', ETCD_TOKEN_MAX);
    name[ETCD_TOKEN_MAX] = '\0';
    put_header();
    put_text(2, name);
    assert_int_equal(etcd_answer_token(written(), token), RC_ETOOBIG);
    put_header();
    size_t member = begin(2);
    put_text(2, name);
    end(member);
    assert_int_equal(etcd_answer_members(written(), &members), RC_OK);
    assert_int_equal(strlen(members.members[0].name), ENGINE_NAME_MAX - 1);
}

/* Every beginning of a good answer that ends inside a field is none. */
static void what_is_cut_is_refused_or_shorter(void **state)
{
    struct etcd_watch_answer answer;
    (void)state;
    put_header();
    size_t event = begin(11);
    put_key("abc", 8);
    end(event);
    struct rc_pack_bytes whole = written();

    for (size_t size = 0; size < whole.size; size++) {
        told[0] = '\0';
        int err =
            etcd_answer_watch((struct rc_pack_bytes){whole.at, size}, &watcher, &answer);
        if (told[0] != '\0' || (err == RC_OK && size != 0 && size != 10)) {
            fail_msg("%zu bytes were taken", size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_says_what_became_of_each_inside),
        cmocka_unit_test(more_transactions_than_were_sent_are_not_counted),
        cmocka_unit_test(missing_fields_are_zero),
        cmocka_unit_test(page_tells_each_key),
        cmocka_unit_test(watch_tells_puts_and_deletes),
        cmocka_unit_test(watch_that_came_too_late_says_so),
        cmocka_unit_test(refusals_mean_what_they_say),
        cmocka_unit_test(members_states_and_alarms_are_read),
        cmocka_unit_test(texts_longer_than_their_place_are_cut_or_refused),
        cmocka_unit_test(what_is_cut_is_refused_or_shorter),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rc_buffer_fini(&out);
    return failed;
}

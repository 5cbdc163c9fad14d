/* Questions that we send to other servers, what they answer, and what clients get of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/forward/forward_message.h"
#include "dns/wire/response.h"
#include "tests/unit/forward_upstream.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct forward_upstream));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* A client's query of a name. */
struct client {
    uint8_t bytes[DNS_NAME_MAX + 4];
    struct dns_query query;
    struct dns_extras extras;
    struct dns_forward_frame frame;
};

static void client_asks(struct client *client, const char *name, uint16_t type,
                        size_t limit)
{
    struct rc_writer writer = rc_writer_over(client->bytes, sizeof client->bytes);

    memset(&client->query, 0, sizeof client->query);
    assert_int_equal(dns_name_from_text(name, &client->query.name), RC_OK);
    rc_writer_bytes(&writer, client->query.name.wire, client->query.name.size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    client->query.id = 0x1234;
    client->query.flags = DNS_FLAG_RD;
    client->query.bytes = client->bytes;
    client->query.question = DNS_PART_PRESENT;
    client->query.question_size = rc_writer_size(&writer);
    client->query.type = type;
    dns_extras_init(&client->extras);
    client->frame = (struct dns_forward_frame){
        .query = &client->query, .extras = &client->extras, .limit = limit};
}

static void a_query_has_our_mark_and_nothing_of_the_client(void **state)
{
    struct forward_upstream *upstream = *state;
    struct dns_query query;

    forward_upstream_begin(upstream, "www.example.test", DNS_TYPE_A, 0, 1);

    assert_int_equal(dns_query_read(upstream->sent, upstream->sent_size, &query), RC_OK);
    struct dns_forward_mark mark = dns_forward_mark_read(&query);
    assert_int_equal(query.rcode, DNS_RCODE_NOERROR);
    assert_int_equal(query.edns_size, DNS_EDNS_SIZE);
    assert_int_equal(query.flags & DNS_FLAG_RD, DNS_FLAG_RD);
    assert_int_equal(query.asked.cookie_size, 0);
    assert_int_equal(mark.instance, 7);
    assert_int_equal(mark.hops, 1);
}

static void letters_of_a_query_have_random_case(void **state)
{
    struct forward_upstream *upstream = *state;
    uint8_t first[DNS_FORWARD_QUERY_MAX];
    size_t different = 0;

    forward_upstream_begin(upstream, "abcdefghijklmnopqrstuvwxyz.test", DNS_TYPE_A, 0, 1);
    memcpy(first, upstream->sent, sizeof first);
    forward_upstream_begin(upstream, "abcdefghijklmnopqrstuvwxyz.test", DNS_TYPE_A, 0, 2);

    for (size_t i = 0; i < upstream->sent_size; i++) {
        different += first[i] != upstream->sent[i] ? 1 : 0;
    }
    assert_in_range(different, 5, 25);
}

static void the_answer_must_repeat_the_question_byte_for_byte(void **state)
{
    struct forward_upstream *upstream = *state;

    forward_upstream_begin(upstream, "www.example.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);

    for (size_t i = DNS_HEADER_SIZE; i < DNS_HEADER_SIZE + 22; i++) {
        forward_upstream_begin(upstream, "www.example.test", DNS_TYPE_A, 0, 1);
        forward_upstream_add_a(upstream, NULL, 60, 1);
        upstream->bytes[i] ^= 0x20;
        assert_int_equal(forward_upstream_read(upstream), RC_EMALFORMED);
    }
}

static void broken_answers_are_none(void **state)
{
    struct forward_upstream *upstream = *state;
    const uint8_t loop[2] = {0xc0, 0xff};

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    for (size_t cut = 1; cut <= upstream->size; cut++) {
        assert_int_equal(dns_kept_read(upstream->bytes, upstream->size - cut,
                                       upstream->sent, upstream->sent_size,
                                       upstream->ttl_at, &upstream->kept),
                         RC_EMALFORMED);
    }
    upstream->size++; /* a byte too many */
    assert_int_equal(forward_upstream_read(upstream), RC_EMALFORMED);

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add(upstream, DNS_SECTION_ANSWER,
                         (struct forward_record){NULL, DNS_TYPE_CNAME, 1, loop, 2});
    assert_int_equal(forward_upstream_read(upstream), RC_EMALFORMED);

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add(upstream, DNS_SECTION_ANSWER,
                         (struct forward_record){NULL, DNS_TYPE_A, 1, loop, 2});
    assert_int_equal(forward_upstream_read(upstream), RC_EMALFORMED);
}

static void an_answer_is_kept_for_its_smallest_ttl_but_an_hour_at_most(void **state)
{
    struct forward_upstream *upstream = *state;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 86400, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.ttl_s, 3600);

    forward_upstream_add_a(upstream, NULL, 77, 2);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.ttl_s, 77);

    forward_upstream_add_a(upstream, NULL, 0x80000001, 3);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.ttl_s, 0);
}

static void that_there_is_nothing_is_kept_as_the_soa_says(void **state)
{
    static const struct {
        const char *why;
        unsigned rcode;
        uint32_t ttl_s;
        uint32_t minimum_s;
        uint32_t want_s;
    } cases[] = {
        {"minimum is less", DNS_RCODE_NXDOMAIN, 100, 20, 20},
        {"the record's TTL is less", DNS_RCODE_NXDOMAIN, 10, 20, 10},
        {"no record of the type", DNS_RCODE_NOERROR, 100, 30, 30},
        {"five minutes at most", DNS_RCODE_NXDOMAIN, 86400, 86400, 300},
    };
    struct forward_upstream *upstream = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, cases[i].rcode, 1);
        forward_upstream_add_soa(upstream, cases[i].ttl_s, cases[i].minimum_s);
        assert_int_equal(forward_upstream_read(upstream), RC_OK);
        if (upstream->kept.ttl_s != cases[i].want_s) {
            fail_msg("%s: kept for %u s", cases[i].why, upstream->kept.ttl_s);
        }
    }
    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, DNS_RCODE_NXDOMAIN, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.ttl_s, 0); /* no SOA, nothing is known */
}

static void failures_and_cut_answers_are_not_kept(void **state)
{
    struct forward_upstream *upstream = *state;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, DNS_RCODE_SERVFAIL, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.rcode, DNS_RCODE_SERVFAIL);
    assert_int_equal(upstream->kept.ttl_s, 0);

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, DNS_FLAG_TC, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.ttl_s, 0);
}

static void opt_is_not_kept_but_its_code_counts(void **state)
{
    struct forward_upstream *upstream = *state;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    forward_upstream_add(upstream, DNS_SECTION_ADDITIONAL,
                         (struct forward_record){"", DNS_TYPE_OPT, 0, NULL, 0});
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.record_count, 1);
    assert_int_equal(upstream->kept.counts[DNS_SECTION_ADDITIONAL], 0);
    assert_int_equal(upstream->kept.ttl_s, 60);

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add(upstream, DNS_SECTION_ADDITIONAL,
                         (struct forward_record){"", DNS_TYPE_OPT, 1U << 24, NULL, 0});
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    assert_int_equal(upstream->kept.rcode, DNS_RCODE_BADVERS);
}

static void a_client_gets_its_own_letters_and_the_ttl_that_is_left(void **state)
{
    struct forward_upstream *upstream = *state;
    struct client client;
    struct dns_response response;
    struct dns_received record;
    uint8_t out[512];
    enum dns_part is_cut;

    forward_upstream_begin(upstream, "a.example.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    client_asks(&client, "A.Example.TEST", DNS_TYPE_A, sizeof out);
    size_t size = dns_kept_write(&upstream->kept, 20, &client.frame, out, &is_cut);

    assert_int_equal(is_cut, DNS_PART_MISSING);
    assert_int_equal(dns_response_open(out, size, &response), RC_OK);
    assert_memory_equal(response.name.wire, client.query.name.wire, 16);
    assert_int_equal(response.flags, DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.ttl_s, 40);
    assert_memory_equal(record.owner.wire, client.query.name.wire, 16);
}

static void stale_answers_have_a_ttl_of_30_seconds(void **state)
{
    struct forward_upstream *upstream = *state;
    struct client client;
    struct dns_response response;
    struct dns_received record;
    uint8_t out[512];
    enum dns_part is_cut;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    client_asks(&client, "a.test", DNS_TYPE_A, sizeof out);
    size_t size = dns_kept_write(&upstream->kept, DNS_FORWARD_AGE_STALE, &client.frame,
                                 out, &is_cut);

    assert_int_equal(dns_response_open(out, size, &response), RC_OK);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.ttl_s, 30);
}

static void answers_are_cut_between_records_and_say_so(void **state)
{
    struct forward_upstream *upstream = *state;
    struct client client;
    struct dns_response response;
    struct dns_received record;
    static uint8_t out[DNS_MESSAGE_MAX];
    enum dns_part is_cut;
    size_t count = 0;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    for (unsigned i = 0; i < 200; i++) {
        forward_upstream_add_a(upstream, NULL, 60, (uint8_t)i);
    }
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    client_asks(&client, "a.test", DNS_TYPE_A, 512);
    size_t size = dns_kept_write(&upstream->kept, 0, &client.frame, out, &is_cut);

    assert_in_range(size, 497, 512);
    assert_int_equal(is_cut, DNS_PART_PRESENT);
    assert_int_equal(dns_response_open(out, size, &response), RC_OK);
    assert_int_equal(response.flags & DNS_FLAG_TC, DNS_FLAG_TC);
    while (dns_response_next(&response, &record) == RC_OK) {
        count++;
    }
    assert_int_equal(count, response.counts[DNS_SECTION_ANSWER]);
    assert_int_equal(count, 30);

    client.frame.limit = sizeof out;
    size = dns_kept_write(&upstream->kept, 0, &client.frame, out, &is_cut);
    assert_int_equal(is_cut, DNS_PART_MISSING);
    assert_int_equal(dns_response_open(out, size, &response), RC_OK);
    assert_int_equal(response.counts[DNS_SECTION_ANSWER], 200);
}

static void additional_records_go_first_and_silently(void **state)
{
    struct forward_upstream *upstream = *state;
    struct client client;
    uint8_t out[512];
    const uint8_t ip[4] = {10, 0, 0, 1};
    enum dns_part is_cut;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, 0, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    for (unsigned i = 0; i < 100; i++) {
        forward_upstream_add(upstream, DNS_SECTION_ADDITIONAL,
                             (struct forward_record){NULL, DNS_TYPE_A, 60, ip, 4});
    }
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    client_asks(&client, "a.test", DNS_TYPE_A, sizeof out);
    (void)dns_kept_write(&upstream->kept, 0, &client.frame, out, &is_cut);

    assert_int_equal(is_cut, DNS_PART_MISSING);
}

static void validation_is_told_to_those_who_ask_for_it(void **state)
{
    struct forward_upstream *upstream = *state;
    struct client client;
    uint8_t out[512];
    enum dns_part is_cut;

    forward_upstream_begin(upstream, "a.test", DNS_TYPE_A, DNS_FLAG_AD, 1);
    forward_upstream_add_a(upstream, NULL, 60, 1);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    client_asks(&client, "a.test", DNS_TYPE_A, sizeof out);
    (void)dns_kept_write(&upstream->kept, 0, &client.frame, out, &is_cut);
    assert_int_equal(out[3] & DNS_FLAG_AD, 0);
    client.query.flags |= DNS_FLAG_AD;
    (void)dns_kept_write(&upstream->kept, 0, &client.frame, out, &is_cut);
    assert_int_equal(out[3] & DNS_FLAG_AD, DNS_FLAG_AD);
}

static void our_random_letters_are_taken_out_of_the_records(void **state)
{
    struct forward_upstream *upstream = *state;
    char text[DNS_NAME_TEXT_MAX];
    struct dns_name sent;

    forward_upstream_begin(upstream, "abcdefgh.test", DNS_TYPE_A, 0, 3);
    struct rc_cursor cursor = rc_cursor_over(upstream->sent, upstream->sent_size);
    (void)rc_cursor_take(&cursor, DNS_HEADER_SIZE);
    assert_int_equal(dns_name_read(&cursor, upstream->sent, &sent), RC_OK);
    /* As sent, with its capitals. */
    (void)dns_name_to_text(&sent, 0, sent.label_count, text);
    size_t at = upstream->size;
    forward_upstream_add_a(upstream, "abcdefgh.test", 60, 1);
    memcpy(upstream->bytes + at, sent.wire, sent.size);
    assert_int_equal(forward_upstream_read(upstream), RC_OK);

    assert_memory_equal(upstream->bytes + at + 1, "abcdefgh", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_query_has_our_mark_and_nothing_of_the_client,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(letters_of_a_query_have_random_case, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_answer_must_repeat_the_question_byte_for_byte,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(broken_answers_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_answer_is_kept_for_its_smallest_ttl_but_an_hour_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(that_there_is_nothing_is_kept_as_the_soa_says,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(failures_and_cut_answers_are_not_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(opt_is_not_kept_but_its_code_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_client_gets_its_own_letters_and_the_ttl_that_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_answers_have_a_ttl_of_30_seconds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(answers_are_cut_between_records_and_say_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(additional_records_go_first_and_silently, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(validation_is_told_to_those_who_ask_for_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(our_random_letters_are_taken_out_of_the_records,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/grpc.h"
#include "base/err.h"

static void frames_are_taken_whole_one_by_one(void **state)
{
    static const char bytes[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\2x";
    struct rc_cursor in = rc_cursor_over(bytes, sizeof bytes - 1);
    struct rc_pack_bytes message;
    (void)state;

    assert_int_equal(grpc_frame_next(&in, 10, &message), RC_OK);
    assert_int_equal(message.size, 3);
    assert_memory_equal(message.at, "abc", 3);
    assert_int_equal(grpc_frame_next(&in, 10, &message), RC_OK);
    assert_int_equal(message.size, 0);
    assert_int_equal(grpc_frame_next(&in, 10, &message), RC_ETRUNCATED);
    assert_int_equal(rc_cursor_left(&in), 6); /* of a frame that is not whole, nothing */
}

static void frames_that_are_compressed_or_too_large_are_refused(void **state)
{
    struct rc_cursor compressed = rc_cursor_over("\1\0\0\0\1x", 6);
    struct rc_cursor large = rc_cursor_over("\0\xff\xff\xff\xff", 5);
    struct rc_pack_bytes message;
    (void)state;

    assert_int_equal(grpc_frame_next(&compressed, 10, &message), RC_EMALFORMED);
    assert_int_equal(grpc_frame_next(&large, 10, &message), RC_ETOOBIG);
}

static void head_of_a_frame_is_read_as_it_was_written(void **state)
{
    uint8_t frame[GRPC_FRAME_HEAD + 300] = {0};
    struct rc_pack_bytes message;
    (void)state;

    grpc_frame_head(300, frame);
    struct rc_cursor in = rc_cursor_over(frame, sizeof frame);

    assert_int_equal(grpc_frame_next(&in, 300, &message), RC_OK);
    assert_int_equal(message.size, 300);
}

static void trailers_say_how_a_call_ended(void **state)
{
    static const struct {
        const char *why;
        const char *name;
        const char *value;
        int status;
        const char *text;
    } cases[] = {
        {"well", "grpc-status", "0", 0, ""},
        {"no number", "grpc-status", "x", 1000, ""},
        {"nothing", "grpc-status", "", 1000, ""},
        {"a number without end", "grpc-status", "99999999999999999999", 1000, ""},
        {"words", "grpc-message", "etcdserver: no leader", -1, "etcdserver: no leader"},
        {"escaped", "grpc-message", "100%25 \xc3\xa4%0a%", -1, "100% \xc3\xa4\\n%"},
        {"escaped badly", "grpc-message", "%zz%4", -1, "%zz%4"},
        {"a NUL", "grpc-message", "a%00b", -1, "a b"},
        {"another header", "content-type", "application/grpc", -1, ""},
        {"a longer name", "grpc-status-details-bin", "5", -1, ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct grpc_end end;
        grpc_end_clear(&end);
        grpc_end_read(&end, rc_span_of(cases[i].name), rc_span_of(cases[i].value));
        if (end.status != cases[i].status || strcmp(end.text, cases[i].text) != 0) {
            fail_msg("%s: %d \"%s\"", cases[i].why, end.status, end.text);
        }
    }
}

static void long_words_are_cut(void **state)
{
    struct grpc_end end;
    char value[1000];
    (void)state;

    memset(value, 'x', sizeof value);
    grpc_end_clear(&end);
    grpc_end_read(&end, rc_span_of("grpc-message"),
                  (struct rc_span){value, sizeof value});

    assert_int_equal(strlen(end.text), GRPC_TEXT_MAX - 1);
}

static void answers_of_something_else_are_no_success(void **state)
{
    struct grpc_end end;
    (void)state;

    grpc_end_clear(&end);
    grpc_end_read(&end, rc_span_of(":status"), rc_span_of("404"));
    assert_int_equal(end.http_status, 404);
    assert_int_equal(grpc_status_of_http(200), GRPC_UNKNOWN);
    assert_int_equal(grpc_status_of_http(404), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_http(503), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(0), GRPC_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_taken_whole_one_by_one),
        cmocka_unit_test(frames_that_are_compressed_or_too_large_are_refused),
        cmocka_unit_test(head_of_a_frame_is_read_as_it_was_written),
        cmocka_unit_test(trailers_say_how_a_call_ended),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(answers_of_something_else_are_no_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

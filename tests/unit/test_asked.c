#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/event/asked.h"

static void answers_are_gathered_each_sender_once(void **state)
{
    struct asked_list *list = asked_create(1);
    struct rc_buffer out = {0};

    (void)state;
    struct asked *asked = asked_add(list, 7, 99, "load");
    asked_expect(asked, "a");
    asked_expect(asked, "b");
    asked_expect(asked, "c");
    asked_ack(asked, "a");
    asked_ack(asked, "b");
    asked_ack(asked, "a");
    asked_response(asked, "a", (const uint8_t *)"0.1", 3);
    asked_response(asked, "a", (const uint8_t *)"again", 5);
    asked_response(asked, "b", NULL, 0);
    asked_render(asked_find(list, 7), &out);

    assert_string_equal(
        rc_buffer_string(&out),
        "{\"ID\":7,\"Name\":\"load\",\"Acks\":[\"a\",\"b\"],\"Responses\":["
        "{\"From\":\"a\",\"Payload\":\"MC4x\"},"
        "{\"From\":\"b\",\"Payload\":null}],"
        "\"Unanswered\":[\"c\"],\"Dropped\":0}");
    assert_int_equal(asked_ticket(asked), 99);
    rc_buffer_fini(&out);
    asked_destroy(list);
}

static void open_queries_are_bounded(void **state)
{
    struct asked_list *list = asked_create(1);

    (void)state;
    for (uint32_t i = 0; i < ASKED_MAX; i++) {
        assert_false(asked_is_full(list));
        assert_non_null(asked_add(list, i, i, "q"));
    }
    assert_true(asked_is_full(list));
    assert_null(asked_add(list, 1000, 1, "q"));

    asked_remove(list, asked_find(list, 5));
    assert_null(asked_find(list, 5));
    assert_non_null(asked_add(list, 1000, 1, "q"));
    asked_destroy(list);
}

static void what_does_not_fit_is_counted(void **state)
{
    enum { LARGE = 1 << 20 };
    struct asked_list *list = asked_create(1);
    struct asked *asked = asked_add(list, 1, 1, "q");
    uint8_t *bytes = calloc(1, LARGE);
    struct rc_buffer out = {0};
    char name[2] = "a";

    (void)state;
    for (; name[0] < 'g'; name[0]++) {
        asked_response(asked, name, bytes, LARGE);
    }
    asked_render(asked, &out);

    assert_non_null(strstr(rc_buffer_string(&out), "\"Dropped\":2}"));
    rc_buffer_fini(&out);
    free(bytes);
    asked_destroy(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_gathered_each_sender_once),
        cmocka_unit_test(open_queries_are_bounded),
        cmocka_unit_test(what_does_not_fit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

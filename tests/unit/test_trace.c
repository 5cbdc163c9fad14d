/* test_trace.c - trace fields, proxy/log/trace.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/log/trace.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"

static void ids_are_found_in_sound_fields_only(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *id;
    } cases[] = {
        {"traceparent", "00-" ID "-00f067aa0ba902b7-01", ID},
        {"TraceParent", "00-" ID "-00f067aa0ba902b7-01", ID},
        {"traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
        {"traceparent", "00-" ID "-00f067aa0ba902b7", ""},
        {"traceparent", "00-" ID, ""},
        {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01", ""},
        {"traceparent", "", ""},
        {"b3", ID "-e457b5a2e4d86bd1-1", ID},
        {"b3", "e457b5a2e4d86bd1-e457b5a2e4d86bd1", "e457b5a2e4d86bd1"},
        {"b3", "0", ""},
        {"X-B3-TraceId", "463ac35c9f6413ad", "463ac35c9f6413ad"},
        {"X-B3-TraceId", "463ac35c9f6413a", ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum trace_field field = trace_field_of(rc_span_of(cases[i].name));
        assert_true(field != TRACE_NONE);
        struct rc_span id = trace_id_of(field, rc_span_of(cases[i].value));
        if (!rc_span_equals(id, cases[i].id)) {
            fail_msg("%s: %s gave \"%.*s\"", cases[i].name, cases[i].value, (int)id.size,
                     id.at);
        }
    }
}

static void other_fields_tell_nothing(void **state)
{
    (void)state;

    assert_int_equal(trace_field_of(rc_span_of("tracestate")), TRACE_NONE);
    assert_int_equal(trace_field_of(rc_span_of("")), TRACE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_in_sound_fields_only),
        cmocka_unit_test(other_fields_tell_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

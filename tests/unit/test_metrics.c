/* test_metrics.c - series that are found again, and Prometheus' text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"

static void the_text_is_that_of_prometheus(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    struct rc_buffer out = {0};
    (void)state;

    rc_metric_add(rc_metrics_counter(metrics, "q_total", "type=\"A\"", "Questions."), 2);
    rc_metric_set(rc_metrics_gauge(metrics, "members", NULL, "Members alive."), 7.5);
    rc_metric_move(rc_metrics_gauge(metrics, "members", NULL, "ignored"), -3);
    rc_metric_add(rc_metrics_counter(metrics, "q_total", "type=\"SRV\"", "ignored"), 1);
    rc_metrics_render(metrics, &out);
    assert_string_equal(rc_buffer_string(&out), "# HELP q_total Questions.\n"
                                                "# TYPE q_total counter\n"
                                                "q_total{type=\"A\"} 2\n"
                                                "q_total{type=\"SRV\"} 1\n"
                                                "# HELP members Members alive.\n"
                                                "# TYPE members gauge\n"
                                                "members 4.5\n");
    rc_buffer_fini(&out);
    rc_metrics_destroy(metrics);
}

static void buckets_add_up(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    struct rc_metric *time =
        rc_metrics_histogram(metrics, "t_seconds", "a=\"b\"", "Time.");
    struct rc_buffer out = {0};
    (void)state;

    rc_metric_observe_ns(time, 100000);          /* on the edge: belongs below it */
    rc_metric_observe_many_ns(time, 1100000, 1); /* 1.1 ms */
    rc_metric_observe_ns(time, 200000000000ULL); /* beyond all buckets */
    rc_metrics_render(metrics, &out);
    const char *text = rc_buffer_string(&out);
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"0.0025\"} 2\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"100\"} 2\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "t_seconds_sum{a=\"b\"} 200.001200000\n"));
    assert_non_null(strstr(text, "t_seconds_count{a=\"b\"} 3\n"));
    assert_int_equal(rc_metric_count(time), 3);
    rc_buffer_fini(&out);
    rc_metrics_destroy(metrics);
}

static void the_same_name_and_labels_are_one_series(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    (void)state;

    struct rc_metric *first = rc_metrics_counter(metrics, "a_total", "x=\"1\"", "A.");
    assert_ptr_equal(rc_metrics_counter(metrics, "a_total", "x=\"1\"", "A."), first);
    assert_ptr_not_equal(rc_metrics_counter(metrics, "a_total", NULL, "A."), first);
    rc_metrics_destroy(metrics);
}

static void series_are_bounded_and_null_is_ignored(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    char labels[32];
    struct rc_metric *last = NULL;
    (void)state;

    for (int i = 0; i <= 10000; i++) {
        (void)snprintf(labels, sizeof labels, "i=\"%d\"", i);
        last = rc_metrics_counter(metrics, "many_total", labels, "Many.");
    }
    assert_null(last);
    rc_metric_add(last, 1);
    rc_metric_set(last, 1);
    rc_metric_observe_ns(last, 1);
    assert_int_equal(rc_metric_count(last), 0);
    rc_metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_that_of_prometheus),
        cmocka_unit_test(buckets_add_up),
        cmocka_unit_test(the_same_name_and_labels_are_one_series),
        cmocka_unit_test(series_are_bounded_and_null_is_ignored),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

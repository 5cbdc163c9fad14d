#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "dns/answer/meter.h"
#include "dns/wire/message.h"

static void note(struct dns_meter *meter, size_t times, uint16_t type, uint16_t rcode)
{
    const struct dns_outcome outcome = {.size = 50, .type = type, .rcode = rcode};

    for (size_t i = 0; i < times; i++) {
        dns_meter_note(meter, &outcome);
    }
}

static void assert_told(const struct rc_metrics *metrics, const char *line)
{
    struct rc_buffer text = {0};

    rc_metrics_render(metrics, &text);
    if (strstr(rc_buffer_string(&text), line) == NULL) {
        fail_msg("%s is missing in\n%s", line, rc_buffer_string(&text));
    }
    rc_buffer_fini(&text);
}

static void batches_of_several_threads_add_up(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    struct dns_meter one;
    struct dns_meter two;
    const struct dns_outcome dropped = {.size = 0};
    const struct dns_outcome cut = {
        .size = 50, .type = DNS_TYPE_SRV, .truncated = DNS_YES};
    (void)state;

    dns_meter_init(&one, metrics);
    dns_meter_init(&two, metrics);
    note(&one, 3, DNS_TYPE_A, DNS_RCODE_NOERROR);
    note(&one, 1, DNS_TYPE_AAAA, DNS_RCODE_NXDOMAIN);
    dns_meter_note(&one, &dropped);
    dns_meter_tell(&one, DNS_PROTOCOL_UDP, 1000);
    note(&two, 4, DNS_TYPE_A, DNS_RCODE_NOERROR);
    dns_meter_note(&two, &cut);
    dns_meter_tell(&two, DNS_PROTOCOL_UDP, 1000);
    dns_meter_tell(&two, DNS_PROTOCOL_UDP, 1000); /* nothing was noted since */

    assert_told(metrics, "queries_total{proto=\"udp\",type=\"A\",rcode=\"NOERROR\"} 7\n");
    assert_told(metrics,
                "queries_total{proto=\"udp\",type=\"AAAA\",rcode=\"NXDOMAIN\"} 1\n");
    assert_told(metrics, "rollcall_dns_dropped_total{proto=\"udp\"} 1\n");
    assert_told(metrics, "rollcall_dns_truncated_total{proto=\"udp\"} 1\n");
    assert_told(metrics, "rollcall_dns_seconds_count{proto=\"udp\"} 9\n");
    rc_metrics_destroy(metrics);
}

static void what_is_not_listed_is_counted_as_other(void **state)
{
    struct rc_metrics *metrics = rc_metrics_create();
    struct dns_meter meter;
    (void)state;

    dns_meter_init(&meter, metrics);
    note(&meter, 2, 65280, 11);
    dns_meter_tell(&meter, DNS_PROTOCOL_TCP, 1000);

    assert_told(metrics, "{proto=\"tcp\",type=\"other\",rcode=\"other\"} 2\n");
    rc_metrics_destroy(metrics);
}

static void without_metrics_nothing_is_counted(void **state)
{
    struct dns_meter meter;
    (void)state;

    dns_meter_init(&meter, NULL);
    note(&meter, 2, DNS_TYPE_A, DNS_RCODE_NOERROR);
    dns_meter_tell(&meter, DNS_PROTOCOL_UDP, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_several_threads_add_up),
        cmocka_unit_test(what_is_not_listed_is_counted_as_other),
        cmocka_unit_test(without_metrics_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/event/event_log.h"
#include "agent/event/user_event.h"
#include "base/err.h"

static struct user_event event_of(const char *name, const char *payload, const char *node,
                                  const char *service, const char *tag)
{
    return (struct user_event){
        .name = name,
        .payload = (const uint8_t *)payload,
        .size = strlen(payload),
        .node_filter = node,
        .service_filter = service,
        .tag_filter = tag,
    };
}

static void without_filters_the_payload_travels_as_it_is(void **state)
{
    struct user_event event = event_of("deploy", "1.2.3", "", "", "");
    struct rc_buffer packed = {0};

    (void)state;
    assert_int_equal(user_event_pack(&event, &packed), RC_OK);

    assert_int_equal(packed.size, 5);
    assert_memory_equal(packed.bytes, "1.2.3", 5);
    rc_buffer_fini(&packed);
}

static void filters_come_back_whatever_the_payload_holds(void **state)
{
    static const struct {
        const char *payload;
        const char *node;
        const char *service;
        const char *tag;
    } cases[] = {
        {"", "n1", "", ""},
        {"1.2.3", "", "web", "v1|v2"},
        {"ends like a trailer: rollcall:1", "^a$", "b", "c"},
        {"x", "", "api", ""},
    };
    struct user_event_space space;
    struct user_event got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct user_event event = event_of("e", cases[i].payload, cases[i].node,
                                           cases[i].service, cases[i].tag);
        struct rc_buffer packed = {0};
        assert_int_equal(user_event_pack(&event, &packed), RC_OK);
        user_event_read("e", 7, packed.bytes, packed.size, &space, &got);
        assert_int_equal(got.size, event.size);
        assert_memory_equal(got.payload, event.payload, event.size);
        assert_string_equal(got.node_filter, cases[i].node);
        assert_string_equal(got.service_filter, cases[i].service);
        assert_string_equal(got.tag_filter, cases[i].tag);
        rc_buffer_fini(&packed);
    }
}

static void a_payload_that_only_looks_filtered_stays_payload(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"magic alone", "\0rollcall:1", 11},
        {"sizes of nothing", "\0\0\0\0\0\0\0rollcall:1", 17},
        {"sizes beyond the start", "a\0\5\0\0\0\0\0rollcall:1", 18},
        {"huge sizes", "abc\xff\xff\xff\xff\xff\xff\0rollcall:1", 20},
        {"a NUL in a filter", "\0\0\1\0\0\0\0\0rollcall:1", 18},
        {"the magic cut", "a\0\1\0\0\0\0\0rollcall:", 17},
    };
    struct user_event_space space;
    struct user_event got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        user_event_read("e", 1, (const uint8_t *)cases[i].bytes, cases[i].size, &space,
                        &got);
        if (got.size != cases[i].size || got.node_filter[0] != '\0') {
            fail_msg("%s: %zu bytes are left", cases[i].why, got.size);
        }
    }
}

static void more_than_serf_takes_is_refused(void **state)
{
    char payload[USER_EVENT_SIZE_MAX + 1];
    struct rc_buffer packed = {0};

    (void)state;
    memset(payload, 'x', sizeof payload);
    payload[USER_EVENT_SIZE_MAX - 1] = '\0'; /* with the name: exactly the limit */
    struct user_event event = event_of("e", payload, "", "", "");
    assert_int_equal(user_event_pack(&event, &packed), RC_OK);
    event.name = "ee";
    assert_int_equal(user_event_pack(&event, &packed), RC_ETOOBIG);
    event = event_of("e", payload + 200, "node", "", "");
    rc_buffer_clear(&packed);
    assert_int_equal(user_event_pack(&event, &packed), RC_OK);
    rc_buffer_fini(&packed);
}

static void faults_are_told_in_consuls_words(void **state)
{
    static const struct {
        struct user_event event;
        const char *fault;
    } cases[] = {
        {{.name = "", .node_filter = "", .service_filter = "", .tag_filter = ""},
         "User event missing name"},
        {{.name = "e", .node_filter = "", .service_filter = "", .tag_filter = "a"},
         "Cannot provide tag filter without service filter"},
        {{.name = "e", .node_filter = "(", .service_filter = "", .tag_filter = ""},
         "Invalid node filter: "},
        {{.name = "e", .node_filter = "", .service_filter = "[", .tag_filter = ""},
         "Invalid service filter: "},
        {{.name = "e", .node_filter = "", .service_filter = "a", .tag_filter = "*"},
         "Invalid tag filter: "},
    };
    char fault[USER_EVENT_FAULT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(user_event_check(&cases[i].event, fault), RC_EINVAL);
        if (strncmp(fault, cases[i].fault, strlen(cases[i].fault)) != 0) {
            fail_msg("%s, not %s", fault, cases[i].fault);
        }
    }
}

static void one_event_has_one_id_and_others_have_others(void **state)
{
    char a[USER_EVENT_ID_SIZE];
    char b[USER_EVENT_ID_SIZE];

    (void)state;
    user_event_id("deploy", 5, (const uint8_t *)"1", 1, a);
    user_event_id("deploy", 5, (const uint8_t *)"1", 1, b);
    assert_string_equal(a, b);
    user_event_id("deploy", 6, (const uint8_t *)"1", 1, b);
    assert_string_not_equal(a, b);
    user_event_id("deploy", 5, (const uint8_t *)"2", 1, b);
    assert_string_not_equal(a, b);
    user_event_id("deplo", 5, (const uint8_t *)"y1", 2, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
}

static void the_index_is_consuls(void **state)
{
    (void)state;
    /* Recorded from Consul 1.10: an ID, and the index of a list that ends with it. */
    assert_int_equal(user_event_index("81a2fe7d-04b2-f2e0-aa83-940cf67ab8a0"),
                     3107882255499414080U);
    assert_int_equal(user_event_index("81a2fe7d"), 0);
    assert_int_equal(user_event_index("81a2fe7d-04b2-f2e0-aa83-940cf67ab8a0-00"), 0);
    assert_int_equal(user_event_index("zza2fe7d-04b2-f2e0-aa83-940cf67ab8a0"), 0);
}

static const char *const web_tags[] = {"v1", "primary"};

static bool two_services(void *context, size_t *position, struct user_event_service *out)
{
    static const struct user_event_service services[] = {{"web", web_tags, 2},
                                                         {"db", NULL, 0}};
    (void)context;
    if (*position >= sizeof services / sizeof services[0]) {
        return false;
    }
    *out = services[(*position)++];
    return true;
}

static void filters_choose_by_node_service_and_tag(void **state)
{
    static const struct {
        const char *node;
        const char *service;
        const char *tag;
        bool want;
    } cases[] = {
        {"", "", "", true},           {"node1", "", "", true},
        {"ode", "", "", true},        {"^ode", "", "", false},
        {"node[23]", "", "", false},  {"", "web", "", true},
        {"", "w.b", "v1", true},      {"", "web", "^v2$", false},
        {"", "db", "v1", false},      {"", "cache", "", false},
        {"", "web|db", "prim", true}, {"node2", "web", "", false},
        {"(", "", "", false},         {"", "(", "", false},
        {"", "web", "(", false},
    };
    const struct user_event_node node = {"node1", two_services, NULL};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct user_event event =
            event_of("e", "", cases[i].node, cases[i].service, cases[i].tag);
        if (user_event_is_for(&event, &node) != cases[i].want) {
            fail_msg("node '%s' service '%s' tag '%s'", cases[i].node, cases[i].service,
                     cases[i].tag);
        }
    }
}

static void the_log_keeps_the_last_256(void **state)
{
    struct event_log *log = event_log_create();
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "e%u", i);
        struct user_event event = event_of(name, name, "n", "s", "t");
        event.ltime = i;
        assert_int_equal(event_log_add(log, &event), RC_OK);
    }

    assert_int_equal(event_log_count(log), EVENT_LOG_MAX);
    assert_string_equal(event_log_at(log, 0)->name, "e44");
    const struct user_event *last = event_log_at(log, EVENT_LOG_MAX - 1);
    assert_string_equal(last->name, "e299");
    assert_int_equal(last->ltime, 299);
    assert_memory_equal(last->payload, "e299", 4);
    assert_string_equal(last->tag_filter, "t");
    event_log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_filters_the_payload_travels_as_it_is),
        cmocka_unit_test(filters_come_back_whatever_the_payload_holds),
        cmocka_unit_test(a_payload_that_only_looks_filtered_stays_payload),
        cmocka_unit_test(more_than_serf_takes_is_refused),
        cmocka_unit_test(faults_are_told_in_consuls_words),
        cmocka_unit_test(one_event_has_one_id_and_others_have_others),
        cmocka_unit_test(the_index_is_consuls),
        cmocka_unit_test(filters_choose_by_node_service_and_tag),
        cmocka_unit_test(the_log_keeps_the_last_256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A seed is a run: twice the same, in bytes and in structs, and no other seed's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/gossip/wire_format.h"
#include "base/err.h"
#include "tests/sim/sim_play.h"

enum { SEEDS = 3 };

static uint64_t digest_of(const char *scenario, uint64_t seed, enum wire_passing mode)
{
    struct play_options options = {.scenario = scenario_find(scenario),
                                   .nodes = 12,
                                   .services = 1,
                                   .profile = "fast",
                                   .for_ms = 30000,
                                   .mode = mode,
                                   .replay = "rollcall-sim --nodes 12 "};
    struct outcome outcome;

    play(&options, seed, &outcome);
    measure_fini(&outcome.measure);
    wire_pass(WIRE_BYTES);
    return outcome.digest;
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t first = digest_of("mixed", seed, WIRE_BYTES);
        assert_true(first == digest_of("mixed", seed, WIRE_BYTES));
        assert_true(first != digest_of("mixed", seed + 100, WIRE_BYTES));
    }
}

static void runs_agree(const char *scenario, uint64_t seed)
{
    if (digest_of(scenario, seed, WIRE_PLAIN_BYTES) !=
        digest_of(scenario, seed, WIRE_STRUCTS)) {
        fail_msg("%s, seed %u: bytes and structs differ", scenario, (unsigned)seed);
    }
}

static void structs_and_bytes_are_the_same_run(void **state)
{
    static const char *const scenarios[] = {"mixed",    "churn", "leave",
                                            "part-10s", "flips", "loss-20"};

    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            runs_agree(scenarios[i], seed);
        }
    }
}

/* ---- the codec's double */

static void give(struct rc_random *random, const struct wire_field *field, void *place)
{
    static const uint8_t zeros[70000] = {0xc0}; /* a nil, for what is passed raw */
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    uint64_t number = rc_random_next(random) >> rc_random_below(random, 64);

    switch (field->kind) {
    case WIRE_FIELD_BYTES:
        *(struct rc_pack_bytes *)place =
            (struct rc_pack_bytes){zeros, sizes[rc_random_below(random, 8)]};
        break;
    case WIRE_FIELD_RAW:
        *(struct rc_pack_bytes *)place = (struct rc_pack_bytes){zeros, 1};
        break;
    case WIRE_FIELD_U8:
        *(uint8_t *)place = (uint8_t)number;
        break;
    case WIRE_FIELD_U16:
        *(uint16_t *)place = (uint16_t)number;
        break;
    case WIRE_FIELD_U32:
        *(uint32_t *)place = (uint32_t)number;
        break;
    case WIRE_FIELD_U64:
        *(uint64_t *)place = number;
        break;
    case WIRE_FIELD_BOOL:
        *(bool *)place = number % 2;
        break;
    case WIRE_FIELD_DOUBLE:
        *(double *)place = (double)number;
        break;
    case WIRE_FIELD_VERSIONS:
        ((struct wire_versions *)place)->size = WIRE_VERSIONS_SIZE;
        break;
    }
}

static void lengths_agree(const struct wire_format *format, struct rc_random *random)
{
    _Alignas(16) uint8_t message[512] = {0};
    _Alignas(16) uint8_t again[512] = {0};
    struct rc_buffer bytes = {0};
    struct rc_buffer structs = {0};

    assert_true(format->size <= sizeof message);
    for (size_t i = 0; i < format->count; i++) {
        if (rc_random_below(random, 4) != 0) {
            give(random, &format->fields[i], message + format->fields[i].offset);
        }
    }
    wire_write(format, message, &bytes);
    wire_pass(WIRE_STRUCTS);
    wire_write(format, message, &structs);
    struct rc_cursor in = rc_cursor_over(structs.bytes, structs.size);
    assert_int_equal(wire_read(format, &in, again), RC_OK);
    assert_int_equal(rc_cursor_left(&in), 0);
    wire_pass(WIRE_BYTES);
    assert_int_equal(bytes.size, structs.size);
    rc_buffer_fini(&bytes);
    rc_buffer_fini(&structs);
}

static void structs_take_as_many_bytes_as_their_messages(void **state)
{
    static const struct wire_format *const formats[] = {
        &wire_format_ping,       &wire_format_indirect_ping, &wire_format_ack,
        &wire_format_nack,       &wire_format_accusation,    &wire_format_alive,
        &wire_format_err,        &wire_format_push_pull,     &wire_format_node,
        &wire_format_user_head,  &wire_format_join,          &wire_format_leave,
        &wire_format_serf_state, &wire_format_event,         &wire_format_query,
        &wire_format_response,   &wire_format_relay,         &wire_format_udp_address,
        &wire_format_event_slot, &wire_format_event_item,    &wire_format_coordinate,
    };
    struct rc_random random;

    (void)state;
    rc_random_init(&random, 1);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof formats / sizeof(struct wire_format *); i++) {
            lengths_agree(formats[i], &random);
        }
    }
}

/* ---- scripts */

static void a_step_list_survives_its_text(void **state)
{
    struct play_options options = {.scenario = scenario_find("mixed"),
                                   .nodes = 20,
                                   .profile = "fast",
                                   .for_ms = 60000};
    struct step_list made;
    struct step_list read = {0};
    char path[] = "/tmp/rollcall-sim-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    play_plan(&options, 3, &made);
    step_print(&made, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(step_read(path, &read), RC_OK);
    (void)remove(path);
    assert_int_equal(made.count, read.count);
    for (size_t i = 0; i < made.count; i++) {
        assert_true(made.steps[i].at_ms == read.steps[i].at_ms);
        assert_true(made.steps[i].kind == read.steps[i].kind);
        assert_true(made.steps[i].node == read.steps[i].node);
        assert_true(made.steps[i].count == read.steps[i].count);
        assert_true(made.steps[i].amount == read.steps[i].amount);
        assert_true(made.steps[i].for_ms == read.steps[i].for_ms);
    }
    step_fini(&made);
    step_fini(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structs_take_as_many_bytes_as_their_messages),
        cmocka_unit_test(a_step_list_survives_its_text),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(structs_and_bytes_are_the_same_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

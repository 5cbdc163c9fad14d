/* test_archive.c - the store as a file: nothing that is not whole is taken for a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/archive.h"
#include "base/err.h"

static struct rc_pack_bytes bytes_of(const char *text)
{
    return (struct rc_pack_bytes){(const uint8_t *)text, strlen(text)};
}

static void write_two(struct rc_buffer *out)
{
    const struct archive_header header = {.revision = 42,
                                          .wall_ms = 1700000000123,
                                          .count = 2,
                                          .datacenter = "dc1",
                                          .engine = "sqlite"};
    const struct archive_record first = {
        .table = {"kv", 2}, .key = bytes_of("a"), .value = bytes_of("one"), .flags = 7};
    const struct archive_record second = {.table = {"queries", 7},
                                          .key = bytes_of("id"),
                                          .value = {(const uint8_t *)"\0\1", 2}};

    archive_begin(out, &header);
    archive_add(out, &first);
    archive_add(out, &second);
    archive_end(out);
    assert_int_equal(out->err, RC_OK);
}

static void what_was_written_is_read(void **state)
{
    struct rc_buffer file = {0};
    struct archive archive;
    struct archive_record record;
    char error[ARCHIVE_ERROR_MAX];

    (void)state;
    write_two(&file);
    assert_int_equal(archive_open(file.bytes, file.size, &archive, error), RC_OK);
    assert_int_equal(archive.header.revision, 42);
    assert_int_equal(archive.header.wall_ms, 1700000000123);
    assert_int_equal(archive.header.count, 2);
    assert_string_equal(archive.header.datacenter, "dc1");
    assert_string_equal(archive.header.engine, "sqlite");
    assert_int_equal(archive_next(&archive, &record), RC_OK);
    assert_int_equal(record.flags, 7);
    assert_memory_equal(record.value.at, "one", 3);
    assert_int_equal(archive_next(&archive, &record), RC_OK);
    assert_int_equal(record.table.size, 7);
    assert_int_equal(record.value.size, 2);
    assert_int_equal(archive_next(&archive, &record), RC_ENOTFOUND);
    rc_buffer_fini(&file);
}

static void a_file_that_is_cut_anywhere_is_refused(void **state)
{
    struct rc_buffer file = {0};
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];

    (void)state;
    write_two(&file);
    for (size_t size = 0; size < file.size; size++) {
        assert_int_equal(archive_open(file.bytes, size, &archive, error), RC_EMALFORMED);
    }
    rc_buffer_fini(&file);
}

static void a_changed_bit_anywhere_is_seen(void **state)
{
    struct rc_buffer file = {0};
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];

    (void)state;
    write_two(&file);
    for (size_t i = 0; i < file.size * 8; i++) {
        file.bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_not_equal(archive_open(file.bytes, file.size, &archive, error), RC_OK);
        file.bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    assert_int_equal(archive_open(file.bytes, file.size, &archive, error), RC_OK);
    rc_buffer_fini(&file);
}

static void a_count_that_lies_is_refused_though_the_checksum_fits(void **state)
{
    const struct archive_header header = {.count = 3};
    struct rc_buffer file = {0};
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];

    (void)state;
    archive_begin(&file, &header);
    archive_end(&file);
    assert_int_equal(archive_open(file.bytes, file.size, &archive, error), RC_EMALFORMED);
    assert_string_equal(error, "the snapshot's records are not well formed");
    rc_buffer_fini(&file);
}

static void a_later_version_is_told_from_garbage(void **state)
{
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];
    static const char later[] = "rollcall-store 2\n...";

    (void)state;
    assert_int_equal(archive_open(later, sizeof later, &archive, error), RC_EUNSUPPORTED);
    assert_int_equal(archive_open("x", 1, &archive, error), RC_EMALFORMED);
    assert_string_equal(error, "this is no snapshot of rollcall");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_file_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(a_changed_bit_anywhere_is_seen),
        cmocka_unit_test(a_count_that_lies_is_refused_though_the_checksum_fits),
        cmocka_unit_test(a_later_version_is_told_from_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

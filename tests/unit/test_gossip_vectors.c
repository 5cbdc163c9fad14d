/* test_gossip_vectors.c - every captured packet and stream of real agents is opened, decoded
 * and written again; LZW and malformed inputs of the same collection. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/gossip/envelope.h"
#include "agent/gossip/lzw.h"
#include "agent/gossip/wire.h"
#include "base/err.h"
#include "base/text.h"

#define FOLDER "tests/fixtures/gossip"

enum { HEX_MAX = 200000 };

struct vector {
    const char *id;
    const char *transport;
    struct rc_buffer bytes;
    struct envelope envelope;
    struct rc_buffer scratch;
    struct rc_buffer unpacked;
    size_t messages;  /* decoded */
    size_t identical; /* and written again byte for byte */
};

static const struct {
    uint8_t type;
    const struct wire_format *format;
} formats[] = {
    {WIRE_PING, &wire_format_ping},
    {WIRE_INDIRECT_PING, &wire_format_indirect_ping},
    {WIRE_ACK, &wire_format_ack},
    {WIRE_SUSPECT, &wire_format_accusation},
    {WIRE_ALIVE, &wire_format_alive},
    {WIRE_DEAD, &wire_format_accusation},
    {WIRE_NACK, &wire_format_nack},
    {WIRE_ERR, &wire_format_err},
    {WIRE_PUSH_PULL, &wire_format_push_pull},
};

static const struct wire_format *const serf_formats[] = {
    [WIRE_SERF_LEAVE] = &wire_format_leave,
    [WIRE_SERF_JOIN] = &wire_format_join,
    [WIRE_SERF_STATE] = &wire_format_serf_state,
    [WIRE_SERF_EVENT] = &wire_format_event,
    [WIRE_SERF_QUERY] = &wire_format_query,
    [WIRE_SERF_RESPONSE] = &wire_format_response,
    [WIRE_SERF_CONFLICT] = &wire_format_conflict,
    [WIRE_SERF_KEY_REQUEST] = &wire_format_key_request,
    [WIRE_SERF_KEY_RESPONSE] = &wire_format_key_response,
    [WIRE_SERF_RELAY] = &wire_format_relay,
};

static void from_hex(const char *hex, struct rc_buffer *out)
{
    size_t size = strlen(hex) / 2;
    assert_int_equal(rc_buffer_reserve(out, size + 1), RC_OK);
    assert_int_equal(rc_text_from_hex(hex, size, out->bytes + out->size), RC_OK);
    out->size += size;
}

/* Only the newer codec's signed numbers are written differently by us: then what we write
 * must at least be read as the same message, so writing it again gives the same bytes. */
static void writes_again(struct vector *v, const struct wire_format *format,
                         struct rc_cursor *in)
{
    union { /* room for any message */
        struct wire_query query;
        struct wire_conflict conflict;
        struct wire_indirect_ping indirect;
        struct wire_serf_state state;
    } message;
    struct rc_buffer once = {0};
    struct rc_buffer twice = {0};
    const uint8_t *start = in->at;

    if (wire_read(format, in, &message) != RC_OK) {
        fail_msg("%s: a message does not decode", v->id);
    }
    size_t size = (size_t)(in->at - start);
    wire_write(format, &message, &once);
    struct rc_cursor again = rc_cursor_over(once.bytes, once.size);
    assert_int_equal(wire_read(format, &again, &message), RC_OK);
    wire_write(format, &message, &twice);
    assert_int_equal(once.size, twice.size);
    assert_memory_equal(once.bytes, twice.bytes, once.size);
    bool same = once.size == size && memcmp(once.bytes, start, size) == 0;
    if (!same && strstr(v->id, "v010") == NULL) {
        fail_msg("%s: written differently", v->id);
    }
    v->messages++;
    v->identical += same;
    rc_buffer_fini(&once);
    rc_buffer_fini(&twice);
}

static void reads_serf(struct vector *v, struct rc_cursor *in)
{
    uint8_t type = rc_cursor_u8(in);

    if (type == WIRE_SERF_RELAY) { /* another message follows its head */
        writes_again(v, serf_formats[type], in);
        type = rc_cursor_u8(in);
    }
    if (type < WIRE_SERF_RELAY) {
        writes_again(v, serf_formats[type], in);
        return;
    }
    v->messages++; /* vector 56: no Serf message */
    v->identical++;
    in->at = in->end;
}

static void reads_push_pull(struct vector *v, struct rc_cursor *in)
{
    struct rc_cursor head = *in;
    struct wire_push_pull counts;

    assert_int_equal(wire_read(&wire_format_push_pull, &head, &counts), RC_OK);
    writes_again(v, &wire_format_push_pull, in);
    for (uint32_t i = 0; i < counts.nodes; i++) {
        writes_again(v, &wire_format_node, in);
    }
    assert_int_equal(rc_cursor_left(in), counts.user_state_size);
    if (counts.user_state_size > 0 && *in->at == WIRE_SERF_STATE) {
        reads_serf(v, in);
    } else { /* vector 55: not a Serf agent */
        (void)rc_cursor_take(in, counts.user_state_size);
    }
}

static void reads_message(struct vector *v, struct rc_cursor *in)
{
    uint8_t type = rc_cursor_u8(in);

    if (type == WIRE_PUSH_PULL) {
        reads_push_pull(v, in);
        return;
    }
    if (type == WIRE_USER) {
        if (v->transport[0] == 't') {
            writes_again(v, &wire_format_user_head, in);
        }
        reads_serf(v, in);
        return;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].type == type) {
            writes_again(v, formats[i].format, in);
            return;
        }
    }
    fail_msg("%s: type %u", v->id, type);
}

static void reads_packet(struct vector *v)
{
    struct rc_pack_bytes plain;
    struct rc_pack_bytes message;
    struct envelope_reader reader;
    size_t place = 0;
    int err;

    err = envelope_open_packet(&v->envelope,
                               (struct rc_pack_bytes){v->bytes.bytes, v->bytes.size},
                               &v->scratch, &plain, &place);
    if (err != RC_OK || envelope_strip_crc(&plain) != RC_OK) {
        fail_msg("%s: %s", v->id, rc_strerror(err));
    }
    envelope_reader_init(&reader, plain, &v->unpacked);
    while ((err = envelope_reader_next(&reader, &message)) == RC_OK) {
        struct rc_cursor in = rc_cursor_over(message.at, message.size);
        reads_message(v, &in);
        assert_int_equal(rc_cursor_left(&in), 0);
    }
    assert_int_equal(err, RC_ENOTFOUND);
}

static void reads_stream(struct vector *v)
{
    struct rc_cursor in = rc_cursor_over(v->bytes.bytes, v->bytes.size);
    size_t place = 0;

    if (strcmp(v->transport, "tcp-c2s") == 0) {
        assert_int_equal(envelope_accept_stream(&v->envelope, &in), RC_OK);
    }
    if (v->envelope.keyring.count > 0) {
        assert_int_equal(envelope_open_frame(&v->envelope, &in, &v->scratch, &place),
                         RC_OK);
        assert_int_equal(rc_cursor_left(&in), 0);
        in = rc_cursor_over(v->scratch.bytes, v->scratch.size);
    }
    if (*in.at == WIRE_COMPRESS) {
        (void)rc_cursor_u8(&in);
        assert_int_equal(envelope_unpack(&in, 1 << 20, &v->unpacked), RC_OK);
        in = rc_cursor_over(v->unpacked.bytes, v->unpacked.size);
    }
    reads_message(v, &in);
    assert_int_equal(rc_cursor_left(&in), 0);
}

static void test_nonce(void *ctx, uint8_t *out, size_t size)
{
    (void)ctx;
    memset(out, 7, size);
}

static void opens_envelope(struct vector *v, json_t *root)
{
    struct gossip_options options = {.nonce = test_nonce};
    struct gossip_key key;
    const char *hex = json_string_value(json_object_get(root, "key_hex"));
    const char *layers = json_string_value(json_object_get(root, "layers"));

    if (hex != NULL &&
        strstr(layers, "enc") != NULL) { /* 46 is the answer of a keyless one */
        key.size = strlen(hex) / 2;
        assert_int_equal(rc_text_from_hex(hex, key.size, key.bytes), RC_OK);
        options.keys = &key;
        options.key_count = 1;
    }
    if (strstr(layers, "hasLabel") != NULL ||
        json_object_get(root, "stream_label") != NULL) {
        options.label = "rc-label";
    }
    assert_int_equal(envelope_init(&v->envelope, &options), RC_OK);
}

static void check_file(const char *path, size_t *messages, size_t *identical)
{
    json_t *root = json_load_file(path, 0, NULL);
    struct vector v = {0};

    assert_non_null(root);
    v.id = json_string_value(json_object_get(root, "id"));
    v.transport = json_string_value(json_object_get(root, "transport"));
    from_hex(json_string_value(json_object_get(root, "hex")), &v.bytes);
    opens_envelope(&v, root);
    if (v.transport[0] == 'u') {
        reads_packet(&v);
    } else {
        reads_stream(&v);
    }
    assert_true(v.messages > 0);
    *messages += v.messages;
    *identical += v.identical;
    envelope_fini(&v.envelope);
    rc_buffer_fini(&v.bytes);
    rc_buffer_fini(&v.scratch);
    rc_buffer_fini(&v.unpacked);
    json_decref(root);
}

static void every_captured_vector_is_read_and_written_again(void **state)
{
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    size_t files = 0;
    size_t messages = 0;
    size_t identical = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) { // NOLINT(concurrency-mt-unsafe)
        char path[sizeof entry->d_name + sizeof FOLDER + 1];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", FOLDER, entry->d_name);
        check_file(path, &messages, &identical);
        files++;
    }
    (void)closedir(folder);
    print_message("# %zu vectors, %zu messages read, %zu written byte for byte\n", files,
                  messages, identical);
    assert_int_equal(files, 59);
}

/* What crashed released Go agents is at most refused: some message of each input is counted,
 * or the stream is closed. That it does no harm is the fuzzers' business too. */
static void check_malformed(json_t *entry)
{
    const struct rc_address from = {RC_ADDRESS_IPV4, {10, 0, 0, 2}, 7946};
    const struct gossip_options options = {
        .name = "alpha", .address = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 7946}};
    struct gossip *g = NULL;
    struct rc_buffer bytes = {0};
    struct gossip_action action;
    uint32_t stream;

    from_hex(json_string_value(json_object_get(entry, "hex")), &bytes);
    assert_int_equal(gossip_create(&options, 1, &g), RC_OK);
    if (strcmp(json_string_value(json_object_get(entry, "transport")), "udp") == 0) {
        gossip_packet(g, 2, &from, bytes.bytes, bytes.size);
    } else {
        assert_int_equal(gossip_stream_accepted(g, 2, &from, &stream), RC_OK);
        gossip_stream_data(g, 3, stream, bytes.bytes, bytes.size);
    }
    while (gossip_next_action(g, &action)) {
        assert_true(action.type != GOSSIP_MEMBER_EVENT ||
                    strcmp(action.member->said->name, "alpha") == 0 ||
                    action.member->said->versions[0] > 0);
    }
    gossip_destroy(g);
    rc_buffer_fini(&bytes);
}

static void malformed_inputs_make_no_odd_member(void **state)
{
    json_t *root = json_load_file(FOLDER "/malformed.json", 0, NULL);
    json_t *entry;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "inputs"), i, entry)
    {
        check_malformed(entry);
    }
    assert_true(i > 20);
    json_decref(root);
}

static void check_lzw(json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *packed_hex = json_string_value(json_object_get(entry, "compressed_hex"));
    const char *plain_hex = json_string_value(json_object_get(entry, "input_hex"));
    struct rc_buffer packed = {0};
    struct rc_buffer plain = {0};
    struct rc_buffer got = {0};

    if (packed_hex != NULL && plain_hex != NULL) {
        from_hex(packed_hex, &packed);
        from_hex(plain_hex, &plain);
        int err = lzw_decode(packed.bytes, packed.size, 1 << 20, &got);
        if (err != RC_OK || got.size != plain.size ||
            (got.size > 0 && memcmp(got.bytes, plain.bytes, got.size) != 0)) {
            fail_msg("lzw %s: %s", name, rc_strerror(err));
        }
        if (plain.size > 0) {
            rc_buffer_clear(&got);
            assert_int_equal(lzw_decode(packed.bytes, packed.size, plain.size - 1, &got),
                             RC_ETOOBIG);
        }
    }
    rc_buffer_fini(&packed);
    rc_buffer_fini(&plain);
    rc_buffer_fini(&got);
}

static void lzw_gives_what_go_packed_and_never_more_than_allowed(void **state)
{
    json_t *root = json_load_file(FOLDER "/lzw.json", 0, NULL);
    json_t *entry;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "vectors"), i, entry)
    {
        check_lzw(entry);
    }
    json_decref(root);
}

static int open_packet(struct envelope *envelope, const struct rc_buffer *packet,
                       struct rc_buffer *scratch, struct rc_pack_bytes *plain)
{
    size_t place = 0;

    return envelope_open_packet(envelope,
                                (struct rc_pack_bytes){packet->bytes, packet->size},
                                scratch, plain, &place);
}

static void check_closed(size_t key_size)
{
    struct gossip_key key = {.size = key_size};
    struct gossip_key other = {.size = key_size, .bytes = {1}};
    struct gossip_options options = {
        .keys = &key, .key_count = 1, .label = "x", .nonce = test_nonce};
    struct rc_pack_bytes hello = rc_pack_text("\x08hello");
    struct envelope ours;
    struct envelope theirs;
    struct rc_buffer packet = {0};
    struct rc_buffer scratch = {0};
    struct rc_pack_bytes plain;

    assert_int_equal(envelope_init(&ours, &options), RC_OK);
    options.keys = &other;
    assert_int_equal(envelope_init(&theirs, &options), RC_OK);
    envelope_close_packet(&ours, hello, &packet);

    assert_int_equal(packet.size, hello.size + envelope_overhead(&ours));
    assert_int_equal(open_packet(&ours, &packet, &scratch, &plain), RC_OK);
    assert_true(rc_pack_equals(plain, hello));
    assert_int_equal(open_packet(&theirs, &packet, &scratch, &plain), RC_EDENIED);
    packet.bytes[packet.size - 1] ^= 1;
    assert_int_equal(open_packet(&ours, &packet, &scratch, &plain), RC_EDENIED);
    packet.bytes[2] = 'y';
    assert_int_equal(open_packet(&ours, &packet, &scratch, &plain), RC_ECONFLICT);
    envelope_fini(&ours);
    envelope_fini(&theirs);
    rc_buffer_fini(&packet);
    rc_buffer_fini(&scratch);
}

static void a_closed_packet_opens_only_with_its_key_and_label(void **state)
{
    (void)state;
    check_closed(16);
    check_closed(24);
    check_closed(32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_captured_vector_is_read_and_written_again),
        cmocka_unit_test(lzw_gives_what_go_packed_and_never_more_than_allowed),
        cmocka_unit_test(malformed_inputs_make_no_odd_member),
        cmocka_unit_test(a_closed_packet_opens_only_with_its_key_and_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

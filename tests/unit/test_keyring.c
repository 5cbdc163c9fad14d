/* test_keyring.c - the ring of keys, who does AES-GCM, and answers to the pool about keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/key_query.h"
#include "base/err.h"

static const struct gossip_key red = {.size = 32, .bytes = {1}};
static const struct gossip_key blue = {.size = 16, .bytes = {2}};
static const struct gossip_key green = {.size = 24, .bytes = {3}};

static void a_ring_keeps_its_order_and_its_first_key(void **state)
{
    struct keyring ring = {.count = 0};
    struct gossip_key odd = {.size = 20};

    (void)state;
    assert_int_equal(keyring_add(&ring, &red), RC_OK);
    assert_int_equal(keyring_add(&ring, &blue), RC_OK);
    assert_int_equal(keyring_add(&ring, &green), RC_OK);
    assert_int_equal(keyring_add(&ring, &blue), RC_OK);
    assert_int_equal(ring.count, 3);
    assert_int_equal(keyring_add(&ring, &odd), RC_EINVAL);

    assert_int_equal(keyring_use(&ring, &green), RC_OK);
    assert_int_equal(keyring_find(&ring, &green), 0);
    assert_int_equal(keyring_find(&ring, &red), 1);
    assert_int_equal(keyring_find(&ring, &blue), 2);
    assert_int_equal(keyring_use(&ring, &odd), RC_ENOTFOUND);

    assert_int_equal(keyring_remove(&ring, &green), RC_EDENIED);
    assert_int_equal(keyring_remove(&ring, &odd), RC_OK);
    assert_int_equal(keyring_remove(&ring, &red), RC_OK);
    assert_int_equal(ring.count, 2);
    assert_int_equal(keyring_find(&ring, &blue), 1);
    keyring_fini(&ring);
    assert_int_equal(ring.count, 0);
}

static void a_full_ring_takes_no_more(void **state)
{
    struct keyring ring = {.count = 0};
    struct gossip_key key = {.size = 32};

    (void)state;
    for (size_t i = 0; i < GOSSIP_KEYS_MAX; i++) {
        key.bytes[0] = (uint8_t)i;
        assert_int_equal(keyring_add(&ring, &key), RC_OK);
    }
    key.bytes[0] = GOSSIP_KEYS_MAX;
    assert_int_equal(keyring_add(&ring, &key), RC_ETOOBIG);
    keyring_fini(&ring);
}

static void whichever_key_fits_opens(void **state)
{
    static const uint8_t nonce[SEAL_NONCE_SIZE] = {7};
    const struct rc_pack_bytes plain = {(const uint8_t *)"hello", 5};
    const struct rc_pack_bytes aad = {NULL, 0};
    struct keyring sender = {.count = 0};
    struct keyring ring = {.count = 0};
    uint8_t sealed[5 + SEAL_TAG_SIZE];
    uint8_t opened[5];
    size_t place = 9;

    (void)state;
    assert_int_equal(keyring_add(&sender, &blue), RC_OK);
    assert_int_equal(keyring_lock(&sender, nonce, aad, plain, sealed), RC_OK);
    assert_int_equal(keyring_add(&ring, &red), RC_OK);
    assert_int_equal(keyring_unlock(&ring, nonce, aad,
                                    (struct rc_pack_bytes){sealed, sizeof sealed}, opened,
                                    &place),
                     RC_EDENIED);
    assert_int_equal(keyring_add(&ring, &blue), RC_OK);
    assert_int_equal(keyring_unlock(&ring, nonce, aad,
                                    (struct rc_pack_bytes){sealed, sizeof sealed}, opened,
                                    &place),
                     RC_OK);
    assert_int_equal(place, 1);
    assert_memory_equal(opened, "hello", 5);
    keyring_fini(&sender);
    keyring_fini(&ring);
}

/* ---- Processors without AES instructions, machines without libcrypto. */

static int unsupported(const uint8_t *key, size_t size, void **out)
{
    (void)key;
    (void)size;
    (void)out;
    return RC_EUNSUPPORTED;
}

static int missing(const uint8_t *key, size_t size, void **out)
{
    (void)key;
    (void)size;
    (void)out;
    return RC_ENOTFOUND;
}

static void without_aes_instructions_libcrypto_speaks_the_same(void **state)
{
    static const struct seal_engine no_aes = {.create = unsupported};
    static const struct seal_engine *const engines[] = {&no_aes, &seal_openssl};
    static const uint8_t nonce[SEAL_NONCE_SIZE] = {7};
    const struct rc_pack_bytes plain = {(const uint8_t *)"hello", 5};
    const struct rc_pack_bytes aad = {(const uint8_t *)"x", 1};
    struct seal *usual = NULL;
    struct seal *fallback = NULL;
    uint8_t one[5 + SEAL_TAG_SIZE];
    uint8_t two[5 + SEAL_TAG_SIZE];

    (void)state;
    assert_int_equal(seal_create(red.bytes, red.size, &usual), RC_OK);
    assert_int_equal(seal_create_by(engines, 2, red.bytes, red.size, &fallback), RC_OK);
    assert_string_equal(seal_cipher(fallback), "AES-256-GCM, libcrypto");
    assert_int_equal(seal_lock(usual, nonce, aad, plain, one), RC_OK);
    assert_int_equal(seal_lock(fallback, nonce, aad, plain, two), RC_OK);
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(
        seal_unlock(fallback, nonce, aad, (struct rc_pack_bytes){one, sizeof one}, two),
        RC_OK);
    assert_memory_equal(two, "hello", 5);
    seal_destroy(usual);
    seal_destroy(fallback);
}

static void without_libcrypto_too_it_is_refused(void **state)
{
    static const struct seal_engine no_aes = {.create = unsupported};
    static const struct seal_engine no_library = {.create = missing};
    static const struct seal_engine *const engines[] = {&no_aes, &no_library};
    struct seal *seal = NULL;

    (void)state;
    assert_int_equal(seal_create_by(engines, 2, red.bytes, red.size, &seal),
                     RC_ENOTFOUND);
    assert_null(seal);
}

/* ---- Answers. */

struct kept {
    int err; /* what keeping returns */
    size_t calls;
    enum gossip_key_change change;
    struct gossip_key keys[GOSSIP_KEYS_MAX];
    size_t count;
};

static int keep(void *ctx, enum gossip_key_change change, const struct gossip_key *keys,
                size_t count)
{
    struct kept *kept = ctx;

    kept->calls++;
    kept->change = change;
    kept->count = count;
    memcpy(kept->keys, keys, count * sizeof *keys);
    return kept->err;
}

static void nonce_of(void *ctx, uint8_t *out, size_t size)
{
    (void)ctx;
    memset(out, 1, size);
}

static struct gossip *with_keys(const struct gossip_key *keys, size_t count,
                                struct kept *kept)
{
    const struct gossip_options options = {
        .name = "enc-a",
        .address = {RC_ADDRESS_IPV4, {127, 0, 0, 21}, 17946},
        .keys = keys,
        .key_count = count,
        .nonce = nonce_of,
        .keep_keys = keep,
        .keep_keys_ctx = kept,
    };
    struct gossip *g = NULL;

    memset(kept, 0, sizeof *kept);
    assert_int_equal(gossip_create(&options, 1000, &g), RC_OK);
    return g;
}

static void expect_hex(const struct rc_buffer *got, const char *want)
{
    char text[4096];

    assert_true(2 * got->size < sizeof text);
    rc_text_to_hex(got->bytes, got->size, text);
    assert_string_equal(text, want);
}

/* Captured from a Serf 0.9.4: vectors 39 and 42. */
static void answers_are_serfs_to_the_byte(void **state)
{
    struct gossip_key serfs = {.size = 32};
    struct kept kept;
    struct rc_buffer out = {0};
    struct rc_buffer request = {0};

    (void)state;
    for (size_t i = 0; i < sizeof serfs.bytes; i++) {
        serfs.bytes[i] = (uint8_t)i;
    }
    struct gossip *g = with_keys(&serfs, 1, &kept);

    assert_int_equal(key_query_answer(g, rc_pack_text("list-keys"),
                                      (struct rc_pack_bytes){NULL, 0}, 1024, &out),
                     RC_OK);
    expect_hex(&out, "0884a44b65797391da002c41414543417751464267634943516f4c4441304f4478"
                     "415245684d554652595847426b61477877644868383da74d657373616765a0aa50"
                     "72696d6172794b6579da002c41414543417751464267634943516f4c4441304f44"
                     "78415245684d554652595847426b61477877644868383da6526573756c74c3");

    const struct wire_key_request wire = {.key = {serfs.bytes, serfs.size}};
    rc_buffer_byte(&request, WIRE_SERF_KEY_REQUEST);
    wire_write(&wire_format_key_request, &wire, &request);
    rc_buffer_clear(&out);
    assert_int_equal(key_query_answer(g, rc_pack_text("remove-key"),
                                      (struct rc_pack_bytes){request.bytes, request.size},
                                      1024, &out),
                     RC_OK);
    expect_hex(&out,
               "0884a44b657973c0a74d657373616765da002752656d6f76696e6720746865207072"
               "696d617279206b6579206973206e6f7420616c6c6f776564aa5072696d6172794b"
               "6579a0a6526573756c74c2");
    gossip_destroy(g);
    rc_buffer_fini(&out);
    rc_buffer_fini(&request);
}

static void order(struct gossip *g, const char *name, const struct gossip_key *key,
                  bool want, const char *message)
{
    const struct wire_key_request wire = {.key = {key->bytes, key->size}};
    struct wire_key_response response;
    struct rc_buffer request = {0};
    struct rc_buffer out = {0};

    rc_buffer_byte(&request, WIRE_SERF_KEY_REQUEST);
    wire_write(&wire_format_key_request, &wire, &request);
    assert_int_equal(key_query_answer(g, rc_pack_text(name),
                                      (struct rc_pack_bytes){request.bytes, request.size},
                                      1024, &out),
                     RC_OK);
    struct rc_cursor in = rc_cursor_over(out.bytes, out.size);
    assert_int_equal(rc_cursor_u8(&in), WIRE_SERF_KEY_RESPONSE);
    assert_int_equal(wire_read(&wire_format_key_response, &in, &response), RC_OK);
    if (response.result != want ||
        !rc_pack_equals(response.message, rc_pack_text(message))) {
        fail_msg("%s: %d '%.*s'", name, response.result, (int)response.message.size,
                 (const char *)response.message.at);
    }
    rc_buffer_fini(&request);
    rc_buffer_fini(&out);
}

static void what_the_pool_orders_is_kept_before_it_is_done(void **state)
{
    struct kept kept;
    struct gossip *g = with_keys(&red, 1, &kept);
    const struct keyring *ring = &g->envelope.keyring;

    (void)state;
    order(g, "install-key", &blue, true, "");
    assert_int_equal(kept.change, GOSSIP_KEY_INSTALLED);
    assert_int_equal(kept.count, 2);
    assert_memory_equal(&kept.keys[0], &red, sizeof red);
    order(g, "use-key", &blue, true, "");
    assert_memory_equal(&kept.keys[0], &blue, sizeof blue);
    assert_memory_equal(&kept.keys[1], &red, sizeof red);
    order(g, "remove-key", &red, true, "");
    assert_int_equal(kept.count, 1);
    assert_int_equal(ring->count, 1);
    assert_int_equal(keyring_find(ring, &blue), 0);
    assert_int_equal(kept.calls, 3);
    assert_int_equal(g->counters.keys_changed, 3);

    order(g, "install-key", &blue, true, "");
    order(g, "use-key", &blue, true, "");
    order(g, "remove-key", &red, true, "");
    assert_int_equal(kept.calls, 3); /* nothing was new */
    gossip_destroy(g);
}

static void what_cannot_be_kept_is_not_done(void **state)
{
    const struct gossip_key both[] = {red, blue};
    struct kept kept;
    struct gossip *g = with_keys(both, 2, &kept);
    const struct keyring *ring = &g->envelope.keyring;

    (void)state;
    kept.err = RC_EIO;
    order(g, "install-key", &green, false, "the keyring file cannot be written");
    order(g, "use-key", &blue, false, "the keyring file cannot be written");
    order(g, "remove-key", &blue, false, "the keyring file cannot be written");
    assert_int_equal(ring->count, 2);
    assert_int_equal(keyring_find(ring, &red), 0);
    assert_int_equal(keyring_find(ring, &blue), 1);
    gossip_destroy(g);
}

static void nonsense_is_answered_in_words(void **state)
{
    const struct gossip_key odd = {.size = 20};
    struct gossip_key key = {.size = 32};
    struct kept kept;
    struct gossip *g = with_keys(&red, 1, &kept);
    struct rc_buffer out = {0};

    (void)state;
    order(g, "install-key", &odd, false, "key size must be 16, 24 or 32 bytes");
    order(g, "use-key", &green, false, "Requested key is not in the keyring");
    order(g, "remove-key", &red, false, "Removing the primary key is not allowed");
    for (size_t i = 1; i < GOSSIP_KEYS_MAX; i++) {
        key.bytes[5] = (uint8_t)i;
        order(g, "install-key", &key, true, "");
    }
    order(g, "install-key", &green, false, "the keyring is full: remove a key first");
    assert_int_equal(key_query_answer(g, rc_pack_text("steal-key"),
                                      (struct rc_pack_bytes){NULL, 0}, 1024, &out),
                     RC_ENOTFOUND);
    assert_int_equal(out.size, 0);
    assert_int_equal(key_query_answer(g, rc_pack_text("use-key"),
                                      (struct rc_pack_bytes){NULL, 0}, 1024, &out),
                     RC_OK); /* no payload at all */
    gossip_destroy(g);
    rc_buffer_fini(&out);
}

static void a_plain_pool_has_no_keyring(void **state)
{
    struct kept kept;
    struct gossip *g = with_keys(NULL, 0, &kept);

    (void)state;
    order(g, "install-key", &red, false, "No keyring to modify (encryption not enabled)");
    order(g, "list-keys", &red, false, "Keyring is empty (encryption not enabled)");
    assert_false(gossip_is_encrypted(g));
    gossip_destroy(g);
}

static void while_plain_gossip_passes_there_is_no_word_about_keys(void **state)
{
    static const char message[] =
        "encryption is being switched (encrypt_verify_*): no word about keys now";
    const struct gossip_cover covers[] = {{.sends_plain = true}, {.takes_plain = true}};
    struct kept kept;
    struct gossip *g = with_keys(&red, 1, &kept);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        gossip_set_cover(g, covers[i]);
        order(g, "list-keys", &red, false, message);
        order(g, "install-key", &blue, false, message);
        order(g, "use-key", &red, false, message);
        order(g, "remove-key", &blue, false, message);
    }
    assert_int_equal(kept.calls, 0);
    gossip_set_cover(g, (struct gossip_cover){.sends_plain = false});
    order(g, "install-key", &blue, true, "");
    gossip_destroy(g);
}

static void a_list_too_long_is_cut_and_says_so(void **state)
{
    struct gossip_key all[GOSSIP_KEYS_MAX];
    const struct rc_pack_bytes none = {NULL, 0};
    struct kept kept;
    struct wire_key_response response;
    struct rc_buffer out = {0};

    (void)state;
    for (size_t i = 0; i < GOSSIP_KEYS_MAX; i++) {
        all[i] = (struct gossip_key){.size = 32, .bytes = {(uint8_t)i}};
    }
    struct gossip *g = with_keys(all, GOSSIP_KEYS_MAX, &kept);
    assert_int_equal(key_query_answer(g, rc_pack_text("list-keys"), none, 1024, &out),
                     RC_OK);
    size_t max = out.size - 1; /* the remark takes the room of a second key */
    rc_buffer_clear(&out);
    assert_int_equal(key_query_answer(g, rc_pack_text("list-keys"), none, max, &out),
                     RC_OK);
    assert_true(out.size <= max);
    struct rc_cursor in = rc_cursor_over(out.bytes + 1, out.size - 1);
    assert_int_equal(wire_read(&wire_format_key_response, &in, &response), RC_OK);
    assert_true(response.result);
    assert_true(rc_pack_equals(
        response.message,
        rc_pack_text("truncated key list response, showing first 6 of 8 keys")));
    struct rc_cursor keys = rc_cursor_over(response.raw_keys.at, response.raw_keys.size);
    assert_int_equal(rc_pack_read_array(&keys), 6);

    rc_buffer_clear(&out);
    assert_int_equal(key_query_answer(g, rc_pack_text("list-keys"), none, 20, &out),
                     RC_ETOOBIG);
    rc_buffer_fini(&out);
    gossip_destroy(g);
}

static void a_fingerprint_tells_keys_apart_and_is_none(void **state)
{
    char of_red[SEAL_PRINT_SIZE];
    char of_blue[SEAL_PRINT_SIZE];
    char again[SEAL_PRINT_SIZE];

    (void)state;
    seal_fingerprint(red.bytes, red.size, of_red);
    seal_fingerprint(blue.bytes, blue.size, of_blue);
    seal_fingerprint(red.bytes, red.size, again);

    assert_int_equal(strspn(of_red, "0123456789abcdef"), SEAL_PRINT_SIZE - 1);
    assert_string_equal(of_red, again);
    assert_string_not_equal(of_red, of_blue);
    assert_null(strstr(of_red, "0100000000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fingerprint_tells_keys_apart_and_is_none),
        cmocka_unit_test(a_ring_keeps_its_order_and_its_first_key),
        cmocka_unit_test(a_full_ring_takes_no_more),
        cmocka_unit_test(whichever_key_fits_opens),
        cmocka_unit_test(without_aes_instructions_libcrypto_speaks_the_same),
        cmocka_unit_test(without_libcrypto_too_it_is_refused),
        cmocka_unit_test(answers_are_serfs_to_the_byte),
        cmocka_unit_test(what_the_pool_orders_is_kept_before_it_is_done),
        cmocka_unit_test(what_cannot_be_kept_is_not_done),
        cmocka_unit_test(nonsense_is_answered_in_words),
        cmocka_unit_test(a_plain_pool_has_no_keyring),
        cmocka_unit_test(while_plain_gossip_passes_there_is_no_word_about_keys),
        cmocka_unit_test(a_list_too_long_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

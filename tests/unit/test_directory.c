/* test_directory.c - tokens, policies and roles as the store has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/acl/directory.h"
#include "base/err.h"
#include "base/text.h"

#define POLICY "eeeeeeee-0000-4000-8000-000000000001"
#define ROLE   "eeeeeeee-0000-4000-8000-000000000002"
#define TOKEN  "eeeeeeee-0000-4000-8000-000000000003"

static struct directory *create(void)
{
    const struct directory_options options = {.datacenter = "dc1", .seed = 1};
    struct directory *directory = directory_create(&options);

    assert_non_null(directory);
    return directory;
}

static void put(struct directory *directory, enum directory_kind kind, const char *text,
                uint64_t index)
{
    assert_int_equal(directory_put(directory, kind, text, strlen(text), index), RC_OK);
}

static bool may(struct directory *directory, const char *accessor,
                enum rule_resource resource, const char *name, enum rule_access access)
{
    struct subject *subject = NULL;

    return directory_subject(directory, accessor, &subject) == RC_OK &&
           grant_allows(subject->grant, resource, name, access, NULL);
}

static void role_gives_what_its_policies_give(void **state)
{
    struct directory *directory = create();

    (void)state;
    put(directory, DIRECTORY_POLICY,
        "{\"ID\":\"" POLICY "\",\"Name\":\"p\",\"Rules\":\"key \\\"a\\\" { policy = "
        "\\\"write\\\" }\"}",
        5);
    put(directory, DIRECTORY_ROLE,
        "{\"ID\":\"" ROLE "\",\"Name\":\"r\",\"Policies\":[\"" POLICY "\"]}", 6);
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" TOKEN "\",\"Roles\":[\"" ROLE "\"]}", 7);

    assert_true(may(directory, TOKEN, RULE_KEY, "a", RULE_TO_WRITE));
    assert_false(may(directory, TOKEN, RULE_KEY, "b", RULE_TO_WRITE));

    directory_remove(directory, DIRECTORY_POLICY, POLICY);
    assert_false(may(directory, TOKEN, RULE_KEY, "a", RULE_TO_WRITE));
    directory_destroy(directory);
}

static void policies_of_other_datacenters_do_not_count(void **state)
{
    struct directory *directory = create();

    (void)state;
    put(directory, DIRECTORY_POLICY,
        "{\"ID\":\"" POLICY "\",\"Name\":\"p\",\"Datacenters\":[\"dc2\"],"
        "\"Rules\":\"operator = \\\"write\\\"\"}",
        5);
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" TOKEN "\",\"Policies\":[\"" POLICY "\"]}", 7);

    assert_false(may(directory, TOKEN, RULE_OPERATOR, "", RULE_TO_WRITE));
    directory_destroy(directory);
}

static void identities_are_policies_of_one_name(void **state)
{
    struct directory *directory = create();

    (void)state;
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" TOKEN "\",\"ServiceIdentities\":[{\"ServiceName\":\"web\"},"
        "{\"ServiceName\":\"x\\\" { policy = \\\"write\\\" } operator = \\\"write\\\" #\"}],"
        "\"NodeIdentities\":[{\"NodeName\":\"n1\",\"Datacenter\":\"dc1\"},"
        "{\"NodeName\":\"n2\",\"Datacenter\":\"dc2\"}]}",
        7);

    assert_true(may(directory, TOKEN, RULE_SERVICE, "web", RULE_TO_WRITE));
    assert_false(may(directory, TOKEN, RULE_SERVICE, "db", RULE_TO_WRITE));
    assert_true(may(directory, TOKEN, RULE_SERVICE, "db", RULE_TO_READ));
    assert_true(may(directory, TOKEN, RULE_NODE, "n1", RULE_TO_WRITE));
    assert_false(may(directory, TOKEN, RULE_NODE, "n2", RULE_TO_WRITE));
    assert_false(may(directory, TOKEN, RULE_OPERATOR, "", RULE_TO_READ));
    directory_destroy(directory);
}

static void token_with_a_policy_that_cannot_be_read_is_no_token(void **state)
{
    struct directory *directory = create();
    struct subject *subject = NULL;

    (void)state;
    put(directory, DIRECTORY_POLICY,
        "{\"ID\":\"" POLICY "\",\"Name\":\"p\",\"Rules\":\"key \\\"a\\\" {\"}", 5);
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" TOKEN "\",\"Policies\":[\"" POLICY
        "\",\"" DIRECTORY_MANAGEMENT "\"]}",
        7);

    assert_int_equal(directory_subject(directory, TOKEN, &subject), RC_EMALFORMED);
    directory_destroy(directory);
}

static void anonymous_token_comes_back_when_its_document_goes(void **state)
{
    struct directory *directory = create();
    struct directory_item item;

    (void)state;
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" DIRECTORY_ANONYMOUS
        "\",\"Policies\":[\"" DIRECTORY_MANAGEMENT "\"]}",
        7);
    assert_true(may(directory, DIRECTORY_ANONYMOUS, RULE_OPERATOR, "", RULE_TO_WRITE));
    directory_remove(directory, DIRECTORY_TOKEN, DIRECTORY_ANONYMOUS);

    assert_true(directory_find(directory, DIRECTORY_TOKEN, DIRECTORY_ANONYMOUS, &item));
    assert_true(item.is_built_in);
    assert_false(may(directory, DIRECTORY_ANONYMOUS, RULE_OPERATOR, "", RULE_TO_READ));
    directory_clear(directory);
    assert_true(directory_find_name(directory, DIRECTORY_ROLE, "admin", &item));
    directory_destroy(directory);
}

static void token_is_found_by_the_hash_of_its_secret_only(void **state)
{
    struct directory *directory = create();
    struct directory_item item;
    uint8_t hash[SECRET_HASH_SIZE];

    (void)state;
    memset(hash, 0xab, sizeof hash);
    put(directory, DIRECTORY_TOKEN,
        "{\"AccessorID\":\"" TOKEN "\",\"SecretHash\":\"abababababababababababababababab"
        "abababababababababababababababab\"}",
        7);
    assert_true(directory_find_hash(directory, hash, &item));
    assert_string_equal(item.id, TOKEN);
    hash[31] ^= 1;
    assert_false(directory_find_hash(directory, hash, &item));

    hash[31] ^= 1;
    put(directory, DIRECTORY_TOKEN, "{\"AccessorID\":\"" TOKEN "\"}", 8);
    assert_false(directory_find_hash(directory, hash, &item));
    assert_true(directory_find(directory, DIRECTORY_TOKEN, TOKEN, &item));
    assert_int_equal(item.create_index, 7);
    assert_int_equal(item.modify_index, 8);
    directory_destroy(directory);
}

static void what_is_no_document_changes_nothing(void **state)
{
    static const char *const texts[] = {"", "[]", "{}", "{\"ID\":\"short\"}",
                                        "{\"ID\":1}"};
    struct directory *directory = create();

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(
            directory_put(directory, DIRECTORY_POLICY, texts[i], strlen(texts[i]), 5),
            RC_EMALFORMED);
    }
    directory_destroy(directory);
}

static size_t bits_that_differ(const uint8_t *a, const uint8_t *b)
{
    size_t count = 0;

    for (size_t i = 0; i < SECRET_HASH_SIZE; i++) {
        count += (size_t)__builtin_popcount(a[i] ^ b[i]);
    }
    return count;
}

/* Whatever time a lookup takes, it tells nothing of a secret: what is compared is a hash under a
 * key that only servers have, and of two secrets that share all but a letter the hashes share no
 * more than those of any two. */
static void guesses_share_nothing_with_a_token_of_what_is_compared(void **state)
{
    static const uint8_t key[SECRET_KEY_SIZE] = {7};
    static const uint8_t other_key[SECRET_KEY_SIZE] = {8};
    static const char secret[] = "aaaaaaaa-0000-4000-8000-000000000001";
    char text[512];
    char hex[2 * SECRET_HASH_SIZE + 1];
    uint8_t hash[SECRET_HASH_SIZE];
    uint8_t near[SECRET_HASH_SIZE];
    struct directory_item item;

    (void)state;
    struct directory *directory = create();
    secret_hash(key, secret, hash);
    rc_text_to_hex(hash, sizeof hash, hex);
    (void)snprintf(text, sizeof text,
                   "{\"AccessorID\":\"" TOKEN "\",\"SecretHash\":\"%s\"}", hex);
    put(directory, DIRECTORY_TOKEN, text, 1);

    assert_true(directory_find_hash(directory, hash, &item)); /* the one way to a token */
    assert_string_equal(item.id, TOKEN);
    assert_false(directory_find(directory, DIRECTORY_TOKEN, secret, &item));
    for (size_t i = 0; i < strlen(secret); i++) {
        char guess[sizeof secret];
        memcpy(guess, secret, sizeof guess);
        guess[i] = guess[i] == 'b' ? 'c' : 'b';
        secret_hash(key, guess, near);
        assert_false(directory_find_hash(directory, near, &item));
        assert_memory_not_equal(hash, near, 4);
        assert_in_range(bits_that_differ(hash, near), 84,
                        172); /* 128, give or take 5.5 sigma */
    }
    secret_hash(other_key, secret, near); /* nor can hashes be made without the key */
    assert_in_range(bits_that_differ(hash, near), 84, 172);
    directory_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_share_nothing_with_a_token_of_what_is_compared),
        cmocka_unit_test(role_gives_what_its_policies_give),
        cmocka_unit_test(policies_of_other_datacenters_do_not_count),
        cmocka_unit_test(identities_are_policies_of_one_name),
        cmocka_unit_test(token_with_a_policy_that_cannot_be_read_is_no_token),
        cmocka_unit_test(anonymous_token_comes_back_when_its_document_goes),
        cmocka_unit_test(token_is_found_by_the_hash_of_its_secret_only),
        cmocka_unit_test(what_is_no_document_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

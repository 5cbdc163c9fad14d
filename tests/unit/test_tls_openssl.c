/* test_tls_openssl.c - two sides of a TLS connection, in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/tls/certificates.h"
#include "proxy/tls/expiry.h"
#include "proxy/tls/tls_openssl.h"

#define FOLDER "tests/fixtures/tls/"

static const struct rc_address here = {RC_ADDRESS_IPV4, {127, 0, 0, 1}, 5432};
static const struct rc_address elsewhere = {RC_ADDRESS_IPV4, {127, 0, 0, 9}, 5432};

/* One side, what it sent, and what it heard. */
struct side {
    struct tls *tls;
    struct rc_buffer wire;
    struct rc_buffer heard;
    enum tls_step step;
};

static struct tls_context *serve(const char *name)
{
    struct tls_context *made = NULL;
    char problem[TLS_PROBLEM_MAX];
    char certificate[128];
    char key[128];
    (void)snprintf(certificate, sizeof certificate, FOLDER "%s.crt", name);
    (void)snprintf(key, sizeof key, FOLDER "%s.key", name);
    if (tls_context_serve(certificate, key, &made, problem) != RC_OK) {
        fail_msg("%s", problem);
    }
    return made;
}

static struct tls_context *trust(const char *path)
{
    struct tls_context *made = NULL;
    char problem[TLS_PROBLEM_MAX];
    if (tls_context_trust(path, &made, problem) != RC_OK) {
        fail_msg("%s", problem);
    }
    return made;
}

static void hear(struct side *s, const uint8_t *bytes, size_t size)
{
    uint8_t text[4096];
    if (size > 0) {
        tls_receive(s->tls, bytes, size);
    }
    do {
        size_t room = sizeof text;
        s->step = tls_next(s->tls, text, &room, &s->wire);
        if (s->step == TLS_STEP_TEXT) {
            rc_buffer_append(&s->heard, text, room);
        }
    } while (s->step == TLS_STEP_TEXT);
}

/* What one has to send arrives in pieces of `piece` bytes. */
static void carry(struct side *from, struct side *to, size_t piece)
{
    struct rc_buffer on_the_way = from->wire;
    from->wire = (struct rc_buffer){0};
    for (size_t at = 0; at < on_the_way.size; at += piece) {
        size_t left = on_the_way.size - at;
        /* A copy of its own: a checker of memory sees who reads it too late. */
        size_t size = left < piece ? left : piece;
        uint8_t *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, on_the_way.bytes + at, size);
        hear(to, copy, size);
        free(copy);
    }
    rc_buffer_fini(&on_the_way);
}

static void talk(struct side *client, struct side *server, size_t piece)
{
    hear(client, NULL, 0);
    for (int i = 0; i < 10; i++) {
        carry(client, server, piece);
        carry(server, client, piece);
    }
}

static void end(struct side *s)
{
    tls_destroy(s->tls);
    rc_buffer_fini(&s->wire);
    rc_buffer_fini(&s->heard);
}

static struct side server_of(const char *name)
{
    struct tls_context *context = serve(name);
    struct side made = {.tls = tls_accept(context)};
    tls_context_release(context); /* the connection keeps it */
    assert_non_null(made.tls);
    return made;
}

static struct side client_of(const char *ca, const char *name,
                             const struct rc_address *address)
{
    struct tls_context *context = trust(ca);
    struct side made = {.tls =
                            tls_connect(context, TLS_SPEAKS_POSTGRESQL, name, address)};
    tls_context_release(context);
    assert_non_null(made.tls);
    return made;
}

static void both_hear_each_other_whatever_the_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1000, 100000};
    static char large[100000];
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct side server = server_of("server");
        struct side client = client_of(FOLDER "ca.crt", "db.example.org", &here);

        assert_int_equal(tls_send(client.tls, "early", 5, &client.wire), RC_OK);
        talk(&client, &server, pieces[i]);
        assert_int_equal(tls_send(server.tls, large, sizeof large, &server.wire), RC_OK);
        carry(&server, &client, pieces[i]);

        assert_true(tls_is_open(client.tls) && tls_is_open(server.tls));
        assert_true(tls_agreed_on_postgresql(server.tls));
        assert_string_equal(rc_buffer_string(&server.heard), "early");
        assert_int_equal(client.heard.size, sizeof large);
        assert_memory_equal(client.heard.bytes, large, sizeof large);
        end(&client);
        end(&server);
    }
}

static void an_end_is_told_and_nothing_comes_behind_it(void **state)
{
    (void)state;
    struct side server = server_of("server");
    struct side client = client_of(FOLDER "ca.crt", "", &here);
    talk(&client, &server, 1000);

    tls_end(client.tls, &client.wire);
    carry(&client, &server, 1000);

    assert_int_equal(server.step, TLS_STEP_ENDED);
    assert_int_equal(tls_send(client.tls, "late", 4, &client.wire), RC_ECLOSED);
    assert_int_equal(client.wire.size, 0);
    end(&client);
    end(&server);
}

static void a_server_is_verified_by_authority_time_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *server;
        const char *ca;
        const char *name;
        const struct rc_address *address;
        const char *problem;
    } cases[] = {
        {"server", "ca.crt", "db.example.org", &elsewhere, ""},
        {"server", "ca.crt", "", &here, ""},
        {"server", "ca.crt", "", &elsewhere, "IP address mismatch"},
        {"server", "ca.crt", "example.org", &here, "hostname mismatch"},
        {"server", "stranger.crt", "", &here, "unable to get local issuer certificate"},
        {"ended", "ca.crt", "", &here, "certificate has expired"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char ca[128];
        (void)snprintf(ca, sizeof ca, FOLDER "%s", cases[i].ca);
        struct side server = server_of(cases[i].server);
        struct side client = client_of(ca, cases[i].name, cases[i].address);

        assert_int_equal(tls_send(client.tls, "secret", 6, &client.wire), RC_OK);
        talk(&client, &server, 1000);

        assert_string_equal(tls_problem(client.tls), cases[i].problem);
        assert_int_equal(tls_is_open(client.tls), cases[i].problem[0] == '\0');
        assert_int_equal(server.heard.size, cases[i].problem[0] == '\0' ? 6 : 0);
        end(&client);
        end(&server);
    }
}

static void what_is_no_tls_fails_for_good(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\xff\xff xxxx",
        "\x16\x03\x01\x00\x05xxxxx", "Q\x01\x02\x03\x04x"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        struct side server = server_of("server");
        size_t size = i == 2 ? 10 : strlen(nonsense[i]);
        hear(&server, (const uint8_t *)nonsense[i], size);

        assert_int_equal(server.step, TLS_STEP_FAILED);
        assert_true(tls_problem(server.tls)[0] != '\0');
        hear(&server, (const uint8_t *)"more", 4);
        assert_int_equal(server.step, TLS_STEP_FAILED);
        assert_int_equal(tls_send(server.tls, "x", 1, &server.wire), RC_ECLOSED);
        end(&server);
    }
}

static void one_certificate_on_both_sides_is_seen(void **state)
{
    (void)state;
    struct side near = server_of("server");
    struct side other = server_of("ended");
    struct side server = server_of("server");
    struct side client = client_of(FOLDER "ca.crt", "", &here);
    talk(&client, &server, 1000);

    assert_true(tls_shows_same(near.tls, client.tls));
    assert_false(tls_shows_same(other.tls, client.tls));
    end(&near);
    end(&other);
    end(&client);
    end(&server);
}

static void files_that_will_not_do_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *certificate;
        const char *key;
        const char *want;
    } cases[] = {
        {"nowhere.crt", "server.key", "certificate " FOLDER "nowhere.crt: No such file"},
        {"server.crt", "nowhere.key", "key " FOLDER "nowhere.key: No such file"},
        {"server.crt", "ended.key", "key " FOLDER "ended.key: "},
        {"server.crt", "locked.key", "key " FOLDER "locked.key: "},
        {"server.key", "server.key", "certificate " FOLDER "server.key: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_context *made = NULL;
        char problem[TLS_PROBLEM_MAX];
        char certificate[128];
        char key[128];
        (void)snprintf(certificate, sizeof certificate, FOLDER "%s",
                       cases[i].certificate);
        (void)snprintf(key, sizeof key, FOLDER "%s", cases[i].key);

        assert_int_equal(tls_context_serve(certificate, key, &made, problem), RC_EINVAL);
        if (strncmp(problem, cases[i].want, strlen(cases[i].want)) != 0) {
            fail_msg("%s", problem);
        }
    }
}

static void a_configuration_names_the_line_of_what_cannot_be_read(void **state)
{
    (void)state;
    static const char text[] =
        "pool a { static 127.0.0.1:1\n server_tls { ca " FOLDER "ca.crt } }\n"
        "pool b { static 127.0.0.1:2 }\n"
        "listen postgres 127.0.0.1:3 { pool b }\n"
        "listen postgres 127.0.0.1:4 { pool a; tls { certificate " FOLDER "ended.crt\n"
        "    key " FOLDER "ended.key } }\n";
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    char error[CONFIG_ERROR_MAX];

    assert_int_equal(config_parse("p.conf", text, strlen(text), &config, error), RC_OK);
    assert_int_equal(certificates_load(config, "p.conf", NULL, &certificates, error),
                     RC_OK);
    assert_non_null(certificates->pools[0]);
    assert_null(certificates->pools[1]);
    assert_null(certificates->listeners[0]);
    assert_non_null(certificates->listeners[1]);
    struct expiry_walk walk = {0};
    struct rc_buffer said = {0};
    unsigned line = 0;
    int64_t now_s = (int64_t)time(NULL);
    assert_true(expiry_next(&walk, certificates, config, now_s, &said, &line));
    assert_int_equal(line, 5);
    assert_non_null(strstr(rc_buffer_string(&said), "has ended: " FOLDER "ended.crt"));
    assert_false(expiry_next(&walk, certificates, config, now_s, &said, &line));
    rc_buffer_clear(&said);
    expiry_metrics(certificates, config, now_s, &said);
    assert_non_null(strstr(rc_buffer_string(&said), "file=\"" FOLDER "ended.crt\"} -"));
    rc_buffer_fini(&said);
    certificates_destroy(certificates);

    config->listeners[1].key[0] = '!';
    assert_int_equal(certificates_load(config, "p.conf", NULL, &certificates, error),
                     RC_EINVAL);
    assert_memory_equal(error, "p.conf:5: key ", 14);
    config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_hear_each_other_whatever_the_pieces),
        cmocka_unit_test(an_end_is_told_and_nothing_comes_behind_it),
        cmocka_unit_test(a_server_is_verified_by_authority_time_and_name),
        cmocka_unit_test(what_is_no_tls_fails_for_good),
        cmocka_unit_test(one_certificate_on_both_sides_is_seen),
        cmocka_unit_test(files_that_will_not_do_are_named),
        cmocka_unit_test(a_configuration_names_the_line_of_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_framing.c - where bodies end, however their bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/wire/framing.h"

/* Feeds `text` in pieces of `step` bytes the way the edge does: what is not consumed is offered
 * again with more behind it. Returns the first error or RC_OK; payload goes to `out`. */
static int feed(struct framing_decoder *decoder, const char *text, size_t step, char *out,
                size_t *left)
{
    size_t size = strlen(text);
    size_t at = 0;
    size_t end = 0;

    while (end < size) {
        end = end + step < size ? end + step : size;
        for (;;) {
            struct framing_piece piece;
            int err =
                framing_decode(decoder, (const uint8_t *)text + at, end - at, &piece);
            if (err != RC_OK) {
                return err;
            }
            if (piece.payload_size > 0) {
                strncat(out, (const char *)piece.payload, piece.payload_size);
            }
            at += piece.consumed;
            if (piece.consumed == 0 || at == end) {
                break;
            }
        }
    }
    *left = size - at;
    return RC_OK;
}

static const struct framing chunked = {FRAMING_CHUNKED, 0};

static void chunks_are_decoded_at_any_split(void **state)
{
    static const char text[] =
        "5\r\nhello\r\n1;a=\"x\\\"y\";b=c\r\n \r\n00005\r\nworld\r\n"
        "0\r\nX-Sum: 1\r\n\r\nNEXT";
    (void)state;

    for (size_t step = 1; step <= sizeof text; step++) {
        struct framing_decoder decoder;
        char out[64] = "";
        size_t left = 0;
        framing_decoder_init(&decoder, &chunked);
        assert_int_equal(feed(&decoder, text, step, out, &left), RC_OK);
        assert_string_equal(out, "hello world");
        assert_true(framing_is_done(&decoder));
        assert_int_equal(left, 4);
    }
}

static const char *const malformed[] = {
    "0x2\r\nab\r\n",
    "+2\r\nab\r\n",
    " 2\r\nab\r\n",
    "2 \r\nab\r\n",
    "1_0\r\n",
    "\r\n",
    ";a\r\n",
    "2\nab\r\n",
    "2\rab",
    "2;a\nb\r\nab\r\n",
    "2;a b\r\n",
    "2;a=\"\x01\"\r\n",
    "2\r\nab\n0\r\n\r\n",
    "2\r\nabXX0\r\n\r\n",
    "0\n\n",
    "0\r\n\n",
    "0\r\nContent-Length: 3\r\n\r\n",
    "0\r\nX : 3\r\n\r\n",
    "ffffffffffffffff\r\n",
    "8000000000000000\r\n",
    "00000000000000001\r\n",
};

static void assert_refused(const char *text, size_t step)
{
    struct framing_decoder decoder;
    char out[64] = "";
    size_t left = 0;

    framing_decoder_init(&decoder, &chunked);
    if (feed(&decoder, text, step, out, &left) == RC_OK) {
        fail_msg("accepted in steps of %zu: %s", step, text);
    }
}

static void malformed_chunks_are_refused_at_any_split(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        for (size_t step = 1; step <= strlen(malformed[i]); step++) {
            assert_refused(malformed[i], step);
        }
    }
}

static void extensions_are_bounded_per_line_and_per_body(void **state)
{
    char line[FRAMING_EXTENSION_MAX + 16];
    struct framing_decoder decoder;
    struct framing_piece piece;
    (void)state;

    memset(line, 'a', sizeof line);
    line[0] = '1';
    line[1] = ';';
    framing_decoder_init(&decoder, &chunked);
    assert_int_equal(
        framing_decode(&decoder, (uint8_t *)line, FRAMING_EXTENSION_MAX + 2, &piece),
        RC_OK);
    assert_int_equal(framing_decode(&decoder, (uint8_t *)line + 2, 1, &piece),
                     RC_ETOOBIG);

    framing_decoder_init(&decoder, &chunked);
    int err = RC_OK;
    size_t chunks = 0;
    for (; err == RC_OK && chunks < 1000; chunks++) {
        static const char chunk[] =
            "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n";
        char out[8] = "";
        size_t left = 0;
        err = feed(&decoder, chunk, sizeof chunk, out, &left);
    }
    assert_int_equal(err, RC_ETOOBIG);
    assert_in_range(chunks, 380, 410);
}

static void long_trailers_are_refused(void **state)
{
    static char text[HTTP1_TRAILER_MAX + 10];
    struct framing_decoder decoder;
    struct framing_piece piece;
    (void)state;

    memset(text, 'a', sizeof text);
    text[0] = '0';
    text[1] = '\r';
    text[2] = '\n';
    framing_decoder_init(&decoder, &chunked);
    assert_int_equal(framing_decode(&decoder, (uint8_t *)text, 100, &piece), RC_OK);
    assert_int_equal(piece.consumed, 3);
    assert_int_equal(
        framing_decode(&decoder, (uint8_t *)text + 3, sizeof text - 3, &piece),
        RC_ETOOBIG);
}

static void length_ends_the_body_and_not_a_byte_later(void **state)
{
    const struct framing framing = {FRAMING_LENGTH, 3};
    struct framing_decoder decoder;
    char out[8] = "";
    size_t left = 0;
    (void)state;

    framing_decoder_init(&decoder, &framing);
    assert_int_equal(framing_end(&decoder), RC_ETRUNCATED);
    assert_int_equal(feed(&decoder, "abcGET", 2, out, &left), RC_OK);
    assert_string_equal(out, "abc");
    assert_int_equal(left, 3);
    assert_int_equal(framing_end(&decoder), RC_OK);
}

static void close_ends_a_body_of_no_stated_length(void **state)
{
    const struct framing framing = {FRAMING_CLOSE, 0};
    struct framing_decoder decoder;
    char out[8] = "";
    size_t left = 0;
    (void)state;

    framing_decoder_init(&decoder, &framing);
    assert_int_equal(feed(&decoder, "abc", 1, out, &left), RC_OK);
    assert_false(framing_is_done(&decoder));
    assert_int_equal(framing_end(&decoder), RC_OK);
    assert_true(framing_is_done(&decoder));
}

static struct http1_response response_of(const char *text)
{
    struct http1_response response;
    assert_int_equal(http1_response_parse(text, strlen(text), &response), HTTP1_SOUND);
    return response;
}

static void response_bodies_follow_status_and_method(void **state)
{
    static const struct {
        const char *text;
        enum http1_method method;
        enum framing_kind want;
        bool contradicts;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", HTTP1_GET, FRAMING_LENGTH, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, FRAMING_NONE, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", HTTP1_HEAD, FRAMING_NONE, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_GET,
         FRAMING_CHUNKED, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", HTTP1_GET, FRAMING_CLOSE, 0},
        {"HTTP/1.1 304 X\r\nContent-Length: 3\r\n\r\n", HTTP1_GET, FRAMING_NONE, 0},
        {"HTTP/1.1 204 X\r\n\r\n", HTTP1_GET, FRAMING_NONE, 0},
        {"HTTP/1.1 204 X\r\nContent-Length: 3\r\n\r\n", HTTP1_GET, FRAMING_NONE, 1},
        {"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_GET, FRAMING_NONE,
         1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http1_response response = response_of(cases[i].text);
        assert_int_equal(framing_of_response(&response, cases[i].method).kind,
                         cases[i].want);
        assert_int_equal(framing_contradicts(&response, cases[i].method),
                         cases[i].contradicts);
    }
}

static void payload_that_is_skipped_counts(void **state)
{
    struct framing_decoder decoder;
    struct framing_piece piece;
    (void)state;

    framing_decoder_init(&decoder, &(struct framing){FRAMING_LENGTH, 10});
    assert_int_equal(framing_payload_left(&decoder), 10);
    framing_skip(&decoder, 4);
    assert_int_equal(framing_decode(&decoder, (const uint8_t *)"abcdefgh", 8, &piece),
                     RC_OK);
    assert_int_equal(piece.payload_size, 6);
    assert_true(framing_is_done(&decoder));
    assert_int_equal(framing_payload_left(&decoder), 0);

    framing_decoder_init(&decoder, &(struct framing){FRAMING_CHUNKED, 0});
    assert_int_equal(framing_payload_left(&decoder), 0);
    assert_int_equal(framing_decode(&decoder, (const uint8_t *)"a\r\n", 3, &piece),
                     RC_OK);
    assert_int_equal(framing_payload_left(&decoder), 10);
    framing_skip(&decoder, 10);
    assert_int_equal(framing_payload_left(&decoder), 0);
    assert_int_equal(
        framing_decode(&decoder, (const uint8_t *)"\r\n0\r\n\r\n", 7, &piece), RC_OK);
    assert_true(framing_is_done(&decoder));

    framing_decoder_init(&decoder, &(struct framing){FRAMING_CLOSE, 0});
    framing_skip(&decoder, 1000);
    assert_true(framing_payload_left(&decoder) == UINT64_MAX);
    assert_int_equal(framing_end(&decoder), RC_OK);
}

static void chunk_lines_are_read_back(void **state)
{
    static const uint64_t sizes[] = {1, 15, 16, 255, 4096, 65536, INT64_MAX};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char line[FRAMING_CHUNK_LINE_MAX];
        struct framing_decoder decoder;
        struct framing_piece piece;
        size_t size = framing_chunk_line(sizes[i], line);
        framing_decoder_init(&decoder, &chunked);
        assert_int_equal(framing_decode(&decoder, (uint8_t *)line, size, &piece), RC_OK);
        assert_int_equal(piece.consumed, size);
        assert_int_equal(decoder.left, sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_decoded_at_any_split),
        cmocka_unit_test(malformed_chunks_are_refused_at_any_split),
        cmocka_unit_test(extensions_are_bounded_per_line_and_per_body),
        cmocka_unit_test(long_trailers_are_refused),
        cmocka_unit_test(length_ends_the_body_and_not_a_byte_later),
        cmocka_unit_test(close_ends_a_body_of_no_stated_length),
        cmocka_unit_test(response_bodies_follow_status_and_method),
        cmocka_unit_test(payload_that_is_skipped_counts),
        cmocka_unit_test(chunk_lines_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_h2_head.c - any fields as a head of HTTP/2: the text of it is one head of HTTP/1.1, with not a line more than
 * there were fields, and nothing behind it. Input: pairs of texts, each ended by byte 0xfe. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http2/h2_head.h"
#include "proxy/wire/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { END = 0xfe, OWN_LINES_MAX = 6 };

static struct rc_span take(const char *text, size_t size, size_t *at)
{
    const char *end = memchr(text + *at, END, size - *at);
    size_t stop = end == NULL ? size : (size_t)(end - text);
    struct rc_span out = {text + *at, stop - *at};
    *at = stop < size ? stop + 1 : size;
    return out;
}

static void judge(const char *text, size_t size, size_t fields, enum h2_body body)
{
    struct http1_scan scan = {0};
    struct http1_request request;
    size_t head = 0;

    enum http1_fault fault = http1_scan(&scan, text, size, &head);
    if (fault != HTTP1_SOUND) {
        return; /* too large, or bytes that a field brought */
    }
    assert(head == size);
    if (http1_request_parse(text, size, &request) != HTTP1_SOUND) {
        return;
    }
    assert(request.head.count <= fields + OWN_LINES_MAX);
    assert(request.head.minor == 1);
    struct framing framing = framing_of_request(&request.head);
    assert(body == H2_BODY || framing.kind == FRAMING_NONE);
}

static void split_again(const char *text, size_t size)
{
    struct h2_field fields[H2_HEAD_FIELDS_MAX];
    size_t count = 0;
    size_t head = 0;

    if (h2_head_split(text, size, fields, &count, &head) == RC_OK) {
        assert(head <= size && count <= H2_HEAD_FIELDS_MAX);
        for (size_t i = 0; i < count; i++) {
            assert(memchr(fields[i].value.at, '\n', fields[i].value.size) == NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char space[HTTP1_HEAD_MAX];
    struct h2_head head;
    size_t at = 1;
    size_t fields = 0;
    size_t written = 0;

    if (size < 2 || size > 20000) {
        return 0;
    }
    const char *text = (const char *)bytes;
    enum h2_body body = (bytes[0] & 1) != 0 ? H2_BODY : H2_NO_BODY;
    split_again(text + 1, size - 1);
    h2_head_begin(&head, space, sizeof space);
    while (at < size) {
        struct rc_span name = take(text, size, &at);
        struct rc_span value = take(text, size, &at);
        h2_head_field(&head, name, value);
        fields++;
    }
    if (h2_head_end(&head, body, &written) == HTTP1_SOUND) {
        assert(written <= sizeof space);
        judge(space, written, fields, body);
    }
    return 0;
}

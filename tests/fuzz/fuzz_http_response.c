/* fuzz_http_response.c - any bytes as a response head: what is accepted must come out as a head
 * that we would accept again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proxy/http/forward.h"
#include "proxy/worker/slab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void forward_and_parse_again(const char *text,
                                    const struct http1_response *response)
{
    static char space[2 * SLAB_BYTES];
    struct rc_writer out = rc_writer_over(space, sizeof space);
    struct framing framing = framing_of_response(response, HTTP1_GET);
    struct forward_response from = {
        .bytes = text,
        .response = response,
        .body = framing.kind == FRAMING_CHUNKED || framing.kind == FRAMING_CLOSE
                    ? FORWARD_CHUNKED
                    : FORWARD_AS_SAID,
        .connection = FORWARD_CLOSE,
    };
    assert(forward_response(&from, &out) == RC_OK);
    size_t size = rc_writer_size(&out);
    if (size >= HTTP1_HEAD_MAX || response->head.count > HTTP1_FIELDS_MAX - 2) {
        return;
    }
    struct http1_scan scan = {0};
    struct http1_response again;
    size_t head = 0;
    enum http1_fault fault = http1_scan(&scan, space, size, &head);
    assert(fault == HTTP1_LINE_TOO_LONG || head == size);
    if (head != size) {
        return;
    }
    fault = http1_response_parse(space, size, &again);
    assert(fault == HTTP1_SOUND);
    struct framing b = framing_of_response(&again, HTTP1_GET);
    assert(again.status == response->status);
    assert(b.length == framing.length);
    assert(b.kind == framing.kind ||
           (framing.kind == FRAMING_CLOSE && b.kind == FRAMING_CHUNKED));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    struct http1_scan scan = {0};
    struct http1_response response;
    size_t head = 0;

    if (http1_scan(&scan, text, size, &head) != HTTP1_SOUND || head == 0) {
        return 0;
    }
    if (http1_response_parse(text, head, &response) == HTTP1_SOUND) {
        assert(response.status >= 100 && response.status <= 599);
        forward_and_parse_again(text, &response);
    }
    return 0;
}

/* fuzz_http_request.c - any bytes as a request head: what is accepted must come out of the proxy
 * as a head that we would accept again, with the same body behind it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http/forward.h"
#include "proxy/worker/slab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The end is found at the same place, or the same fault, however the bytes are cut. */
static void scan_in_pieces(const char *text, size_t size, enum http1_fault want,
                           size_t want_size)
{
    for (size_t step = 1; step <= 7; step += 3) {
        struct http1_scan scan = {0};
        enum http1_fault fault = HTTP1_SOUND;
        size_t head = 0;
        for (size_t end = 0; end < size && fault == HTTP1_SOUND && head == 0;) {
            end = end + step < size ? end + step : size;
            fault = http1_scan(&scan, text, end, &head);
        }
        assert(head == want_size);
        assert((fault == HTTP1_SOUND) == (want == HTTP1_SOUND));
    }
}

static void forward_and_parse_again(const char *text, const struct http1_request *request)
{
    static char space[3 * SLAB_BYTES];
    struct rc_writer out = rc_writer_over(space, sizeof space);
    struct forward_request from = {
        .bytes = text,
        .request = request,
        .peer = rc_span_of("192.0.2.1"),
        .port = rc_span_of("80"),
        .scheme = rc_span_of("http"),
        .default_host = rc_span_of("default.test"),
        .request_id = rc_span_of("0123"),
        .trust = (request->head.says & 1) != 0 ? FORWARD_APPEND : FORWARD_REPLACE,
        .upgrade = forward_is_websocket(request) ? FORWARD_WEBSOCKET : FORWARD_PLAIN,
    };
    assert(forward_request(&from, &out) == RC_OK);
    size_t size = rc_writer_size(&out);
    if (size >= HTTP1_HEAD_MAX || request->head.count > HTTP1_FIELDS_MAX - 9) {
        return; /* too large for our own limits now */
    }
    struct http1_scan scan = {0};
    struct http1_request again;
    size_t head = 0;
    enum http1_fault fault = http1_scan(&scan, space, size, &head);
    assert(fault == HTTP1_LINE_TOO_LONG || head == size);
    if (head != size) {
        return; /* "/" before a query may push the line over its limit */
    }
    fault = http1_request_parse(space, size, &again);
    assert(fault == HTTP1_SOUND);
    assert(again.method == request->method && again.head.minor == 1);
    struct framing a = framing_of_request(&request->head);
    struct framing b = framing_of_request(&again.head);
    assert(a.kind == b.kind && a.length == b.length);
    assert((again.head.says & (HTTP1_SAYS_CLOSE | HTTP1_SAYS_TRAILERS)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    struct http1_scan scan = {0};
    struct http1_request request;
    size_t head = 0;

    enum http1_fault fault = http1_scan(&scan, text, size, &head);
    scan_in_pieces(text, size, fault, head);
    if (fault != HTTP1_SOUND || head == 0) {
        return 0;
    }
    assert(head <= size && head <= HTTP1_HEAD_MAX);
    fault = http1_request_parse(text, head, &request);
    if (fault != HTTP1_SOUND) {
        assert(http1_fault_status(fault) >= 400);
        return 0;
    }
    if (request.method != HTTP1_CONNECT) {
        forward_and_parse_again(text, &request);
    }
    return 0;
}

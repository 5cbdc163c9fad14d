/* http_answer.c - a line-wise state machine over RFC 9112 sections 4 to 7. */
#include "agent/checks/http_answer.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

void http_answer_fini(struct http_answer *answer)
{
    rc_buffer_fini(&answer->body);
}

static int take_status(struct http_answer *answer)
{
    const char *line = answer->line;
    const char *space = strchr(line, ' ');

    if (!rc_text_starts_with(line, "HTTP/1.") || space == NULL) {
        return RC_EMALFORMED;
    }
    answer->code = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9') {
            return RC_EMALFORMED;
        }
        answer->code = answer->code * 10 + (space[i] - '0');
    }
    if (answer->code < 100 || (space[4] != ' ' && space[4] != '\0')) {
        return RC_EMALFORMED;
    }
    (void)rc_text_put(answer->status, sizeof answer->status, space + 1);
    answer->phase = HTTP_ANSWER_HEADER;
    return RC_EAGAIN;
}

static void finish_head(struct http_answer *answer)
{
    if (answer->code < 200) {
        answer->phase = HTTP_ANSWER_STATUS; /* interim: the real one follows */
        answer->is_chunked = false;
        answer->is_sized = false;
    } else if (answer->has_no_body || answer->code == 204 || answer->code == 304) {
        answer->phase = HTTP_ANSWER_DONE;
    } else if (answer->is_chunked) {
        answer->phase = HTTP_ANSWER_CHUNK_SIZE;
    } else if (answer->is_sized) {
        answer->phase = answer->left == 0 ? HTTP_ANSWER_DONE : HTTP_ANSWER_SIZED;
    } else {
        answer->phase = HTTP_ANSWER_TO_THE_END;
    }
}

static void take_header(struct http_answer *answer)
{
    char *colon = strchr(answer->line, ':');

    if (answer->line_size == 0) {
        finish_head(answer);
        return;
    }
    if (colon == NULL) {
        return;
    }
    struct rc_span name = {answer->line, (size_t)(colon - answer->line)};
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (rc_span_equals_nocase(name, "Transfer-Encoding")) {
        answer->is_chunked = rc_text_equals_nocase(value, "chunked");
    } else if (rc_span_equals_nocase(name, "Content-Length")) {
        answer->is_sized = rc_text_to_u64(value, UINT64_MAX, &answer->left) == RC_OK;
    }
}

static int take_chunk_size(struct http_answer *answer)
{
    size_t digits = strspn(answer->line, "0123456789abcdefABCDEF");
    uint64_t size = 0;

    if (digits == 0 || digits > 15) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < digits; i++) {
        unsigned byte = (unsigned char)answer->line[i];
        size = size * 16 + (byte <= '9' ? byte - '0' : (byte | 0x20U) - 'a' + 10);
    }
    answer->left = size;
    /* Trailers tell a check nothing: the last chunk is the end. */
    answer->phase = size == 0 ? HTTP_ANSWER_DONE : HTTP_ANSWER_CHUNK;
    return RC_EAGAIN;
}

static int take_line(struct http_answer *answer)
{
    switch (answer->phase) {
    case HTTP_ANSWER_STATUS:
        return take_status(answer);
    case HTTP_ANSWER_HEADER:
        take_header(answer);
        return RC_EAGAIN;
    case HTTP_ANSWER_CHUNK_SIZE:
        return take_chunk_size(answer);
    case HTTP_ANSWER_CHUNK_END:
        answer->phase = HTTP_ANSWER_CHUNK_SIZE;
        return answer->line_size == 0 ? RC_EAGAIN : RC_EMALFORMED;
    case HTTP_ANSWER_SIZED:
    case HTTP_ANSWER_TO_THE_END:
    case HTTP_ANSWER_CHUNK:
    case HTTP_ANSWER_DONE:
    case HTTP_ANSWER_PHASE_COUNT:
        break;
    }
    assert(false && "these phases have no lines");
    return RC_EMALFORMED;
}

/* One byte of a line; the line is handled when it is whole. */
static int feed_line(struct http_answer *answer, char byte)
{
    bool is_head =
        answer->phase == HTTP_ANSWER_STATUS || answer->phase == HTTP_ANSWER_HEADER;

    answer->head_bytes += is_head;
    if (answer->head_bytes > HTTP_ANSWER_HEAD_MAX_BYTES) {
        return RC_EMALFORMED;
    }
    if (byte != '\n') {
        if (answer->line_size < sizeof answer->line - 1) {
            if (byte == '\0') {
                byte = '?';
            }
            answer->line[answer->line_size++] = byte;
        }
        return RC_EAGAIN;
    }
    while (answer->line_size > 0 && (answer->line[answer->line_size - 1] == '\r' ||
                                     answer->line[answer->line_size - 1] == ' ')) {
        answer->line_size--;
    }
    answer->line[answer->line_size] = '\0';
    int err = take_line(answer);
    answer->line_size = 0;
    return err;
}

/* Takes what belongs to the body; returns how many bytes that were. */
static size_t feed_body(struct http_answer *answer, const uint8_t *bytes, size_t size)
{
    bool is_bounded = answer->phase != HTTP_ANSWER_TO_THE_END;
    size_t taken = is_bounded && answer->left < size ? (size_t)answer->left : size;

    rc_buffer_append(&answer->body, bytes, taken);
    if (answer->body.size > HTTP_ANSWER_BODY_KEPT_BYTES) {
        rc_buffer_consume(&answer->body, answer->body.size - HTTP_ANSWER_BODY_KEPT_BYTES);
    }
    answer->body_bytes += taken;
    answer->left -= is_bounded ? taken : 0;
    if (answer->body_bytes > HTTP_ANSWER_BODY_MAX_BYTES) {
        answer->phase = HTTP_ANSWER_DONE;
    } else if (is_bounded && answer->left == 0) {
        answer->phase =
            answer->phase == HTTP_ANSWER_SIZED ? HTTP_ANSWER_DONE : HTTP_ANSWER_CHUNK_END;
    }
    return taken;
}

int http_answer_feed(struct http_answer *answer, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    int err = RC_EAGAIN;

    while (size > 0 && answer->phase != HTTP_ANSWER_DONE && err == RC_EAGAIN) {
        size_t taken = 1;
        if (answer->phase == HTTP_ANSWER_SIZED ||
            answer->phase == HTTP_ANSWER_TO_THE_END ||
            answer->phase == HTTP_ANSWER_CHUNK) {
            taken = feed_body(answer, at, size);
        } else {
            err = feed_line(answer, (char)*at);
        }
        at += taken;
        size -= taken;
    }
    return answer->phase == HTTP_ANSWER_DONE ? RC_OK : err;
}

int http_answer_end(const struct http_answer *answer)
{
    return answer->phase > HTTP_ANSWER_HEADER ? RC_OK : RC_ETRUNCATED;
}

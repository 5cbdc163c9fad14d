/* tls_stream_openssl.c - see tls_stream_openssl.h. */
#include "proxy/tls/tls_stream_openssl.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/tls/tls_context_openssl.h"

enum {
    RECORD_FULL = 16 * 1024,
    RECORD_GATHERED = 15 * 1024, /* of two pieces: copied on the stack */
    RECORD_FIRST = 1300,         /* fits a packet with all that is around it */
    FIRST_BYTES = 64 * 1024,     /* sent in short records */
    SILENCE_MS = 1000            /* after which the path is thought cold again */
};

struct tls_stream {
    struct tls_context *context; /* one reference */
    SSL *ssl;
    struct tls_memory *memory; /* towards servers */
    const char *problem;       /* static; NULL = none */
    uint64_t written_at_ms;
    uint32_t run;     /* bytes since the last silence, up to FIRST_BYTES */
    uint32_t waiting; /* of a record that is made and has not gone; 0 = none */
    bool open;        /* the handshake is done */
    bool broken;      /* nothing may be said any more */
    bool met_http;
    bool remembered;
    char covered[128]; /* the host that was asked for last and is covered; "" = none */
};

static struct tls_stream *make(struct tls_context *context, int fd)
{
    const struct tls_library *l = &context->library;
    struct tls_stream *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->context = tls_context_retain(context);
    l->ERR_clear_error();
    made->ssl = l->SSL_new(context->ssl);
    if (made->ssl == NULL || l->SSL_set_fd(made->ssl, fd) != 1) {
        tls_stream_destroy(made);
        return NULL;
    }
    (void)l->SSL_ctrl(made->ssl, SSL_CTRL_MODE,
                      SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
                      NULL);
    l->SSL_set_read_ahead(made->ssl, 1);
    return made;
}

struct tls_stream *tls_stream_accept(struct tls_context *context, int fd)
{
    struct tls_stream *made = make(context, fd);
    if (made != NULL) {
        /* Many clients just close or half close, and what they say shows by itself where it ends. */
        (void)context->library.SSL_set_options(made->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
        context->library.SSL_set_accept_state(made->ssl);
    }
    return made;
}

/* --- sessions with servers --- */

void tls_memory_clear(struct tls_memory *memory)
{
    if (memory->context != NULL) {
        memory->context->library.SSL_SESSION_free(memory->session);
        tls_context_release(memory->context);
    }
    *memory = (struct tls_memory){0};
}

/* What the server has given us so far. In TLS 1.3 that comes behind its handshake, with what is
 * read first. */
static void remember(struct tls_stream *stream)
{
    const struct tls_library *l = &stream->context->library;
    SSL_SESSION *session = l->SSL_get1_session(stream->ssl);
    stream->remembered = true;
    if (session == NULL || l->SSL_SESSION_is_resumable(session) != 1) {
        l->SSL_SESSION_free(session);
        return;
    }
    tls_memory_clear(stream->memory);
    stream->memory->context = tls_context_retain(stream->context);
    stream->memory->session = session;
}

struct tls_stream *tls_stream_connect(struct tls_context *context, int fd,
                                      const char *name, const struct rc_address *address,
                                      struct tls_memory *memory)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    const struct tls_library *l = &context->library;
    struct tls_stream *made = make(context, fd);
    if (made == NULL) {
        return NULL;
    }
    l->SSL_set_connect_state(made->ssl);
    made->memory = memory;
    (void)l->SSL_clear_options(made->ssl, SSL_OP_NO_TICKET);
    if (l->SSL_set_alpn_protos(made->ssl, alpn, sizeof alpn - 1) != 0 ||
        tls_context_await(l, made->ssl, name, address) != RC_OK) {
        tls_stream_destroy(made); /* never without a name to verify */
        return NULL;
    }
    if (memory->context == context) {
        (void)l->SSL_set_session(made->ssl, memory->session);
    }
    return made;
}

void tls_stream_destroy(struct tls_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    const struct tls_library *l = &stream->context->library;
    if (stream->ssl != NULL) {
        /* Else the session would be taken for spoilt. */
        l->SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        l->SSL_free(stream->ssl);
    }
    tls_context_release(stream->context);
    free(stream);
}

/* --- what calls say; the thread's queue of errors is left empty --- */

static enum tls_io fail(struct tls_stream *stream)
{
    const struct tls_library *l = &stream->context->library;
    unsigned long error = l->ERR_peek_error();
    long verdict = l->SSL_get_verify_result(stream->ssl);
    bool cut = error != 0 && ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;

    stream->met_http = error != 0 && ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST;
    stream->broken = true;
    if (verdict != X509_V_OK) {
        stream->problem = l->X509_verify_cert_error_string(verdict);
    } else if (error == 0) {
        stream->problem = "the connection broke";
    } else {
        stream->problem = cut ? "the peer went away" : tls_context_reason(l);
    }
    l->ERR_clear_error();
    /* What a server says may end with its stream: then one that was cut is not the whole. */
    return TLS_IO_BROKEN;
}

static enum tls_io outcome(struct tls_stream *stream, int result)
{
    int why = errno != 0 ? errno : ECONNRESET; /* for the caller, of what is BROKEN */
    switch (stream->context->library.SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_IO_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_IO_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_IO_ENDED;
    default:
        break;
    }
    enum tls_io io = fail(stream);
    errno = why;
    return io;
}

enum tls_io tls_stream_shake(struct tls_stream *stream)
{
    const struct tls_library *l = &stream->context->library;
    int result = l->SSL_do_handshake(stream->ssl);
    if (result != 1) {
        enum tls_io io = outcome(stream, result);
        return io == TLS_IO_ENDED ? TLS_IO_BROKEN : io;
    }
    l->ERR_clear_error();
    stream->open = true;
    return TLS_IO_DONE;
}

enum tls_io tls_stream_read(struct tls_stream *stream, void *into, size_t *size)
{
    const struct tls_library *l = &stream->context->library;
    int room = *size < INT_MAX ? (int)*size : INT_MAX;
    int got = l->SSL_read(stream->ssl, into, room);
    if (got <= 0) {
        *size = 0;
        return outcome(stream, got);
    }
    *size = (size_t)got;
    if (stream->memory != NULL && !stream->remembered) {
        remember(stream);
    }
    return TLS_IO_DONE;
}

bool tls_stream_is_quiet(struct tls_stream *stream)
{
    char byte = 0;
    int got = stream->context->library.SSL_peek(stream->ssl, &byte, 1);
    return got <= 0 && outcome(stream, got) == TLS_IO_WANTS_READ;
}

bool tls_stream_has_more(const struct tls_stream *stream)
{
    return stream->context->library.SSL_has_pending(stream->ssl) == 1;
}

/* --- writing --- */

/* The length of the next record, if there is as much to say. */
static size_t next_record(struct tls_stream *stream, uint64_t now_ms)
{
    if (stream->waiting > 0) {
        return stream->waiting;
    }
    if (now_ms - stream->written_at_ms > SILENCE_MS) {
        stream->run = 0;
    }
    return stream->run < FIRST_BYTES ? RECORD_FIRST : RECORD_FULL;
}

/* `*size` bytes from `at` on; copied into `space` only if they lie in both pieces: then they may
 * become fewer. */
static const uint8_t *gather(const struct tls_pieces *pieces, size_t at, size_t *size,
                             uint8_t space[RECORD_GATHERED])
{
    if (at >= pieces->first_size) {
        return pieces->second + (at - pieces->first_size);
    }
    size_t left = pieces->first_size - at;
    if (left >= *size) {
        return pieces->first + at;
    }
    if (left >= RECORD_GATHERED) {
        *size = left;
        return pieces->first + at;
    }
    *size = *size < RECORD_GATHERED ? *size : RECORD_GATHERED;
    memcpy(space, pieces->first + at, left);
    memcpy(space + left, pieces->second, *size - left);
    return space;
}

enum tls_io tls_stream_write(struct tls_stream *stream, const struct tls_pieces *pieces,
                             uint64_t now_ms, size_t *sent)
{
    const struct tls_library *l = &stream->context->library;
    size_t total = pieces->first_size + pieces->second_size;
    uint8_t space[RECORD_GATHERED];

    *sent = 0;
    while (*sent < total) {
        size_t record = next_record(stream, now_ms);
        size_t left = total - *sent;
        if (left < stream->waiting) {
            return TLS_IO_WANTS_WRITE; /* what was offered is not all here any more */
        }
        size_t size = left < record ? left : record;
        const uint8_t *bytes = gather(pieces, *sent, &size, space);
        int wrote = l->SSL_write(stream->ssl, bytes, (int)size);
        if (wrote <= 0) {
            stream->waiting = (uint32_t)size;
            return outcome(stream, wrote);
        }
        stream->waiting = 0;
        stream->written_at_ms = now_ms;
        stream->run += stream->run < FIRST_BYTES ? (uint32_t)wrote : 0;
        *sent += (size_t)wrote;
    }
    return TLS_IO_DONE;
}

void tls_stream_end(struct tls_stream *stream)
{
    const struct tls_library *l = &stream->context->library;
    if (!stream->open || stream->broken || stream->waiting > 0) {
        return; /* a record that is half out cannot be followed by anything */
    }
    stream->broken = true;
    (void)l->SSL_shutdown(stream->ssl); /* what the peer answers does not matter */
    l->ERR_clear_error();
}

bool tls_stream_is_ours(const struct tls_stream *stream)
{
    return stream->memory != NULL;
}

/* --- after the handshake --- */

enum tls_protocol tls_agreed_protocol(const struct tls_stream *stream)
{
    const unsigned char *chosen = NULL;
    unsigned size = 0;
    stream->context->library.SSL_get0_alpn_selected(stream->ssl, &chosen, &size);
    if (size == 0) {
        return TLS_PROTOCOL_NONE;
    }
    return size == 2 && memcmp(chosen, "h2", 2) == 0 ? TLS_PROTOCOL_HTTP2
                                                     : TLS_PROTOCOL_HTTP1;
}

const char *tls_stream_version(const struct tls_stream *stream)
{
    return stream->context->library.SSL_get_version(stream->ssl);
}

const char *tls_stream_asked_name(const struct tls_stream *stream)
{
    const struct tls_library *l = &stream->context->library;
    return l->SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name);
}

bool tls_stream_is_resumed(const struct tls_stream *stream)
{
    return stream->context->library.SSL_session_reused(stream->ssl) == 1;
}

/* Is our certificate for this name, or this address? */
static bool is_for(const struct tls_library *l, X509 *own, const char *host, size_t size)
{
    char text[RC_ADDRESS_TEXT_MAX];
    bool bracketed = size > 2 && host[0] == '[' && host[size - 1] == ']';
    size_t shown = bracketed ? size - 2 : size;

    if (l->X509_check_host(own, host, size, 0, NULL) == 1) {
        return true;
    }
    if (shown >= sizeof text) {
        return false;
    }
    memcpy(text, host + (bracketed ? 1 : 0), shown);
    text[shown] = '\0';
    return l->X509_check_ip_asc(own, text, 0) == 1;
}

bool tls_stream_covers(struct tls_stream *stream, const char *host, size_t size)
{
    const struct tls_library *l = &stream->context->library;
    struct rc_span asked = {host, size};
    if (stream->covered[0] != '\0' && rc_span_equals_nocase(asked, stream->covered)) {
        return true;
    }
    const char *name = l->SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name);
    X509 *own = l->SSL_get_certificate(stream->ssl);
    bool covered = name == NULL || own == NULL || size == 0 ||
                   rc_span_equals_nocase(asked, name) || is_for(l, own, host, size);
    if (covered && size < sizeof stream->covered) {
        memcpy(stream->covered, host, size);
        stream->covered[size] = '\0';
    }
    return covered;
}

/* --- when it failed --- */

const char *tls_stream_problem(const struct tls_stream *stream)
{
    return stream->problem != NULL ? stream->problem : "";
}

bool tls_stream_met_http(const struct tls_stream *stream)
{
    return stream->met_http;
}

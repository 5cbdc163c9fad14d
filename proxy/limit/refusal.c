/* refusal.c - see refusal.h. */
#include "proxy/limit/refusal.h"

#include <assert.h>

static const struct {
    const char *word;
    const char *text;
} rows[REFUSAL_COUNT] = {
    [REFUSAL_NONE] = {"", "served"},
    [REFUSAL_SOURCE_CONNECTIONS] = {"source_connections",
                                    "too many connections from this source"},
    [REFUSAL_CONNECTION_RATE] = {"connection_rate",
                                 "too many new connections from this source"},
    [REFUSAL_NO_DESCRIPTOR] = {"no_descriptor", "the proxy is out of descriptors"},
    [REFUSAL_NO_BUFFER] = {"no_buffer", "the proxy is out of buffers"},
    [REFUSAL_PROXY_PROTOCOL] = {"proxy_protocol", "no sound PROXY protocol header"},
    [REFUSAL_TLS] = {"tls", "the TLS handshake failed"},
    [REFUSAL_BAD_REQUEST] = {"bad_request", "the request breaks a rule"},
    [REFUSAL_HEAD_SIZE] = {"head_size", "the request head is too large"},
    [REFUSAL_HEAD_TIME] = {"head_time", "the request head did not arrive in time"},
    [REFUSAL_BODY_SIZE] = {"body_size", "the request body is too large"},
    [REFUSAL_BODY_TIME] = {"body_time", "the request body did not arrive in time"},
    [REFUSAL_SLOW_READER] = {"slow_reader", "the client reads too slowly"},
    [REFUSAL_METHOD] = {"method", "this method is not served here"},
    [REFUSAL_NO_ROUTE] = {"no_route", "no route for this host and path"},
    [REFUSAL_RATE] = {"rate", "too many requests from this source"},
    [REFUSAL_CONCURRENT] = {"concurrent", "too many requests at once from this source"},
    [REFUSAL_MAINTENANCE] = {"maintenance", "under maintenance"},
    [REFUSAL_DRAINING] = {"draining", "the proxy is stopping"},
    [REFUSAL_NO_INSTANCE] = {"no_instance", "no instance is alive"},
    [REFUSAL_QUEUE_FULL] = {"queue_full", "the queue for an instance is full"},
    [REFUSAL_BREAKER] = {"breaker", "the pool takes no more requests"},
    [REFUSAL_CONNECT] = {"connect", "no instance could be connected to"},
    [REFUSAL_INSTANCE_BROKE] = {"instance_broke", "the instance broke off"},
    [REFUSAL_INSTANCE_TIME] = {"instance_time", "the instance did not answer in time"},
    [REFUSAL_BAD_ANSWER] = {"bad_answer", "the instance's answer breaks a rule"},
};

const char *refusal_word(enum refusal refusal)
{
    assert(refusal < REFUSAL_COUNT);
    return rows[refusal].word;
}

const char *refusal_text(enum refusal refusal)
{
    assert(refusal < REFUSAL_COUNT);
    return rows[refusal].text;
}

/* etcd_wire_curl.h - bytes to one member of etcd and back, by TCP or TLS.
 *
 * libcurl resolves, connects and does TLS (CURLOPT_CONNECT_ONLY), and then only carries bytes:
 * its own HTTP/2 of Debian 12 spoils connections that it uses twice and forgets uploads that
 * had to wait. */
#ifndef AGENT_ENGINE_ETCD_WIRE_CURL_H
#define AGENT_ENGINE_ETCD_WIRE_CURL_H

#include <stddef.h>
#include <stdint.h>

#include "base/multi_curl.h"

/* Of TLS; owned by the edge. NULL: the system's authorities, no certificate of our own. */
struct etcd_files {
    char *ca;
    char *cert;
    char *key;
};

struct etcd_wire;

struct etcd_wire_events {
    void (*on_open)(void *context);  /* bytes may be sent */
    void (*on_ready)(void *context); /* there is something to receive, or room to send */
    void (*on_failed)(void *context, const char *text); /* it could not be opened */
};

/* Begins to connect. NULL: no memory. `events` is borrowed. The multi_curl's transfers are these:
 * its on_end is etcd_wire_on_end(). */
struct etcd_wire *etcd_wire_open(struct multi_curl *multi, const char *url,
                                 const struct etcd_files *files,
                                 const struct etcd_wire_events *events, void *context);
void etcd_wire_on_end(void *context, void *transfer, CURLcode code);
void etcd_wire_close(struct etcd_wire *wire); /* NULL is allowed */

/* RC_OK: some of it was sent, and how much is `*sent`; RC_EAGAIN: there is no room; RC_ECLOSED. */
int etcd_wire_send(struct etcd_wire *wire, const uint8_t *bytes, size_t size,
                   size_t *sent);

/* RC_OK: `*got` bytes came, at least one; RC_EAGAIN: nothing for now; RC_ECLOSED. */
int etcd_wire_receive(struct etcd_wire *wire, uint8_t *space, size_t size, size_t *got);

enum etcd_wire_wish { ETCD_WIRE_READS, ETCD_WIRE_WRITES };

/* What on_ready is wanted for: only what comes, as at first, or room to send too. */
void etcd_wire_want(struct etcd_wire *wire, enum etcd_wire_wish wish);

#endif

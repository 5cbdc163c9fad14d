/* silence.h - noticing a host that has gone without a word.
 *
 * A machine that loses power closes no connection. Whoever waits for its answer would wait for
 * the whole response time-out; TCP itself can tell much sooner. */
#ifndef PROXY_WORKER_SILENCE_H
#define PROXY_WORKER_SILENCE_H

enum {
    SILENCE_MAX_MS = 3000,     /* unacknowledged for that long: the connection fails */
    SILENCE_PROBE_AFTER_S = 1, /* nothing said for that long: ask (keepalive) */
    SILENCE_PROBE_EVERY_S = 1
};

/* Makes the connection of `fd` fail with ETIMEDOUT when its far side acknowledges nothing for
 * SILENCE_MAX_MS: data (RFC 5482's user timeout) or, while nothing is sent, keepalive probes. A
 * slow program on a living host is no silence. Best effort. */
void silence_watch(int fd);

#endif

/* inquiry_uv.h - what a worker's connections are doing, asked by another thread.
 *
 * The asker puts its question on the worker's loop by uv_async and waits a bounded time; the
 * worker answers between two turns, and copies at most as many as were asked for. Nothing
 * stops, and who asks for nothing costs nothing. */
#ifndef PROXY_WORKER_INQUIRY_UV_H
#define PROXY_WORKER_INQUIRY_UV_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum { INQUIRY_TAKE_MAX = 1000, INQUIRY_NAME_MAX = 128 };

struct inquiry;

/* One connection of a client. */
struct inquiry_connection {
    struct rc_address peer;
    struct rc_address listener;
    struct rc_address instance; /* family NONE: none just now */
    const char *protocol;       /* "http/1.1"; static */
    const char *state;          /* static */
    char route[INQUIRY_NAME_MAX];
    uint64_t age_ms;
    uint64_t requests;
    uint64_t bytes_in; /* of what runs now */
    uint64_t bytes_out;
};

/* A question for `take` connections after the first `skip`. NULL when memory is out. */
struct inquiry *inquiry_create(size_t skip, size_t take);
void inquiry_release(struct inquiry *inquiry); /* NULL is allowed */

/* For protocols, on the worker's thread: a place for the next connection, zeroed, or NULL when
 * this one is not wanted: it is counted all the same. */
struct inquiry_connection *inquiry_add(struct inquiry *inquiry);

/* For the worker: all has been said. */
void inquiry_done(struct inquiry *inquiry);

/* For the asker: waits until then, at most `patience_ms`. RC_OK or RC_EAGAIN. */
int inquiry_wait(struct inquiry *inquiry, uint64_t patience_ms);

/* After RC_OK: how many connections there are in all, and those that were wanted. */
size_t inquiry_total(const struct inquiry *inquiry);
const struct inquiry_connection *inquiry_at(const struct inquiry *inquiry, size_t at);
size_t inquiry_count(const struct inquiry *inquiry);

struct inquiry *inquiry_retain(struct inquiry *inquiry);

#endif

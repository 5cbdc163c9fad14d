/* forward_channel_ares.h - one server that questions are sent to, by c-ares.
 *
 * c-ares keeps one UDP socket for each server while questions are under way, so that its
 * port could be learnt: the channel is renewed every so many questions and after a while.
 * An answer that was cut is asked for again over TCP. */
#ifndef DNS_FORWARD_FORWARD_CHANNEL_ARES_H
#define DNS_FORWARD_FORWARD_CHANNEL_ARES_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct uv_loop_s; /* uv_loop_t of libuv */
struct dns_channel_to;

enum { DNS_CHANNEL_QUERIES_MAX = 1000, DNS_CHANNEL_AGE_MAX_MS = 60000 };

/* How sending ended, besides an answer. */
enum dns_channel_end {
    DNS_CHANNEL_END_ANSWERED, /* with anything that has the id and name */
    DNS_CHANNEL_END_SILENT,
    DNS_CHANNEL_END_UNREACHED,
    DNS_CHANNEL_END_CLOSED
};

/* `bytes` may be changed, and are borrowed for the call; NULL unless ANSWERED. Must not close
 * the channel; may send. It may be called from within dns_channel_send(). */
typedef void (*dns_channel_done)(void *context, enum dns_channel_end end, uint8_t *bytes,
                                 size_t size);

/* A channel to `server`, which gives up a question after `timeout_ms` or somewhat later. RC_OK,
 * RC_ENOMEM, RC_EIO. */
int dns_channel_open(struct uv_loop_s *loop, const struct rc_address *server,
                     uint32_t timeout_ms, struct dns_channel_to **out);

/* Sends a query; c-ares puts in an id. `done` hears exactly once. */
void dns_channel_send(struct dns_channel_to *channel, uint64_t now_ms,
                      const uint8_t *query, size_t size, dns_channel_done done,
                      void *context);

/* The next question leaves by a new channel. */
void dns_channel_renew(struct dns_channel_to *channel);

/* Looks for what is overdue; call every so often while questions are under way. */
void dns_channel_tick(struct dns_channel_to *channel);

/* Ends all questions (each `done` hears CLOSED, from within this call), frees the channel, later
 * calls `on_closed` from the loop. */
void dns_channel_close(struct dns_channel_to *channel, void (*on_closed)(void *context),
                       void *context);

#endif

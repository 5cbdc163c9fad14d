/* warden_wire.h - what keeper and warden say to each other, as bytes.
 *
 * One message a packet of a SOCK_SEQPACKET socket, a MessagePack array each; later versions
 * append fields. Nothing is allocated by reading. */
#ifndef AGENT_WARDEN_WARDEN_WIRE_H
#define AGENT_WARDEN_WARDEN_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/warden/warden.h"
#include "base/buffer.h"

enum { WARDEN_MESSAGE_MAX = 16384, WARDEN_WIRE_VERSION = 1 };

/* What the warden says every WARDEN_ECHO_EVERY_MS and after each order. */
struct warden_echo {
    int64_t warden_pid;
    uint64_t boot_ms; /* CLOCK_BOOTTIME when it was said */
    struct warden warden;
};

void warden_order_write(const struct warden_order *order, struct rc_buffer *out);
void warden_echo_write(const struct warden_echo *echo, struct rc_buffer *out);

/* RC_OK with all of `*out` set; RC_ETRUNCATED, RC_EMALFORMED, or RC_ETOOBIG: a text is longer than
 * its place. */
int warden_order_parse(const void *bytes, size_t size, struct warden_order *out);
int warden_echo_parse(const void *bytes, size_t size, struct warden_echo *out);

/* Adds an argument. RC_OK or RC_ETOOBIG. */
int warden_order_argument(struct warden_order *order, const char *text);

#endif

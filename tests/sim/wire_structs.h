/* wire_structs.h - the codec's double: messages as plain structs in packets of the same
 * length.
 *
 * The simulator is linked with --wrap, so that what the cores call as wire_read() comes
 * here. In WIRE_BYTES it is passed on to the real thing. In WIRE_STRUCTS a message is the
 * struct's fields one after the other behind a bit for each, in a byte string padded to
 * the length that the real map would have: no names are written, compared or hashed, no
 * checksum is computed, nothing is compressed, and every length, and so every decision
 * and every delay, is as it would be. */
#ifndef TESTS_SIM_WIRE_STRUCTS_H
#define TESTS_SIM_WIRE_STRUCTS_H

#include "agent/gossip/envelope.h"
#include "agent/gossip/lzw.h"
#include "agent/gossip/wire.h"

enum wire_passing { WIRE_BYTES, WIRE_PLAIN_BYTES /* not compressed */, WIRE_STRUCTS };

/* For the whole process: the codec has no context in which this could be kept. */
void wire_pass(enum wire_passing how);

/* The length that wire_write() would give the message. */
size_t wire_size(const struct wire_format *format, const void *message);

/* What the linker calls the double and the real thing.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,readability-identifier-naming) */
int __wrap_wire_read(const struct wire_format *format, struct rc_cursor *in, void *out);
void __wrap_wire_write(const struct wire_format *format, const void *message,
                       struct rc_buffer *out);
void __wrap_wire_write_typed(enum wire_type type, const struct wire_format *format,
                             const void *message, struct rc_buffer *out);
void __wrap_wire_write_serf(enum wire_serf_type type, const struct wire_format *format,
                            const void *message, struct rc_buffer *out);
void __wrap_envelope_add_crc(struct rc_pack_bytes plain, struct rc_buffer *out);
int __wrap_envelope_strip_crc(struct rc_pack_bytes *bytes);
int __wrap_lzw_encode(const uint8_t *bytes, size_t size, struct rc_buffer *out);

int __real_wire_read(const struct wire_format *format, struct rc_cursor *in, void *out);
void __real_wire_write(const struct wire_format *format, const void *message,
                       struct rc_buffer *out);
void __real_envelope_add_crc(struct rc_pack_bytes plain, struct rc_buffer *out);
int __real_envelope_strip_crc(struct rc_pack_bytes *bytes);
int __real_lzw_encode(const uint8_t *bytes, size_t size, struct rc_buffer *out);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,readability-identifier-naming) */

#endif

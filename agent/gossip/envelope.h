/* envelope.h - what is wrapped around messages on the wire.
 *
 * Packet, outermost first: label, encryption, CRC, then compress and compound nested in
 * each other. Stream: label once, then encryption frames, compress, message (memberlist's
 * framing). Pure functions over bytes; nothing here knows what a message means. */
#ifndef AGENT_GOSSIP_ENVELOPE_H
#define AGENT_GOSSIP_ENVELOPE_H

#include "agent/gossip/gossip.h"
#include "agent/gossip/keyring.h"
#include "base/pack.h"

enum {
    ENVELOPE_DEPTH_MAX = 4,                /* compounds and compressions in each other */
    ENVELOPE_PARTS_MAX = 127,              /* memberlist before 0.2.4 misreads more */
    ENVELOPE_UNPACKED_MAX = 65536,         /* all that one packet may unpack to */
    ENVELOPE_FRAME_MAX = 20 * 1024 * 1024, /* memberlist's limit of an encrypted frame */
    ENVELOPE_FRAME_HEAD_SIZE = 5,
    ENVELOPE_CRC_HEAD_SIZE = 5
};

struct envelope {
    struct keyring keyring; /* empty: all is plain */
    struct gossip_cover cover;
    uint8_t label[GOSSIP_LABEL_MAX];
    size_t label_size;
    void (*nonce)(void *ctx, uint8_t *out, size_t size);
    void *nonce_ctx;
};

/* Takes keys, label and nonce source from `options`. RC_OK, RC_EINVAL, RC_ENOTFOUND,
 * RC_ENOMEM; after an error nothing is held. */
int envelope_init(struct envelope *envelope, const struct gossip_options *options);
void envelope_fini(struct envelope *envelope);

/* Whether what we send is encrypted. */
bool envelope_seals(const struct envelope *envelope);

/* Bytes that label and encryption add to a packet. */
size_t envelope_overhead(const struct envelope *envelope);

/* Appends the packet that carries `plain`. Errors stick in `out`. */
void envelope_close_packet(const struct envelope *envelope, struct rc_pack_bytes plain,
                           struct rc_buffer *out);

/* Strips label and encryption; the result is a slice of `packet` or of `scratch`, which is
 * cleared first. `*place` is that of the key that opened it; the ring's count if it is plain.
 * RC_OK, RC_ECONFLICT (another label), RC_EDENIED (no key opens it), RC_EUNSUPPORTED (not
 * encrypted, or in a version nobody knows, and we have keys), RC_ETRUNCATED, RC_EMALFORMED,
 * RC_ENOMEM. */
int envelope_open_packet(const struct envelope *envelope, struct rc_pack_bytes packet,
                         struct rc_buffer *scratch, struct rc_pack_bytes *out,
                         size_t *place);

/* CRC-32 as in IEEE 802.3 and zlib. */
uint32_t envelope_crc32(struct rc_pack_bytes bytes);
void envelope_add_crc(struct rc_pack_bytes plain, struct rc_buffer *out);
/* Checks and strips a CRC if there is one. RC_OK or RC_EMALFORMED. */
int envelope_strip_crc(struct rc_pack_bytes *bytes);

/* Walks the messages of a packet. */
struct envelope_reader {
    struct rc_pack_bytes next; /* not yet looked at */
    struct {
        struct rc_cursor sizes; /* of a compound's parts that are still to come */
        struct rc_cursor parts;
    } levels[ENVELOPE_DEPTH_MAX];
    size_t depth;
    struct rc_buffer *unpacked; /* borrowed; what was compressed */
};

/* Starts over `plain`; `unpacked` is cleared and must stay untouched during the walk. */
void envelope_reader_init(struct envelope_reader *reader, struct rc_pack_bytes plain,
                          struct rc_buffer *unpacked);

/* The next message with its type byte. RC_OK; RC_ENOTFOUND at the end; any other error
 * means that something was left out, and the walk goes on. */
int envelope_reader_next(struct envelope_reader *reader, struct rc_pack_bytes *out);

/* Appends the bytes of a compress message (without its type byte). RC_OK, RC_ETRUNCATED,
 * RC_EMALFORMED, RC_ETOOBIG, RC_ENOMEM. */
int envelope_unpack(struct rc_cursor *in, size_t max, struct rc_buffer *out);

/* ---- Streams. */

/* The label header that the dialing side sends first, if there is a label. */
void envelope_open_stream(const struct envelope *envelope, struct rc_buffer *out);
/* Reads it. RC_OK, RC_ETRUNCATED (more bytes wanted), RC_ECONFLICT. */
int envelope_accept_stream(const struct envelope *envelope, struct rc_cursor *in);

/* Appends `plain` in an encryption frame. Only with keys. */
void envelope_close_frame(const struct envelope *envelope, struct rc_pack_bytes plain,
                          struct rc_buffer *out);
/* Opens one frame and appends its plain bytes; `*place` as above. Only with keys. RC_OK,
 * RC_ETRUNCATED (more bytes wanted), RC_EDENIED (no key opens it), RC_EUNSUPPORTED (no frame,
 * or of another version), RC_ETOOBIG, RC_ENOMEM. */
int envelope_open_frame(const struct envelope *envelope, struct rc_cursor *in,
                        struct rc_buffer *out, size_t *place);

#endif

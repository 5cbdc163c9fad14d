/* envelope.c - what is wrapped around messages on the wire. */
#include "agent/gossip/envelope.h"

#include <assert.h>
#include <string.h>

#include "agent/gossip/lzw.h"
#include "agent/gossip/wire.h"
#include "base/err.h"
#include "base/writer.h"

enum {
    VERSION_PADDED = 0, /* protocol version 1: PKCS7, padded to 16 bytes */
    VERSION_PLAIN = 1,
    VERSION_SIZE = 1,
    SEAL_OVERHEAD = VERSION_SIZE + SEAL_NONCE_SIZE + SEAL_TAG_SIZE,
    PADDING_MAX = 16
};

int envelope_init(struct envelope *envelope, const struct gossip_options *options)
{
    size_t label_size = options->label == NULL ? 0 : strlen(options->label);

    memset(envelope, 0, sizeof *envelope);
    if (options->key_count > GOSSIP_KEYS_MAX || label_size > GOSSIP_LABEL_MAX ||
        (options->key_count > 0 && options->nonce == NULL)) {
        return RC_EINVAL;
    }
    if (label_size > 0) {
        memcpy(envelope->label, options->label, label_size);
        envelope->label_size = label_size;
    }
    envelope->cover = options->cover;
    envelope->nonce = options->nonce;
    envelope->nonce_ctx = options->nonce_ctx;
    for (size_t i = 0; i < options->key_count; i++) {
        int err = keyring_add(&envelope->keyring, &options->keys[i]);
        if (err != RC_OK) {
            envelope_fini(envelope);
            return err;
        }
    }
    return RC_OK;
}

void envelope_fini(struct envelope *envelope)
{
    keyring_fini(&envelope->keyring);
    memset(envelope, 0, sizeof *envelope);
}

static struct rc_pack_bytes label_of(const struct envelope *envelope)
{
    return (struct rc_pack_bytes){envelope->label, envelope->label_size};
}

bool envelope_seals(const struct envelope *envelope)
{
    return envelope->keyring.count > 0 && !envelope->cover.sends_plain;
}

size_t envelope_overhead(const struct envelope *envelope)
{
    size_t label = envelope->label_size > 0 ? 2 + envelope->label_size : 0;
    return label + (envelope_seals(envelope) ? SEAL_OVERHEAD : 0);
}

/* Appends version, nonce, ciphertext, tag under the first key. */
static void append_sealed(const struct envelope *envelope, struct rc_pack_bytes aad,
                          struct rc_pack_bytes plain, struct rc_buffer *out)
{
    size_t size = SEAL_OVERHEAD + plain.size;

    if (rc_buffer_reserve(out, size) != RC_OK) {
        return;
    }
    uint8_t *place = out->bytes + out->size;
    place[0] = VERSION_PLAIN;
    envelope->nonce(envelope->nonce_ctx, place + VERSION_SIZE, SEAL_NONCE_SIZE);
    int err = keyring_lock(&envelope->keyring, place + VERSION_SIZE, aad, plain,
                           place + VERSION_SIZE + SEAL_NONCE_SIZE);
    if (err != RC_OK) {
        out->err = err;
        return;
    }
    out->size += size;
}

static int cut_padding(struct rc_buffer *out, size_t start)
{
    size_t size = out->size - start;
    size_t padding = size == 0 ? 0 : out->bytes[out->size - 1];

    if (padding < 1 || padding > PADDING_MAX || padding > size) {
        return RC_EMALFORMED;
    }
    out->size -= padding;
    return RC_OK;
}

/* Appends the plain bytes of `sealed`, trying every key. */
static int append_opened(const struct envelope *envelope, struct rc_pack_bytes aad,
                         struct rc_pack_bytes sealed, struct rc_buffer *out,
                         size_t *place)
{
    if (sealed.size > 0 && sealed.at[0] > VERSION_PLAIN) {
        return RC_EUNSUPPORTED;
    }
    if (sealed.size < SEAL_OVERHEAD) {
        return RC_EDENIED;
    }
    const uint8_t *nonce = sealed.at + VERSION_SIZE;
    struct rc_pack_bytes text = {nonce + SEAL_NONCE_SIZE,
                                 sealed.size - VERSION_SIZE - SEAL_NONCE_SIZE};
    size_t start = out->size;
    if (rc_buffer_reserve(out, text.size) != RC_OK) {
        return out->err;
    }
    int err =
        keyring_unlock(&envelope->keyring, nonce, aad, text, out->bytes + start, place);
    if (err != RC_OK) {
        return err;
    }
    out->size += text.size - SEAL_TAG_SIZE;
    return sealed.at[0] == VERSION_PADDED ? cut_padding(out, start) : RC_OK;
}

static void append_label(const struct envelope *envelope, struct rc_buffer *out)
{
    if (envelope->label_size > 0) {
        rc_buffer_byte(out, WIRE_LABEL);
        rc_buffer_byte(out, (uint8_t)envelope->label_size);
        rc_buffer_append(out, envelope->label, envelope->label_size);
    }
}

void envelope_close_packet(const struct envelope *envelope, struct rc_pack_bytes plain,
                           struct rc_buffer *out)
{
    append_label(envelope, out);
    if (envelope_seals(envelope)) {
        append_sealed(envelope, label_of(envelope), plain, out);
    } else {
        rc_buffer_append(out, plain.at, plain.size);
    }
}

int envelope_accept_stream(const struct envelope *envelope, struct rc_cursor *in)
{
    struct rc_cursor at = *in;

    if (rc_cursor_left(&at) == 0) {
        return RC_ETRUNCATED;
    }
    if (*at.at != WIRE_LABEL) {
        return envelope->label_size == 0 ? RC_OK : RC_ECONFLICT;
    }
    (void)rc_cursor_u8(&at);
    size_t size = rc_cursor_u8(&at);
    const uint8_t *bytes = rc_cursor_take(&at, size);
    if (at.err != RC_OK) {
        return at.err;
    }
    if (!rc_pack_equals(label_of(envelope), (struct rc_pack_bytes){bytes, size})) {
        return RC_ECONFLICT;
    }
    *in = at;
    return RC_OK;
}

int envelope_open_packet(const struct envelope *envelope, struct rc_pack_bytes packet,
                         struct rc_buffer *scratch, struct rc_pack_bytes *out,
                         size_t *place)
{
    struct rc_cursor in = rc_cursor_over(packet.at, packet.size);
    size_t plain = envelope->keyring.count;

    int err = envelope_accept_stream(envelope, &in);
    if (err != RC_OK) {
        return err;
    }
    struct rc_pack_bytes inside = {in.at, rc_cursor_left(&in)};
    *place = plain;
    if (plain > 0) {
        rc_buffer_clear(scratch);
        err = append_opened(envelope, label_of(envelope), inside, scratch, place);
        if (err == RC_OK) {
            inside = (struct rc_pack_bytes){scratch->bytes, scratch->size};
        } else if (err == RC_ENOMEM || !envelope->cover.takes_plain) {
            return err;
        } else {
            *place = plain; /* what no key opens has to be plain; its parser decides */
        }
    }
    if (inside.size == 0) {
        return RC_ETRUNCATED;
    }
    *out = inside;
    return RC_OK;
}

/* Half a byte at a time: a table of 16 entries is small enough to stay in cache. */
uint32_t envelope_crc32(struct rc_pack_bytes bytes)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes.size; i++) {
        crc = table[(crc ^ bytes.at[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (uint32_t)(bytes.at[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

void envelope_add_crc(struct rc_pack_bytes plain, struct rc_buffer *out)
{
    uint8_t head[ENVELOPE_CRC_HEAD_SIZE];
    struct rc_writer writer = rc_writer_over(head, sizeof head);

    assert(plain.size > 0); /* crashes memberlist before 0.2.4 */
    rc_writer_u8(&writer, WIRE_CRC);
    rc_writer_u32(&writer, envelope_crc32(plain));
    rc_buffer_append(out, head, sizeof head);
    rc_buffer_append(out, plain.at, plain.size);
}

int envelope_strip_crc(struct rc_pack_bytes *bytes)
{
    struct rc_cursor in = rc_cursor_over(bytes->at, bytes->size);

    if (bytes->size < ENVELOPE_CRC_HEAD_SIZE || rc_cursor_u8(&in) != WIRE_CRC) {
        return RC_OK;
    }
    uint32_t crc = rc_cursor_u32(&in);
    struct rc_pack_bytes inside = {in.at, rc_cursor_left(&in)};
    if (inside.size == 0 || envelope_crc32(inside) != crc) {
        return RC_EMALFORMED;
    }
    *bytes = inside;
    return RC_OK;
}

void envelope_reader_init(struct envelope_reader *reader, struct rc_pack_bytes plain,
                          struct rc_buffer *unpacked)
{
    rc_buffer_clear(unpacked);
    memset(reader, 0, sizeof *reader);
    reader->next = plain;
    reader->unpacked = unpacked;
}

static int enter_compound(struct envelope_reader *reader, struct rc_pack_bytes message)
{
    struct rc_cursor in = rc_cursor_over(message.at + 1, message.size - 1);
    size_t count = rc_cursor_u8(&in);

    if (reader->depth == ENVELOPE_DEPTH_MAX) {
        return RC_ETOOBIG;
    }
    const uint8_t *sizes = rc_cursor_take(&in, 2 * count);
    if (in.err != RC_OK) {
        return in.err;
    }
    reader->levels[reader->depth].sizes = rc_cursor_over(sizes, 2 * count);
    reader->levels[reader->depth].parts = in;
    reader->depth++;
    return RC_OK;
}

/* Room for all that a packet may unpack to is taken at once, so that slices of what was
 * unpacked before stay where they are. */
static int enter_compressed(struct envelope_reader *reader, struct rc_pack_bytes message)
{
    struct rc_cursor in = rc_cursor_over(message.at + 1, message.size - 1);
    size_t start = reader->unpacked->size;

    int err = rc_buffer_reserve(reader->unpacked, ENVELOPE_UNPACKED_MAX - start);
    if (err != RC_OK) {
        return err;
    }
    /* What a refused part unpacked to stays counted, or a packet of many such parts would be
     * a cheap way to keep us busy. */
    err = envelope_unpack(&in, ENVELOPE_UNPACKED_MAX - start, reader->unpacked);
    if (err != RC_OK) {
        return err;
    }
    reader->next = (struct rc_pack_bytes){reader->unpacked->bytes + start,
                                          reader->unpacked->size - start};
    return RC_OK;
}

/* The next part of the innermost compound that has one; RC_ENOTFOUND when all are done. */
static int take_part(struct envelope_reader *reader, struct rc_pack_bytes *out)
{
    while (reader->depth > 0) {
        struct rc_cursor *sizes = &reader->levels[reader->depth - 1].sizes;
        struct rc_cursor *parts = &reader->levels[reader->depth - 1].parts;
        if (rc_cursor_left(sizes) == 0) {
            reader->depth--;
            continue;
        }
        size_t size = rc_cursor_u16(sizes);
        const uint8_t *bytes = rc_cursor_take(parts, size);
        if (parts->err != RC_OK) {
            reader->depth--;
            return RC_ETRUNCATED;
        }
        *out = (struct rc_pack_bytes){bytes, size};
        return size > 0 ? RC_OK : RC_EMALFORMED;
    }
    return RC_ENOTFOUND;
}

int envelope_reader_next(struct envelope_reader *reader, struct rc_pack_bytes *out)
{
    for (;;) {
        struct rc_pack_bytes message = reader->next;
        reader->next = (struct rc_pack_bytes){NULL, 0};
        if (message.size == 0) {
            int err = take_part(reader, &message);
            if (err != RC_OK) {
                return err;
            }
        }
        int err = RC_OK;
        if (message.at[0] == WIRE_COMPOUND) {
            err = enter_compound(reader, message);
        } else if (message.at[0] == WIRE_COMPRESS) {
            err = enter_compressed(reader, message);
        } else {
            *out = message;
            return RC_OK;
        }
        if (err != RC_OK) {
            return err;
        }
    }
}

int envelope_unpack(struct rc_cursor *in, size_t max, struct rc_buffer *out)
{
    struct wire_compress compress;
    size_t start = out->size;

    int err = wire_read(&wire_format_compress, in, &compress);
    if (err != RC_OK) {
        return err;
    }
    if (compress.algorithm != 0) {
        return RC_EMALFORMED;
    }
    err = lzw_decode(compress.bytes.at, compress.bytes.size, max, out);
    if (err != RC_OK) {
        return err;
    }
    return out->size > start ? RC_OK : RC_EMALFORMED;
}

void envelope_open_stream(const struct envelope *envelope, struct rc_buffer *out)
{
    append_label(envelope, out);
}

/* Frame head and label: what a frame's tag also covers. */
static struct rc_pack_bytes frame_aad(const struct envelope *envelope,
                                      const uint8_t *head, uint8_t *space)
{
    memcpy(space, head, ENVELOPE_FRAME_HEAD_SIZE);
    memcpy(space + ENVELOPE_FRAME_HEAD_SIZE, envelope->label, envelope->label_size);
    return (struct rc_pack_bytes){space, ENVELOPE_FRAME_HEAD_SIZE + envelope->label_size};
}

void envelope_close_frame(const struct envelope *envelope, struct rc_pack_bytes plain,
                          struct rc_buffer *out)
{
    uint8_t head[ENVELOPE_FRAME_HEAD_SIZE];
    uint8_t aad[ENVELOPE_FRAME_HEAD_SIZE + GOSSIP_LABEL_MAX];

    struct rc_writer writer = rc_writer_over(head, sizeof head);
    rc_writer_u8(&writer, WIRE_ENCRYPT);
    rc_writer_u32(&writer, (uint32_t)(SEAL_OVERHEAD + plain.size));
    rc_buffer_append(out, head, sizeof head);
    append_sealed(envelope, frame_aad(envelope, head, aad), plain, out);
}

int envelope_open_frame(const struct envelope *envelope, struct rc_cursor *in,
                        struct rc_buffer *out, size_t *place)
{
    uint8_t aad[ENVELOPE_FRAME_HEAD_SIZE + GOSSIP_LABEL_MAX];
    struct rc_cursor at = *in;

    uint8_t type = rc_cursor_u8(&at);
    if (at.err == RC_OK && type != WIRE_ENCRYPT) {
        return RC_EUNSUPPORTED;
    }
    size_t size = rc_cursor_u32(&at);
    if (at.err == RC_OK && size > ENVELOPE_FRAME_MAX) {
        return RC_ETOOBIG;
    }
    const uint8_t *bytes = rc_cursor_take(&at, size);
    if (at.err != RC_OK) {
        return at.err;
    }
    int err = append_opened(envelope, frame_aad(envelope, in->at, aad),
                            (struct rc_pack_bytes){bytes, size}, out, place);
    if (err == RC_OK) {
        *in = at;
    }
    return err;
}

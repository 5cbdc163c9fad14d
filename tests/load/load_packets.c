#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/writer.h"
#include "dns/wire/message.h"
#include "dns/wire/name.h"
#include "tests/load/load.h"

enum { GARBAGE_MAX = 256, CHANGES_MAX = 4, MANY = 4096 };

static struct dns_name name_of(const struct load_settings *settings, uint64_t number)
{
    struct dns_name name;
    char text[DNS_NAME_TEXT_MAX];
    const char *sign = strchr(settings->name, '#');

    if (sign == NULL) {
        (void)snprintf(text, sizeof text, "%s", settings->name);
    } else {
        (void)snprintf(text, sizeof text, "%.*s%" PRIu64 "%s",
                       (int)(sign - settings->name), settings->name, number, sign + 1);
    }
    if (dns_name_from_text(text, &name) != 0) {
        load_fail(text);
    }
    return name;
}

static void make_question(const struct load_settings *settings, uint64_t number,
                          struct load_packet *packet)
{
    struct dns_name name = name_of(settings, number);
    struct rc_writer writer = rc_writer_over(packet->bytes, sizeof packet->bytes);

    rc_writer_u16(&writer, 0); /* the id, set when it is sent */
    rc_writer_u16(&writer, DNS_FLAG_RD);
    rc_writer_u16(&writer, 1);
    rc_writer_u16(&writer, 0);
    rc_writer_u16(&writer, 0);
    rc_writer_u16(&writer, settings->edns != 0 ? 1 : 0);
    rc_writer_bytes(&writer, name.wire, name.size);
    rc_writer_u16(&writer, (uint16_t)settings->type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (settings->edns != 0) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, (uint16_t)settings->edns);
        rc_writer_u32(&writer, 0);
        rc_writer_u16(&writer, 0);
    }
    packet->size = (uint16_t)rc_writer_size(&writer);
}

static void mutate(struct rc_random *random, struct load_packet *packet)
{
    uint64_t changes = 1 + rc_random_below(random, CHANGES_MAX);

    for (uint64_t i = 0; i < changes; i++) {
        uint64_t at = 2 + rc_random_below(random, packet->size - 2U);
        packet->bytes[at] = (uint8_t)rc_random_next(random);
    }
    if (rc_random_below(random, 4) == 0) {
        packet->size = (uint16_t)(2 + rc_random_below(random, packet->size - 2U));
    }
}

static void make_garbage(struct rc_random *random, struct load_packet *packet)
{
    packet->size = (uint16_t)(2 + rc_random_below(random, GARBAGE_MAX - 2));
    for (size_t i = 0; i < packet->size; i++) {
        packet->bytes[i] = (uint8_t)rc_random_next(random);
    }
}

/* As many different ones as make sense. */
static size_t count_of(const struct load_settings *settings)
{
    if (settings->kind == LOAD_GARBAGE || settings->kind == LOAD_MUTATED) {
        return MANY;
    }
    return settings->numbers < LOAD_PACKETS_MAX ? settings->numbers : LOAD_PACKETS_MAX;
}

void load_packets_make(struct load_stream *stream)
{
    struct rc_random random;
    const struct load_settings *settings = &stream->settings;

    rc_random_init(&random, 1);
    stream->packet_count = count_of(settings);
    stream->packets = calloc(stream->packet_count, sizeof *stream->packets);
    if (stream->packets == NULL) {
        load_fail("packets");
    }
    for (size_t i = 0; i < stream->packet_count; i++) {
        /* Neither in their order nor in that of the server's table. */
        uint64_t number = settings->numbers <= LOAD_PACKETS_MAX
                              ? i * 7919 % settings->numbers
                              : rc_random_below(&random, settings->numbers);
        if (settings->kind == LOAD_GARBAGE) {
            make_garbage(&random, &stream->packets[i]);
            continue;
        }
        make_question(settings, number, &stream->packets[i]);
        if (settings->kind == LOAD_MUTATED) {
            mutate(&random, &stream->packets[i]);
        }
    }
}

const struct load_packet *load_packet_next(struct load_stream *stream)
{
    const struct load_packet *packet = &stream->packets[stream->packet_next];

    assert(stream->packet_count > 0);
    stream->packet_next =
        stream->packet_next + 1 < stream->packet_count ? stream->packet_next + 1 : 0;
    return packet;
}

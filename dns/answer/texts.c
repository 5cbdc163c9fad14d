#include "dns/answer/texts.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    SEEN_MAX = 2 * DNS_PICK_MAX,
    TEXT_RECORD_MIN = 14 /* bytes; so 64 KiB hold fewer records than there are slots */
};

static_assert(DNS_MESSAGE_MAX / TEXT_RECORD_MIN < SEEN_MAX, "the table of strings fills");

static size_t slot_of(const uint8_t *text, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a */

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ text[i]) * 0x100000001b3U;
    }
    return (size_t)(hash >> 32) % SEEN_MAX;
}

/* The slot that holds the text's place in the message, or a free one: 0. */
static uint16_t *find(struct dns_pick *pick, const uint8_t *message, const uint8_t *text,
                      size_t size)
{
    size_t slot = slot_of(text, size);

    while (pick->seen[slot] != 0) {
        const uint8_t *other = message + pick->seen[slot];
        if (other[0] == size && memcmp(other + 1, text, size) == 0) {
            break;
        }
        slot = (slot + 1) % SEEN_MAX;
    }
    return &pick->seen[slot];
}

/* MISSING: the message is full. */
static enum dns_part write_new(struct dns_reply *reply, struct dns_pick *pick,
                               const struct dns_meta *meta, uint32_t ttl_s)
{
    struct dns_writer *writer = &reply->writer;
    uint8_t text[DNS_TEXT_MAX];

    size_t size = dns_meta_text(meta, text);
    uint16_t *place = find(pick, writer->bytes.start, text, size);
    if (*place != 0) {
        return DNS_PART_PRESENT;
    }
    dns_record_open_at(writer, DNS_QUESTION_AT, DNS_TYPE_TXT, ttl_s);
    size_t at = dns_writer_at(writer);
    rc_writer_u8(&writer->bytes, (uint8_t)size);
    rc_writer_bytes(&writer->bytes, text, size);
    enum dns_part written = dns_record_close(writer, DNS_SECTION_ANSWER);
    if (written == DNS_PART_PRESENT) {
        *place = (uint16_t)at;
    }
    return written;
}

void dns_texts_answer(struct dns_reply *reply, struct dns_pick *pick,
                      struct rc_random *random, uint32_t ttl_s)
{
    const struct dns_instance *instance;

    memset(pick->seen, 0, sizeof pick->seen);
    pick->taken = 0;
    while ((instance = dns_pick_next(pick, random)) != NULL) {
        for (size_t i = 0; i < instance->meta_count; i++) {
            if (write_new(reply, pick, &instance->meta[i], ttl_s) == DNS_PART_MISSING) {
                reply->flags |= DNS_FLAG_TC;
                return;
            }
        }
    }
}

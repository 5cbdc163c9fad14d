/* Answers of other servers, and what clients get of them. The input is steps of some bytes
 * each: an answer arrives (its question as it must be, then any records; or any message), or a
 * client asks for a name some time later, with some limit.
 *
 * What holds for all: the cache stays in its bounds; an answer to a client is no longer than
 * its limit, repeats its question and has the records that it counts, as long as no TTL has
 * changed (a name may point into one); TC is set exactly where answers are missing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "dns/answer/answer.h"
#include "dns/forward/forward_cache.h"
#include "dns/wire/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ENTRIES_MAX = 3, BYTES_MAX = 8192, STEPS_MAX = 64, NAMES = 4, LIMIT_MIN = 512 };

struct trial {
    struct dns_forward_cache *cache;
    uint64_t now_ms;
    uint16_t ttl_at[DNS_KEPT_RECORDS_MAX];
    uint8_t message[DNS_MESSAGE_MAX];
    uint8_t out[DNS_MESSAGE_MAX];
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static struct dns_forward_question question_of(uint8_t choice, struct dns_name *name)
{
    static const char *const names[NAMES] = {"a.test", "b0.test", "www.example.test",
                                             "."};

    require(dns_name_from_text(names[choice % NAMES], name) == RC_OK);
    return (struct dns_forward_question){
        .name = name,
        .type = (choice & 4) != 0 ? DNS_TYPE_ANY : DNS_TYPE_A,
        .wants_dnssec = (choice & 8) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING};
}

/* The message that answers `sent`: flags and counts from the input, then the question, then
 * the input's records. */
static size_t compose(struct trial *trial, struct rc_cursor *input, const uint8_t *sent,
                      size_t question_size)
{
    const uint8_t *head = rc_cursor_take(input, DNS_HEADER_SIZE);
    size_t length = rc_cursor_u16(input);
    const uint8_t *records = rc_cursor_take(input, length % 4096);

    if (input->err != RC_OK) {
        return 0;
    }
    memcpy(trial->message, head, DNS_HEADER_SIZE);
    trial->message[2] |= 0x80;
    trial->message[2] &= 0x87;
    trial->message[4] = 0;
    trial->message[5] = 1;
    memcpy(trial->message + DNS_HEADER_SIZE, sent + DNS_HEADER_SIZE, question_size);
    memcpy(trial->message + DNS_HEADER_SIZE + question_size, records, length % 4096);
    return DNS_HEADER_SIZE + question_size + length % 4096;
}

static void arrive(struct trial *trial, struct rc_cursor *input, uint8_t choice)
{
    struct dns_forward_mark mark = {.instance = 1, .hops = 1};
    uint8_t sent[DNS_FORWARD_QUERY_MAX];
    struct dns_forward_key key;
    struct dns_name name;
    struct dns_kept kept;
    struct rc_random random;

    struct dns_forward_question question = question_of(choice, &name);
    rc_random_init(&random, choice);
    size_t sent_size =
        dns_forward_query_write(&question, &mark, DNS_PART_PRESENT, &random, sent);
    size_t size = 0;
    if ((choice & 16) != 0) {
        size = rc_cursor_u16(input) % 4096;
        const uint8_t *any = rc_cursor_take(input, size);
        if (any == NULL) {
            return;
        }
        memcpy(trial->message, any, size);
    } else {
        size = compose(trial, input, sent, (size_t)name.size + 4);
    }
    if (dns_kept_read(trial->message, size, sent, sent_size, trial->ttl_at, &kept) !=
        RC_OK) {
        return;
    }
    require(kept.ttl_s <= DNS_FORWARD_TTL_MAX_S);
    dns_forward_key_make(&question, 1, &key);
    dns_forward_cache_put(trial->cache, &key, &kept, trial->now_ms);
    require(dns_forward_cache_count(trial->cache) <= ENTRIES_MAX);
    require(dns_forward_cache_bytes(trial->cache) <= BYTES_MAX);
}

static void check(const struct trial *trial, size_t size, const struct dns_query *query,
                  const struct dns_kept *kept)
{
    struct dns_response response;
    struct dns_received record;
    size_t count = 0;
    int err;

    require(dns_response_open(trial->out, size, &response) == RC_OK);
    require(memcmp(trial->out + DNS_HEADER_SIZE, query->bytes, query->question_size) ==
            0);
    while ((err = dns_response_next(&response, &record)) == RC_OK) {
        count++;
    }
    require(err == RC_ENOTFOUND);
    require(count == (size_t)response.counts[DNS_SECTION_ANSWER] +
                         response.counts[DNS_SECTION_AUTHORITY] +
                         response.counts[DNS_SECTION_ADDITIONAL]);
    if (kept->counts[DNS_SECTION_ANSWER] > 0) {
        int is_cut =
            response.counts[DNS_SECTION_ANSWER] < kept->counts[DNS_SECTION_ANSWER];
        require(((response.flags & DNS_FLAG_TC) != 0) == is_cut);
    }
}

/* What a client asks, in `space`. */
static struct dns_query query_of(const struct dns_forward_question *question,
                                 uint8_t choice, uint8_t space[DNS_NAME_MAX + 4])
{
    struct rc_writer writer = rc_writer_over(space, DNS_NAME_MAX + 4);
    struct dns_query query = {.bytes = space, .question = DNS_PART_PRESENT};

    rc_writer_bytes(&writer, question->name->wire, question->name->size);
    rc_writer_u16(&writer, question->type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    query.question_size = rc_writer_size(&writer);
    query.edns = (choice & 32) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    return query;
}

static void answer(struct trial *trial, const struct dns_query *query, size_t limit,
                   const struct dns_kept *kept, int64_t age_s)
{
    struct dns_extras extras;
    enum dns_part is_cut;

    dns_extras_init(&extras);
    struct dns_forward_frame frame = {.query = query, .extras = &extras, .limit = limit};
    size_t size = dns_kept_write(kept, age_s, &frame, trial->out, &is_cut);
    require(size <= limit);
    if (age_s == 0 && query->edns == DNS_PART_MISSING) {
        check(trial, size, query, kept);
    }
}

static void ask(struct trial *trial, struct rc_cursor *input, uint8_t choice)
{
    uint8_t asked[DNS_NAME_MAX + 4];
    const struct dns_kept *kept;
    struct dns_forward_key key;
    struct dns_name name;
    int64_t age_s;

    struct dns_forward_question question = question_of(choice, &name);
    struct dns_query query = query_of(&question, choice, asked);
    size_t limit = LIMIT_MIN + rc_cursor_u16(input) % (DNS_MESSAGE_MAX - LIMIT_MIN);
    dns_forward_key_make(&question, 1, &key);
    if (dns_forward_cache_find(trial->cache, &key, trial->now_ms, &kept, &age_s) !=
        DNS_FRESHNESS_MISSING) {
        answer(trial, &query, limit, kept, age_s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct trial trial;
    struct rc_cursor input = rc_cursor_over(bytes, size);

    trial.cache = dns_forward_cache_create(ENTRIES_MAX, BYTES_MAX);
    trial.now_ms = 1;
    for (int i = 0; i < STEPS_MAX && trial.cache != NULL && input.err == RC_OK &&
                    rc_cursor_left(&input) > 0;
         i++) {
        uint8_t step = rc_cursor_u8(&input);
        uint8_t choice = rc_cursor_u8(&input);
        trial.now_ms += (uint64_t)(step >> 2) * (step >> 2) * 100;
        if ((step & 3) == 0) {
            ask(&trial, &input, choice);
        } else {
            arrive(&trial, &input, choice);
        }
    }
    dns_forward_cache_destroy(trial.cache);
    return 0;
}

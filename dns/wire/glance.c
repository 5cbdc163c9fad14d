#include "dns/wire/glance.h"

#include <string.h>

enum {
    TYPE_AND_CLASS_SIZE = 4,
    FIXED_SIZE = 1 + TYPE_AND_CLASS_SIZE, /* behind the labels */
    OPT_SIZE = 11,
    OPCODE_AND_QR = 0xf8,
    ADDITIONAL_AT = 11 /* the low byte of the number of additional records */
};

void dns_glance_init(struct dns_glance *glance)
{
    memset(glance, 0, sizeof *glance);
    glance->query.question = DNS_PART_PRESENT;
    glance->query.name.size = 1;
}

static uint16_t u16_at(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Eight bytes at a time: a byte from 'A' to 'Z' gets the bit 0x20, no carry leaves a byte.
 * Length bytes are below 'A', so names are folded whole. */
static uint64_t fold(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = bytes & ones * 0x7f;
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t above_z = low + ones * (0x7f - 'Z');
    uint64_t is_upper = (from_a ^ above_z) & ~bytes & ones * 0x80;

    return bytes | is_upper >> 2;
}

void dns_glance_fold(uint8_t *name, size_t size)
{
    for (size_t i = 0; i < size; i += DNS_GLANCE_STEP) {
        uint64_t step;
        memcpy(&step, name + i, sizeof step);
        step = fold(step);
        memcpy(name + i, &step, sizeof step);
    }
}

/* The name as it is, and in lower case. `left` is what may be read, `size` of it or
 * more: the last step of a packet without OPT would reach beyond its end. */
static void copy_name(struct dns_glance *glance, const uint8_t *from, size_t left,
                      uint8_t *echo)
{
    const uint64_t zeros = 0;
    size_t size = glance->name_size;

    for (size_t i = 0; i < size; i += DNS_GLANCE_STEP) {
        uint64_t step = 0;
        if (left - i >= DNS_GLANCE_STEP) {
            memcpy(&step, from + i, sizeof step);
        } else {
            uint8_t last[DNS_GLANCE_STEP] = {0};
            for (size_t k = 0; k < left - i; k++) {
                last[k] = from[i + k];
            }
            memcpy(&step, last, sizeof step);
        }
        memcpy(echo + i, &step, sizeof step);
        step = fold(step);
        memcpy(glance->name + i, &step, sizeof step);
    }
    memcpy(glance->name + size, &zeros, sizeof zeros);
    memcpy(echo + size, from + size, TYPE_AND_CLASS_SIZE);
}

/* Where the name ends, or 0. The one comparison in each round keeps all reads inside. */
static size_t find_end(struct dns_glance *glance, const uint8_t *bytes, size_t size)
{
    size_t at = DNS_QUESTION_AT;
    size_t count = 0;

    while (bytes[at] != 0) {
        size_t length = bytes[at];
        if (length > DNS_LABEL_MAX || count == DNS_GLANCE_LABELS_MAX ||
            size - at < length + 1 + FIXED_SIZE) {
            return 0;
        }
        glance->starts[count++] = (uint8_t)(at - DNS_QUESTION_AT);
        at += length + 1;
    }
    glance->label_count = (uint8_t)count;
    return at + 1 - DNS_QUESTION_AT <= DNS_NAME_MAX ? at + 1 : 0;
}

/* What is behind the question: nothing, or an OPT of version 0 without options. */
static bool read_opt(struct dns_query *query, const uint8_t *opt, size_t size)
{
    if (size != OPT_SIZE || opt[0] != 0 || u16_at(opt + 1) != DNS_TYPE_OPT ||
        opt[6] != 0 || u16_at(opt + 9) != 0) {
        return false;
    }
    query->edns_size = u16_at(opt + 3);
    query->edns_flags = u16_at(opt + 7);
    return true;
}

bool dns_glance_read(struct dns_glance *glance, const uint8_t *bytes, size_t size,
                     uint8_t *echo)
{
    static const uint8_t one_question[] = {0, 1, 0, 0, 0, 0, 0};
    struct dns_query *query = &glance->query;

    if (size < DNS_HEADER_SIZE + FIXED_SIZE || (bytes[2] & OPCODE_AND_QR) != 0 ||
        memcmp(bytes + 4, one_question, sizeof one_question) != 0 ||
        bytes[ADDITIONAL_AT] > 1) {
        return false;
    }
    size_t end = find_end(glance, bytes, size);
    if (end == 0) {
        return false;
    }
    query->id = u16_at(bytes);
    query->flags = u16_at(bytes + 2);
    query->bytes = bytes + DNS_QUESTION_AT;
    query->question_size = end + 4 - DNS_QUESTION_AT;
    query->type = u16_at(bytes + end);
    query->class = u16_at(bytes + end + 2);
    query->edns = bytes[ADDITIONAL_AT] == 0 ? DNS_PART_MISSING : DNS_PART_PRESENT;
    if (query->edns == DNS_PART_MISSING
            ? size != end + 4
            : !read_opt(query, bytes + end + 4, size - end - 4)) {
        return false;
    }
    glance->name_size = (uint16_t)(end - DNS_QUESTION_AT);
    copy_name(glance, bytes + DNS_QUESTION_AT, size - DNS_QUESTION_AT, echo);
    return true;
}

#include "agent/event/user_event.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/pattern.h"
#include "base/table.h"
#include "base/text.h"

enum { FILTER_COUNT = 3, SIZES_BYTES = 2 * FILTER_COUNT };

static const char magic[] = "\0rollcall:1"; /* without the NUL at its end */
enum { MAGIC_BYTES = sizeof magic - 1, TAIL_BYTES = SIZES_BYTES + MAGIC_BYTES };

/* ---- Firing. */

static int check_filter(const char *what, const char *text,
                        char fault[USER_EVENT_FAULT_MAX])
{
    struct rc_pattern *pattern = NULL;
    const char *why = "";

    if (text[0] == '\0') {
        return RC_OK;
    }
    int err = rc_pattern_compile(text, &pattern, &why);
    rc_pattern_destroy(pattern);
    if (err != RC_OK) {
        (void)snprintf(fault, USER_EVENT_FAULT_MAX,
                       "Invalid %s filter: error parsing regexp: %s: `%.100s`", what,
                       err == RC_ENOMEM ? rc_strerror(err) : why, text);
        return RC_EINVAL;
    }
    return RC_OK;
}

int user_event_check(const struct user_event *event, char fault[USER_EVENT_FAULT_MAX])
{
    const char *text = NULL;

    if (event->name[0] == '\0') {
        text = "User event missing name";
    } else if (event->tag_filter[0] != '\0' && event->service_filter[0] == '\0') {
        text = "Cannot provide tag filter without service filter";
    }
    if (text != NULL) {
        (void)rc_text_put(fault, USER_EVENT_FAULT_MAX, text);
        return RC_EINVAL;
    }
    int err = check_filter("node", event->node_filter, fault);
    if (err == RC_OK) {
        err = check_filter("service", event->service_filter, fault);
    }
    if (err == RC_OK) {
        err = check_filter("tag", event->tag_filter, fault);
    }
    return err;
}

int user_event_pack(const struct user_event *event, struct rc_buffer *out)
{
    const char *const filters[FILTER_COUNT] = {event->node_filter, event->service_filter,
                                               event->tag_filter};
    size_t sizes[FILTER_COUNT];
    size_t total = 0;

    for (size_t i = 0; i < FILTER_COUNT; i++) {
        sizes[i] = strlen(filters[i]);
        total += sizes[i];
    }
    size_t all = strlen(event->name) + event->size + (total > 0 ? total + TAIL_BYTES : 0);
    if (all > USER_EVENT_SIZE_MAX) {
        return RC_ETOOBIG;
    }
    rc_buffer_append(out, event->payload, event->size);
    if (total > 0) {
        for (size_t i = 0; i < FILTER_COUNT; i++) {
            rc_buffer_text(out, filters[i]);
        }
        for (size_t i = 0; i < FILTER_COUNT; i++) {
            rc_buffer_byte(out, (uint8_t)(sizes[i] >> 8));
            rc_buffer_byte(out, (uint8_t)(sizes[i] & 0xff));
        }
        rc_buffer_append(out, magic, MAGIC_BYTES);
    }
    return out->err;
}

/* ---- Arriving. */

/* The sizes of the filters. False: there is no trailer, or not one of ours. */
static bool read_trailer(const uint8_t *bytes, size_t size, size_t sizes[FILTER_COUNT])
{
    size_t total = 0;

    if (size < TAIL_BYTES ||
        memcmp(bytes + size - MAGIC_BYTES, magic, MAGIC_BYTES) != 0) {
        return false;
    }
    const uint8_t *at = bytes + size - TAIL_BYTES;
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        sizes[i] = (size_t)at[2 * i] << 8 | at[2 * i + 1];
        total += sizes[i];
    }
    if (total == 0 || total > size - TAIL_BYTES || total > USER_EVENT_SIZE_MAX) {
        return false;
    }
    return memchr(bytes + size - TAIL_BYTES - total, '\0', total) == NULL;
}

void user_event_read(const char *name, uint64_t ltime, const uint8_t *bytes, size_t size,
                     struct user_event_space *space, struct user_event *out)
{
    size_t sizes[FILTER_COUNT] = {0};
    const char **const places[FILTER_COUNT] = {&out->node_filter, &out->service_filter,
                                               &out->tag_filter};

    *out = (struct user_event){
        .name = name,
        .payload = bytes,
        .size = size,
        .node_filter = "",
        .service_filter = "",
        .tag_filter = "",
        .ltime = ltime,
    };
    user_event_id(name, ltime, bytes, size, out->id);
    if (!read_trailer(bytes, size, sizes)) {
        return;
    }
    out->size = size - TAIL_BYTES - sizes[0] - sizes[1] - sizes[2];
    const uint8_t *at = bytes + out->size;
    char *to = space->text;
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        memcpy(to, at, sizes[i]);
        to[sizes[i]] = '\0';
        *places[i] = to;
        at += sizes[i];
        to += sizes[i] + 1;
    }
    assert(to <= space->text + sizeof space->text);
}

/* ---- Identity. */

void user_event_id(const char *name, uint64_t ltime, const uint8_t *bytes, size_t size,
                   char out[USER_EVENT_ID_SIZE])
{
    /* Two hashes of all that tells events apart, chained; the seeds are any two numbers. */
    static const uint64_t seeds[2] = {0x726f6c6c63616c6c, 0x6576656e742d6964};
    uint8_t id[16];

    for (size_t i = 0; i < 2; i++) {
        uint64_t hash = rc_hash(name, strlen(name), seeds[i] ^ ltime);
        hash = rc_hash(bytes, size, hash);
        for (size_t k = 0; k < 8; k++) {
            id[8 * i + k] = (uint8_t)(hash >> (8 * k));
        }
    }
    rc_text_uuid(id, out);
}

uint64_t user_event_index(const char *id)
{
    char digits[32 + 1];
    size_t count = 0;
    uint8_t bytes[16];
    uint64_t halves[2] = {0, 0};

    for (; *id != '\0' && count < sizeof digits - 1; id++) {
        if (*id != '-') {
            digits[count++] = *id;
        }
    }
    digits[count] = '\0';
    if (*id != '\0' || rc_text_from_hex(digits, sizeof bytes, bytes) != RC_OK) {
        return 0;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        halves[i / 8] = halves[i / 8] << 8 | bytes[i];
    }
    return halves[0] ^ halves[1];
}

/* ---- For whom. */

/* An expression made ready; NULL of an empty one. */
struct filter {
    struct rc_pattern *pattern;
    bool is_wrong;
};

static struct filter filter_of(const char *text)
{
    struct filter filter = {NULL, false};
    const char *why = NULL;

    if (text[0] != '\0') {
        filter.is_wrong = rc_pattern_compile(text, &filter.pattern, &why) != RC_OK;
    }
    return filter;
}

static bool fits(const struct filter *filter, const char *text)
{
    return !filter->is_wrong && (filter->pattern == NULL ||
                                 rc_pattern_is_in(filter->pattern, text, strlen(text)));
}

static bool has_tag(const struct user_event_service *service, const struct filter *tag)
{
    if (tag->pattern == NULL) {
        return !tag->is_wrong;
    }
    for (size_t i = 0; i < service->tag_count; i++) {
        if (fits(tag, service->tags[i])) {
            return true;
        }
    }
    return false;
}

static bool has_service(const struct user_event *event,
                        const struct user_event_node *node)
{
    struct filter name = filter_of(event->service_filter);
    struct filter tag = filter_of(event->tag_filter);
    struct user_event_service service;
    size_t position = 0;
    bool found = false;

    while (!found && node->next_service(node->context, &position, &service)) {
        found = fits(&name, service.name) && has_tag(&service, &tag);
    }
    rc_pattern_destroy(name.pattern);
    rc_pattern_destroy(tag.pattern);
    return found;
}

bool user_event_is_for(const struct user_event *event, const struct user_event_node *node)
{
    struct filter name = filter_of(event->node_filter);
    bool is_ours = fits(&name, node->name);

    rc_pattern_destroy(name.pattern);
    return is_ours && (event->service_filter[0] == '\0' || has_service(event, node));
}

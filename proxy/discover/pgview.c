/* pgview.c - see pgview.h. */
#include "proxy/discover/pgview.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

enum { MARGIN_MS = 1000, FORGET_TIMES = 10 };

/* --- an answer --- */

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static struct rc_address address_of(const json_t *object)
{
    struct rc_address address = {.family = RC_ADDRESS_NONE};
    uint64_t port = number_of(object, "Port");
    if (port == 0 || port > UINT16_MAX ||
        rc_address_parse_ip(text_of(object, "Address"), (uint16_t)port, &address) !=
            RC_OK) {
        address.family = RC_ADDRESS_NONE;
    }
    return address;
}

static bool read_member(const json_t *from, struct pgview_member *out)
{
    *out = (struct pgview_member){
        .address = address_of(from),
        .read_ok = json_is_true(json_object_get(from, "ReadOk")),
        .lag_bytes = number_of(from, "LagBytes"),
        .lag_ms = number_of(from, "LagMs"),
    };
    const char *node = text_of(from, "Node");
    return node[0] != '\0' && rc_text_put(out->node, sizeof out->node, node) == RC_OK;
}

static int read_word(const json_t *root, struct pgview_word *out)
{
    const json_t *primary = json_object_get(root, "Primary");
    const json_t *members = json_object_get(root, "Members");

    if (!json_is_object(root) || !json_is_integer(json_object_get(root, "Term"))) {
        return RC_EMALFORMED;
    }
    out->term = number_of(root, "Term");
    out->ttl_ms = (uint32_t)(number_of(root, "TTLms") & UINT32_MAX);
    if (json_is_object(primary)) {
        out->primary_address = address_of(primary);
        if (rc_text_put(out->primary, sizeof out->primary, text_of(primary, "Node")) !=
            RC_OK) {
            return RC_EMALFORMED;
        }
        out->writable = json_is_true(json_object_get(primary, "Writable")) &&
                        out->primary[0] != '\0' &&
                        out->primary_address.family != RC_ADDRESS_NONE;
    }
    for (size_t i = 0; i < json_array_size(members) && out->count < PGVIEW_MEMBERS_MAX;
         i++) {
        out->count += read_member(json_array_get(members, i), &out->members[out->count]);
    }
    return RC_OK;
}

int pgview_parse(const void *body, size_t size, struct pgview_word *out)
{
    json_error_t why;
    json_t *root = json_loadb(body, size, 0, &why);
    memset(out, 0, sizeof *out);
    int err = read_word(root, out);
    json_decref(root);
    return err;
}

/* --- what counts --- */

void pgview_configure(struct pgview *view, const struct config_pool *config)
{
    view->view_max_ms = config->view_max_ms;
    view->max_lag_bytes = config->max_lag_bytes;
    view->max_lag_ms = config->max_lag_ms;
}

void pgview_init(struct pgview *view, const struct config_pool *config)
{
    memset(view, 0, sizeof *view);
    pgview_configure(view, config);
}

uint32_t pgview_age_max_ms(const struct pgview *view)
{
    uint32_t ttl_ms = view->word.ttl_ms;
    if (view->view_max_ms > 0) {
        return view->view_max_ms;
    }
    if (ttl_ms == 0) {
        return PGVIEW_AGE_UNKNOWN_MS;
    }
    return ttl_ms >= 2 * MARGIN_MS ? ttl_ms - MARGIN_MS : ttl_ms / 2;
}

uint64_t pgview_counts_until_ms(const struct pgview *view)
{
    return view->state == PGVIEW_CURRENT ? view->heard_at_ms + pgview_age_max_ms(view)
                                         : 0;
}

bool pgview_tick(struct pgview *view, uint64_t now_ms)
{
    if (view->state != PGVIEW_CURRENT || now_ms < pgview_counts_until_ms(view)) {
        return false;
    }
    view->state = PGVIEW_LOST;
    view->lost_at_ms = now_ms;
    return true;
}

static bool is_within(const struct pgview *view, const struct pgview_member *member,
                      uint64_t part)
{
    return (view->max_lag_bytes == 0 ||
            member->lag_bytes <= view->max_lag_bytes / part) &&
           (view->max_lag_ms == 0 || member->lag_ms <= view->max_lag_ms / part);
}

static bool was_in_pool(const struct pgview *view, const char *node)
{
    for (size_t i = 0; i < view->word.count; i++) {
        if (rc_text_equals(view->word.members[i].node, node)) {
            return view->word.members[i].in_pool;
        }
    }
    return true; /* new to us: the limit itself counts */
}

/* Who has fallen behind comes back at half the limit: else it would come and go. */
static void choose_readers(const struct pgview *view, struct pgview_word *word)
{
    for (size_t i = 0; i < word->count; i++) {
        struct pgview_member *member = &word->members[i];
        uint64_t part = was_in_pool(view, member->node) ? 1 : 2;
        member->in_pool = member->read_ok && is_within(view, member, part);
    }
}

static bool is_stale(const struct pgview *view, const struct pgview_word *word,
                     uint64_t now_ms)
{
    bool forgotten =
        view->state == PGVIEW_LOST &&
        now_ms - view->lost_at_ms >= (uint64_t)FORGET_TIMES * pgview_age_max_ms(view);
    return word->term < view->word.term && !forgotten;
}

bool pgview_hear(struct pgview *view, const struct pgview_word *word,
                 uint64_t asked_at_ms, uint64_t now_ms)
{
    struct pgview_word next;

    assert(asked_at_ms <= now_ms);
    if (word != NULL) {
        next = *word;
    } else {
        memset(&next, 0, sizeof next);
        next.term = view->word.term;
        next.ttl_ms = view->word.ttl_ms;
    }
    if (view->state != PGVIEW_UNKNOWN && is_stale(view, &next, now_ms)) {
        view->stale_words++;
        return false;
    }
    if (next.ttl_ms == 0) {
        next.ttl_ms = view->word.ttl_ms; /* nobody holds the lease: the last one's */
    }
    choose_readers(view, &next);
    view->word = next;
    view->heard_at_ms = asked_at_ms;
    view->state = PGVIEW_CURRENT;
    (void)pgview_tick(view, now_ms); /* it may be too old already */
    return true;
}

/* --- as members of a pool --- */

static bool put_entry(const char *node, const struct rc_address *address,
                      enum upstream_role claim, struct lineup_entry *out)
{
    *out = (struct lineup_entry){.address = *address, .weight = 1, .claim = claim};
    return address->family != RC_ADDRESS_NONE &&
           rc_text_put(out->id, sizeof out->id, node) == RC_OK;
}

size_t pgview_entries(const struct pgview *view, struct lineup_entry *out)
{
    const struct pgview_word *word = &view->word;
    bool named = false;
    size_t count = 0;

    for (size_t i = 0; i < word->count; i++) {
        const struct pgview_member *member = &word->members[i];
        bool holds = rc_text_equals(member->node, word->primary);
        bool primary = holds && word->writable && !named; /* a name twice is one */
        enum upstream_role claim = primary                     ? UPSTREAM_ROLE_PRIMARY
                                   : member->in_pool && !holds ? UPSTREAM_ROLE_STANDBY
                                                               : UPSTREAM_ROLE_UNKNOWN;
        named = named || primary;
        count +=
            put_entry(member->node, primary ? &word->primary_address : &member->address,
                      claim, &out[count]);
    }
    if (word->writable && !named) { /* the lease is there before the member's own word */
        count += put_entry(word->primary, &word->primary_address, UPSTREAM_ROLE_PRIMARY,
                           &out[count]);
    }
    return count;
}

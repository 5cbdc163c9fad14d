/* key_query.c - the pool's questions about keys, answered inside the core. */
#include "agent/gossip/key_query.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { KEY_TEXT_MAX = 45, MESSAGE_MAX = 96 };

/* ---- Changing the ring. */

struct key_list {
    struct gossip_key keys[GOSSIP_KEYS_MAX];
    size_t count;
};

/* The list with the key at `place` moved to the front. */
static void bring_forward(struct key_list *list, size_t place)
{
    struct gossip_key first = list->keys[place];

    memmove(&list->keys[1], &list->keys[0], place * sizeof first);
    list->keys[0] = first;
    explicit_bzero(&first, sizeof first);
}

/* What the ring will hold after the change; RC_EEXISTS: what it holds now. */
static int plan(const struct keyring *ring, enum gossip_key_change change,
                const struct gossip_key *key, struct key_list *out)
{
    size_t place = keyring_find(ring, key);
    bool is_there = place < ring->count;

    out->count = keyring_keys(ring, out->keys);
    switch (change) {
    case GOSSIP_KEY_INSTALLED:
        if (is_there) {
            return RC_EEXISTS;
        }
        if (out->count == GOSSIP_KEYS_MAX) {
            return RC_ETOOBIG;
        }
        out->keys[out->count++] = *key;
        return RC_OK;
    case GOSSIP_KEY_USED:
    case GOSSIP_KEY_FOLLOWED:
        if (!is_there) {
            return RC_ENOTFOUND;
        }
        bring_forward(out, place);
        return place == 0 ? RC_EEXISTS : RC_OK;
    case GOSSIP_KEY_REMOVED:
        if (!is_there || place == 0) {
            return is_there ? RC_EDENIED : RC_EEXISTS;
        }
        out->count--;
        memmove(&out->keys[place], &out->keys[place + 1],
                (out->count - place) * sizeof out->keys[0]);
        return RC_OK;
    case GOSSIP_KEY_CHANGE_COUNT:
        break;
    }
    return RC_EINVAL;
}

static int carry_out(struct keyring *ring, enum gossip_key_change change,
                     const struct gossip_key *key)
{
    if (change == GOSSIP_KEY_REMOVED) {
        return keyring_remove(ring, key);
    }
    return change == GOSSIP_KEY_INSTALLED ? RC_OK : keyring_use(ring, key);
}

int key_query_change(struct gossip *g, enum gossip_key_change change,
                     const struct gossip_key *key)
{
    struct keyring *ring = &g->envelope.keyring;
    struct key_list list;

    int err = plan(ring, change, key, &list);
    if (err == RC_OK && change == GOSSIP_KEY_INSTALLED) {
        err = keyring_add(ring, key); /* first: not every key can be used everywhere */
    }
    if (err == RC_OK && g->keep_keys != NULL) {
        int kept = g->keep_keys(g->keep_keys_ctx, change, list.keys, list.count);
        if (kept != RC_OK && change == GOSSIP_KEY_INSTALLED) {
            (void)keyring_remove(ring, key); /* never the first: the ring was not empty */
        }
        err = kept == RC_OK ? RC_OK : RC_EIO;
    }
    if (err == RC_OK) {
        err = carry_out(ring, change, key);
        assert(err == RC_OK); /* it was planned */
        g->counters.keys_changed++;
    }
    explicit_bzero(&list, sizeof list);
    return err == RC_EEXISTS ? RC_OK : err;
}

/* ---- Answers. Their words are those of Serf where it has any: people search for them. */

static const char *complaint(enum gossip_key_change change, int err)
{
    switch (err) {
    case RC_EINVAL:
        return "key size must be 16, 24 or 32 bytes";
    case RC_ETOOBIG:
        return "the keyring is full: remove a key first";
    case RC_ENOTFOUND:
        return change == GOSSIP_KEY_INSTALLED
                   ? "this key needs OpenSSL's libcrypto, which is not installed here"
                   : "Requested key is not in the keyring";
    case RC_EDENIED:
        return "Removing the primary key is not allowed";
    case RC_EIO:
        return "the keyring file cannot be written";
    default:
        return rc_strerror(err);
    }
}

static void answer_change(struct gossip *g, enum gossip_key_change change,
                          struct rc_pack_bytes payload,
                          struct wire_key_response *response)
{
    struct rc_cursor in = rc_cursor_over(payload.at, payload.size);
    struct wire_key_request request;
    struct gossip_key key = {.size = 0};

    if (g->envelope.keyring.count == 0) {
        response->message = rc_pack_text("No keyring to modify (encryption not enabled)");
        return;
    }
    (void)rc_cursor_u8(
        &in); /* WIRE_SERF_KEY_REQUEST, which Serf does not look at either */
    if (wire_read(&wire_format_key_request, &in, &request) != RC_OK) {
        response->message = rc_pack_text("Failed to decode key request");
        return;
    }
    if (request.key.size <= sizeof key.bytes && request.key.size > 0) {
        key.size = request.key.size;
        memcpy(key.bytes, request.key.at, key.size);
    }
    int err = key.size == 0 ? RC_EINVAL : key_query_change(g, change, &key);
    response->result = err == RC_OK;
    if (err != RC_OK) {
        response->message = rc_pack_text(complaint(change, err));
    }
    explicit_bzero(&key, sizeof key);
}

static void write_answer(const struct wire_key_response *response, struct rc_buffer *out)
{
    rc_buffer_byte(out, WIRE_SERF_KEY_RESPONSE);
    wire_write(&wire_format_key_response, response, out);
}

static void write_list(char texts[GOSSIP_KEYS_MAX][KEY_TEXT_MAX], size_t shown,
                       size_t count, struct rc_buffer *out)
{
    struct wire_key_response response = {.result = true};
    struct rc_buffer keys = {0};
    char message[MESSAGE_MAX] = "";

    rc_pack_write_array(&keys, shown);
    for (size_t i = 0; i < shown; i++) {
        rc_pack_write_text(&keys, texts[i]);
    }
    if (shown < count) {
        (void)snprintf(message, sizeof message,
                       "truncated key list response, showing first %zu of %zu keys",
                       shown, count);
    }
    response.message = rc_pack_text(message);
    response.raw_keys = (struct rc_pack_bytes){keys.bytes, keys.size};
    response.primary_key = rc_pack_text(texts[0]);
    write_answer(&response, out);
    if (keys.err != RC_OK) {
        out->err = keys.err;
    }
    if (keys.bytes != NULL) {
        explicit_bzero(keys.bytes, keys.size);
    }
    rc_buffer_fini(&keys);
}

/* All keys, or as many as fit. */
static void answer_list(const struct keyring *ring, size_t max, struct rc_buffer *out)
{
    char texts[GOSSIP_KEYS_MAX][KEY_TEXT_MAX];
    size_t shown = ring->count;
    size_t start = out->size;

    for (size_t i = 0; i < ring->count; i++) {
        const struct gossip_key *key = &ring->slots[i].key;
        rc_text_to_base64(key->bytes, key->size, texts[i]);
    }
    write_list(texts, shown, ring->count, out);
    while (out->err == RC_OK && out->size - start > max && shown > 0) {
        shown--;
        out->size = start;
        write_list(texts, shown, ring->count, out);
    }
    explicit_bzero(texts, sizeof texts);
}

void key_query_list(const struct gossip *g, size_t max, struct rc_buffer *out)
{
    const struct wire_key_response response = {
        .message = rc_pack_text("Keyring is empty (encryption not enabled)"),
        .primary_key = rc_pack_text("")};

    if (g->envelope.keyring.count > 0) {
        answer_list(&g->envelope.keyring, max, out);
    } else {
        write_answer(&response, out);
    }
}

/* Then who asks may have no key at all, and what we answer may be read by everybody. */
static bool is_switching(const struct gossip *g)
{
    const struct gossip_cover *cover = &g->envelope.cover;

    return g->envelope.keyring.count > 0 && (cover->sends_plain || cover->takes_plain);
}

int key_query_answer(struct gossip *g, struct rc_pack_bytes name,
                     struct rc_pack_bytes payload, size_t max, struct rc_buffer *out)
{
    static const struct {
        const char *name;
        enum gossip_key_change change;
    } changes[] = {
        {"install-key", GOSSIP_KEY_INSTALLED},
        {"use-key", GOSSIP_KEY_USED},
        {"remove-key", GOSSIP_KEY_REMOVED},
        {"list-keys", GOSSIP_KEY_CHANGE_COUNT},
    };
    struct wire_key_response response = {.message = rc_pack_text(""),
                                         .primary_key = rc_pack_text("")};
    size_t start = out->size;
    size_t i = 0;

    while (i < sizeof changes / sizeof changes[0] &&
           !rc_pack_equals(name, rc_pack_text(changes[i].name))) {
        i++;
    }
    if (i == sizeof changes / sizeof changes[0]) {
        return RC_ENOTFOUND;
    }
    if (is_switching(g)) {
        response.message = rc_pack_text(
            "encryption is being switched (encrypt_verify_*): no word about keys now");
        write_answer(&response, out);
    } else if (changes[i].change != GOSSIP_KEY_CHANGE_COUNT) {
        answer_change(g, changes[i].change, payload, &response);
        write_answer(&response, out);
    } else {
        key_query_list(g, max, out);
    }
    if (out->err == RC_OK && out->size - start > max) {
        return RC_ETOOBIG;
    }
    return out->err;
}

/* keyring_round.c - one order about keys to the whole pool, and what came of it. */
#include "agent/gossip/keyring_round.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/key_query.h"
#include "agent/gossip/serf.h"
#include "base/err.h"

enum { WHY_NAMES_MAX = 8, STRANGERS_MAX = 4096 };

static const char *const query_names[KEYRING_ORDER_COUNT] = {
    [KEYRING_LIST] = "_serf_list-keys",
    [KEYRING_INSTALL] = "_serf_install-key",
    [KEYRING_USE] = "_serf_use-key",
    [KEYRING_REMOVE] = "_serf_remove-key",
};

/* ---- The table. */

static struct keyring_node *add(struct keyring_round *round, struct rc_pack_bytes name,
                                enum gossip_status status)
{
    struct keyring_node *node = calloc(1, sizeof *node);

    if (node != NULL &&
        rc_table_put_bytes(round->nodes, name.at, name.size, node, NULL) != RC_OK) {
        free(node);
        node = NULL;
    }
    if (node != NULL) {
        node->status = status;
        round->expected += status == GOSSIP_ALIVE || status == GOSSIP_SUSPECT;
    }
    return node;
}

static int add_members(struct keyring_round *round, const struct gossip *g)
{
    const struct gossip_member *member;
    size_t position = 0;

    while ((member = gossip_next_member(g, &position)) != NULL) {
        bool is_gone = member->status == GOSSIP_LEFT || member->status == GOSSIP_LEAVING;
        if (!is_gone &&
            add(round, rc_pack_text(member->said->name), member->status) == NULL) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int create(const struct gossip *g, enum keyring_order order,
                  struct keyring_round **out)
{
    struct keyring_round *round = calloc(1, sizeof *round);

    if (round == NULL) {
        return RC_ENOMEM;
    }
    round->order = order;
    round->nodes = rc_table_create(g->hash_seed);
    if (round->nodes == NULL) {
        free(round);
        return RC_ENOMEM;
    }
    *out = round;
    return RC_OK;
}

void keyring_round_destroy(struct keyring_round *round)
{
    struct keyring_node *node;
    size_t position = 0;

    if (round == NULL) {
        return;
    }
    while ((node = rc_table_next(round->nodes, &position, NULL)) != NULL) {
        free(node);
    }
    rc_table_destroy(round->nodes);
    explicit_bzero(round->keys, sizeof round->keys);
    free(round);
}

/* ---- Asking. */

static void wipe(struct rc_buffer *buffer)
{
    if (buffer->bytes != NULL) {
        explicit_bzero(buffer->bytes, buffer->capacity);
    }
    rc_buffer_fini(buffer);
}

/* A key never travels in plain: where others could read it, the question goes out without it.
 * It will be refused all the same, by each member in its words. */
static int ask(struct gossip *g, const struct keyring_request *request, uint32_t *id)
{
    struct wire_key_request wire = {.key = {NULL, 0}};
    struct rc_buffer payload = {0};

    if (request->key.size > 0 && envelope_seals(&g->envelope)) {
        wire.key = (struct rc_pack_bytes){request->key.bytes, request->key.size};
    }
    rc_buffer_byte(&payload, WIRE_SERF_KEY_REQUEST);
    wire_write(&wire_format_key_request, &wire, &payload);
    int err = payload.err;
    if (err == RC_OK) {
        const struct gossip_query query = {.name = query_names[request->order],
                                           .payload = payload.bytes,
                                           .size = payload.size,
                                           .relay_factor = request->relay_factor};
        err = query_ask(g, &query, id);
    }
    wipe(&payload);
    return err;
}

int keyring_round_start(struct gossip *g, uint64_t now_ns,
                        const struct keyring_request *request, struct keyring_round **out)
{
    struct keyring_round *round;

    assert(request->order < KEYRING_ORDER_COUNT);
    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    int err = create(g, request->order, &round);
    if (err != RC_OK) {
        return err;
    }
    err = add_members(round, g);
    if (err == RC_OK) {
        err = ask(g, request, &round->id);
    }
    if (err != RC_OK) {
        keyring_round_destroy(round);
        return err;
    }
    *out = round;
    return RC_OK;
}

int keyring_round_local(struct gossip *g, struct keyring_round **out)
{
    struct keyring_round *round;
    struct rc_buffer answer = {0};

    int err = create(g, KEYRING_LIST, &round);
    if (err != RC_OK) {
        return err;
    }
    key_query_list(g, GOSSIP_QUERY_SIZE_MAX, &answer);
    err = answer.err;
    if (err == RC_OK && add(round, gossip_own_name(g), GOSSIP_ALIVE) == NULL) {
        err = RC_ENOMEM;
    }
    if (err == RC_OK) {
        keyring_round_answer(round, g->self->view.said->name, answer.bytes, answer.size);
        *out = round;
    } else {
        keyring_round_destroy(round);
    }
    wipe(&answer);
    return err;
}

/* ---- Answers. */

static bool is_key_text(struct rc_pack_bytes text)
{
    char copy[KEYRING_TEXT_MAX];
    uint8_t bytes[SEAL_KEY_MAX];
    size_t size = 0;

    if (text.size == 0 || text.size >= sizeof copy ||
        memchr(text.at, '\0', text.size) != NULL) {
        return false;
    }
    memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    bool is_key = rc_text_from_base64(copy, bytes, sizeof bytes, &size) == RC_OK &&
                  (size == 16 || size == 24 || size == 32);
    explicit_bzero(copy, sizeof copy);
    explicit_bzero(bytes, sizeof bytes);
    return is_key;
}

/* The place of a key in the table, which takes it up; KEYRING_HELD_MAX: no key, or no room. */
static size_t place_of(struct keyring_round *round, struct rc_pack_bytes text)
{
    if (!is_key_text(text)) {
        return KEYRING_HELD_MAX;
    }
    for (size_t i = 0; i < round->key_count; i++) {
        if (rc_pack_equals(rc_pack_text(round->keys[i].text), text)) {
            return i;
        }
    }
    if (round->key_count == KEYRING_HELD_MAX) {
        return KEYRING_HELD_MAX;
    }
    memcpy(round->keys[round->key_count].text, text.at, text.size); /* zeroed before */
    return round->key_count++;
}

static void take_keys(struct keyring_round *round, struct keyring_node *node,
                      const struct wire_key_response *response)
{
    struct rc_cursor in = rc_cursor_over(response->raw_keys.at, response->raw_keys.size);
    uint32_t count = response->raw_keys.size > 0 ? rc_pack_read_array(&in) : 0;

    for (uint32_t i = 0; i < count && in.err == RC_OK; i++) {
        size_t place = place_of(round, rc_pack_read_bytes(&in));
        if (place < KEYRING_HELD_MAX && (node->holds & 1ULL << place) == 0) {
            node->holds |= 1ULL << place;
            round->keys[place].nodes++;
        }
    }
    size_t primary = place_of(round, response->primary_key);
    if (primary < KEYRING_HELD_MAX) {
        node->has_primary = true;
        node->primary = primary;
        round->keys[primary].primaries++;
    }
}

static void take_message(struct keyring_node *node, struct rc_pack_bytes message)
{
    size_t size =
        message.size < sizeof node->message - 1 ? message.size : sizeof node->message - 1;
    if (size > 0) {
        memcpy(node->message, message.at, size);
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)node->message[i];
        if (byte < ' ' || byte == 0x7f) {
            node->message[i] = '?'; /* it may end on a terminal */
        }
    }
    while (size > 0 && !rc_text_is_utf8(node->message, size)) {
        size--; /* cut within a character, or none at all */
    }
    node->message[size] = '\0';
}

void keyring_round_answer(struct keyring_round *round, const char *from,
                          const uint8_t *bytes, size_t size)
{
    struct rc_cursor in = rc_cursor_over(bytes, size);
    struct wire_key_response response;
    struct keyring_node *node = rc_table_get(round->nodes, from);

    if (rc_cursor_u8(&in) != WIRE_SERF_KEY_RESPONSE ||
        wire_read(&wire_format_key_response, &in, &response) != RC_OK) {
        return;
    }
    if (node == NULL && rc_table_count(round->nodes) < STRANGERS_MAX + round->expected) {
        node = add(round, rc_pack_text(from), GOSSIP_ALIVE); /* it came while we asked */
    }
    if (node == NULL || node->has_answered) {
        return;
    }
    if (node->status == GOSSIP_FAILED) {
        node->status = GOSSIP_ALIVE; /* it is back */
        round->expected++;
    }
    node->has_answered = true;
    node->is_done = response.result;
    round->answered++;
    round->refused += !response.result;
    take_message(node, response.message);
    if (round->order == KEYRING_LIST && response.result) {
        take_keys(round, node, &response);
    }
}

bool keyring_round_is_complete(const struct keyring_round *round)
{
    return round->answered >= round->expected;
}

/* ---- The next step. */

static size_t find_text(const struct keyring_round *round, const struct gossip_key *key)
{
    char text[KEYRING_TEXT_MAX];
    size_t i = 0;

    rc_text_to_base64(key->bytes, key->size, text);
    while (i < round->key_count && !rc_text_equals(round->keys[i].text, text)) {
        i++;
    }
    explicit_bzero(text, sizeof text);
    return i;
}

/* What a node lacks for the next step; NULL: nothing. `needed` is a place in keys. */
static const char *obstacle(const struct keyring_node *node, enum keyring_order next,
                            size_t needed)
{
    if (!node->has_answered) {
        return node->status == GOSSIP_FAILED ? "has failed" : "did not answer";
    }
    bool holds = needed < KEYRING_HELD_MAX && (node->holds & 1ULL << needed) != 0;
    if (!holds) {
        return "lacks the key";
    }
    /* Serfs of old do not tell which one they use; that they hold it must do. */
    bool uses = !node->has_primary || node->primary == needed;
    return next == KEYRING_REMOVE && !uses ? "still encrypts with another key" : NULL;
}

bool keyring_round_allows(const struct keyring_round *round, const char *self,
                          const struct keyring_request *request, struct rc_buffer *why)
{
    const struct keyring_node *own = rc_table_get(round->nodes, self);
    size_t needed = find_text(round, &request->key);
    const struct keyring_node *node;
    const char *name;
    size_t position = 0;
    size_t count = 0;

    assert(round->order == KEYRING_LIST);
    if (request->order == KEYRING_REMOVE) {
        if (own != NULL && own->has_primary && own->primary == needed) {
            return true;
        }
        needed = own != NULL && own->has_primary ? own->primary : KEYRING_HELD_MAX;
    } else if (request->order != KEYRING_USE) {
        return true;
    }
    while ((node = rc_table_next(round->nodes, &position, &name)) != NULL) {
        const char *what = obstacle(node, request->order, needed);
        if (what != NULL && count++ < WHY_NAMES_MAX) {
            rc_buffer_format(why, "%s%s %s", count > 1 ? ", " : "", name, what);
        }
    }
    if (count > WHY_NAMES_MAX) {
        rc_buffer_format(why, " and %zu more", count - WHY_NAMES_MAX);
    }
    return count == 0;
}

/* keeper_words.c - the words of records, and WAL positions as PostgreSQL writes them. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_record.h"
#include "base/err.h"

static const char *const modes[KEEPER_MODE_COUNT] = {
    [KEEPER_ASYNC] = "async", [KEEPER_SYNC] = "sync", [KEEPER_STRICT] = "strict"};

static const char *const states[KEEPER_STATE_COUNT] = {
    [KEEPER_INIT] = "init",           [KEEPER_STANDBY] = "standby",
    [KEEPER_ELECTING] = "electing",   [KEEPER_PROMOTING] = "promoting",
    [KEEPER_PRIMARY] = "primary",     [KEEPER_DEMOTING] = "demoting",
    [KEEPER_REJOINING] = "rejoining", [KEEPER_FENCED] = "fenced",
    [KEEPER_STOPPED] = "stopped"};

static const char *const intents[] = {[KEEPER_NO_INTENT] = "",
                                      [KEEPER_SWITCHOVER] = "switchover",
                                      [KEEPER_FAILOVER] = "failover"};

static const char *const orders[KEEPER_ORDER_COUNT] = {[KEEPER_NO_ORDER] = "",
                                                       [KEEPER_ORDER_REINIT] = "reinit",
                                                       [KEEPER_ORDER_RESTART] = "restart",
                                                       [KEEPER_ORDER_RELOAD] = "reload",
                                                       [KEEPER_ORDER_STOP] = "stop",
                                                       [KEEPER_ORDER_START] = "start",
                                                       [KEEPER_ORDER_FENCE] = "fence",
                                                       [KEEPER_ORDER_UNFENCE] =
                                                           "unfence"};

const char *keeper_mode_word(enum keeper_mode mode)
{
    assert(mode < KEEPER_MODE_COUNT);
    return modes[mode];
}

const char *keeper_state_word(enum keeper_state state)
{
    assert(state < KEEPER_STATE_COUNT);
    return states[state];
}

const char *keeper_intent_word(enum keeper_intent_kind kind)
{
    return intents[kind];
}

const char *keeper_order_word(enum keeper_order_kind kind)
{
    assert(kind < KEEPER_ORDER_COUNT);
    return orders[kind];
}

/* Where `word` stands, or `count`. */
static size_t find(const char *const *words, size_t count, const char *word)
{
    size_t at = 0;

    while (at < count && (word == NULL || strcmp(words[at], word) != 0)) {
        at++;
    }
    return at;
}

int keeper_mode_from_word(const char *word, enum keeper_mode *out)
{
    size_t at = find(modes, KEEPER_MODE_COUNT, word);

    if (at == KEEPER_MODE_COUNT) {
        return RC_EINVAL;
    }
    *out = (enum keeper_mode)at;
    return RC_OK;
}

int keeper_intent_from_word(const char *word, enum keeper_intent_kind *out)
{
    size_t count = sizeof intents / sizeof *intents;
    size_t at = find(intents, count, word);

    if (at == count || at == KEEPER_NO_INTENT) {
        return RC_EINVAL;
    }
    *out = (enum keeper_intent_kind)at;
    return RC_OK;
}

int keeper_order_from_word(const char *word, enum keeper_order_kind *out)
{
    size_t at = find(orders, KEEPER_ORDER_COUNT, word);

    if (at == KEEPER_ORDER_COUNT || at == KEEPER_NO_ORDER) {
        return RC_EINVAL;
    }
    *out = (enum keeper_order_kind)at;
    return RC_OK;
}

void keeper_lsn_show(uint64_t lsn, char space[32])
{
    (void)snprintf(space, 32, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

/* 1 to 8 hexadecimal digits; how many were read, 0 if none or too many. */
static size_t read_half(const char *text, uint64_t *out)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t size = strspn(text, digits);

    *out = 0;
    for (size_t i = 0; i < size && size <= 8; i++) {
        uint64_t at = (uint64_t)(strchr(digits, text[i]) - digits);
        *out = *out << 4 | (at < 16 ? at : at - 6);
    }
    return size <= 8 ? size : 0;
}

int keeper_lsn_read(const char *text, uint64_t *out)
{
    uint64_t high;
    uint64_t low;
    size_t size = text != NULL ? read_half(text, &high) : 0;

    if (size == 0 || text[size] != '/') {
        return RC_EMALFORMED;
    }
    size_t rest = read_half(text + size + 1, &low);
    if (rest == 0 || text[size + 1 + rest] != '\0') {
        return RC_EMALFORMED;
    }
    *out = high << 32 | low;
    return RC_OK;
}

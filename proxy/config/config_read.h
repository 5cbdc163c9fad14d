/* config_read.h - statements to fields, by tables: the reader that config.c feeds.
 *
 * A block is described by a table of rules: each word's name, the kind of its value, and the
 * field it fills. Unknown words, second values, missing units and numbers out of range are
 * faults with a place. Private to config*.c. */
#ifndef PROXY_CONFIG_CONFIG_READ_H
#define PROXY_CONFIG_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"
#include "proxy/config/config_text.h"

struct config_reader {
    const char *name; /* of the file */
    const char *text;
    size_t size;
    struct config_text words;
    struct config *config; /* being built */
    char *error;           /* CONFIG_ERROR_MAX bytes */
};

enum config_rule_kind {
    CONFIG_RULE_DURATION, /* uint32_t ms; unit required; min..max in ms */
    CONFIG_RULE_SIZE,     /* uint64_t bytes; unit required */
    CONFIG_RULE_COUNT,    /* uint32_t; min..max */
    CONFIG_RULE_PERCENT,  /* uint32_t; "50%" */
    CONFIG_RULE_FACTOR,   /* uint32_t hundredths; "1.25" */
    CONFIG_RULE_TEXT,     /* char[max] */
    CONFIG_RULE_ADDRESS,  /* struct rc_address with a port */
    CONFIG_RULE_FLAG,     /* bool; the word alone, or on/off */
    CONFIG_RULE_CALL,     /* read() does it; several are allowed */
    CONFIG_RULE_CALL_ONCE,
    CONFIG_RULE_ELSEWHERE, /* allowed here, read by another pass */
};

struct config_rule {
    const char *name;
    enum config_rule_kind kind;
    size_t offset; /* of the field in the struct that the block fills */
    uint64_t min;
    uint64_t max;
    int (*read)(struct config_reader *reader, size_t statement, void *into);
};

/* Reads every statement whose parent is `parent` (CONFIG_TEXT_NONE: the top level) by the rules,
 * which end with a NULL name, into the struct at `into`. RC_OK or RC_EMALFORMED. */
int config_read_block(struct config_reader *reader, int parent,
                      const struct config_rule *rules, void *into);

/* The same, but words that no rule knows are left to others. */
int config_read_some(struct config_reader *reader, int parent,
                     const struct config_rule *rules, void *into);

/* Word `index` of a statement, 0 is its name; NULL when there are fewer. */
const struct config_word *config_word_at(const struct config_reader *reader,
                                         size_t statement, size_t index);

/* How many statements named `name` stand directly in `parent`. */
size_t config_count(const struct config_reader *reader, int parent, const char *name);

/* Fault unless the statement has between `min` and `max` words after its name. */
int config_expect_words(struct config_reader *reader, size_t statement, size_t min,
                        size_t max);

/* Notes the fault at `word` and returns RC_EMALFORMED. */
int config_fault(struct config_reader *reader, const struct config_word *word,
                 const char *format, ...) __attribute__((format(printf, 3, 4)));
int config_fault_at(struct config_reader *reader, unsigned line, unsigned column,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One value by a rule, such as a duration inside a longer statement. */
int config_read_value(struct config_reader *reader, const struct config_word *word,
                      const struct config_rule *rule, void *into);

/* One of `names` (NULL at the end) -> its index, else a fault with a suggestion. */
int config_read_choice(struct config_reader *reader, const struct config_word *word,
                       const char *const *names, size_t *out);

/* The same of the only word after the statement's name. */
int config_read_only_choice(struct config_reader *reader, size_t statement,
                            const char *const *names, size_t *out);

#endif

/* store_history.h - what clients asked of a store and were told, and whether that can be true.
 *
 * One line an operation in a file, fields by spaces, "-" for nothing:
 *   CALL BACK CLIENT VERB KEY VALUE ARG SESSION RESULT INDEX SEEN SEEN_SESSION TERM
 * CALL and BACK are of one clock (any unit; BACK "-": never answered). VERB: put cas delete
 * delete-cas get stale lock unlock. VALUE is what was written: each value once in a history.
 * ARG: the index of a cas; of a put above 0, that it may go by itself. RESULT: true, false,
 * unknown (it may have happened), delay (a lock refused by its delay or without a session).
 * INDEX: the ModifyIndex that was written or read, 0 when it is not known. SEEN: the value
 * read, "-": no such key. Leave out what certainly did not happen. */
#ifndef TESTS_SIM_STORE_HISTORY_H
#define TESTS_SIM_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum history_verb {
    HISTORY_PUT,
    HISTORY_CAS,
    HISTORY_DELETE,
    HISTORY_DELETE_CAS,
    HISTORY_GET,
    HISTORY_STALE,
    HISTORY_LOCK,
    HISTORY_UNLOCK,
    HISTORY_VERB_COUNT
};

enum history_result {
    HISTORY_TRUE,
    HISTORY_FALSE,
    HISTORY_UNKNOWN,
    HISTORY_DELAY,
    HISTORY_RESULT_COUNT
};

enum { HISTORY_KEY_MAX = 48, HISTORY_VALUE_MAX = 24, HISTORY_SESSION_MAX = 40 };
#define HISTORY_NEVER UINT64_MAX

struct history_op {
    uint64_t call;
    uint64_t back;
    unsigned client;
    enum history_verb verb;
    char key[HISTORY_KEY_MAX];
    char value[HISTORY_VALUE_MAX];
    uint64_t arg;
    char session[HISTORY_SESSION_MAX];
    enum history_result result;
    uint64_t index;
    char seen[HISTORY_VALUE_MAX]; /* "": no such key */
    char seen_session[HISTORY_SESSION_MAX];
    uint64_t term;
};

struct history {
    struct history_op *ops; /* owned */
    size_t count;
    size_t capacity;
};

void history_add(struct history *history, const struct history_op *op);
void history_fini(struct history *history);

void history_write(const struct history_op *op, FILE *file);
/* False at a line that makes no sense; its number is in `line`. */
bool history_read(struct history *history, FILE *file, size_t *line);

struct verdict {
    bool is_good;
    char why[512];
    size_t searched;   /* keys that the search looked at */
    size_t unsearched; /* of these: too hard, no verdict */
};

/* The witness looks at every key, the search at each `every`th (0: none). Sorts `ops`. */
void history_check(struct history *history, size_t every, struct verdict *verdict);

/* ---- for the two checkers: operations of one key, by call. */
bool witness_key(const struct history_op *ops, size_t count, struct verdict *verdict);
/* Wing, Gong 1993 with Lowe's memory: does not trust indexes. */
bool search_key(const struct history_op *ops, size_t count, struct verdict *verdict);
void verdict_fail(struct verdict *verdict, const struct history_op *op, const char *what);

#endif

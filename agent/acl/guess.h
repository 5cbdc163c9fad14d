/* guess.h - who tries tokens that there are not, and is told to wait.
 *
 * Each address may be wrong GUESS_BURST times, and once more every GUESS_EVERY_MS. Then its
 * requests with tokens are refused without looking, but for tokens that were right from
 * there before: on a shared address one who guesses does not shut the others out. Of the many
 * addresses that a guesser may have only the last GUESS_ADDRESSES are known. Pure. */
#ifndef AGENT_ACL_GUESS_H
#define AGENT_ACL_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GUESS_BURST = 20,
    GUESS_EVERY_MS = 1000,
    GUESS_ADDRESSES = 256,
    GUESS_KNOWN = 8, /* right tokens kept for an address */
};

struct guess_list;

struct guess_list *guess_list_create(void); /* NULL when memory is out */
void guess_list_destroy(struct guess_list *list);

/* `address` is a key of the caller's, such as a hash; `print` the beginning of the token's keyed
 * hash. */
bool guess_may_try(struct guess_list *list, uint64_t address, uint64_t print,
                   uint64_t now_ms);
void guess_was_wrong(struct guess_list *list, uint64_t address, uint64_t now_ms);
void guess_was_right(struct guess_list *list, uint64_t address, uint64_t print,
                     uint64_t now_ms);

#endif

/* guess.h - who tries tokens that there are not, and is told to wait.
 *
 * Each address may be wrong `burst` times, and once more every `every_ms`. Then its
 * requests with tokens are refused without looking, but for tokens that were right from
 * there before: on a shared address one who guesses does not shut the others out. Of the many
 * addresses that a guesser may have only the last GUESS_ADDRESSES are known. Pure. */
#ifndef AGENT_ACL_GUESS_H
#define AGENT_ACL_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUESS_ADDRESSES = 256 };

struct guess_limits {
    unsigned burst;
    unsigned every_ms;
    size_t known; /* right tokens kept for an address */
};

/* Of a client, and of another agent that asks for all of its clients, which it limits itself. */
#define GUESS_OF_CLIENT ((struct guess_limits){20, 1000, 8})
#define GUESS_OF_AGENT  ((struct guess_limits){100, 100, 64})

struct guess_list;

struct guess_list *
guess_list_create(struct guess_limits limits); /* NULL: memory is out */
void guess_list_destroy(struct guess_list *list);

/* `address` is a key of the caller's, such as a hash; `print` the beginning of the token's keyed
 * hash. */
bool guess_may_try(struct guess_list *list, uint64_t address, uint64_t print,
                   uint64_t now_ms);
void guess_was_wrong(struct guess_list *list, uint64_t address, uint64_t now_ms);
void guess_was_right(struct guess_list *list, uint64_t address, uint64_t print,
                     uint64_t now_ms);

#endif

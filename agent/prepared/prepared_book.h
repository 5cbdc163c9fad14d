/* prepared_book.h - all prepared queries there are, parsed once.
 *
 * Filled from the store's documents whenever those have changed; asked for each execution and
 * each DNS question. */
#ifndef AGENT_PREPARED_PREPARED_BOOK_H
#define AGENT_PREPARED_PREPARED_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/prepared/prepared.h"
#include "base/pack.h"

struct prepared_book;
struct store;

/* An empty one, as of index 0. NULL when memory is out. */
struct prepared_book *prepared_book_create(void);
void prepared_book_destroy(struct prepared_book *book); /* NULL is allowed */

/* The index of the documents it was filled from. */
uint64_t prepared_book_index(const struct prepared_book *book);

/* Another number each time that it was filled anew; never 0. */
uint64_t prepared_book_serial(const struct prepared_book *book);

/* Empties it; what is added from now on is of `index`. */
void prepared_book_begin(struct prepared_book *book, uint64_t index);

/* Adds a document. What cannot be read is left out: RC_EMALFORMED; or RC_ENOMEM. */
int prepared_book_add(struct prepared_book *book, const void *text, size_t size);

/* The same with what is parsed already; `given` is borrowed. */
int prepared_book_take(struct prepared_book *book, const json_t *given);

/* prepared_fill.c: brings it up to date with the store's mirror; quick when nothing changed. */
void prepared_book_fill(struct prepared_book *book, const struct store *store);

/* Whether a document of the store's table of queries is one; others say whose a name is. */
bool prepared_is_definition(struct rc_pack_bytes key);

size_t prepared_book_count(const struct prepared_book *book);
const json_t *prepared_book_at(const struct prepared_book *book, size_t position);

/* The query of that id, or of that name, or the template with the longest prefix of it,
 * rendered. RC_OK with `*out` owned by the caller; RC_ENOTFOUND or RC_ENOMEM. */
int prepared_book_find(const struct prepared_book *book, const char *name,
                       enum prepared_case letters, json_t **out);

#endif

/* prepared_book.c - see prepared_book.h. */
#include "agent/prepared/prepared_book.h"

#include <stdlib.h>
#include <string.h>

#include "agent/prepared/prepared.h"
#include "base/err.h"
#include "base/text.h"

struct prepared_book {
    json_t *queries; /* a list */
    uint64_t index;
    uint64_t serial;
};

struct prepared_book *prepared_book_create(void)
{
    struct prepared_book *book = calloc(1, sizeof *book);

    if (book != NULL) {
        book->queries = json_array();
        book->serial = 1;
    }
    if (book != NULL && book->queries == NULL) {
        free(book);
        return NULL;
    }
    return book;
}

void prepared_book_destroy(struct prepared_book *book)
{
    if (book != NULL) {
        json_decref(book->queries);
        free(book);
    }
}

uint64_t prepared_book_index(const struct prepared_book *book)
{
    return book->index;
}

uint64_t prepared_book_serial(const struct prepared_book *book)
{
    return book->serial;
}

void prepared_book_begin(struct prepared_book *book, uint64_t index)
{
    (void)json_array_clear(book->queries);
    book->index = index;
    book->serial++;
}

int prepared_book_take(struct prepared_book *book, const json_t *given)
{
    char error[PREPARED_ERROR_MAX];
    json_t *query = NULL;

    int err = prepared_read(given, &query, error);
    if (err == RC_EINVAL) {
        return RC_EMALFORMED;
    }
    if (err == RC_OK && json_array_append_new(book->queries, query) != 0) {
        err = RC_ENOMEM;
    }
    return err;
}

int prepared_book_add(struct prepared_book *book, const void *text, size_t size)
{
    json_t *given = json_loadb(text, size, 0, NULL);

    int err = given != NULL ? prepared_book_take(book, given) : RC_EMALFORMED;
    json_decref(given);
    return err;
}

size_t prepared_book_count(const struct prepared_book *book)
{
    return json_array_size(book->queries);
}

const json_t *prepared_book_at(const struct prepared_book *book, size_t position)
{
    return json_array_get(book->queries, position);
}

static bool is_named(const json_t *query, const char *name, enum prepared_case letters)
{
    const char *own = prepared_name(query);

    if (prepared_is_template(query) || own[0] == '\0') {
        return false;
    }
    return letters == PREPARED_CASE_FOLDED ? rc_text_equals_nocase(own, name)
                                           : strcmp(own, name) == 0;
}

int prepared_book_find(const struct prepared_book *book, const char *name,
                       enum prepared_case letters, json_t **out)
{
    const json_t *best = NULL;
    size_t best_fit = 0;
    size_t i;
    json_t *query;

    *out = NULL;
    json_array_foreach(book->queries, i, query)
    {
        if (is_named(query, name, letters) ||
            rc_text_equals_nocase(prepared_id(query), name)) {
            return prepared_render(query, name, out);
        }
        size_t fit = prepared_template_fit(query, name, letters);
        if (fit > best_fit) {
            best = query;
            best_fit = fit;
        }
    }
    return best != NULL ? prepared_render(best, name, out) : RC_ENOTFOUND;
}

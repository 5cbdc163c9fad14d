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
};

struct prepared_book *prepared_book_create(void)
{
    struct prepared_book *book = calloc(1, sizeof *book);

    if (book != NULL) {
        book->queries = json_array();
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

void prepared_book_begin(struct prepared_book *book, uint64_t index)
{
    (void)json_array_clear(book->queries);
    book->index = index;
}

int prepared_book_add(struct prepared_book *book, const void *text, size_t size)
{
    char error[PREPARED_ERROR_MAX];
    json_t *query = NULL;
    json_t *given = json_loadb(text, size, 0, NULL);

    int err = given != NULL ? prepared_read(given, &query, error) : RC_EMALFORMED;
    json_decref(given);
    if (err == RC_EINVAL) {
        return RC_EMALFORMED;
    }
    if (err == RC_OK && json_array_append_new(book->queries, query) != 0) {
        err = RC_ENOMEM;
    }
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

int prepared_book_find(const struct prepared_book *book, const char *name, json_t **out)
{
    const json_t *best = NULL;
    size_t best_fit = 0;
    size_t i;
    json_t *query;

    *out = NULL;
    json_array_foreach(book->queries, i, query)
    {
        bool is_named = !prepared_is_template(query) && prepared_name(query)[0] != '\0' &&
                        strcmp(prepared_name(query), name) == 0;
        if (is_named || rc_text_equals_nocase(prepared_id(query), name)) {
            return prepared_render(query, name, out);
        }
        size_t fit = prepared_template_fit(query, name);
        if (fit > best_fit) {
            best = query;
            best_fit = fit;
        }
    }
    return best != NULL ? prepared_render(best, name, out) : RC_ENOTFOUND;
}

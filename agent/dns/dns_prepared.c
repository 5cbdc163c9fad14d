#include "agent/dns/dns_prepared.h"

#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/table.h"

enum {
    FOUND_MAX = 4096,         /* more do not fit into any message */
    KEPT_MAX = 1024,          /* answers; then all start anew */
    LOOKED_THROUGH_MAX = 1024 /* queries, for a part of a name */
};

struct kept {
    struct dns_picked picked;
    const struct dns_service *service; /* owned */
    uint64_t as_of;                    /* what it was made from */
    struct kept *next;                 /* of those to be freed */
};

struct dns_prepared {
    const struct catalog *catalog;
    const struct dns_board *board;
    struct dns_gate gate;
    struct dns_prepared_source source;
    struct dns_form form;
    struct rc_table *answers; /* of queries that stand under their own name */
    struct kept *retired;     /* may be in use until the next answer begins */
};

int dns_prepared_create(const struct catalog *catalog, const struct dns_board *board,
                        const struct dns_gate *gate, struct dns_prepared **out)
{
    struct dns_prepared *prepared = calloc(1, sizeof *prepared);

    if (prepared == NULL) {
        return RC_ENOMEM;
    }
    prepared->catalog = catalog;
    prepared->board = board;
    prepared->gate = *gate;
    prepared->answers = rc_table_create(catalog_index(catalog, CATALOG_TOPIC_ALL, ""));
    if (prepared->answers == NULL) {
        free(prepared);
        return RC_ENOMEM;
    }
    *out = prepared;
    return RC_OK;
}

static void retire(struct dns_prepared *prepared, struct kept *kept)
{
    if (kept != NULL) {
        kept->next = prepared->retired;
        prepared->retired = kept;
    }
}

/* A new answer: what was retired during the last one is of no more use. */
static void begin(void *context)
{
    struct dns_prepared *prepared = context;

    while (prepared->retired != NULL) {
        struct kept *kept = prepared->retired;
        prepared->retired = kept->next;
        dns_board_drop_copy(kept->service);
        free(kept);
    }
}

void dns_prepared_destroy(struct dns_prepared *prepared)
{
    struct kept *kept;
    size_t position = 0;

    if (prepared == NULL) {
        return;
    }
    while ((kept = rc_table_next(prepared->answers, &position, NULL)) != NULL) {
        retire(prepared, kept);
    }
    rc_table_destroy(prepared->answers);
    begin(prepared);
    dns_form_fini(&prepared->form);
    free(prepared);
}

void dns_prepared_set_source(struct dns_prepared *prepared,
                             const struct dns_prepared_source *source)
{
    prepared->source = *source;
}

/* ---- What a query picks. */

/* Those that may be shown and whose nodes are on the board: one that is not came a moment ago,
 * and is there at the next turn. */
static size_t leave_out(const struct dns_prepared *prepared,
                        const struct catalog_service **found, size_t count)
{
    size_t kept = 0;
    uint64_t print;

    for (size_t i = 0; i < count; i++) {
        const char *node = found[i]->node->name;
        if (dns_gate_shows(&prepared->gate, DNS_GATE_SERVICE, found[i]->name) &&
            dns_gate_shows(&prepared->gate, DNS_GATE_NODE, node) &&
            dns_board_find_node(prepared->board, node, &print) != NULL) {
            found[kept++] = found[i];
        }
    }
    return kept;
}

static const struct dns_service *carry_out(struct dns_prepared *prepared,
                                           const json_t *query)
{
    const struct catalog_service **found =
        calloc(FOUND_MAX, sizeof(struct catalog_service *));
    const char *name =
        json_string_value(json_object_get(json_object_get(query, "Service"), "Service"));
    const char *near = prepared_near(query);
    const struct dns_service *copy = NULL;
    struct dns_service made;

    if (found == NULL) {
        return NULL;
    }
    size_t count = prepared_pick(prepared->catalog, query, found, FOUND_MAX);
    count = leave_out(prepared, found, count < FOUND_MAX ? count : FOUND_MAX);
    if (near[0] != '\0') {
        prepared->source.sort(prepared->source.context, near, found, count);
    }
    if (dns_form_service(&prepared->form, prepared->board, name != NULL ? name : "",
                         found, count, &made) == RC_OK) {
        copy = dns_board_copy(&made);
    }
    free((void *)found);
    return copy;
}

static struct kept *make(struct dns_prepared *prepared, const json_t *query)
{
    struct kept *kept = calloc(1, sizeof *kept);

    if (kept == NULL) {
        return NULL;
    }
    kept->service = carry_out(prepared, query);
    if (kept->service == NULL) {
        free(kept);
        return NULL;
    }
    kept->picked.service = *kept->service;
    kept->picked.order =
        prepared_near(query)[0] != '\0' ? DNS_ORDER_KEPT : DNS_ORDER_SHUFFLED;
    kept->picked.has_ttl = prepared_dns_ttl(query, &kept->picked.ttl_s);
    return kept;
}

/* ---- What is kept of it. */

/* Another number whenever something may look otherwise, or to somebody else. */
static uint64_t as_of_now(const struct dns_prepared *prepared,
                          const struct prepared_book *book)
{
    const uint64_t values[] = {catalog_index(prepared->catalog, CATALOG_TOPIC_ALL, ""),
                               dns_gate_serial(&prepared->gate),
                               prepared_book_serial(book),
                               dns_board_count(prepared->board).index};

    return rc_hash(values, sizeof values, 0);
}

/* All start anew, so that names which are gone do not stay for ever. */
static void forget_all(struct dns_prepared *prepared)
{
    const char *key;
    size_t position = 0;
    struct kept *kept;

    while ((kept = rc_table_next(prepared->answers, &position, &key)) != NULL) {
        (void)rc_table_remove(prepared->answers, key);
        retire(prepared, kept);
    }
}

static void keep(struct dns_prepared *prepared, struct rc_span name, struct kept *kept)
{
    void *old = NULL;

    if (rc_table_count(prepared->answers) >= KEPT_MAX) {
        forget_all(prepared);
    }
    if (rc_table_put_bytes(prepared->answers, name.at, name.size, kept, &old) == RC_OK) {
        retire(prepared, old);
    } else {
        retire(prepared, kept);
    }
}

static json_t *find(const struct prepared_book *book, struct rc_span name)
{
    char text[PREPARED_NAME_MAX];
    json_t *query = NULL;

    if (name.size >= sizeof text) {
        return NULL;
    }
    memcpy(text, name.at, name.size);
    text[name.size] = '\0';
    return prepared_book_find(book, text, PREPARED_CASE_FOLDED, &query) == RC_OK ? query
                                                                                 : NULL;
}

/* Names may hold dots: what is above one exists, with nothing there. Where there are very many
 * queries this is not looked for. */
static enum dns_certainty certainty_without(const struct prepared_book *book,
                                            struct rc_span wanted)
{
    size_t count = prepared_book_count(book);

    for (size_t i = 0; i < count && count <= LOOKED_THROUGH_MAX; i++) {
        const char *name = prepared_name(prepared_book_at(book, i));
        size_t size = strlen(name);
        if (size > wanted.size && name[size - wanted.size - 1] == '.' &&
            rc_span_equals_nocase(wanted, name + size - wanted.size)) {
            return DNS_CERTAIN_BELOW;
        }
    }
    return DNS_CERTAIN;
}

/* A query that stands under its own name is carried out again when anything has changed; the names
 * that a template answers have no end, and who is near may change at any time: those are
 * carried out each time. */
static const struct dns_picked *query_of(void *context, struct rc_span name,
                                         enum dns_certainty *certainty)
{
    struct dns_prepared *prepared = context;
    const struct dns_prepared_source *source = &prepared->source;

    *certainty = DNS_CERTAIN;
    const struct prepared_book *book =
        source->book != NULL ? source->book(source->context, certainty) : NULL;
    if (book == NULL) {
        return NULL;
    }
    uint64_t now = as_of_now(prepared, book);
    struct kept *kept = rc_table_get_bytes(prepared->answers, name.at, name.size);
    if (kept != NULL && kept->as_of == now) {
        return &kept->picked;
    }
    json_t *query = find(book, name);
    if (query == NULL) {
        *certainty =
            *certainty == DNS_CERTAIN ? certainty_without(book, name) : *certainty;
        return NULL;
    }
    kept = make(prepared, query);
    if (kept != NULL &&
        (prepared_is_template(query) || prepared_near(query)[0] != '\0')) {
        retire(prepared, kept);
    } else if (kept != NULL) {
        kept->as_of = now;
        keep(prepared, name, kept);
    }
    json_decref(query);
    return kept != NULL ? &kept->picked : NULL;
}

struct dns_board_queries dns_prepared_queries(struct dns_prepared *prepared)
{
    return (struct dns_board_queries){prepared, begin, query_of};
}

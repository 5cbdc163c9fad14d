/* proxy_book.h - the proxies that the catalog knows, and what each said of itself when asked.
 *
 * Whoever may register a service names an address, and this agent asks it: so only addresses of
 * the node that registered it are asked, by gossip's word, at a path that is fixed; an answer is
 * bounded in time and size, read strictly, and told again field by field. Pure; who asks is
 * agent/proxies_uv.c. */
#ifndef AGENT_HTTP_PROXY_BOOK_H
#define AGENT_HTTP_PROXY_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "base/address.h"
#include "base/buffer.h"

struct gossip;
struct rc_json;

#define PROXY_BOOK_SERVICE "rollcall-proxy" /* as the proxies register themselves */

enum {
    PROXY_BOOK_MAX = 64, /* asked at a time; those beyond are told as not asked */
    PROXY_BOOK_LISTED_MAX = 1024,
    PROXY_BOOK_FRESH_MS = 2000,
    PROXY_BOOK_LIMIT_MS = 1000,               /* for one answer */
    PROXY_BOOK_REPLY_MAX = 256 * 1024,        /* bytes of one answer, head and body */
    PROXY_BOOK_FIGURES_MAX = 4 * 1024 * 1024, /* of all together, as they are kept */
    PROXY_BOOK_ITEMS_MAX = 512,               /* routes, instances ... of one list */
    PROXY_BOOK_ERROR_MAX = 96
};

struct proxy_entry {
    char node[CATALOG_NODE_NAME_MAX + 1];
    char id[CATALOG_NAME_MAX + 1]; /* of the service */
    char address_text[CATALOG_NAME_MAX + 1];
    uint16_t port;
    bool is_asked; /* at `address` */
    struct rc_address address;
    char error[PROXY_BOOK_ERROR_MAX]; /* "": `figures` are there, or are awaited */
    char *figures;                    /* JSON text; owned; NULL */
};

/* A zeroed struct is an empty book that is not fresh. */
struct proxy_book {
    struct proxy_entry *entries; /* owned */
    size_t count;
    size_t figures_bytes;
    uint64_t at_ms; /* when it was made; 0: never */
};

void proxy_book_fini(struct proxy_book *book);

/* Empties `book` and lists whom the catalog names now; at most PROXY_BOOK_MAX are to be asked.
 * RC_OK or RC_ENOMEM (the book is empty). */
int proxy_book_list(struct proxy_book *book, const struct catalog *catalog,
                    const struct gossip *gossip);

/* May this agent ask there? RC_OK with `*out`, or RC_EDENIED with the reason in `why` (static). */
int proxy_book_address(const struct catalog_service *service, const struct gossip *gossip,
                       struct rc_address *out, const char **why);

/* Appends the request. */
void proxy_book_ask(const struct proxy_entry *entry, struct rc_buffer *out);

/* Takes a whole answer, from the status line to the last byte; what is wrong with it is the
 * entry's error. */
void proxy_book_take(struct proxy_book *book, struct proxy_entry *entry,
                     const void *bytes, size_t size);
void proxy_book_fail(struct proxy_entry *entry, const char *why);

/* The known fields of a JSON text, as JSON. RC_OK, RC_EMALFORMED (no such object) or RC_ENOMEM. */
int proxy_book_clean(const void *text, size_t size, struct rc_buffer *out);

/* {Node, ServiceID, Address, Port, Error, Figures} of an entry. */
void proxy_book_render(struct rc_json *json, const struct proxy_entry *entry);

#endif

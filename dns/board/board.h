/* board.h - everything that DNS answers from, written by one thread, read by many.
 *
 * The writer (agent/dns/dns_feed.h) puts up nodes and services as immutable objects; a change
 * replaces whole objects. Readers see each replacement at once, take no lock and wait for
 * nobody: a question costs them one hash and a few loads. The board is complete: a name that
 * is not on it does not exist.
 *
 * What a reader holds stays between dns_board_enter() and dns_board_leave(); what was replaced
 * is freed at a later dns_board_settle() or _collect(), when no reader can hold it
 * (base/epoch.h).
 *
 * Unless it says otherwise, a function belongs to the writer's thread. */
#ifndef DNS_BOARD_BOARD_H
#define DNS_BOARD_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "dns/answer/view.h"

enum { DNS_BOARD_NAME_MAX = 255 /* of a node or service, in bytes */ };

struct dns_board;
struct dns_board_reader;

/* An empty board, index 0. `datacenter` is copied; `seed` keys the hashes. RC_OK or
 * RC_ENOMEM. */
int dns_board_create(const char *datacenter, uint64_t seed, struct dns_board **out);

/* Frees everything, readers too: no thread is inside any more. NULL is allowed. */
void dns_board_destroy(struct dns_board *board);

/* ---- readers ------------------------------------------------------------------------- */

/* A reader, for one thread. RC_OK, RC_ENOMEM or RC_ETOOBIG (too many). */
int dns_board_join(struct dns_board *board, struct dns_board_reader **out);

/* Ends a reader that is outside and whose thread does not use it any more. NULL is allowed. */
void dns_board_part(struct dns_board *board, struct dns_board_reader *reader);

/* For the reader's thread: around each batch of questions, not nested, never around a wait.
 * A reader of the writer's own thread needs neither: there nothing goes but in
 * dns_board_settle() and dns_board_collect(). */
void dns_board_enter(struct dns_board_reader *reader);
void dns_board_leave(struct dns_board_reader *reader);

/* What answers are made from; as long as the reader lives. What its functions return stays
 * until dns_board_leave(), which is longer than view.h promises. Of prepared queries it says
 * DNS_ELSEWHERE, unless dns_board_set_queries() told who knows. */
const struct dns_view *dns_board_view(const struct dns_board_reader *reader);

/* For the reader of the thread that can carry prepared queries out: `begin` and `query` of
 * struct dns_view. All zero: they are elsewhere, as at first. */
struct dns_board_queries {
    void *context;
    void (*begin)(void *context);
    const struct dns_picked *(*query)(void *context, struct rc_span name,
                                      enum dns_certainty *certainty);
};

/* `queries` is copied. */
void dns_board_set_queries(struct dns_board_reader *reader,
                           const struct dns_board_queries *queries);

/* ---- the writer ---------------------------------------------------------------------- */

/* A hidden node is there for its instances only: nobody finds it by name or address. */
enum dns_board_shown { DNS_BOARD_HIDDEN, DNS_BOARD_SHOWN };

/* Every object carries a print, a number of the writer's choice that says what it was made
 * from, so that what has not changed need not be made again. 0 is never the print of an
 * object. Names are folded to lower case here. All that is passed in is copied, except for
 * the nodes of instances: those must be what dns_board_find_node() returns. `shelf` is not
 * read. On an error what was there stays. */

/* Puts up a node, or replaces it. Services keep the node they were put up with: whoever
 * replaces a node puts up the services on it again. RC_OK, RC_ETOOBIG (its name), RC_ENOMEM. */
int dns_board_put_node(struct dns_board *board, const struct dns_node *node,
                       enum dns_board_shown shown, uint64_t print);

/* The node of that name, hidden or not, in any letter case, and its print; or NULL. It stays
 * until it is replaced or removed, and then until dns_board_settle(). */
const struct dns_node *dns_board_find_node(const struct dns_board *board,
                                           const char *name, uint64_t *print);

/* Whether a node that was found may be told. */
enum dns_board_shown dns_board_node_shown(const struct dns_node *node);

/* Puts up a service, or replaces it. RC_OK, RC_ETOOBIG (its name), RC_ENOMEM. */
int dns_board_put_service(struct dns_board *board, const struct dns_service *service,
                          uint64_t print);

/* True if what is up under that name has that print: it need not be put up again. */
bool dns_board_keep_node(struct dns_board *board, const char *name, uint64_t print);
bool dns_board_keep_service(struct dns_board *board, const char *name, uint64_t print);

/* Nothing happens if there is none of that name. */
void dns_board_remove_node(struct dns_board *board, const char *name);
void dns_board_remove_service(struct dns_board *board, const char *name);

/* A look at everything: what is neither put up nor kept between the two goes with the end. */
void dns_board_begin_all(struct dns_board *board);
void dns_board_end_all(struct dns_board *board);

/* The nodes that serve the zone: as they are on the board now, so told again whenever one of
 * them was replaced. Those beyond DNS_NAME_SERVERS_MAX are left out. RC_OK or RC_ENOMEM. */
int dns_board_set_name_servers(struct dns_board *board,
                               const struct dns_node *const *servers, size_t count);

/* A copy that is not put up, for the writer's own answers: it keeps its nodes, too. NULL when
 * memory is out; ended by dns_board_drop_copy(), before the board. */
const struct dns_service *dns_board_copy(const struct dns_service *service);
void dns_board_drop_copy(const struct dns_service *copy); /* NULL is allowed */

/* To be called when all that changed is up: `index` is the catalog's, and from the first one
 * above 0 on questions are answered. Frees what no reader can hold any more. */
void dns_board_settle(struct dns_board *board, uint64_t index);

/* Frees what no reader can hold any more, in the middle of many changes, so that the memory of
 * what was replaced does for what comes next. What dns_board_find_node() returned before may
 * have gone, unless it is still up. */
void dns_board_collect(struct dns_board *board);

/* How much there is, for figures and tests. */
struct dns_board_counts {
    size_t services;
    size_t nodes;
    size_t addresses;      /* that lead back to a node or a service */
    size_t waiting;        /* replaced, but a reader may hold it */
    uint64_t services_put; /* since the start, as is the next */
    uint64_t nodes_put;
    uint64_t index; /* as of the last settling */
};
struct dns_board_counts dns_board_count(const struct dns_board *board);

#endif

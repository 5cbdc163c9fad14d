/* epoch.h - when may memory be freed that other threads may still be reading?
 *
 * Epoch based reclamation (Fraser 2004, section 5.2.3) for one writer and a few readers. The
 * writer replaces a pointer and retires what it pointed to; a reader looks between enter and
 * leave. What is retired is freed once every reader that could hold it has left. A reader
 * that is outside holds nothing up, however long it sleeps; one that stays inside makes what
 * is retired wait, so it stays for one batch of work, never for a wait.
 *
 * The pointers that both sides share are stored and loaded with memory_order_seq_cst (on
 * x86 and ARM a load so ordered costs no more than an acquire): that is what lets enter be
 * one exchange and leave one store, without fences.
 *
 * Except for rc_epoch_enter() and rc_epoch_leave() everything here belongs to the writer's
 * thread. */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include <stddef.h>
#include <stdint.h>

enum { RC_EPOCH_READERS_MAX = 256 };

struct rc_epoch;
struct rc_epoch_reader;

/* Stands in whatever is to be retired; of no meaning before that. */
struct rc_epoch_link {
    struct rc_epoch_link *next;
    uint64_t retired_at;
};

/* Frees what `link` stands in. May retire other things, which then wait their turn. */
typedef void (*rc_epoch_release)(void *context, struct rc_epoch_link *link);

/* `release` is called with `context` for everything that was retired, on the writer's
 * thread, within rc_epoch_collect() or rc_epoch_destroy(). RC_OK or RC_ENOMEM. */
int rc_epoch_create(rc_epoch_release release, void *context, struct rc_epoch **out);

/* Releases all that waits. No reader is inside any more, and none enters again; those that
 * have not parted are freed. NULL is allowed. */
void rc_epoch_destroy(struct rc_epoch *epoch);

/* A new reader, outside; it belongs to one thread at a time. RC_OK, RC_ENOMEM, or
 * RC_ETOOBIG: there are RC_EPOCH_READERS_MAX. */
int rc_epoch_join(struct rc_epoch *epoch, struct rc_epoch_reader **out);

/* Ends a reader that is outside and does not enter again. NULL is allowed. */
void rc_epoch_part(struct rc_epoch *epoch, struct rc_epoch_reader *reader);

/* Between the two, on the reader's own thread, what was reachable stays. Not nested. One
 * atomic exchange on memory that nobody else writes, and one store. */
void rc_epoch_enter(struct rc_epoch_reader *reader);
void rc_epoch_leave(struct rc_epoch_reader *reader);

/* To be called once no pointer leads to it any more. Allocates nothing, cannot fail. */
void rc_epoch_retire(struct rc_epoch *epoch, struct rc_epoch_link *link);

/* Releases what no reader can hold. */
void rc_epoch_collect(struct rc_epoch *epoch);

/* How much was retired and still waits. */
size_t rc_epoch_waiting(const struct rc_epoch *epoch);

#endif

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "base/err.h"

enum { THREADS = 4, ROUNDS = 20000, SLOTS = 8, WORDS = 16 };

/* Each of whose words says the same, until it is freed. */
struct object {
    struct rc_epoch_link link;
    uint64_t words[WORDS];
};

struct counter {
    size_t released;
    uint64_t last;
};

static void on_release(void *context, struct rc_epoch_link *link)
{
    struct counter *counter = context;
    struct object *object = (struct object *)link;

    counter->released++;
    counter->last = object->words[0];
    memset(object->words, 0xee, sizeof object->words);
    free(object);
}

static struct object *make(uint64_t word)
{
    struct object *object = calloc(1, sizeof *object);

    assert_non_null(object);
    for (size_t i = 0; i < WORDS; i++) {
        object->words[i] = word;
    }
    return object;
}

static void what_nobody_reads_is_released_at_once(void **state)
{
    struct counter counter = {0};
    struct rc_epoch_reader *reader;
    struct rc_epoch *epoch;

    (void)state;
    assert_int_equal(rc_epoch_create(on_release, &counter, &epoch), RC_OK);
    assert_int_equal(rc_epoch_join(epoch, &reader), RC_OK);
    rc_epoch_retire(epoch, &make(1)->link);
    rc_epoch_retire(epoch, &make(2)->link);
    assert_int_equal(rc_epoch_waiting(epoch), 2);
    rc_epoch_collect(epoch);

    assert_int_equal(counter.released, 2);
    assert_int_equal(counter.last, 2);
    assert_int_equal(rc_epoch_waiting(epoch), 0);
    rc_epoch_destroy(epoch);
}

static void reader_holds_what_was_there_when_it_entered(void **state)
{
    struct counter counter = {0};
    struct rc_epoch_reader *early;
    struct rc_epoch_reader *late;
    struct rc_epoch *epoch;

    (void)state;
    assert_int_equal(rc_epoch_create(on_release, &counter, &epoch), RC_OK);
    assert_int_equal(rc_epoch_join(epoch, &early), RC_OK);
    assert_int_equal(rc_epoch_join(epoch, &late), RC_OK);
    rc_epoch_enter(early);
    rc_epoch_retire(epoch, &make(1)->link);
    rc_epoch_collect(epoch);
    assert_int_equal(counter.released, 0);

    rc_epoch_enter(late); /* cannot have seen the first */
    rc_epoch_retire(epoch, &make(2)->link);
    rc_epoch_leave(early);
    rc_epoch_collect(epoch);
    assert_int_equal(counter.released, 1);
    assert_int_equal(counter.last, 1);

    rc_epoch_leave(late);
    rc_epoch_collect(epoch);
    assert_int_equal(counter.released, 2);
    rc_epoch_destroy(epoch);
}

static void reader_that_parted_holds_nothing_up(void **state)
{
    struct counter counter = {0};
    struct rc_epoch_reader *readers[RC_EPOCH_READERS_MAX];
    struct rc_epoch_reader *more;
    struct rc_epoch *epoch;

    (void)state;
    assert_int_equal(rc_epoch_create(on_release, &counter, &epoch), RC_OK);
    for (size_t i = 0; i < RC_EPOCH_READERS_MAX; i++) {
        assert_int_equal(rc_epoch_join(epoch, &readers[i]), RC_OK);
    }
    assert_int_equal(rc_epoch_join(epoch, &more), RC_ETOOBIG);
    rc_epoch_part(epoch, readers[7]);
    assert_int_equal(rc_epoch_join(epoch, &more), RC_OK);
    rc_epoch_retire(epoch, &make(1)->link);
    rc_epoch_collect(epoch);

    assert_int_equal(counter.released, 1);
    rc_epoch_destroy(epoch);
}

static void destroying_releases_what_waits(void **state)
{
    struct counter counter = {0};
    struct rc_epoch *epoch;

    (void)state;
    assert_int_equal(rc_epoch_create(on_release, &counter, &epoch), RC_OK);
    rc_epoch_retire(epoch, &make(1)->link);
    rc_epoch_destroy(epoch);
    assert_int_equal(counter.released, 1);
    rc_epoch_destroy(NULL);
}

/* ---- Threads. */

struct shared {
    _Atomic(struct object *) slots[SLOTS];
    _Atomic int over;
    _Atomic uint64_t wrong; /* objects that did not say the same throughout */
    _Atomic uint64_t batches;
};

struct worker {
    struct shared *shared;
    struct rc_epoch_reader *reader;
    pthread_t thread;
};

static void look_at(struct shared *shared, const struct object *object)
{
    for (size_t i = 1; i < WORDS; i++) {
        if (object->words[i] != object->words[0]) {
            atomic_fetch_add(&shared->wrong, 1);
        }
    }
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct shared *shared = worker->shared;

    while (atomic_load(&shared->over) == 0) {
        const struct object *held[SLOTS];
        rc_epoch_enter(worker->reader);
        for (size_t i = 0; i < SLOTS; i++) {
            held[i] = atomic_load_explicit(&shared->slots[i], memory_order_seq_cst);
        }
        for (size_t i = 0; i < SLOTS; i++) {
            look_at(shared, held[i]);
        }
        rc_epoch_leave(worker->reader);
        atomic_fetch_add(&shared->batches, 1);
    }
    return NULL;
}

static void readers_never_see_what_was_freed(void **state)
{
    struct counter counter = {0};
    struct shared shared = {.over = 0};
    struct worker workers[THREADS];
    struct rc_epoch *epoch;

    (void)state;
    assert_int_equal(rc_epoch_create(on_release, &counter, &epoch), RC_OK);
    for (size_t i = 0; i < SLOTS; i++) {
        atomic_store(&shared.slots[i], make(i));
    }
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].shared = &shared;
        assert_int_equal(rc_epoch_join(epoch, &workers[i].reader), RC_OK);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint64_t i = 0; i < ROUNDS || atomic_load(&shared.batches) < THREADS; i++) {
        struct object *old = atomic_exchange(&shared.slots[i % SLOTS], make(i));
        rc_epoch_retire(epoch, &old->link);
        if (i % 3 == 0) {
            rc_epoch_collect(epoch);
        }
    }
    atomic_store(&shared.over, 1);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    rc_epoch_collect(epoch);

    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_int_equal(rc_epoch_waiting(epoch), 0);
    rc_epoch_destroy(epoch);
    for (size_t i = 0; i < SLOTS; i++) {
        free(atomic_load(&shared.slots[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_reads_is_released_at_once),
        cmocka_unit_test(reader_holds_what_was_there_when_it_entered),
        cmocka_unit_test(reader_that_parted_holds_nothing_up),
        cmocka_unit_test(destroying_releases_what_waits),
        cmocka_unit_test(readers_never_see_what_was_freed),
    };
    return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}

#include "tests/crash/writers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/sqlite_engine.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"

enum { KEY_SIZE = 16, LARGE = 60000, AGAIN_MS = 20 };

struct writer {
    struct writers *owner;
    unsigned number;
    uint64_t asked_ns;
    bool is_open; /* a request is */
};

/* What the follower said there is. */
struct seen {
    uint64_t w;
    uint64_t x;
    bool has_t;
    uint64_t revision;
};

struct writers {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_timer_t again;
    struct engine *engine;
    struct board *board;
    struct writer all[WRITERS_MAX];
    struct seen seen[WRITERS_MAX];
    unsigned count;
    unsigned value_max;
    unsigned open;
    bool is_writing;
    bool is_loaded;
    bool is_closed;
    uint64_t loaded_revision;
    struct rc_random random;
    uint8_t filler[LARGE];
};

/* ---- The follower. */

static void on_begin(void *context)
{
    struct writers *writers = context;

    memset(writers->seen, 0, sizeof writers->seen);
    writers->is_loaded = false;
}

/* Keys are w/12, x/12 and t/12. */
static struct seen *seen_of(struct writers *writers, struct rc_pack_bytes key)
{
    char text[KEY_SIZE] = "";

    assert(key.size > 2 && key.size < sizeof text);
    memcpy(text, key.at, key.size);
    unsigned long number = strtoul(text + 2, NULL, 10);
    assert(number < WRITERS_MAX);
    return &writers->seen[number];
}

static void on_put(void *context, const struct engine_item *item)
{
    struct seen *seen = seen_of(context, item->key);
    uint64_t n = 0;

    if (item->value.size >= sizeof n) {
        memcpy(&n, item->value.at, sizeof n);
    }
    if (item->key.at[0] == 'w') {
        seen->w = n;
        seen->revision = item->mod_revision;
    } else if (item->key.at[0] == 'x') {
        seen->x = n;
    } else {
        seen->has_t = true;
    }
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    struct seen *seen = seen_of(context, key);

    assert(key.at[0] == 't' && revision > 0);
    seen->has_t = false;
}

static void on_end(void *context, uint64_t revision)
{
    struct writers *writers = context;

    writers->is_loaded = true;
    writers->loaded_revision = revision;
}

/* ---- Writing. */

static void write_next(struct writer *writer);

static void on_again(uv_timer_t *timer)
{
    struct writers *writers = timer->data;

    for (unsigned i = 0; writers->is_writing && i < writers->count; i++) {
        if (!writers->all[i].is_open) {
            write_next(&writers->all[i]);
        }
    }
}

static void note(struct writer *writer, const struct engine_answer *answer)
{
    struct board *board = writer->owner->board;

    if (answer->err == RC_OK) {
        board->acked[writer->number] = board->asked[writer->number];
        board->revision =
            answer->revision > board->revision ? answer->revision : board->revision;
        board->total++;
        if (board->micros_count < WRITERS_WAYS) {
            board->micros[board->micros_count++] =
                (rc_clock_ns() - writer->asked_ns) / 1000;
        }
        return;
    }
    board->unknown += answer->err == RC_EUNKNOWN ? 1 : 0;
    board->refused += answer->err == RC_EUNKNOWN ? 0 : 1;
    board->last_err = answer->err;
}

static void on_done(void *context, const struct engine_answer *answer)
{
    struct writer *writer = context;
    struct writers *writers = writer->owner;

    writer->is_open = false;
    writers->open--;
    note(writer, answer);
    if (!writers->is_writing) {
        return;
    }
    if (answer->err == RC_OK) {
        write_next(writer);
    } else {
        (void)uv_timer_start(&writers->again, on_again, AGAIN_MS, 0);
    }
}

static struct rc_pack_bytes name(char space[KEY_SIZE], char kind, unsigned number)
{
    int size = snprintf(space, KEY_SIZE, "%c/%u", kind, number);
    return (struct rc_pack_bytes){(const uint8_t *)space, (size_t)size};
}

static size_t size_of_value(struct writers *writers)
{
    if (writers->value_max < LARGE) {
        return 8 + writers->value_max;
    }
    bool is_large = rc_random_below(&writers->random, 64) == 0;
    return 8 + rc_random_below(&writers->random, is_large ? LARGE - 8 : 600);
}

static void write_next(struct writer *writer)
{
    struct writers *writers = writer->owner;
    uint64_t n = ++writers->board->asked[writer->number];
    char keys[3][KEY_SIZE];
    struct rc_pack_bytes value = {writers->filler, size_of_value(writers)};
    memcpy(writers->filler, &n, sizeof n);
    struct engine_op ops[] = {
        {ENGINE_PUT, name(keys[0], 'w', writer->number), value, 0},
        {ENGINE_PUT, name(keys[1], 'x', writer->number), value, 0},
        {n % 2 == 1 ? ENGINE_PUT : ENGINE_DELETE,
         name(keys[2], 't', writer->number),
         {0},
         0},
    };
    struct engine_txn txn = {.then = ops,
                             .then_count = writers->value_max < LARGE ? 1 : 3};

    ops[0].value.size = writers->value_max < LARGE ? value.size : 8;
    writer->is_open = true;
    writers->open++;
    writer->asked_ns = rc_clock_ns();
    engine_txn(writers->engine, &txn, on_done, writer);
}

/* ---- The whole. */

static void on_time(uv_timer_t *timer)
{
    struct writers *writers = timer->data;
    uv_stop(&writers->loop);
}

static void run_until(struct writers *writers, const bool *flag)
{
    while (!*flag) {
        (void)uv_run(&writers->loop, UV_RUN_ONCE);
    }
}

struct writers *writers_open(const char *folder, struct board *board, unsigned count,
                             unsigned value_max)
{
    struct writers *writers = calloc(1, sizeof *writers);
    char error[ENGINE_ERROR_MAX] = "out of memory";
    int err = writers == NULL ? RC_ENOMEM : uv_loop_init(&writers->loop);

    if (err == RC_OK) {
        struct sqlite_engine_options options = {&writers->loop, folder, "crash"};
        err = sqlite_engine_open(&options, &writers->engine, error);
    }
    if (err != RC_OK || count > WRITERS_MAX) {
        (void)fprintf(stderr, "%s\n", error);
        exit(EXIT_FAILURE); // NOLINT(concurrency-mt-unsafe): there is no other thread
    }
    struct engine_follower follower = {writers, on_begin, on_put, on_removed, on_end};
    writers->engine->class->follow(writers->engine, &follower);
    (void)uv_timer_init(&writers->loop, &writers->timer);
    (void)uv_timer_init(&writers->loop, &writers->again);
    writers->timer.data = writers->again.data = writers;
    writers->board = board;
    writers->count = count;
    writers->value_max = value_max;
    rc_random_init(&writers->random, board->total + board->revision);
    for (unsigned i = 0; i < count; i++) {
        writers->all[i] = (struct writer){.owner = writers, .number = i};
    }
    return writers;
}

void writers_run(struct writers *writers, uint64_t ms)
{
    writers->is_writing = true;
    on_again(&writers->again);
    if (ms > 0) {
        (void)uv_timer_start(&writers->timer, on_time, ms, 0);
    }
    (void)uv_run(&writers->loop, UV_RUN_DEFAULT);
}

void writers_rest(struct writers *writers)
{
    writers->is_writing = false;
    while (writers->open > 0) {
        (void)uv_run(&writers->loop, UV_RUN_ONCE);
    }
}

struct engine_status writers_status(struct writers *writers)
{
    struct engine_status status;
    writers->engine->class->status(writers->engine, &status);
    return status;
}

static bool check_one(struct writers *writers, unsigned i)
{
    struct board *board = writers->board;
    const struct seen *seen = &writers->seen[i];
    bool is_whole = writers->value_max < LARGE ||
                    (seen->x == seen->w && seen->has_t == (seen->w % 2 == 1));

    if (seen->w < board->acked[i] || seen->w > board->asked[i] || !is_whole) {
        (void)fprintf(
            stderr,
            "writer %u: acknowledged %llu, asked for %llu, found %llu and %llu%s\n", i,
            (unsigned long long)board->acked[i], (unsigned long long)board->asked[i],
            (unsigned long long)seen->w, (unsigned long long)seen->x,
            seen->has_t ? " and t" : "");
        return false;
    }
    board->acked[i] = board->asked[i] = seen->w;
    return true;
}

bool writers_check(struct writers *writers)
{
    struct board *board = writers->board;
    bool is_good = true;

    run_until(writers, &writers->is_loaded);
    if (writers->loaded_revision < board->revision) {
        (void)fprintf(stderr, "revision fell from %llu to %llu\n",
                      (unsigned long long)board->revision,
                      (unsigned long long)writers->loaded_revision);
        is_good = false;
    }
    board->revision = writers->loaded_revision;
    for (unsigned i = 0; i < WRITERS_MAX; i++) {
        is_good = check_one(writers, i) && is_good;
    }
    return is_good;
}

static void on_closed(void *context)
{
    struct writers *writers = context;
    writers->is_closed = true;
}

void writers_close(struct writers *writers)
{
    writers->is_writing = false;
    writers->engine->class->close(writers->engine, on_closed, writers);
    run_until(writers, &writers->is_closed);
    uv_close((uv_handle_t *)&writers->timer, NULL);
    uv_close((uv_handle_t *)&writers->again, NULL);
    (void)uv_run(&writers->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&writers->loop);
    free(writers);
}

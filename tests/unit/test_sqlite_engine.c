#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/engine/sqlite_engine.h"
#include "base/clock.h"
#include "base/err.h"
#include "tests/unit/engine_contract.h"

/* ---- A driver: a real loop and a folder of its own. */

struct place {
    uv_loop_t loop;
    char folder[64];
};

static void remove_store(const struct place *place)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.lock"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", place->folder, names[i]);
        (void)unlink(path);
    }
}

static struct engine *open_again(void *context)
{
    struct place *place = context;
    struct sqlite_engine_options options = {&place->loop, place->folder, "here"};
    struct engine *engine = NULL;
    char error[ENGINE_ERROR_MAX] = "";

    if (sqlite_engine_open(&options, &engine, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return engine;
}

static struct engine *open_empty(void *context)
{
    remove_store(context);
    return open_again(context);
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run(void *context, bool (*is_done)(void *argument), void *argument,
                uint64_t ms)
{
    struct place *place = context;
    uint64_t end_ms = rc_clock_ms() + ms;
    uv_timer_t timer;

    (void)uv_timer_init(&place->loop, &timer);
    while ((is_done == NULL || !is_done(argument)) && rc_clock_ms() < end_ms) {
        uv_update_time(&place->loop);
        (void)uv_timer_start(&timer, on_time, end_ms - rc_clock_ms(), 0);
        (void)uv_run(&place->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&place->loop, UV_RUN_NOWAIT);
}

static uint64_t now_ms(void *context)
{
    (void)context;
    return rc_clock_ms();
}

int main(void)
{
    static struct place place;
    const struct engine_driver driver = {.context = &place,
                                         .open_empty = open_empty,
                                         .open_again = open_again,
                                         .run = run,
                                         .now_ms = now_ms,
                                         .patience_ms = 20000,
                                         .lease_ms = 400,
                                         .late_ms = 10000};
    int failed;

    (void)snprintf(place.folder, sizeof place.folder, "/tmp/test_sqlite_engine.%ld",
                   (long)getpid());
    if (uv_loop_init(&place.loop) != 0) {
        return EXIT_FAILURE;
    }
    failed = engine_contract_run("sqlite_engine", &driver);
    (void)uv_run(&place.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&place.loop);
    remove_store(&place);
    (void)rmdir(place.folder);
    return failed;
}

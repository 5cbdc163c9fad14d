/* test_store.c - stores under faults are linearizable, and the judge knows what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/store_sim.h"

/* ---- the judge: histories by hand, in the file's format (store_history.h) */

struct example {
    const char *why;
    const char *lines;
};

static void judge(const char *lines, struct verdict *verdict)
{
    struct history history = {.ops = NULL};
    char text[2048];
    size_t line = 0;

    (void)snprintf(text, sizeof text, "%s", lines);
    FILE *file = fmemopen(text, strlen(text), "r");
    assert_non_null(file);
    assert_true(history_read(&history, file, &line));
    (void)fclose(file);
    history_check(&history, 1, verdict);
    history_fini(&history);
}

#define PUT(call, back, value, index) \
    call " " back " 1 put k " value " 0 - true " index " - - 0\n"
#define GET(call, back, index, value) \
    call " " back " 2 get k - 0 - true " index " " value " - 0\n"
#define GET_BY(call, back, index, value, session) \
    call " " back " 2 get k - 0 - true " index " " value " " session " 0\n"
#define STALE(call, back, index, value) \
    call " " back " 3 stale k - 0 - true " index " " value " - 0\n"
#define NONE(call, back) call " " back " 2 get k - 0 - true 0 - - 0\n"
#define CAS(call, back, value, arg, result, index) \
    call " " back " 1 cas k " value " " arg " - " result " " index " - - 0\n"
#define DELETE(call, back, index) call " " back " 1 delete k - 0 - true " index " - - 0\n"
#define DELETE_CAS(call, back, arg, index) \
    call " " back " 1 delete-cas k - " arg " - true " index " - - 0\n"
#define LOCK(call, back, value, session, result, index, term) \
    call " " back " 1 lock k " value " 0 " session " " result " " index " - - " term "\n"
#define UNLOCK(call, back, value, session, result, index) \
    call " " back " 1 unlock k " value " 0 " session " " result " " index " - - 0\n"
#define UNKNOWN_PUT(call, value) call " - 1 put k " value " 0 - unknown 0 - - 0\n"
#define UNKNOWN_DELETE(call)     call " - 1 delete k - 0 - unknown 0 - - 0\n"
#define TTL_PUT(call, back, value, index) \
    call " " back " 1 put k " value " 1000 - true " index " - - 0\n"

static const struct example bad[] = {
    {"stale read",
     PUT("1", "2", "a", "5") PUT("3", "4", "b", "6") GET("5", "6", "5", "a")},
    {"stale read of nothing", PUT("1", "2", "a", "5") NONE("3", "4")},
    {"lost update", PUT("1", "2", "a", "5") CAS("3", "4", "b", "5", "true", "6")
                        CAS("3", "4", "c", "5", "true", "7")},
    {"resurrected",
     PUT("1", "2", "a", "5") DELETE("3", "4", "6") GET("5", "6", "5", "a")},
    {"resurrected at a new index",
     PUT("1", "2", "a", "5") DELETE("3", "4", "6") GET("5", "6", "7", "a")},
    {"double cas from nothing",
     CAS("1", "5", "a", "0", "true", "5") CAS("1", "5", "b", "0", "true", "6")},
    {"cas of an index long gone", PUT("1", "2", "a", "5") PUT("3", "4", "b", "6")
                                      CAS("5", "6", "c", "5", "true", "7")},
    {"read from the future", GET("1", "2", "5", "a") PUT("3", "4", "a", "5")},
    {"stale from the future", STALE("1", "2", "5", "a") PUT("3", "4", "a", "5")},
    {"a value that nobody wrote", PUT("1", "2", "a", "5") GET("3", "4", "6", "z")},
    {"a stale value that nobody wrote",
     PUT("1", "2", "a", "5") STALE("3", "4", "6", "z")},
    {"a refused cas is read", PUT("1", "2", "a", "5") CAS("3", "4", "b", "1", "false",
                                                          "0") GET("5", "6", "6", "b")},
    {"one index, two values", PUT("1", "9", "a", "5") GET("2", "3", "5", "a")
                                  UNKNOWN_PUT("1", "b") GET("4", "5", "5", "b")},
    {"two writes at one index", PUT("1", "9", "a", "5") PUT("1", "9", "b", "5")},
    {"an index that nobody wrote", PUT("1", "2", "a", "5") GET("3", "4", "6", "a")},
    {"writes against time", PUT("1", "2", "a", "6") PUT("3", "4", "b", "5")},
    {"reads go back", PUT("1", "9", "a", "5") PUT("1", "9", "b", "6")
                          GET("2", "3", "6", "b") GET("4", "5", "5", "a")},
    {"reads go back by value, with no index",
     PUT("1", "9", "a", "0") PUT("1", "9", "b", "0") GET("2", "3", "0", "b")
         GET("4", "5", "0", "a") GET("6", "7", "0", "b")},
    {"an unknown write twice", UNKNOWN_PUT("1", "a") GET("2", "3", "5", "a")
                                   PUT("4", "5", "b", "6") GET("6", "7", "7", "a")},
    {"an unknown write before it was asked",
     NONE("1", "2") GET("3", "4", "5", "a") UNKNOWN_PUT("5", "a")},
    {"two holders", LOCK("1", "2", "a", "s", "true", "5", "5")
                        LOCK("3", "4", "b", "t", "true", "6", "5")},
    {"a term that falls",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         LOCK("5", "6", "c", "t", "true", "7", "4")},
    {"unlocked by another",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "t", "true", "6")},
    {"unlocked twice",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         UNLOCK("5", "6", "c", "s", "true", "7")},
    {"refused though nobody holds it", LOCK("3", "4", "b", "t", "false", "0", "0")},
    {"refused after it was given back",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         LOCK("5", "6", "c", "t", "false", "0", "0")},
    {"a holder is not shown", LOCK("1", "2", "a", "s", "true", "5", "5") GET(
                                  "3", "4", "5", "a") GET_BY("5", "6", "5", "a", "s")},
    {"held by who never asked", PUT("1", "2", "a", "5") GET_BY("3", "4", "5", "a", "s")},
    {"a settled lock comes back",
     LOCK("1", "2", "a", "s", "true", "5", "5") GET("3", "4", "6", "a")
         GET_BY("5", "6", "5", "a", "s")},
    {"released without a lock", PUT("1", "2", "a", "5") GET("3", "4", "8", "a")},
    {"gone without a ttl",
     PUT("1", "2", "a", "5") GET("3", "4", "5", "a") NONE("5", "6")},
    {"back after its ttl",
     TTL_PUT("1", "2", "a", "5") NONE("3", "4") GET("5", "6", "5", "a")},
    {"a delete undone", PUT("1", "2", "a", "5") DELETE("3", "4", "6") NONE("5", "6")
                            GET("7", "8", "5", "a")},
    {"a delete before an answered write",
     PUT("1", "2", "a", "7") DELETE("3", "4", "6") NONE("5", "6")},
    {"delete-cas of another index",
     PUT("1", "2", "a", "5") PUT("3", "4", "b", "6") DELETE_CAS("5", "6", "5", "7")},
    {"cas after nothing was deleted",
     PUT("1", "2", "a", "5") CAS("3", "4", "b", "0", "true", "6")},
    {"a read between two answered reads",
     PUT("1", "2", "a", "5") PUT("3", "9", "b", "6") GET("4", "5", "6", "b")
         GET("6", "7", "5", "a")},
    {"nothing between two reads of it", PUT("1", "2", "a", "5") GET("3", "4", "5", "a")
                                            NONE("5", "6") GET("7", "8", "5", "a")},
    {"a put is overtaken by nothing", PUT("1", "2", "a", "5") PUT("3", "4", "b", "6")
                                          NONE("5", "6") GET("7", "8", "6", "b")},
    {"cas of a value that was replaced by an unknown write",
     PUT("1", "2", "a", "5") UNKNOWN_PUT("3", "b") GET("4", "5", "6", "b")
         CAS("6", "7", "c", "5", "true", "7")},
    {"an unknown cas that cannot have been",
     PUT("1", "2", "a", "5")
         PUT("3", "4", "b", "6") "5 - 1 cas k c 5 - unknown 0 - - 0\n" GET("6", "7", "7",
                                                                           "c")},
    {"an old value in between", PUT("1", "2", "a", "5") PUT("3", "4", "b", "6")
                                    GET("5", "6", "6", "b") GET("7", "8", "5", "a")},
    {"an unlock of what a delete freed",
     LOCK("1", "2", "a", "s", "true", "5", "5") DELETE("3", "4", "6")
         UNLOCK("5", "6", "b", "s", "true", "7")},
    {"held after it was given back",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         GET_BY("5", "6", "6", "b", "s")},
    {"held after it was deleted",
     LOCK("1", "2", "a", "s", "true", "5", "5") DELETE("3", "4", "6")
         PUT("5", "6", "b", "7") GET_BY("7", "8", "7", "b", "s")},
    {"a term of two",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         LOCK("5", "6", "c", "t", "true", "7", "5")},
    {"an unlock refused to its holder",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "false", "0")
         GET_BY("5", "6", "5", "a", "s")},
    {"a refused unlock is read",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "t", "false", "0")
         GET("5", "6", "6", "b")},
    {"a value that came and went and came",
     PUT("1", "2", "a", "0") PUT("3", "4", "b", "0") GET("5", "6", "0", "a")},
    {"a deleted value, with no index",
     PUT("1", "2", "a", "0") DELETE("3", "4", "0") GET("5", "6", "0", "a")},
};

static const struct example good[] = {
    {"nothing", NONE("1", "2")},
    {"a read while it is written sees the old",
     PUT("1", "2", "a", "5") PUT("3", "9", "b", "6") GET("4", "5", "5", "a")},
    {"or the new",
     PUT("1", "2", "a", "5") PUT("3", "9", "b", "6") GET("4", "5", "6", "b")},
    {"a stale read of the past",
     PUT("1", "2", "a", "5") PUT("3", "4", "b", "6") STALE("5", "6", "5", "a")},
    {"a stale read of nothing",
     PUT("1", "2", "a", "5") "3 4 3 stale k - 0 - true 0 - - 0\n"},
    {"an unknown write that happened much later",
     UNKNOWN_PUT("1", "a") PUT("2", "3", "b", "5") GET("4", "5", "5", "b")
         GET("6", "7", "6", "a")},
    {"an unknown write that never happened",
     UNKNOWN_PUT("1", "a") PUT("2", "3", "b", "5") GET("4", "5", "5", "b")},
    {"an unknown delete",
     PUT("1", "2", "a", "5") UNKNOWN_DELETE("3") GET("4", "5", "5", "a") NONE("6", "7")},
    {"writes at once in any order",
     PUT("1", "9", "a", "6") PUT("2", "8", "b", "5") GET("10", "11", "6", "a")},
    {"reads at once see different things",
     PUT("1", "2", "a", "5") PUT("3", "9", "b", "6") GET("4", "8", "5", "a")
         GET("4", "8", "6", "b")},
    {"cas after cas",
     CAS("1", "2", "a", "0", "true", "5") CAS("3", "4", "b", "5", "true", "6")
         CAS("5", "6", "c", "6", "true", "7")},
    {"made again after a delete",
     CAS("1", "2", "a", "0", "true", "5") DELETE("3", "4", "6")
         CAS("5", "6", "b", "0", "true", "7")},
    {"made again while it is deleted",
     CAS("1", "2", "a", "0", "true", "5") DELETE("3", "9", "6")
         CAS("4", "8", "b", "0", "true", "7")},
    {"cas refused while another wins",
     PUT("1", "2", "a", "5") CAS("3", "9", "b", "5", "true", "6")
         CAS("4", "5", "c", "5", "false", "0")},
    {"any delete-cas of nothing", DELETE_CAS("1", "2", "77", "5") NONE("3", "4")},
    {"delete-cas of nothing after a delete",
     PUT("1", "2", "a", "5") DELETE("3", "4", "6") DELETE_CAS("5", "6", "5", "6")},
    {"a key goes by its ttl",
     TTL_PUT("1", "2", "a", "5") GET("3", "4", "5", "a") NONE("5", "6")},
    {"a ttl and a put at once", TTL_PUT("1", "2", "a", "5") PUT("3", "9", "b", "7")
                                    NONE("4", "5") GET("10", "11", "7", "b")},
    {"locked by one after the other",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "6")
         LOCK("5", "6", "c", "t", "true", "7", "7")},
    {"locked again by its holder",
     LOCK("1", "2", "a", "s", "true", "5", "5") LOCK("3", "4", "b", "s", "true", "6", "5")
         GET_BY("5", "6", "6", "b", "s")},
    {"the session of the holder ended",
     LOCK("1", "2", "a", "s", "true", "5", "5") GET_BY("3", "4", "5", "a", "s")
         GET("5", "6", "8", "a") LOCK("7", "8", "b", "t", "true", "9", "9")},
    {"refused while it is held", LOCK("1", "2", "a", "s", "true", "5", "5")
                                     LOCK("3", "4", "b", "t", "false", "0", "0")},
    {"refused while it is given back",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "9", "b", "s", "true", "6")
         LOCK("4", "5", "c", "t", "false", "0", "0")},
    {"refused by a delay",
     LOCK("1", "2", "a", "s", "true", "5", "5") GET("3", "4", "6", "a")
         LOCK("5", "6", "b", "t", "delay", "0", "0")},
    {"a plain put keeps the holder",
     LOCK("1", "2", "a", "s", "true", "5", "5") PUT("3", "4", "b", "6")
         GET_BY("5", "6", "6", "b", "s")},
    {"a delete frees the lock",
     LOCK("1", "2", "a", "s", "true", "5", "5") DELETE("3", "4", "6")
         LOCK("5", "6", "b", "t", "true", "7", "7")},
    {"puts whose index nobody tells", PUT("1", "2", "a", "0") GET("3", "4", "5", "a") PUT(
                                          "5", "6", "b", "0") GET("7", "8", "9", "b")},
    {"an unknown lock",
     "1 - 1 lock k a 0 s unknown 0 - - 0\n" GET_BY("2", "3", "5", "a", "s")},
    {"an unknown unlock",
     LOCK("1", "2", "a", "s", "true", "5",
          "5") "3 - 1 unlock k b 0 s unknown 0 - - 0\n" GET("4", "5", "6", "b")},
    {"an unlock that was refused at once", UNLOCK("1", "2", "a", "s", "false", "0")},
    {"two unknown writes in either order",
     UNKNOWN_PUT("1", "a") UNKNOWN_PUT("2", "b") GET("3", "4", "5", "b")
         GET("5", "6", "6", "a")},
    {"an unknown delete long after",
     PUT("1", "2", "a", "5") UNKNOWN_DELETE("3") PUT("4", "5", "b", "6")
         GET("6", "7", "6", "b") NONE("8", "9")},
    {"an unknown cas", PUT("1", "2", "a", "5") "3 - 1 cas k b 5 - unknown 0 - - 0\n" GET(
                           "4", "5", "6", "b")},
    {"reads while it is deleted", PUT("1", "2", "a", "5") DELETE("3", "9", "6")
                                      GET("4", "5", "5", "a") NONE("6", "7")},
    {"stale reads go back and forth",
     PUT("1", "2", "a", "5") PUT("3", "4", "b", "6") STALE("5", "6", "6", "b")
         STALE("7", "8", "5", "a")},
    {"a lock taken over while its holder deletes",
     LOCK("1", "2", "a", "s", "true", "5", "5") DELETE("3", "9", "6")
         LOCK("4", "8", "b", "t", "true", "7", "7")},
    {"terms with gaps",
     LOCK("1", "2", "a", "s", "true", "5", "5") UNLOCK("3", "4", "b", "s", "true", "9")
         LOCK("5", "6", "c", "s", "true", "20", "20")},
    {"settled, then put",
     LOCK("1", "2", "a", "s", "true", "5", "5") GET("3", "4", "7", "a")
         PUT("5", "6", "b", "8") GET("7", "8", "8", "b")},
    {"cas of a settled index",
     LOCK("1", "2", "a", "s", "true", "5", "5") GET("3", "4", "7", "a")
         CAS("5", "6", "b", "7", "true", "8")},
    {"a ttl that was overwritten", TTL_PUT("1", "2", "a", "5") PUT("3", "4", "b", "6")
                                       GET("5", "6", "6", "b") GET("7", "8", "6", "b")},
    {"a ttl twice", TTL_PUT("1", "2", "a", "5") NONE("3", "4") TTL_PUT("5", "6", "b", "8")
                        NONE("7", "8")},
    {"two keys know nothing of each other",
     PUT("1", "2", "a", "5") "3 4 1 put l b 0 - true 6 - - 0\n" GET("5", "6", "5", "a")},
    {"a put during a lock's refusal",
     LOCK("1", "2", "a", "s", "true", "5", "5") PUT("3", "9", "b", "6")
         LOCK("4", "8", "c", "t", "false", "0", "0")},
    {"a cas from nothing that lost",
     CAS("1", "9", "a", "0", "true", "5") CAS("2", "8", "b", "0", "false", "0")},
    {"a delete-cas of the index",
     PUT("1", "2", "a", "5") DELETE_CAS("3", "4", "5", "6") NONE("5", "6")},
    {"deleted twice",
     PUT("1", "2", "a", "5") DELETE("3", "4", "6") DELETE("5", "6", "6") NONE("7", "8")},
    {"nothing, while it is put",
     PUT("1", "9", "a", "5") NONE("2", "3") GET("4", "5", "5", "a")},
    {"an unknown lock that never was",
     "1 - 1 lock k a 0 s unknown 0 - - 0\n" LOCK("2", "3", "b", "t", "true", "5", "5")},
    {"a lock after an unknown unlock",
     LOCK("1", "2", "a", "s", "true", "5",
          "5") "3 - 1 unlock k b 0 s unknown 0 - - 0\n" LOCK("4", "5", "c", "t", "true",
                                                             "7", "7")},
    {"deleted by a session that ended",
     "1 2 1 lock k a 1 s true 5 - - 5\n" GET_BY("3", "4", "5", "a", "s") NONE("5", "6")},
};

static void what_cannot_be_is_found(void **state)
{
    struct verdict verdict;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        judge(bad[i].lines, &verdict);
        if (verdict.is_good) {
            fail_msg("not found: %s", bad[i].why);
        }
    }
}

static void what_can_be_passes(void **state)
{
    struct verdict verdict;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        judge(good[i].lines, &verdict);
        if (!verdict.is_good) {
            fail_msg("%s: %s", good[i].why, verdict.why);
        }
    }
}

/* ---- the simulator */

static void some_seeds_are_linearizable(void **state)
{
    struct store_sim_report report;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        store_sim_run(&(struct store_sim_options){.seed = seed, .search_every = 3},
                      &report);
        if (!report.is_good) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, report.why);
        }
        assert_true(report.operations > 100);
    }
}

static void a_seed_replays_to_the_last_answer(void **state)
{
    struct store_sim_report one;
    struct store_sim_report other;

    (void)state;
    store_sim_run(&(struct store_sim_options){.seed = 7}, &one);
    store_sim_run(&(struct store_sim_options){.seed = 7}, &other);
    assert_true(one.digest == other.digest);
    store_sim_run(&(struct store_sim_options){.seed = 8}, &other);
    assert_true(one.digest != other.digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_found),
        cmocka_unit_test(what_can_be_passes),
        cmocka_unit_test(some_seeds_are_linearizable),
        cmocka_unit_test(a_seed_replays_to_the_last_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* etcd_drive.c - the etcd engine against a real etcd, for tests and figures.
 *
 *   etcd_drive [-p PREFIX] [-u USER:PASSWORD] [-c CA,CERT,KEY] [-t REQUEST_MS] URL[,URL] WHAT
 *
 *   put CLIENTS SECONDS BYTES  each client writes a counter to its own key, one after the other
 *   barrier CLIENTS SECONDS    each asks for barriers
 *   mixed CLIENTS SECONDS      puts, each followed by a barrier and by what the follower has
 *   follow SECONDS             prints what the follower is told
 *   dump                       prints all keys once
 *   status SECONDS             prints how it stands, after so long
 *   lease                      a lease's life
 *   contract                   all claims of tests/unit/engine_contract.h
 *
 * The first three print one line of JSON: how many, how fast, errors by their words, the longest
 * time without a success, and the last number of each client that was acknowledged. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "agent/engine/etcd_engine.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/engine_contract.h"

enum {
    UNKNOWN_MAX = 64,
    CLIENTS_MAX = 1024,
    SAMPLES_MAX = 1 << 20,
    URLS_MAX = 9,
    ERRORS_MAX = 32
};

struct drive;

struct client {
    struct drive *drive;
    size_t number;
    uint64_t next;
    uint64_t acked;
    uint64_t unknown[UNKNOWN_MAX]; /* numbers that may be written yet, however late */
    size_t unknown_count;
    uint64_t started_ns;
    uint64_t wanted; /* revision that a mixed client waits for */
    uint64_t seen;   /* what the follower has of its key */
};

struct drive {
    uv_loop_t loop;
    uv_timer_t end;
    struct engine *engine;
    struct client clients[CLIENTS_MAX];
    size_t client_count;
    char *value;
    size_t value_size;
    bool is_over;
    bool shows;
    bool is_barrier;
    bool is_mixed;
    bool is_dump;
    uint64_t done;
    uint64_t errors[ERRORS_MAX];
    uint64_t last_success_ns;
    uint64_t longest_gap_ns;
    uint64_t reached;
    uint64_t stale; /* reads that lacked what was acknowledged: must be 0 */
    uint32_t *took_us;
};

static struct drive drive;

static void go_on(struct client *client);

/* ---- the follower ------------------------------------------------------------------ */

static void on_begin(void *context)
{
    (void)context;
    if (drive.shows) {
        puts("begin");
    }
}

static void on_put(void *context, const struct engine_item *item)
{
    (void)context;
    if (drive.shows || drive.is_dump) {
        printf("put %.*s %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (int)item->key.size,
               (const char *)item->key.at,
               (int)(item->value.size < 40 ? item->value.size : 40),
               (const char *)item->value.at, item->create_revision, item->mod_revision,
               item->lease);
    }
    if (item->key.size > 2 && item->key.at[0] == 'w' && item->value.size >= 20) {
        char text[21] = "";
        char digits[8] = "";
        memcpy(digits, item->key.at + 2, item->key.size < 9 ? item->key.size - 2 : 7);
        size_t number = strtoul(digits, NULL, 10);
        memcpy(text, item->value.at, 20);
        if (number < CLIENTS_MAX) {
            drive.clients[number].seen = strtoull(text, NULL, 10);
        }
    }
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    (void)context;
    if (drive.shows) {
        printf("removed %.*s %" PRIu64 "\n", (int)key.size, (const char *)key.at,
               revision);
    }
}

static void finish(uv_timer_t *timer);

static void on_end(void *context, uint64_t revision)
{
    (void)context;
    assert(revision >= drive.reached || drive.shows);
    drive.reached = revision;
    if (drive.shows) {
        printf("end %" PRIu64 "\n", revision);
        (void)fflush(stdout);
    }
    if (drive.is_dump) {
        drive.is_dump = false;
        finish(NULL);
    }
    for (size_t i = 0; i < drive.client_count; i++) {
        struct client *client = &drive.clients[i];
        if (client->wanted != 0 && revision >= client->wanted) {
            client->wanted = 0;
            drive.stale += client->seen < client->acked;
            go_on(client);
        }
    }
}

/* ---- clients ----------------------------------------------------------------------- */

static void count_success(struct client *client)
{
    uint64_t now = rc_clock_ns();

    if (drive.done < SAMPLES_MAX) {
        drive.took_us[drive.done] = (uint32_t)((now - client->started_ns) / 1000);
    }
    drive.done++;
    if (now - drive.last_success_ns > drive.longest_gap_ns) {
        drive.longest_gap_ns = now - drive.last_success_ns;
    }
    drive.last_success_ns = now;
}

static void on_waited(uv_timer_t *timer)
{
    go_on(timer->data);
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

/* After an error: a little later. */
static void wait_a_little(struct client *client)
{
    uv_timer_t *timer = calloc(1, sizeof *timer);

    assert(timer != NULL);
    (void)uv_timer_init(&drive.loop, timer);
    timer->data = client;
    (void)uv_timer_start(timer, on_waited, 5, 0);
}

static bool note_error(struct client *client, const struct engine_answer *answer)
{
    if (answer->err == RC_OK) {
        return false;
    }
    drive.errors[-answer->err]++;
    if (answer->err == RC_EUNKNOWN && client->unknown_count < UNKNOWN_MAX) {
        client->unknown[client->unknown_count++] = client->next;
    }
    if (!drive.is_over) {
        wait_a_little(client);
    }
    return true;
}

static void on_barrier(void *context, const struct engine_answer *answer)
{
    struct client *client = context;

    if (note_error(client, answer)) {
        return;
    }
    count_success(client);
    if (drive.is_mixed && drive.reached < answer->revision) {
        client->wanted = answer->revision;
        return;
    }
    if (drive.is_mixed) {
        drive.stale += client->seen < client->acked;
    }
    go_on(client);
}

static void on_written(void *context, const struct engine_answer *answer)
{
    struct client *client = context;

    if (note_error(client, answer)) {
        return;
    }
    assert(answer->succeeded);
    client->acked = client->next;
    if (drive.is_mixed) {
        engine_barrier(drive.engine, on_barrier, client);
        return;
    }
    count_success(client);
    go_on(client);
}

static void go_on(struct client *client)
{
    char key[32];

    if (drive.is_over) {
        return;
    }
    client->started_ns = rc_clock_ns();
    if (drive.is_barrier) {
        engine_barrier(drive.engine, on_barrier, client);
        return;
    }
    client->next++;
    (void)snprintf(key, sizeof key, "w/%zu", client->number);
    char digits[21];
    (void)snprintf(digits, sizeof digits, "%020" PRIu64, client->next);
    memcpy(drive.value, digits, 20);
    const struct engine_op put = {
        .verb = ENGINE_PUT,
        .key = rc_pack_text(key),
        .value = {(const uint8_t *)drive.value, drive.value_size}};
    const struct engine_compare free_key = {rc_pack_text("held/x"), ENGINE_MOD_REVISION,
                                            ENGINE_EQUAL, 0};
    const struct engine_txn txn = {
        .compares = &free_key, .compare_count = 1, .then = &put, .then_count = 1};
    engine_txn(drive.engine, &txn, on_written, client);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(double seconds)
{
    size_t count = drive.done < SAMPLES_MAX ? drive.done : SAMPLES_MAX;

    if (rc_clock_ns() - drive.last_success_ns > drive.longest_gap_ns) {
        drive.longest_gap_ns = rc_clock_ns() - drive.last_success_ns;
    }
    qsort(drive.took_us, count, sizeof *drive.took_us, by_size);
    printf("{\"done\": %" PRIu64 ", \"per_second\": %.0f, \"p50_us\": %u, "
           "\"p99_us\": %u, \"longest_gap_ms\": %.1f, \"stale\": %" PRIu64
           ", \"errors\": {",
           drive.done, (double)drive.done / seconds,
           count == 0 ? 0 : drive.took_us[count / 2],
           count == 0 ? 0 : drive.took_us[count * 99 / 100],
           (double)drive.longest_gap_ns / 1e6, drive.stale);
    const char *comma = "";
    for (int i = 0; i < ERRORS_MAX; i++) {
        if (drive.errors[i] > 0) {
            printf("%s\"%s\": %" PRIu64, comma, rc_strerror(-i), drive.errors[i]);
            comma = ", ";
        }
    }
    printf("}, \"acked\": [");
    for (size_t i = 0; i < drive.client_count; i++) {
        printf("%s%" PRIu64, i > 0 ? ", " : "", drive.clients[i].acked);
    }
    printf("], \"unknown\": [");
    for (size_t i = 0; i < drive.client_count; i++) {
        printf("%s[", i > 0 ? ", " : "");
        for (size_t j = 0; j < drive.clients[i].unknown_count; j++) {
            printf("%s%" PRIu64, j > 0 ? ", " : "", drive.clients[i].unknown[j]);
        }
        printf("]");
    }
    printf("]}\n");
}

/* ---- other things ------------------------------------------------------------------- */

static void show_status(void)
{
    struct engine_status status;

    drive.engine->class->status(drive.engine, &status);
    printf("%s leader=%d revision=%" PRIu64 " size=%" PRIu64 " alarm=%s\n", status.kind,
           status.has_leader, status.revision, status.size_bytes, status.alarm);
    for (size_t i = 0; i < status.member_count; i++) {
        const struct engine_member *member = &status.members[i];
        printf("member %s %s %s leader=%d voter=%d answers=%d\n", member->id,
               member->name, member->address, member->is_leader, member->is_voter,
               member->answers);
    }
}

static char kept_text[] = "kept 12345:";
static char revoked_text[] = "revoked 12345:";

static void on_revoked(void *context, const struct engine_answer *answer)
{
    printf("%s %s\n", (const char *)context, rc_strerror(answer->err));
}

static void on_kept(void *context, const struct engine_answer *answer)
{
    (void)context;
    printf("kept %s %" PRIu64 " min %" PRIu64 "\n", rc_strerror(answer->err),
           answer->ttl_ms, drive.engine->class->lease_min_ms);
    engine_keepalive(drive.engine, 12345, on_revoked, kept_text);
    engine_revoke(drive.engine, 12345, on_revoked, revoked_text);
}

static void on_leased(void *context, const struct engine_answer *answer)
{
    static uint64_t lease;

    if (context == NULL) {
        lease = answer->lease;
        printf("granted %s %" PRIu64 "\n", rc_strerror(answer->err), answer->ttl_ms);
        const struct engine_op put = {.verb = ENGINE_PUT,
                                      .key = rc_pack_text("leased"),
                                      .value = rc_pack_text("x"),
                                      .lease = lease};
        const struct engine_txn txn = {.then = &put, .then_count = 1};
        engine_txn(drive.engine, &txn, on_leased, &lease);
        return;
    }
    printf("put %s\n", rc_strerror(answer->err));
    engine_keepalive(drive.engine, lease, on_kept, NULL);
}

static void on_closed(void *context)
{
    (void)context;
    uv_close((uv_handle_t *)&drive.end, NULL);
}

static void finish(uv_timer_t *timer)
{
    (void)timer;
    drive.is_over = true;
    drive.engine->class->close(drive.engine, on_closed, NULL);
}

static size_t split(char *text, const char **out, size_t max)
{
    size_t count = 0;
    char *rest = NULL;

    for (char *part = strtok_r(text, ",", &rest); part != NULL && count < max;
         part = strtok_r(NULL, ",", &rest)) {
        out[count++] = part;
    }
    return count;
}

/* ---- the contract ------------------------------------------------------------------- */

struct place {
    struct etcd_options options;
    char prefix[64];
    unsigned count;
};

static struct engine *open_again(void *context)
{
    struct place *place = context;
    struct engine *engine = NULL;
    char error[ENGINE_ERROR_MAX] = "";

    place->options.prefix = place->prefix;
    if (etcd_engine_open(&drive.loop, &place->options, &engine, error, sizeof error) !=
        RC_OK) {
        (void)fprintf(stderr, "%s\n", error);
        abort();
    }
    return engine;
}

static struct engine *open_empty(void *context)
{
    struct place *place = context;

    (void)snprintf(place->prefix, sizeof place->prefix, "contract/%d/%u/", (int)getpid(),
                   place->count++);
    return open_again(context);
}

static void stop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run(void *context, bool (*is_done)(void *argument), void *argument,
                uint64_t ms)
{
    uint64_t end_ms = rc_clock_ms() + ms;

    (void)context;
    while (rc_clock_ms() < end_ms && (is_done == NULL || !is_done(argument))) {
        uint64_t left_ms = end_ms - rc_clock_ms();
        (void)uv_timer_start(&drive.end, stop, is_done == NULL ? left_ms : 20, 0);
        (void)uv_run(&drive.loop, is_done == NULL ? UV_RUN_DEFAULT : UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&drive.end);
}

static uint64_t now_ms(void *context)
{
    (void)context;
    return rc_clock_ms();
}

static int run_contract(const struct etcd_options *options)
{
    struct place place = {.options = *options};
    const struct engine_driver driver = {
        .context = &place,
        .open_empty = open_empty,
        .open_again = open_again,
        .run = run,
        .now_ms = now_ms,
        .revisions = ENGINE_REVISIONS_SHARED,
        .patience_ms = 30000,
        .lease_ms = 2000,
        .late_ms = 10000,
    };

    return engine_contract_run("etcd", &driver);
}

static void on_status_due(uv_timer_t *timer)
{
    show_status();
    finish(timer);
}

/* Strings of a command line live as long as the program. RC_OK or RC_EINVAL. */
static int read_options(int argc, char **argv, struct etcd_options *options)
{
    const char *files[3] = {NULL, NULL, NULL};
    int option = 0;

    /* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((option = getopt(argc, argv, "p:u:c:t:k:")) != -1) {
        char *colon = option == 'u' ? strchr(optarg, ':') : NULL;
        switch (option) {
        case 'p':
            options->prefix = optarg;
            break;
        case 'u':
            assert(colon != NULL);
            *colon = '\0';
            options->user = optarg;
            options->password = colon + 1;
            break;
        case 'c':
            (void)split(optarg, files, 3);
            break;
        case 'k':
            options->history_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 't':
            options->request_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return RC_EINVAL;
        }
    }
    options->ca_file = files[0];
    options->cert_file = files[1];
    options->key_file = files[2];
    return argc - optind < 2 ? RC_EINVAL : RC_OK;
}

/* What the words behind the endpoints ask for. Returns for how many seconds. */
static double read_task(const char *what, int count, char **rest)
{
    drive.took_us = calloc(SAMPLES_MAX, sizeof *drive.took_us);
    drive.is_barrier = strcmp(what, "barrier") == 0;
    drive.is_mixed = strcmp(what, "mixed") == 0;
    drive.shows = strcmp(what, "follow") == 0 || strcmp(what, "lease") == 0;
    drive.is_dump = strcmp(what, "dump") == 0;
    bool is_load = drive.is_barrier || drive.is_mixed || strcmp(what, "put") == 0;
    drive.client_count = is_load && count > 0 ? strtoul(rest[0], NULL, 10) : 0;
    drive.value_size = is_load && count > 2 ? strtoul(rest[2], NULL, 10) : 100;
    drive.value_size = drive.value_size < 20 ? 20 : drive.value_size;
    drive.value = calloc(1, drive.value_size + 1);
    assert(drive.took_us != NULL && drive.value != NULL);
    memset(drive.value, 'v', drive.value_size);
    int at = is_load ? 1 : 0;
    return count > at ? strtod(rest[at], NULL) : 5;
}

static void drive_engine(const char *what, double seconds)
{
    const struct engine_follower follower = {NULL, on_begin, on_put, on_removed, on_end};

    engine_follow(drive.engine, &follower);
    if (strcmp(what, "lease") == 0) {
        engine_grant(drive.engine, 1000, on_leased, NULL);
    }
    drive.last_success_ns = rc_clock_ns();
    for (size_t i = 0; i < drive.client_count; i++) {
        drive.clients[i] = (struct client){.drive = &drive, .number = i};
        go_on(&drive.clients[i]);
    }
    (void)uv_timer_start(&drive.end, strcmp(what, "status") == 0 ? on_status_due : finish,
                         (uint64_t)(seconds * 1000), 0);
    (void)uv_run(&drive.loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    static const char known[] = " put barrier mixed follow dump status lease contract ";
    const char *urls[URLS_MAX];
    struct etcd_options options = {.endpoints = urls, .prefix = "rollcall/test/"};
    char error[256] = "";
    char spaced[32];

    if (read_options(argc, argv, &options) != RC_OK) {
        return 2;
    }
    options.endpoint_count = split(argv[optind], urls, URLS_MAX);
    const char *what = argv[optind + 1];
    (void)snprintf(spaced, sizeof spaced, " %s ", what);
    if (strstr(known, spaced) == NULL) {
        return 2;
    }
    (void)uv_loop_init(&drive.loop);
    (void)uv_timer_init(&drive.loop, &drive.end);
    if (strcmp(what, "contract") == 0) {
        return run_contract(&options);
    }
    if (etcd_engine_open(&drive.loop, &options, &drive.engine, error, sizeof error) !=
        RC_OK) {
        (void)fprintf(stderr, "%s\n", error);
        return 1;
    }
    double seconds = read_task(what, argc - optind - 2, argv + optind + 2);
    drive_engine(what, seconds);
    if (drive.is_barrier || drive.is_mixed || strcmp(what, "put") == 0) {
        report(seconds);
    }
    int busy = uv_loop_close(&drive.loop);
    free(drive.took_us);
    free(drive.value);
    return busy == 0 ? 0 : 3;
}

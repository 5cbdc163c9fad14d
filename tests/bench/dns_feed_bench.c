/* What the board that DNS answers from takes: memory of it and of the catalog, CPU of a change.
 *
 *     dns_feed_bench [SERVICES [INSTANCES]]       10000 services of 10, unless told
 *
 * Instances stand at addresses of their own, on so many nodes as a service has instances. The
 * records of the nodes come to us as those of agents do. The services whose health changes have
 * instances of our own, too, one or all. Printed, not judged. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/catalog/catalog.h"
#include "agent/dns/dns_feed.h"
#include "base/err.h"
#include "base/text.h"

enum { NODES_MAX = 64, LARGE = 100, FLIPS = 2000, NAME_SIZE = 32 };
static const double mebibyte = 1024.0 * 1024.0;

struct peer {
    struct catalog *catalog;
    char name[NAME_SIZE];
};

struct world {
    struct catalog *ours;
    struct peer peers[NODES_MAX];
    size_t services;
    size_t nodes;
    struct dns_board *board;
    struct dns_feed *feed;
    uint64_t now_ms;
    uint64_t stream;
};

static double heap_mb(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / mebibyte;
}

static double cpu_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "dns_feed_bench: %s\n", what);
    _Exit(1);
}

static struct catalog *create(const char *name, size_t number)
{
    const struct catalog_options options = {
        .node_name = name, .datacenter = "dc1", .seed = number + 1, .wall_ms = 1000000};
    char address[NAME_SIZE];
    const struct catalog_node node = {
        .name = name, .id = "", .address = address, .datacenter = "dc1"};
    struct catalog *catalog;

    (void)snprintf(address, sizeof address, "10.0.0.%zu", number + 1);
    if (catalog_create(&options, &catalog) != RC_OK ||
        catalog_set_node(catalog, 1, &node, NULL) != RC_OK) {
        die("no catalog");
    }
    return catalog;
}

static void meet(struct world *world, struct catalog *catalog, const char *name,
                 size_t number)
{
    char address[NAME_SIZE];
    const struct catalog_member member = {
        .name = name, .address = address, .liveness = CATALOG_ALIVE, .peer = true};

    (void)snprintf(address, sizeof address, "10.0.0.%zu", number + 1);
    catalog_member_event(catalog, world->now_ms, 1000000, &member);
}

static void put(const struct world *world, struct catalog *catalog,
                const struct catalog_service *service)
{
    if (catalog_put_service(catalog, world->now_ms, service, NULL) != RC_OK) {
        die("a service is refused");
    }
}

/* One instance of each service on each node. */
static void fill(const struct world *world, size_t node)
{
    struct catalog *catalog = world->peers[node].catalog;
    char name[NAME_SIZE];
    char id[NAME_SIZE];
    char ip[NAME_SIZE];

    catalog_begin(catalog);
    for (size_t s = 0; s < world->services; s++) {
        const struct catalog_service service = {.id = id,
                                                .name = name,
                                                .address = ip,
                                                .port = 8080,
                                                .weight_passing = 1,
                                                .weight_warning = 1};
        (void)snprintf(name, sizeof name, "svc-%zu", s);
        (void)snprintf(id, sizeof id, "svc-%zu-%zu", s, node);
        (void)snprintf(ip, sizeof ip, "10.%zu.%zu.%zu", 100 + node, s / 250, s % 250 + 1);
        put(world, catalog, &service);
    }
    catalog_end(catalog, world->now_ms);
}

/* So many instances of a service of our own, with checks. */
static void fill_own(const struct world *world, const char *name, size_t count)
{
    char id[NAME_SIZE];
    char ip[NAME_SIZE];

    catalog_begin(world->ours);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_service service = {.id = id,
                                                .name = name,
                                                .address = ip,
                                                .port = 8080,
                                                .weight_passing = 1,
                                                .weight_warning = 1};
        const struct catalog_check check = {.id = id,
                                            .name = "it answers",
                                            .service_id = id,
                                            .type = "ttl",
                                            .output = "",
                                            .status = CHECK_PASSING};
        (void)snprintf(id, sizeof id, "%s-own-%zu", name, i);
        (void)snprintf(ip, sizeof ip, "10.99.%zu.%zu", count, i + 1);
        put(world, world->ours, &service);
        if (catalog_put_check(world->ours, world->now_ms, &check, NULL) != RC_OK) {
            die("a check is refused");
        }
    }
    catalog_end(world->ours, world->now_ms);
}

/* ---- A comparison of two catalogs, over the one stream there is. */

static size_t carry_out(struct world *world, struct catalog *catalog,
                        struct catalog *other)
{
    struct catalog_action action;
    char member[NAME_SIZE];
    size_t count = 0;

    for (; catalog_next_action(catalog, &action); count++) {
        switch (action.type) {
        case CATALOG_STREAM_OPEN:
            (void)rc_text_put(member, sizeof member, action.member);
            catalog_stream_opened(catalog, world->now_ms, member, ++world->stream);
            break;
        case CATALOG_STREAM_SEND:
            (void)catalog_stream_message(other, world->now_ms, action.stream,
                                         action.bytes, action.size);
            break;
        case CATALOG_STREAM_CLOSE:
            catalog_stream_closed(other, world->now_ms, action.stream);
            break;
        case CATALOG_KICK:
        case CATALOG_ACTION_COUNT:
            break;
        }
    }
    return count;
}

/* The node claims to know a little more than we do. */
static void sync_with(struct world *world, size_t node)
{
    struct peer *peer = &world->peers[node];
    const size_t wanted = catalog_self(peer->catalog)->service_count;
    uint8_t summary[CATALOG_SUMMARY_SIZE];

    for (int i = 0; i < 100; i++) {
        const struct catalog_node *known = catalog_node_find(world->ours, peer->name);
        if (known != NULL && known->service_count == wanted) {
            return;
        }
        catalog_summary(world->ours, summary);
        summary[7]++; /* the sum of versions, in network order */
        catalog_peer_summary(world->ours, world->now_ms, peer->name, summary);
        world->now_ms += 2000;
        catalog_tick(world->ours, world->now_ms);
        while (carry_out(world, world->ours, peer->catalog) +
                   carry_out(world, peer->catalog, world->ours) >
               0) {
        }
    }
    die("a record did not come");
}

/* ---- What is measured. */

static double turn_us(struct world *world)
{
    const struct catalog_change *changes = NULL;
    size_t count = catalog_take_changes(world->ours, &changes);
    double before = cpu_us();

    dns_feed_turn(world->feed, changes, count);
    return cpu_us() - before;
}

static void build(struct world *world)
{
    const struct dns_gate open = {0};
    static const struct catalog_change all = {.topic = CATALOG_TOPIC_ALL, .name = ""};
    double before = heap_mb();

    if (dns_board_create("dc1", 1, &world->board) != RC_OK ||
        dns_feed_create(world->ours, world->board, &open, &world->feed) != RC_OK) {
        die("no board");
    }
    double first_us = turn_us(world);
    const struct dns_board_counts counts = dns_board_count(world->board);
    printf("board:   %6.1f MB for %zu services, %zu nodes, %zu addresses; put up in %.1f "
           "ms of CPU\n",
           heap_mb() - before, counts.services, counts.nodes, counts.addresses,
           first_us / 1000);
    double start = cpu_us();
    dns_feed_turn(world->feed, &all, 1);
    printf("         %6.1f ms of CPU to look at everything when nothing has changed\n",
           (cpu_us() - start) / 1000);
}

/* The health of instances of our own changes in turn. */
static void flip(struct world *world, const char *name, size_t own, size_t all)
{
    const struct dns_board_counts before = dns_board_count(world->board);
    double feed_us = 0;

    for (size_t i = 0; i < FLIPS; i++) {
        char id[NAME_SIZE];
        const struct catalog_result result = {.check_id = id,
                                              .status = i / own % 2 == 0 ? CHECK_CRITICAL
                                                                         : CHECK_PASSING,
                                              .output = ""};
        (void)snprintf(id, sizeof id, "%s-own-%zu", name, i % own);
        if (catalog_update_check(world->ours, ++world->now_ms, &result) != RC_OK) {
            die("no such check");
        }
        feed_us += turn_us(world);
    }
    const struct dns_board_counts now = dns_board_count(world->board);
    printf(
        "health of one of %3zu instances: %5.2f us of CPU (%.2f %% of a core at 1000 a "
        "second); %d changes put up %llu services\n",
        all, feed_us / FLIPS, feed_us / FLIPS / 10, FLIPS,
        (unsigned long long)(now.services_put - before.services_put));
}

static void node_flips(struct world *world)
{
    const enum catalog_liveness states[] = {CATALOG_SUSPECT, CATALOG_ALIVE,
                                            CATALOG_FAILED, CATALOG_ALIVE};

    for (size_t i = 0; i < 4; i++) {
        const struct catalog_member member = {.name = world->peers[0].name,
                                              .address = "10.0.0.1",
                                              .liveness = states[i],
                                              .peer = true};
        catalog_member_event(world->ours, ++world->now_ms, 1000000, &member);
        printf("a node of %zu services becomes %s: %.1f ms of CPU\n", world->services,
               catalog_liveness_name(states[i]), turn_us(world) / 1000);
    }
}

static size_t number_of(const char *text, size_t max)
{
    uint64_t value = 0;

    if (rc_text_to_u64(text, max, &value) != RC_OK || value == 0) {
        die("usage: dns_feed_bench [SERVICES [INSTANCES]]");
    }
    return (size_t)value;
}

int main(int count, char **words)
{
    static struct world world;

    world.services = count > 1 ? number_of(words[1], 16000) : 10000;
    world.nodes = count > 2 ? number_of(words[2], NODES_MAX) : 10;
    world.now_ms = 1;
    world.ours = create("us", NODES_MAX);
    for (size_t i = 0; i < world.nodes; i++) {
        struct peer *peer = &world.peers[i];
        (void)snprintf(peer->name, sizeof peer->name, "node-%zu", i);
        peer->catalog = create(peer->name, i);
        meet(&world, peer->catalog, "us", NODES_MAX);
        fill(&world, i);
        meet(&world, world.ours, peer->name, i);
    }
    for (size_t i = 0; i < world.nodes; i++) {
        sync_with(&world, i);
    }
    fill_own(&world, "svc-0", 1);
    fill_own(&world, "large", LARGE);
    build(&world);
    flip(&world, "svc-0", 1, world.nodes + 1);
    flip(&world, "large", LARGE, LARGE);
    node_flips(&world);
    dns_feed_destroy(world.feed);
    dns_board_destroy(world.board);
    for (size_t i = 0; i < world.nodes; i++) {
        catalog_destroy(world.peers[i].catalog);
    }
    double before = heap_mb();
    catalog_destroy(world.ours);
    printf("catalog: %6.1f MB for %zu services of %zu\n", before - heap_mb(),
           world.services, world.nodes);
    return 0;
}

/* acl_world.c - see acl_world.h. */
#include "tests/unit/acl_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/schedule.h"
#include "agent/event/history.h"
#include "agent/gossip/gossip.h"
#include "agent/http/proxy_book.h"
#include "agent/http/routes.h"
#include "agent/local/local.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/text.h"

#define WALL_MS (1700000000ULL * 1000)
enum { NS_PER_MS = 1000000, TURNS_MAX = 1000 };

static const uint8_t key[SECRET_KEY_SIZE] = {1, 2, 3};

/* ---- The agent. */

static void on_written(void *context)
{
    struct acl_world *w = context;
    struct schedule_action action;

    while (schedule_next_action(w->schedule, &action)) {
        local_on_schedule(w->api.local, &action,
                          (struct local_now){w->api.now_ms, WALL_MS});
    }
}

static void tell(void *context, const char *line)
{
    struct acl_world *w = context;

    rc_buffer_text(&w->told, line);
    rc_buffer_byte(&w->told, '\n');
}

static void resume(void *context, struct http_exchange *x)
{
    (void)context;
    (void)x;
}

static void open_agent(struct acl_world *w)
{
    const struct catalog_options catalog = {
        .node_name = "node1", .seed = 1, .now_ms = w->api.now_ms, .wall_ms = WALL_MS};
    const struct catalog_node node = {.name = "node1",
                                      .id = "11111111-1111-1111-1111-111111111111",
                                      .address = "127.0.0.10",
                                      .datacenter = "dc1"};
    struct gossip_options gossip = {.name = "node1", .random_seed = 1};
    struct local_options local = {.node_name = "node1", .random_seed = 1};
    const struct local_now now = {w->api.now_ms, WALL_MS};

    int err = catalog_create(&catalog, &w->api.catalog);
    assert(err == RC_OK);
    err = catalog_set_node(w->api.catalog, w->api.now_ms, &node, NULL);
    assert(err == RC_OK);
    err = rc_address_parse("127.0.0.1:8301", 0, &gossip.address);
    assert(err == RC_OK);
    err = gossip_create(&gossip, w->api.now_ms * NS_PER_MS, &w->api.gossip);
    assert(err == RC_OK);
    err = schedule_create(1, &w->schedule);
    assert(err == RC_OK);
    local.catalog = w->api.catalog;
    local.schedule = w->schedule;
    err = local_create(&local, &w->api.local);
    assert(err == RC_OK);
    err = local_load(w->api.local, now);
    assert(err == RC_OK);
    err = local_reload(w->api.local, NULL, 0, NULL, 0, now);
    assert(err == RC_OK);
}

/* ---- What is in the store. */

static void set(struct acl_world *w, enum store_table table, const char *name,
                const char *value)
{
    const struct store_op op = {.verb = STORE_SET,
                                .table = table,
                                .key = rc_pack_text(name),
                                .value = rc_pack_text(value)};

    const struct answer *answer = world_do(w->store, 0, &op, 1, NULL);
    assert(answer->succeeded);
}

static void add_token(struct acl_world *w, const char *secret, const char *links,
                      uint64_t ends_ms)
{
    uint8_t hash[SECRET_HASH_SIZE];
    char hex[2 * SECRET_HASH_SIZE + 1];
    char accessor[SUBJECT_ID_SIZE];

    secret_hash(key, secret, hash);
    rc_text_to_hex(hash, sizeof hash, hex);
    (void)snprintf(accessor, sizeof accessor, "%s", secret);
    accessor[0] = 'd'; /* the accessor is the secret but for its first letter */
    char *document = rc_text_format(
        "{\"AccessorID\":\"%s\",\"SecretHash\":\"%s\",\"Description\":\"\",%s,"
        "\"Local\":false,\"CreateTime\":0,\"ExpirationTime\":%llu}",
        accessor, hex, links, (unsigned long long)ends_ms);
    assert(document != NULL);
    set(w, STORE_TOKENS, accessor, document);
    free(document);
}

static void fill_store(struct acl_world *w)
{
    char hex[2 * SECRET_KEY_SIZE + 1];

    rc_text_to_hex(key, sizeof key, hex);
    set(w, STORE_SETTINGS, PERMITS_KEY, hex);
    set(w, STORE_SETTINGS, PERMITS_BOOTSTRAP, "{}");
    set(w, STORE_POLICIES, "eeeeeeee-0000-4000-8000-000000000001",
        "{\"ID\":\"eeeeeeee-0000-4000-8000-000000000001\",\"Name\":\"other\","
        "\"Description\":\"\",\"Datacenters\":[],\"Rules\":\""
        "agent_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "event_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "key_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "node_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "query_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "service_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n"
        "session_prefix \\\"other\\\" { policy = \\\"write\\\" }\\n\"}");
    add_token(w, ACL_ADMIN, "\"Roles\":[\"00000000-0000-0000-0000-000000000011\"]", 0);
    add_token(w, ACL_READ, "\"Roles\":[\"00000000-0000-0000-0000-000000000012\"]", 0);
    add_token(w, ACL_REGISTER, "\"Roles\":[\"00000000-0000-0000-0000-000000000013\"]", 0);
    add_token(w, ACL_OTHER, "\"Policies\":[\"eeeeeeee-0000-4000-8000-000000000001\"]", 0);
    add_token(w, ACL_EXPIRED, "\"Roles\":[\"00000000-0000-0000-0000-000000000011\"]",
              WALL_MS - 1);
}

static void put(struct acl_world *w, const char *target, const char *body)
{
    const struct http_exchange *x = acl_world_ask(w, "PUT", target, body, ACL_ADMIN);

    if (x->status != 200) {
        (void)fprintf(stderr, "%s: %u %s\n", target, x->status,
                      rc_buffer_string(&x->out));
        abort();
    }
}

static void fill_agent(struct acl_world *w)
{
    static const struct store_session session = {
        .id = ACL_SESSION, .name = "s", .node = "node1", .ttl_text = ""};

    put(w, "/v1/agent/service/register",
        "{\"Name\":\"web\",\"Port\":80,\"Check\":{\"CheckID\":\"web-ttl\",\"TTL\":\"1h\","
        "\"Status\":\"passing\"}}");
    put(w, "/v1/agent/service/register", "{\"Name\":\"db\",\"Port\":5432}");
    put(w, "/v1/agent/check/register",
        "{\"Name\":\"node-ttl\",\"TTL\":\"1h\",\"Status\":\"passing\"}");
    put(w, "/v1/kv/a", "1");
    w->store->answer.is_there = false;
    int err = store_create_session(w->store->stores[0], w->store->now_ms, &session, NULL,
                                   world_done, w->store);
    assert(err == RC_OK);
    (void)world_wait(w->store);
    set(w, STORE_QUERIES, ACL_QUERY,
        "{\"ID\":\"" ACL_QUERY "\",\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}");
}

static struct history *make_history(void)
{
    static const struct history_event events[] = {
        {.at_ms = WALL_MS, .kind = HISTORY_JOIN, .node = "node1"},
        {.at_ms = WALL_MS, .kind = HISTORY_REGISTER, .node = "node1", .service = "web"},
        {.at_ms = WALL_MS, .kind = HISTORY_REGISTER, .node = "node1", .service = "db"},
    };
    struct history *history = history_create(1);

    assert(history != NULL);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        history_add(history, &events[i]);
    }
    return history;
}

static struct proxy_book *make_proxies(uint64_t now_ms)
{
    struct proxy_book *book = calloc(1, sizeof *book);

    assert(book != NULL);
    book->entries = calloc(1, sizeof *book->entries);
    assert(book->entries != NULL);
    book->count = 1;
    book->at_ms = now_ms + 1000000; /* fresh for as long as a test takes */
    (void)rc_text_put(book->entries[0].node, sizeof book->entries[0].node, "node1");
    return book;
}

static void ask_proxies(void *context)
{
    (void)context;
}

struct acl_world *acl_world_create(enum http_acl_mode mode)
{
    struct acl_world *w = calloc(1, sizeof *w);
    assert(w != NULL);
    const struct permits_options permits = {
        .mode = mode, .datacenter = "dc1", .seed = 1, .tell = tell, .context = w};

    w->store = world_create();
    w->history = make_history();
    w->proxies = make_proxies(w->store->now_ms);
    w->api = (struct http_api){
        .facts = {.datacenter = "dc1",
                  .node_name = "node1",
                  .node_id = "11111111-1111-1111-1111-111111111111",
                  .store_engine = "memory",
                  .session_ttl_min_ms = 1000},
        .operations = {.context = w, .written = on_written, .ask_proxies = ask_proxies},
        .store = w->store->stores[0],
        .engine = w->store->engines[0],
        .now_ms = w->store->now_ms,
        .wall_ms = WALL_MS,
        .permits = permits_create(&permits),
        .queries = prepared_book_create(),
        .history = w->history,
        .proxies = w->proxies,
        .resume = resume,
    };
    assert(w->api.permits != NULL);
    rc_random_init(&w->api.random, 1);
    open_agent(w);
    fill_store(w);
    fill_agent(w);
    return w;
}

void acl_world_destroy(struct acl_world *w)
{
    exchange_fini(&w->x);
    local_destroy(w->api.local);
    schedule_destroy(w->schedule);
    gossip_destroy(w->api.gossip);
    catalog_destroy(w->api.catalog);
    permits_destroy(w->api.permits);
    prepared_book_destroy(w->api.queries);
    history_destroy(w->history);
    proxy_book_fini(w->proxies);
    free(w->proxies);
    world_destroy(w->store);
    rc_buffer_fini(&w->told);
    free(w);
}

static void begin(struct acl_world *w, const char *method, const char *target,
                  const char *body, const char *token)
{
    struct http_exchange *x = &w->x;

    exchange_reset(x);
    int err = target_parse(&x->target, target, strlen(target));
    assert(err == RC_OK);
    x->method = exchange_method(method);
    x->method_name = method;
    x->client = 1;
    x->node = NULL;
    x->request_id = NULL;
    x->request.token = token;
    rc_buffer_text(&x->body, body);
    w->api.now_ms = w->store->now_ms;
}

static const struct http_exchange *finish(struct acl_world *w)
{
    struct http_exchange *x = &w->x;

    routes_answer(&w->api, x);
    for (int i = 0; i < TURNS_MAX && x->errand != NULL; i++) {
        world_run_ms(w->store, 1);
        w->api.now_ms = w->store->now_ms;
    }
    assert(x->errand == NULL);
    return x;
}

const struct http_exchange *acl_world_ask(struct acl_world *w, const char *method,
                                          const char *target, const char *body,
                                          const char *token)
{
    begin(w, method, target, body, token);
    return finish(w);
}

const struct http_exchange *acl_world_relay(struct acl_world *w, const char *method,
                                            const char *target, const char *body,
                                            const char *token, const char *request)
{
    begin(w, method, target, body, token);
    w->x.client = 0;
    w->x.node = "node2";
    w->x.request_id = (const uint8_t *)request;
    return finish(w);
}

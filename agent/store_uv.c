#include "agent/store_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "agent/bound_queries.h"
#include "agent/bound_sessions.h"
#include "agent/config_store.h"
#include "agent/engine/etcd_engine.h"
#include "agent/engine/sqlite_engine.h"
#include "agent/revoked_uv.h"
#include "agent/store/engine_memory.h"
#include "agent/store/store.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/text.h"

enum {
    LOOK_AFTER_MS = 100, /* many changes of the catalog are one reason to look */
    WATCH_EVERY_MS = 1000,
    TROUBLE_MAX = 512,
    PASSWORD_MAX = 4096,
};

struct store_uv {
    struct agent *agent;
    struct engine *engine;
    struct engine_memory *memory; /* of -dev: what the engine is a client of; or NULL */
    struct store *store;
    struct bound_sessions *bound;
    uv_timer_t tick;  /* the store's deadline */
    uv_timer_t look;  /* at sessions and their nodes */
    uv_timer_t watch; /* how the engine stands */
    unsigned open_handles;
    bool engine_is_open;
    bool looks_at_queries; /* one may have lost its session */
    bool looks_at_revoked; /* settings have changed */
    uint64_t armed_ms;     /* deadline that `tick` runs for */
    bool has_leader;
    bool leader_seen;             /* who leads, since we look, is known, ... */
    char leader[ENGINE_NAME_MAX]; /* ... and last was; "": nobody */
    char alarm[ENGINE_ERROR_MAX];
    char trouble[TROUBLE_MAX]; /* why the store must not be asked; "" */
};

static int fail(struct agent *agent, int err, const char *text)
{
    (void)rc_text_put(agent->error, sizeof agent->error, text);
    return err;
}

struct store *agent_store(const struct agent *agent)
{
    return agent->store != NULL ? agent->store->store : NULL;
}

struct engine *agent_engine(const struct agent *agent)
{
    return agent->store != NULL ? agent->store->engine : NULL;
}

/* ---- News. */

static void on_changed(void *context, enum store_table table, struct rc_pack_bytes key,
                       uint64_t index)
{
    struct store_uv *uv = context;

    (void)index;
    if (uv->agent->http != NULL) {
        http_store_changed(uv->agent->http, table, key);
    }
    if (table == STORE_TOKENS || table == STORE_POLICIES || table == STORE_ROLES ||
        table == STORE_SETTINGS) {
        http_tell_news(uv->agent->http, HTTP_NEWS_TOKENS);
    }
    uv->looks_at_queries = uv->looks_at_queries || table == STORE_QUERIES;
    uv->looks_at_revoked = uv->looks_at_revoked || table == STORE_SETTINGS;
    if (table == STORE_SESSIONS || table == STORE_QUERIES) {
        agent_store_catalog_changed(uv->agent);
    }
}

static void on_reloaded(void *context)
{
    struct store_uv *uv = context;

    if (uv->agent->http != NULL) {
        http_store_reloaded(uv->agent->http);
    }
    uv->looks_at_queries = true;
    uv->looks_at_revoked = true;
    agent_store_catalog_changed(uv->agent);
}

static void on_session_ended(void *context, const char *id)
{
    struct store_uv *uv = context;

    rc_log(RC_LOG_DEBUG, "store", "session %s has ended", id);
    uv->looks_at_queries = true;
    agent_store_catalog_changed(uv->agent);
}

static void on_reached(void *context)
{
    (void)context; /* each read is told by itself */
}

/* ---- Time. */

static void on_tick(uv_timer_t *timer)
{
    struct store_uv *uv = timer->data;

    uint64_t now_ms = rc_clock_ms();

    uv->armed_ms = UINT64_MAX;
    if (uv->memory != NULL) {
        engine_memory_tick(uv->memory, now_ms);
    }
    store_tick(uv->store, now_ms);
}

static uint64_t deadline_ms(const struct store_uv *uv)
{
    uint64_t due_ms = store_deadline_ms(uv->store);
    uint64_t its_ms =
        uv->memory != NULL ? engine_memory_deadline_ms(uv->memory) : UINT64_MAX;

    return its_ms < due_ms ? its_ms : due_ms;
}

void agent_store_turn(struct agent *agent)
{
    struct store_uv *uv = agent->store;

    if (uv == NULL || uv->store == NULL || !uv->engine_is_open) {
        return;
    }
    if (uv->looks_at_revoked) {
        uv->looks_at_revoked = false;
        agent_revoked_store_changed(agent);
    }
    uint64_t due_ms = deadline_ms(uv);
    if (due_ms == uv->armed_ms) {
        return;
    }
    uv->armed_ms = due_ms;
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&uv->tick);
        return;
    }
    uint64_t now_ms = rc_clock_ms();
    uv_update_time(&agent->loop);
    (void)uv_timer_start(&uv->tick, on_tick, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* ---- Sessions whose node or checks are gone. */

static void on_ended(void *context, const struct store_outcome *outcome)
{
    (void)context;
    if (outcome->err != RC_OK && outcome->err != RC_ENOTFOUND) {
        rc_log(RC_LOG_WARN, "store", "a session could not be ended yet: %s",
               outcome->text != NULL && outcome->text[0] != '\0'
                   ? outcome->text
                   : rc_strerror(outcome->err));
    }
}

static void end_session(void *context, const char *id, const char *why)
{
    struct store_uv *uv = context;
    const struct store_op op = {
        .verb = STORE_END_SESSION,
        .table = STORE_SESSIONS,
        .key = rc_pack_text(id),
        .session = id,
    };

    rc_log(RC_LOG_INFO, "store", "session %s ends: %s", id, why);
    (void)store_submit(uv->store, rc_clock_ms(), &op, 1, NULL, on_ended,
                       NULL); /* refused: asked for again */
}

/* ---- Prepared queries whose session is gone. */

static void on_query_ended(void *context, const struct store_outcome *outcome)
{
    struct store_uv *uv = context;

    if (outcome->err != RC_OK && outcome->err != RC_ECLOSED) {
        uv->looks_at_queries = true; /* on_watch() sees to it */
    }
}

static void tell_query(void *context, const char *id, const char *session)
{
    (void)context;
    rc_log(RC_LOG_INFO, "store", "prepared query %s goes with its session %s", id,
           session);
}

static void look_at_queries(struct store_uv *uv, uint64_t now_ms)
{
    const struct bound_queries bound = {
        .store = uv->store,
        .book = uv->agent->queries,
        .told = tell_query,
        .done = on_query_ended,
        .context = uv,
    };

    if (uv->looks_at_queries && store_freshness(uv->store, now_ms).is_loaded) {
        uv->looks_at_queries = false;
        (void)bound_queries_end(&bound, now_ms);
    }
}

static void on_look(uv_timer_t *timer)
{
    struct store_uv *uv = timer->data;
    uint64_t now_ms = rc_clock_ms();

    if (uv->agent->phase != AGENT_RUNNING || uv->trouble[0] != '\0') {
        return;
    }
    look_at_queries(uv, now_ms);
    uint64_t next_ms = bound_sessions_step(uv->bound, now_ms);
    if (next_ms != UINT64_MAX) {
        uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
        (void)uv_timer_start(&uv->look, on_look,
                             wait_ms > LOOK_AFTER_MS ? wait_ms : LOOK_AFTER_MS, 0);
    }
}

void agent_store_catalog_changed(struct agent *agent)
{
    struct store_uv *uv = agent->store;

    if (uv == NULL || !uv->engine_is_open) {
        return;
    }
    if (!uv_is_active((uv_handle_t *)&uv->look) ||
        uv_timer_get_due_in(&uv->look) > LOOK_AFTER_MS) {
        (void)uv_timer_start(&uv->look, on_look, LOOK_AFTER_MS, 0);
    }
}

/* ---- Two stores in one pool. */

static bool is_here(const struct gossip_member *member)
{
    return member->status == GOSSIP_ALIVE || member->status == GOSSIP_SUSPECT;
}

/* Another member whose store is not ours: whoever asks it and us gets two truths. */
static const struct gossip_member *find_rival(const struct agent *agent,
                                              enum config_store_engine ours)
{
    size_t position = 0;
    const struct gossip_member *member = gossip_next_member(agent->gossip, &position);

    for (; member != NULL; member = gossip_next_member(agent->gossip, &position)) {
        const char *tag = gossip_member_tag(member, CONFIG_STORE_TAG);
        if (tag == NULL || member == gossip_self(agent->gossip) || !is_here(member)) {
            continue;
        }
        if (ours != CONFIG_STORE_ETCD ||
            !rc_text_equals(tag, config_store_name(CONFIG_STORE_ETCD))) {
            return member;
        }
    }
    return NULL;
}

void agent_store_members_changed(struct agent *agent)
{
    struct store_uv *uv = agent->store;
    char words[TROUBLE_MAX] = "";

    if (uv == NULL) {
        return;
    }
    enum config_store_engine ours = config_store_engine(&agent->config);
    const struct gossip_member *rival = find_rival(agent, ours);
    if (rival != NULL) {
        (void)snprintf(
            words, sizeof words,
            "Two servers of this pool each keep a store of their own: %.128s (%s) and "
            "%.128s (%s). Neither answers until one is left: set store { engine = "
            "\"none\" } on one of them and restart it, or let all use engine = \"etcd\"",
            agent->identity.node_name, config_store_name(ours), rival->said->name,
            gossip_member_tag(rival, CONFIG_STORE_TAG));
    }
    if (strcmp(words, uv->trouble) == 0) {
        return;
    }
    memcpy(uv->trouble, words, sizeof words);
    if (words[0] != '\0') {
        rc_log(RC_LOG_ERROR, "store", "%s", words);
    } else {
        rc_log(RC_LOG_INFO, "store", "this is the pool's only store again");
        agent_store_catalog_changed(agent);
    }
    if (agent->http != NULL) {
        http_store_trouble(agent->http, words[0] != '\0' ? uv->trouble : NULL);
    }
}

/* ---- How the engine stands. */

static void tell_leader(struct store_uv *uv, const struct engine_status *status)
{
    if (status->has_leader == uv->has_leader) {
        return;
    }
    uv->has_leader = status->has_leader;
    if (status->has_leader) {
        rc_log(RC_LOG_INFO, "store", "%s accepts writes, at revision %llu", status->kind,
               (unsigned long long)status->revision);
    } else {
        rc_log(RC_LOG_WARN, "store",
               "%s accepts no writes: nobody leads, or nobody answers", status->kind);
    }
}

/* The first that we hear of is no news. */
static void note_leader(struct store_uv *uv, const struct engine_status *status)
{
    const char *name = "";

    for (size_t i = 0; i < status->member_count && status->has_leader; i++) {
        name = status->members[i].is_leader ? status->members[i].name : name;
    }
    if (name[0] == '\0' && status->has_leader) {
        return; /* somebody does: not yet known who */
    }
    if (uv->leader_seen && strcmp(name, uv->leader) != 0) {
        agent_history_leader(uv->agent, name, uv->leader);
    }
    uv->leader_seen = uv->leader_seen || name[0] != '\0';
    (void)rc_text_put(uv->leader, sizeof uv->leader, name);
}

static void set_gauges(const struct store_uv *uv, const struct engine_status *status)
{
    const struct {
        const char *name;
        double value;
        const char *help;
    } gauges[] = {
        {"rollcall_store_revision", (double)status->revision,
         "The store's newest revision."},
        {"rollcall_store_size_bytes", (double)status->size_bytes,
         "Size of the store's database."},
        {"rollcall_store_leader", status->has_leader ? 1 : 0,
         "Whether the store accepts writes, as far as is known."},
        {"rollcall_store_alarm", status->alarm[0] != '\0' ? 1 : 0,
         "Whether the store's engine needs an operator; the log says why."},
        {"rollcall_store_conflict", uv->trouble[0] != '\0' ? 1 : 0,
         "Whether another server of the pool keeps a store of its own."},
    };

    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        rc_metric_set(
            rc_metrics_gauge(uv->agent->metrics, gauges[i].name, NULL, gauges[i].help),
            gauges[i].value);
    }
}

static void on_watch(uv_timer_t *timer)
{
    struct store_uv *uv = timer->data;
    struct engine_status status = {0};

    uv->engine->class->status(uv->engine, &status);
    tell_leader(uv, &status);
    note_leader(uv, &status);
    if (strcmp(status.alarm, uv->alarm) != 0) {
        memcpy(uv->alarm, status.alarm, sizeof uv->alarm);
        if (uv->alarm[0] != '\0') {
            rc_log(RC_LOG_ERROR, "store", "%s", uv->alarm);
        } else {
            rc_log(RC_LOG_INFO, "store", "the trouble of %s is over", status.kind);
        }
    }
    set_gauges(uv, &status);
    if (uv->looks_at_queries) {
        agent_store_catalog_changed(uv->agent);
    }
}

/* ---- Opening. */

static int open_sqlite(struct agent *agent, struct engine **out)
{
    char path[4096];
    char error[ENGINE_ERROR_MAX] = "";
    const struct agent_config *config = &agent->config;

    (void)snprintf(path, sizeof path, "%s%s",
                   config->store.path != NULL ? config->store.path : config->data_dir,
                   config->store.path != NULL ? "" : "/store");
    const struct sqlite_engine_options options = {
        .loop = &agent->loop,
        .folder = path,
        .name = agent->identity.node_name,
    };
    int err = sqlite_engine_open(&options, out, error);
    if (err != RC_OK) {
        return fail(agent, err, error);
    }
    rc_log(RC_LOG_INFO, "store", "kept by SQLite in %s", path);
    return RC_OK;
}

static int read_password(struct agent *agent, struct rc_buffer *out)
{
    const char *path = agent->config.store.password_file;

    if (path == NULL) {
        return RC_OK;
    }
    int err = rc_file_read(path, PASSWORD_MAX, out);
    if (err != RC_OK) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "store.password_file %.900s cannot be read: %s", path,
                       rc_strerror(err));
        return err;
    }
    while (out->size > 0 && strchr("\r\n", out->bytes[out->size - 1]) != NULL) {
        out->bytes[--out->size] = '\0';
    }
    return RC_OK;
}

static int open_etcd(struct agent *agent, struct engine **out)
{
    const struct agent_store_config *store = &agent->config.store;
    struct rc_buffer password = {0};
    char prefix[300];

    (void)snprintf(prefix, sizeof prefix, "rollcall/%s/", agent->config.datacenter);
    int err = read_password(agent, &password);
    if (err == RC_OK) {
        const struct etcd_options options = {
            .endpoints = (const char *const *)store->endpoints.items,
            .endpoint_count = store->endpoints.count,
            .prefix = store->prefix != NULL ? store->prefix : prefix,
            .ca_file = store->ca_file,
            .cert_file = store->cert_file,
            .key_file = store->key_file,
            .user = store->user,
            .password = store->password_file != NULL ? rc_buffer_string(&password) : NULL,
            .request_ms = (uint32_t)store->request_timeout_ms,
        };
        err = etcd_engine_open(&agent->loop, &options, out, agent->error,
                               sizeof agent->error);
    }
    if (password.bytes != NULL) {
        explicit_bzero(password.bytes, password.capacity);
    }
    rc_buffer_fini(&password);
    if (err == RC_OK) {
        rc_log(RC_LOG_INFO, "store", "kept by etcd at %s and %zu more under %s",
               store->endpoints.items[0], store->endpoints.count - 1,
               store->prefix != NULL ? store->prefix : prefix);
    }
    return err;
}

static int open_memory(struct store_uv *uv, struct engine **out)
{
    const struct engine_memory_options options = {
        .seed = rc_entropy_u64(),
        .first_revision = 1,
        .now_ms = rc_clock_ms(),
    };

    uv->memory = engine_memory_create(&options);
    *out = uv->memory != NULL ? engine_memory_connect(uv->memory) : NULL;
    if (*out == NULL) {
        return RC_ENOMEM;
    }
    rc_log(RC_LOG_INFO, "store", "kept in memory: gone when this agent ends");
    return RC_OK;
}

static int open_engine(struct store_uv *uv, struct engine **out)
{
    struct agent *agent = uv->agent;

    switch (config_store_engine(&agent->config)) {
    case CONFIG_STORE_SQLITE:
        return open_sqlite(agent, out);
    case CONFIG_STORE_ETCD:
        return open_etcd(agent, out);
    case CONFIG_STORE_MEMORY:
        return open_memory(uv, out);
    case CONFIG_STORE_NONE:
    case CONFIG_STORE_COUNT:
        break;
    }
    *out = NULL;
    return RC_OK;
}

static int create_store(struct store_uv *uv)
{
    struct agent *agent = uv->agent;
    const struct store_options options = {
        .engine = uv->engine,
        .listener = {uv, on_changed, on_reloaded, on_session_ended, on_reached},
        .now_ms = rc_clock_ms(),
    };

    uv->store = store_create(&options);
    const struct bound_sessions_options bound = {
        .catalog = agent->catalog,
        .store = uv->store,
        .node_timeout_ms = agent->config.store.session_node_timeout_ms,
        .seed = rc_entropy_u64(),
        .end = end_session,
        .context = uv,
    };
    uv->bound = uv->store != NULL ? bound_sessions_create(&bound) : NULL;
    return uv->bound != NULL ? RC_OK : fail(agent, RC_ENOMEM, "no memory for the store");
}

int agent_open_store(struct agent *agent)
{
    struct engine *engine = NULL;
    struct store_uv *uv = calloc(1, sizeof *uv);

    if (uv == NULL) {
        return RC_ENOMEM;
    }
    uv->agent = agent;
    int err = open_engine(uv, &engine);
    if (err != RC_OK || engine == NULL) {
        engine_memory_destroy(uv->memory);
        free(uv);
        return err;
    }
    uv->engine = engine;
    uv->engine_is_open = true;
    uv->has_leader = true; /* told of when it is not so */
    uv->armed_ms = UINT64_MAX;
    uv->tick.data = uv->look.data = uv->watch.data = uv;
    (void)uv_timer_init(&agent->loop, &uv->tick);
    (void)uv_timer_init(&agent->loop, &uv->look);
    (void)uv_timer_init(&agent->loop, &uv->watch);
    (void)uv_timer_start(&uv->watch, on_watch, WATCH_EVERY_MS, WATCH_EVERY_MS);
    agent->store = uv;
    return create_store(uv);
}

/* ---- Closing: the engine answers what is open, then nobody asks the store any more. */

static void on_handle_closed(uv_handle_t *handle)
{
    struct store_uv *uv = handle->data;
    struct agent *agent = uv->agent;

    if (--uv->open_handles > 0) {
        return;
    }
    agent->store = NULL;
    agent->open--;
    bound_sessions_destroy(uv->bound);
    free(uv);
}

static void on_engine_closed(void *context)
{
    struct store_uv *uv = context;

    uv->engine = NULL;
    store_destroy(uv->store);
    uv->store = NULL;
    engine_memory_destroy(uv->memory);
    uv->memory = NULL;
    uv->open_handles = 3;
    uv_close((uv_handle_t *)&uv->tick, on_handle_closed);
    uv_close((uv_handle_t *)&uv->look, on_handle_closed);
    uv_close((uv_handle_t *)&uv->watch, on_handle_closed);
}

void agent_close_store(struct agent *agent)
{
    struct store_uv *uv = agent->store;

    if (uv == NULL || !uv->engine_is_open) {
        return;
    }
    uv->engine_is_open = false;
    agent->open++;
    (void)uv_timer_stop(&uv->tick);
    (void)uv_timer_stop(&uv->look);
    (void)uv_timer_stop(&uv->watch);
    uv->engine->class->close(uv->engine, on_engine_closed, uv);
}

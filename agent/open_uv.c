#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "agent/agent_uv.h"
#include "agent/cli/cli.h"
#include "agent/config_store.h"
#include "agent/keeper_uv.h"
#include "agent/prepared/prepared_book.h"
#include "agent/revoked_uv.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/random.h"
#include "base/text.h"

/* Opening, in the order of the table at the end. */

enum { SAVE_EVERY_MS = 5000, NS_PER_MS = 1000000 };

static int fail(struct agent *agent, int err, const char *text)
{
    (void)rc_text_put(agent->error, sizeof agent->error, text);
    return err;
}

/* Two agents in one folder would overwrite each other. */
static int open_data(struct agent *agent)
{
    char path[4096];
    const char *folder = agent->config.data_dir;
    if (folder == NULL) {
        return RC_OK;
    }
    (void)snprintf(path, sizeof path, "%s/lock", folder);
    int err = rc_file_make_folder(folder);
    if (err == RC_OK) {
        agent->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (agent->lock < 0) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "data_dir %.900s cannot be written: %s", folder,
                       strerror(errno)); // NOLINT(concurrency-mt-unsafe): one thread yet
        return RC_EIO;
    }
    if (flock(agent->lock, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "data_dir %.900s is in use by another agent", folder);
        return RC_EEXISTS;
    }
    return RC_OK;
}

static int open_identity(struct agent *agent)
{
    return identity_settle(&agent->config, &agent->identity, agent->error);
}

int agent_set_node(struct agent *agent)
{
    char address[RC_ADDRESS_TEXT_MAX];
    struct catalog_pair meta[CATALOG_META_MAX];
    const struct definition_pairs *given = &agent->config.node_meta;

    rc_address_format_ip(&agent->identity.advertise, address);
    const char *kind =
        agent->identity.advertise.family == RC_ADDRESS_IPV4 ? "lan_ipv4" : "lan_ipv6";
    const char *wan =
        agent->identity.advertise.family == RC_ADDRESS_IPV4 ? "wan_ipv4" : "wan_ipv6";
    const struct catalog_tagged_address tagged[] = {
        {"lan", address, 0}, {kind, address, 0}, {"wan", address, 0}, {wan, address, 0}};
    if (given->count > CATALOG_META_MAX) {
        return fail(agent, RC_ETOOBIG, "node_meta: too many pairs");
    }
    for (size_t i = 0; i < given->count; i++) {
        meta[i] = (struct catalog_pair){given->items[i].key, given->items[i].value};
    }
    size_t more =
        agent_revoked_pairs(agent, meta + given->count, CATALOG_META_MAX - given->count);
    const struct catalog_node node = {
        .id = agent->identity.node_id,
        .address = address,
        .datacenter = agent->config.datacenter,
        .tagged_addresses = tagged,
        .tagged_address_count = sizeof tagged / sizeof tagged[0],
        .meta = meta,
        .meta_count = given->count + more,
    };
    return catalog_set_node(agent->catalog, rc_clock_ms(), &node, agent->error);
}

static int open_book(struct agent *agent)
{
    agent->queries = prepared_book_create();
    return agent->queries != NULL ? RC_OK : fail(agent, RC_ENOMEM, "no memory");
}

static int open_catalog(struct agent *agent)
{
    const struct catalog_options options = {
        .node_name = agent->identity.node_name,
        .datacenter = agent->config.datacenter,
        .seed = rc_entropy_u64(),
        .now_ms = rc_clock_ms(),
        .wall_ms = rc_clock_wall_ms(),
    };
    int err = catalog_create(&options, &agent->catalog);
    if (err != RC_OK) {
        return fail(agent, err, "the catalog cannot be made");
    }
    const struct rc_buffer *epoch = &agent->identity.kept.epoch;
    if (epoch->size > 0) {
        (void)catalog_import(agent->catalog, epoch->bytes, epoch->size);
    }
    return agent_set_node(agent);
}

static void wake_checks(void *context)
{
    const struct agent *agent = context;
    if (agent->checks_edge != NULL) {
        checks_uv_wake(agent->checks_edge);
    }
}

static void heal(void *context, const struct local_heal *wish)
{
    const struct agent *agent = context;
    if (agent->healer != NULL) {
        healer_wish(agent->healer, wish);
    }
}

static bool on_healed(void *context, const struct healer_news *news)
{
    static const enum local_outcome outcomes[] = {
        [HEALER_RESTARTED] = LOCAL_HEALED,
        [HEALER_FAILED] = LOCAL_NOT_HEALED,
        [HEALER_LEFT_ALONE] = LOCAL_LEFT_ALONE,
    };
    const struct local_now now = {rc_clock_ms(), rc_clock_wall_ms()};
    struct agent *agent = context;
    bool is_news = news->outcome == HEALER_EXHAUSTED ||
                   local_healed(agent->local, news->check_id, outcomes[news->outcome],
                                news->error, now);
    if (news->outcome != HEALER_LEFT_ALONE) {
        agent_history_restart(agent, news);
    }
    return is_news;
}

static int open_local(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    struct local_options options = {
        .catalog = agent->catalog,
        .metrics = agent->metrics,
        .node_name = agent->identity.node_name,
        .scripts = config->enable_script_checks         ? LOCAL_SCRIPTS_ALWAYS
                   : config->enable_local_script_checks ? LOCAL_SCRIPTS_CONFIG
                                                        : LOCAL_SCRIPTS_NEVER,
        .output_max = (uint32_t)config->check_output_max_size,
        .random_seed = rc_entropy_u64(),
        .wake = wake_checks,
        .heal = heal,
        .context = agent,
    };
    int err = schedule_create(rc_entropy_u64(), &agent->schedule);
    if (err == RC_OK && config->data_dir != NULL) {
        err = local_files_open(config->data_dir, &agent->local_files);
    }
    if (err == RC_OK) {
        options.schedule = agent->schedule;
        options.store = agent->local_files;
        err = local_create(&options, &agent->local);
    }
    if (err != RC_OK) {
        return fail(agent, err, "the registry of services cannot be opened in data_dir");
    }
    struct local_now now = {rc_clock_ms(), rc_clock_wall_ms()};
    if (local_load(agent->local, now) != RC_OK) {
        rc_log(RC_LOG_ERROR, "agent", "%s", local_error(agent->local));
    }
    err = local_reload(agent->local, config->services, config->service_count,
                       config->checks, config->check_count, now);
    return err == RC_OK ? RC_OK : fail(agent, err, local_error(agent->local));
}

static int open_snapshot(struct agent *agent)
{
    int err =
        snapshot_open(agent->config.data_dir,
                      agent->config.rejoin_after_leave ? SNAPSHOT_REJOIN_AFTER_LEAVE
                                                       : SNAPSHOT_FORGET_AFTER_LEAVE,
                      rc_entropy_u64(), &agent->snapshot);
    return err == RC_OK ? RC_OK : fail(agent, err, "gossip.snapshot cannot be read");
}

static void nonce(void *context, uint8_t *out, size_t size)
{
    (void)context;
    rc_entropy(out, size);
}

static int open_events(struct agent *agent)
{
    agent->events = event_log_create();
    agent->asked = asked_create(rc_entropy_u64());
    return agent->events != NULL && agent->asked != NULL ? RC_OK : RC_ENOMEM;
}

static uint32_t at_most_u32(uint64_t ms)
{
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int create_gossip(struct agent *agent, const struct keyring_list *keys)
{
    const struct identity *identity = &agent->identity;
    struct gossip_profile profile = *gossip_profile_find(agent->config.profile);
    profile.reconnect_timeout_ms = at_most_u32(agent->config.reconnect_timeout_ms);
    profile.tombstone_timeout_ms = at_most_u32(agent->config.tombstone_timeout_ms);
    agent->profile = profile;
    agent->lane.catalog = agent->catalog;
    struct gossip_options options = {
        .name = identity->node_name,
        .address = identity->advertise,
        .tags = identity->tags,
        .tag_count = identity->tag_count,
        .profile = &agent->profile,
        .incarnation = identity->kept.incarnation < UINT32_MAX
                           ? identity->kept.incarnation + 1
                           : UINT32_MAX,
        .keys = keys->keys,
        .key_count = keys->count,
        .random_seed = rc_entropy_u64(),
        .nonce = nonce,
        .cover = agent_cover(&agent->config),
        .keep_keys = agent_keep_keys,
        .keep_keys_ctx = agent,
        .lane = lane_callbacks(&agent->lane),
    };
    snapshot_last_clocks(agent->snapshot, options.clocks);
    int err = gossip_create(&options, rc_clock_ns(), &agent->gossip);
    if (err == RC_ENOTFOUND) {
        return fail(
            agent, err,
            "encrypt: this key (or one of keyring.json) needs OpenSSL's libcrypto (Debian "
            "package libssl3): the processor has no AES instructions, or the key is not "
            "32 bytes long");
    }
    if (err != RC_OK) {
        return fail(
            agent, err,
            "gossip: the node's name must be letters, digits, '-' and '.', and its tags "
            "must fit 512 bytes");
    }
    return RC_OK;
}

static int open_gossip(struct agent *agent)
{
    struct keyring_list keys;

    int err = agent_settle_keys(agent, &keys);
    if (err == RC_OK) {
        agent->link_keys = keys;
        err = create_gossip(agent, &keys);
    }
    explicit_bzero(&keys, sizeof keys);
    if (err != RC_OK) {
        return err;
    }
    agent->lane.gossip = agent->gossip;
    err = agent_open_key_orders(agent);
    if (err == RC_OK) {
        err = collector_create(agent->metrics, agent->gossip, agent->catalog,
                               &agent->collector);
    }
    return err == RC_OK ? RC_OK : fail(agent, err, "no memory for keys and metrics");
}

static int open_gossip_edge(struct agent *agent)
{
    const struct gossip_uv_options options = {
        .loop = &agent->loop,
        .bind = agent->identity.bind,
        .gossip = agent->gossip,
        .ctx = agent,
        .on_action = agent_on_gossip,
        .on_turn = agent_on_gossip_turn,
    };
    return gossip_uv_start(&options, agent->error, sizeof agent->error,
                           &agent->gossip_edge);
}

static int open_checks(struct agent *agent)
{
    const struct checks_uv_options options = {
        .loop = &agent->loop,
        .schedule = agent->schedule,
        .catalog = agent->catalog,
        .metrics = agent->metrics,
        .on_action = agent_on_check,
        .context = agent,
    };
    const struct healer_options healing = {
        .loop = &agent->loop,
        .metrics = agent->metrics,
        .done = on_healed,
        .context = agent,
    };
    int err = healer_open(&healing, &agent->healer);
    if (err == RC_OK) {
        err = checks_uv_start(&options, &agent->checks_edge);
    }
    return err == RC_OK ? RC_OK : fail(agent, err, "the checks cannot start");
}

/* The addresses of a list with a port; unix:// ones only where `paths` is given. */
static int listeners(struct agent *agent, const struct definition_list *own, int64_t port,
                     struct http_listener *out, size_t max, size_t *count)
{
    const struct definition_list *list =
        own->count > 0 ? own : &agent->config.client_addrs;
    if (list->count > max) {
        return fail(agent, RC_ETOOBIG, "client_addr: too many addresses");
    }
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i];
        out[i] = (struct http_listener){0};
        if (rc_text_starts_with(text, "unix://")) {
            out[i].unix_path = text + strlen("unix://");
        } else if (rc_address_parse(text, (uint16_t)port, &out[i].address) != RC_OK) {
            (void)snprintf(agent->error, sizeof agent->error,
                           "client_addr, addresses: '%.200s' is not an IP address", text);
            return RC_EINVAL;
        }
    }
    *count = list->count;
    return RC_OK;
}

/* Names that may stand in Host: what was configured, and all below our domains. */
static int settle_host_names(struct agent *agent)
{
    const struct definition_list *given = &agent->config.allow_hosts;
    const char *const domains[] = {agent->config.domain, agent->config.alt_domain};

    agent->host_names = calloc(given->count + 2, sizeof *agent->host_names);
    if (agent->host_names == NULL) {
        return fail(agent, RC_ENOMEM, "no memory");
    }
    for (size_t i = 0; i < given->count; i++) {
        agent->host_names[agent->host_name_count++] = rc_text_copy(given->items[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        char name[300];
        size_t size = domains[i] != NULL ? strcspn(domains[i], ".") : 0;
        if (size > 0) {
            (void)snprintf(name, sizeof name, "*.%.256s", domains[i]);
            size = strlen(name);
            name[name[size - 1] == '.' ? size - 1 : size] = '\0';
            agent->host_names[agent->host_name_count++] = rc_text_copy(name);
        }
    }
    for (size_t i = 0; i < agent->host_name_count; i++) {
        if (agent->host_names[i] == NULL) {
            return fail(agent, RC_ENOMEM, "no memory");
        }
    }
    return RC_OK;
}

static int open_http(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    struct http_listener places[HTTP_LISTENERS_MAX];
    size_t count = 0;

    if (config->ports.http <= 0) {
        return RC_OK;
    }
    int err = listeners(agent, &config->http_addrs, config->ports.http, places,
                        HTTP_LISTENERS_MAX, &count);
    if (err != RC_OK) {
        return err;
    }
    err = settle_host_names(agent);
    if (err != RC_OK) {
        return err;
    }
    agent->facts = agent_config_dump(config);
    const struct http_options options = {
        .listeners = places,
        .listener_count = count,
        .catalog = agent->catalog,
        .gossip = agent->gossip,
        .local = agent->local,
        .store = agent_store(agent),
        .engine = agent_engine(agent),
        .queries = agent->queries,
        .events = agent->events,
        .history = agent->history.log,
        .proxies = agent_proxies_book(agent),
        .metrics = agent->metrics,
        .permits = agent->permits,
        .facts = {.datacenter = config->datacenter,
                  .node_name = agent->identity.node_name,
                  .node_id = agent->identity.node_id,
                  .version = cli_version,
                  .revision = cli_revision,
                  .server = config->server,
                  .server_port = (uint16_t)config->ports.server,
                  .session_ttl_min_ms = config->session_ttl_min_ms,
                  .session_ttl_factor = (uint64_t)config->store.session_ttl_factor,
                  .store_engine = agent_store(agent) != NULL
                                      ? config_store_name(config_store_engine(config))
                                      : "none",
                  .settings = agent->facts},
        .operations = agent_operations(agent),
        .limits = {.connections_per_client =
                       (uint32_t)config->http_connections_per_client},
        .host_names = (const char *const *)agent->host_names,
        .host_name_count = agent->host_name_count,
        .hosts_everywhere = config->allow_hosts.count > 0,
        .without_page = !config->ui,
        .random_seed = rc_entropy_u64(),
    };
    return http_start(&agent->loop, &options, agent->error, &agent->http);
}

static enum dns_choice choice(bool yes)
{
    return yes ? DNS_YES : DNS_NO;
}

static uint32_t seconds(uint64_t ms)
{
    return ms / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ms / 1000);
}

static int set_dns_options(struct agent *agent)
{
    const struct agent_dns_config *from = &agent->config.dns;
    struct dns_options *to = &agent->dns_options;

    dns_options_init(to);
    to->domain = agent->config.domain;
    to->alt_domain = agent->config.alt_domain;
    to->node_ttl_s = seconds(from->node_ttl_ms);
    to->only_passing = choice(from->only_passing);
    to->enable_truncate = choice(from->enable_truncate);
    to->node_meta_txt = choice(from->node_meta_txt);
    to->empty_service_ok = choice(from->empty_service_ok);
    to->consul_compat = choice(from->consul_compat);
    to->max_stale_ms = from->max_stale_ms;
    to->disable_compression = choice(from->disable_compression);
    to->udp_answer_limit = (uint32_t)from->udp_answer_limit;
    to->a_record_limit = (uint32_t)from->a_record_limit;
    to->soa.refresh_s = seconds(from->soa_refresh_ms);
    to->soa.retry_s = seconds(from->soa_retry_ms);
    to->soa.expire_s = seconds(from->soa_expire_ms);
    to->soa.min_ttl_s = seconds(from->soa_min_ttl_ms);
    if (from->service_ttls.count > AGENT_TTLS_MAX) {
        return fail(agent, RC_ETOOBIG, "dns_config.service_ttl: too many names");
    }
    for (size_t i = 0; i < from->service_ttls.count; i++) {
        uint64_t ns = 0;
        if (rc_text_to_duration_ns(from->service_ttls.items[i].value, &ns) != RC_OK) {
            return fail(agent, RC_EINVAL, "dns_config.service_ttl: not a duration");
        }
        agent->dns_ttls[i] = (struct dns_service_ttl){from->service_ttls.items[i].key,
                                                      seconds(ns / NS_PER_MS)};
    }
    to->service_ttls = agent->dns_ttls;
    to->service_ttl_count = from->service_ttls.count;
    return agent_dns_manners_open(&agent->dns_manners, &agent->config, to, agent->error);
}

/* More threads than processors would only take turns. */
static size_t dns_workers(const struct agent_config *config)
{
    size_t wanted = (size_t)config->dns.workers;
    size_t most = uv_available_parallelism();

    if (wanted > most) {
        rc_log(RC_LOG_WARN, "dns",
               "dns_config.workers is %zu, but there are %zu processors", wanted, most);
        return most;
    }
    return wanted;
}

/* Whom DNS asks about other domains. */
static int open_recursion(struct agent *agent, const struct rc_address *listen,
                          size_t count)
{
    const struct recursion_place place = {.listen = listen,
                                          .listen_count = count,
                                          .system_file = "/etc/resolv.conf",
                                          .seed = rc_entropy_u64()};

    return recursion_create(&agent->config, &place, agent->error, &agent->recursion);
}

static int open_dns(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    struct http_listener places[DNS_SERVER_LISTEN_MAX];
    struct rc_address addresses[DNS_SERVER_LISTEN_MAX];
    size_t count = 0;
    size_t used = 0;

    if (config->ports.dns <= 0) {
        return RC_OK;
    }
    int err = listeners(agent, &config->dns_addrs, config->ports.dns, places,
                        DNS_SERVER_LISTEN_MAX, &count);
    if (err == RC_OK) {
        err = set_dns_options(agent);
    }
    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        if (places[i].unix_path == NULL) {
            addresses[used++] = places[i].address;
        }
    }
    err = agent_open_board(agent);
    if (err != RC_OK || used == 0) {
        return err;
    }
    err = open_recursion(agent, addresses, used);
    if (err != RC_OK) {
        return err;
    }
    const struct dns_server_options options = {
        .listen = addresses,
        .listen_count = used,
        .answers = &agent->dns_options,
        .forward = agent->recursion != NULL ? &agent->recursion->options : NULL,
        .workers = dns_workers(config),
        .board = agent->board,
        .view = dns_board_view(agent->board_reader),
        .metrics = agent->metrics,
        .random_seed = rc_entropy_u64(),
    };
    return dns_server_start(&agent->loop, &options, &agent->dns, agent->error);
}

/* Whoever set retry_max wants to be told, by the exit status, not by a lonely agent. */
static void on_join_gave_up(void *context)
{
    struct agent *agent = context;
    agent->exit_status = CLI_FAILED;
    agent_close(agent);
}

/* Whom we knew, in random order, so that not all agents of a pool that starts again call the
 * same one. NULL with `*count` 0: nobody, or no memory to know them. */
static struct rc_address *known_members(const struct agent *agent, size_t *count)
{
    struct rc_address *known = calloc(snapshot_count(agent->snapshot) + 1, sizeof *known);
    struct rc_random random;

    *count = 0;
    if (known == NULL) {
        return NULL;
    }
    *count = snapshot_addresses(agent->snapshot, known, snapshot_count(agent->snapshot));
    rc_random_init(&random, rc_entropy_u64());
    for (size_t i = *count; i > 1; i--) {
        size_t k = rc_random_below(&random, i);
        struct rc_address other = known[i - 1];
        known[i - 1] = known[k];
        known[k] = other;
    }
    return known;
}

static int open_joiner(struct agent *agent)
{
    size_t known_count;
    struct rc_address *known = known_members(agent, &known_count);
    const struct join_options options = {
        .loop = &agent->loop,
        .gossip = agent->gossip,
        .edge = agent->gossip_edge,
        .default_port = (uint16_t)agent->config.ports.serf_lan,
        .retry_every_ms = agent->config.retry_interval_ms,
        .retry_max = (uint64_t)agent->config.retry_max,
        .on_gave_up = on_join_gave_up,
        .context = agent,
        .names = (const char *const *)agent->config.join.items,
        .name_count = agent->config.join.count,
        .known = known,
        .known_count = known_count,
    };
    int err = joiner_start(&options, &agent->joiner);
    free(known);
    if (options.name_count == 0 && known_count == 0) {
        agent_history_joined(agent); /* nobody was here before us */
    }
    return err == RC_OK ? RC_OK : fail(agent, err, "no memory to join");
}

static void on_signal(void *context, int number)
{
    struct agent *agent = context;
    char text[AGENT_CONFIG_ERROR_MAX];
    const struct agent_config *config = &agent->config;

    if (number == SIGHUP) {
        (void)agent_reload_config(agent, text, sizeof text); /* it tells */
        return;
    }
    bool stay = number == SIGTERM  ? !config->leave_on_terminate
                : number == SIGINT ? config->skip_leave_on_interrupt
                                   : true; /* SIGQUIT: another process follows */
    (void)agent_keeper_retire(agent, KEEPER_RESTARTS,
                              stay ? agent_close : agent_begin_leave);
}

static void on_turn(uv_prepare_t *handle)
{
    struct agent *agent = handle->data;
    if (agent->phase != AGENT_CLOSING) {
        agent_turn(agent);
    }
}

static void on_save(uv_timer_t *timer)
{
    agent_save(timer->data);
}

static int open_handles(struct agent *agent)
{
    if (rc_signals_open(&agent->signals, &agent->loop, SIGQUIT, on_signal, agent) !=
        RC_OK) {
        return fail(agent, RC_EIO, "signals cannot be watched");
    }
    agent->turn.data = agent->tick.data = agent->save.data = agent->leave_wait.data =
        agent;
    agent->write.data = agent;
    (void)uv_timer_init(&agent->loop, &agent->write);
    (void)uv_prepare_init(&agent->loop, &agent->turn);
    (void)uv_prepare_start(&agent->turn, on_turn);
    (void)uv_timer_init(&agent->loop, &agent->tick);
    (void)uv_timer_init(&agent->loop, &agent->leave_wait);
    (void)uv_timer_init(&agent->loop, &agent->save);
    /* At once too: a node that loses power in its first seconds is the same node after. */
    (void)uv_timer_start(&agent->save, on_save, 0, SAVE_EVERY_MS);
    agent->open = 6;
    return RC_OK;
}

int agent_open(struct agent *agent)
{
    int (*const steps[])(struct agent *) = {
        open_data,          open_identity,    agent_open_revoked, open_catalog,
        open_book,          open_local,       agent_open_figures, agent_open_history,
        open_events,        open_snapshot,    open_gossip,        open_handles,
        open_checks,        open_gossip_edge, agent_open_permits, agent_open_store,
        agent_open_proxies, open_http,        agent_open_links,   open_dns,
        agent_open_queries, open_joiner,      agent_open_watches, agent_open_keeper,
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int err = steps[i](agent);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

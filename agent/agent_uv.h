/* agent_uv.h - the agent as a whole: its parts, joined to each other on one event loop.
 *
 * The only place that knows every part. open_uv.c opens them, agent_uv.c runs and closes
 * them, turn_uv.c carries what one says to the others, events_uv.c and watches_uv.c the
 * events, queries and changes; save_uv.c keeps what survives a restart, orders_uv.c does what
 * operators ask for, queries_uv.c keeps prepared queries ready for DNS. */
#ifndef AGENT_AGENT_UV_H
#define AGENT_AGENT_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/checks_uv.h"
#include "agent/checks/schedule.h"
#include "agent/collector.h"
#include "agent/config.h"
#include "agent/dns/dns_feed.h"
#include "agent/dns/dns_prepared.h"
#include "agent/dns_manners.h"
#include "agent/event/asked.h"
#include "agent/event/event_log.h"
#include "agent/event/history.h"
#include "agent/forward_uv.h"
#include "agent/gossip/gossip.h"
#include "agent/gossip/gossip_uv.h"
#include "agent/healer_uv.h"
#include "agent/http/exchange.h"
#include "agent/http/http.h"
#include "agent/identity.h"
#include "agent/join_uv.h"
#include "agent/key_orders.h"
#include "agent/keyring_file.h"
#include "agent/lane.h"
#include "agent/local/local.h"
#include "agent/local/local_store.h"
#include "agent/proxies_uv.h"
#include "agent/recursion.h"
#include "agent/snapshot.h"
#include "agent/store_uv.h"
#include "agent/watch/watcher_uv.h"
#include "base/metrics.h"
#include "base/signals_uv.h"
#include "dns/serve/server_uv.h"

enum { AGENT_ERROR_MAX = 1024, AGENT_TTLS_MAX = 256 };

enum agent_phase { AGENT_RUNNING, AGENT_LEAVING, AGENT_CLOSING };

/* What has changed in the pool, and since when it counts as a change. */
struct agent_history {
    struct history *log;
    uint64_t counted[HISTORY_KIND_COUNT]; /* as the metrics have it */
    uint64_t settles_ms;                  /* who comes before then was here already */
    bool settled;
    bool has_news;
    char first_node[CATALOG_NODE_NAME_MAX + 1]; /* whose first services are coming, */
    unsigned first_count;                       /* ... and how many have */
};

struct agent {
    /* What it was told; `words` are those of the command line, for reloads. */
    size_t word_count;
    char *const *words;
    struct agent_config config;
    struct identity identity;
    int lock; /* of the data folder; -1: none */

    /* The pure parts. */
    struct rc_metrics *metrics;
    struct collector *collector;
    struct catalog *catalog;
    struct gossip *gossip;
    struct schedule *schedule;
    struct local_store *local_files;
    struct store_uv *store; /* NULL: no engine here */
    struct local *local;
    struct prepared_book *queries;
    struct event_log *events;
    struct agent_history history;
    struct proxies_uv *proxies;
    struct asked_list *asked;
    struct key_orders *key_orders;
    struct keyring_list link_keys; /* the first keys of links, until they are open */
    struct gossip_profile profile;
    struct lane lane;
    struct snapshot *snapshot; /* NULL: nothing is kept */
    struct permits *permits;   /* NULL: there are no tokens */
    struct dns_board
        *board; /* what DNS answers from; NULL: DNS is off, as are the next */
    struct dns_board_reader *board_reader; /* of our own loop */
    struct dns_feed *dns_feed;
    struct dns_prepared *dns_prepared;
    struct queries_uv *queries_edge; /* NULL: DNS is off */
    struct dns_options dns_options;
    struct dns_service_ttl dns_ttls[AGENT_TTLS_MAX];
    struct agent_dns_manners dns_manners;
    struct recursion *recursion; /* NULL: names of other domains are refused */
    uint64_t conflict_told_ns;   /* when a shared name was last told of; 0: never */
    uint64_t audit_told_ms; /* when it was last told that a line was lost; 0: never */
    char *facts;            /* the configuration as JSON, for agent/self */
    char **host_names;      /* owned: for http_options */
    size_t host_name_count;

    /* Their edges. */
    uv_loop_t loop;
    uv_prepare_t turn;     /* before each wait: carries out what is left */
    uv_timer_t tick;       /* the catalog's deadline */
    uv_timer_t save;       /* what is kept over restarts, every few seconds */
    uv_timer_t write;      /* of whom we know, a moment after a change */
    uv_timer_t leave_wait; /* the longest that leaving may take */
    struct rc_signals signals;
    struct gossip_uv *gossip_edge;
    struct checks_uv *checks_edge;
    struct healer *healer; /* of failing checks */
    struct http *http;
    struct forwarder *forwarder;
    struct keeper_uv *keeper_edge; /* NULL: no PostgreSQL is kept here */
    struct revoked *revoked;
    struct dns_server *dns;
    struct joiner *joiner;
    struct watcher *watcher;
    struct watch_keys *watch_keys;
    struct http_api *watch_api; /* what watches ask, as if by HTTP */

    enum agent_phase phase;
    bool leaving_on_purpose; /* also while closing afterwards */
    int exit_status;
    http_ticket leave_ticket; /* who asked us to leave by the API; 0: nobody */
    unsigned open;            /* edges that have not closed yet */
    char error[AGENT_ERROR_MAX];
};

/* Runs an agent until it is told to stop. `count` words of the command line behind "agent".
 * Returns the exit status; errors are told on stderr. */
int agent_run(size_t count, char *const *words);

/* ---- open_uv.c */

/* Opens every part, in order. RC_OK, or an error with one line in `agent->error`; what is open by
 * then is closed by agent_close(). */
int agent_open(struct agent *agent);

/* Our node as the catalog shows it. RC_OK, or an error with one line in `agent->error`. */
int agent_set_node(struct agent *agent);

/* ---- turn_uv.c: from part to part. */

/* Carries out what the parts want of each other; called before each wait of the loop. */
void agent_turn(struct agent *agent);

/* For gossip_uv_options and checks_uv_options; `context` is the agent. */
void agent_on_gossip(void *context, uint64_t now_ns, const struct gossip_action *action);
void agent_on_gossip_turn(void *context, uint64_t now_ns);
void agent_on_check(void *context, const struct schedule_action *action, uint64_t now_ms);

/* ---- save_uv.c: what survives a restart. */

/* Writes what has changed. */
void agent_save(struct agent *agent);
/* Somebody came or went, or the clocks may have gone on: written soon. */
void agent_remember(struct agent *agent, const struct gossip_action *action);
void agent_remember_clocks(struct agent *agent);

/* ---- events_uv.c: user events and queries. */

/* GOSSIP_USER_EVENT; GOSSIP_QUERY; and GOSSIP_QUERY_ACK, _RESPONSE and _DONE. */
void agent_on_user_event(struct agent *agent, const struct gossip_action *action);
void agent_on_query_news(struct agent *agent, const struct gossip_action *action);

/* See http_operations. */
int agent_fire(void *context, const struct user_event *event, char id[37]);
int agent_ask(void *context, const struct gossip_query *query, http_ticket ticket);

/* ---- figures_uv.c: metrics that are looked up when they are asked for. RC_OK or RC_ETOOBIG. */
int agent_open_figures(struct agent *agent);

/* ---- history_uv.c: what has changed in the pool. */

/* RC_OK, or RC_ENOMEM with one line in `agent->error`; after the catalog has what is configured. */
int agent_open_history(struct agent *agent);

/* Keeps an event, dated now; all is copied. */
void agent_tell_history(struct agent *agent, const struct history_event *event);
/* Who waits for news hears of them. */
void agent_history_turn(struct agent *agent);

/* GOSSIP_MEMBER_EVENT, before the catalog hears of it; a join that was answered; another
 * leader of the store, or nobody ("") any more. */
void agent_history_member(struct agent *agent, const struct gossip_action *action);
void agent_history_joined(struct agent *agent);
void agent_history_leader(struct agent *agent, const char *name, const char *was);

/* A unit was restarted for a failing check, or not. */
void agent_history_restart(struct agent *agent, const struct healer_news *news);

/* ---- keys_uv.c: the keys of the pool. */

/* Those we start with. RC_OK, or an error with one line in `agent->error`. */
int agent_settle_keys(struct agent *agent, struct keyring_list *out);

/* For gossip_options and http_operations; `context` is the agent. */
int agent_keep_keys(void *context, enum gossip_key_change change,
                    const struct gossip_key *keys, size_t count);
void agent_order_keys(void *context, const struct http_key_order *given,
                      http_ticket ticket);

/* RC_OK or RC_ENOMEM; after gossip was created. */
int agent_open_key_orders(struct agent *agent);

/* How encryption stands, in words, to the log. */
void agent_tell_encryption(const struct agent *agent);

struct gossip_cover agent_cover(const struct agent_config *config);

/* ---- links_uv.c: requests on their way to servers. */

/* RC_OK, or an error with one line in `agent->error`. */
int agent_open_links(struct agent *agent);

/* See http_operations. */
void agent_forward(void *context, const struct http_relay *relay, http_ticket ticket);
void agent_forget(void *context, http_ticket ticket);
void agent_describe_links(void *context, struct rc_json *json);

/* ---- queries_uv.c: prepared queries for DNS. */

/* RC_OK or RC_ENOMEM; after DNS and links. */
int agent_open_queries(struct agent *agent);
void agent_close_queries(struct agent *agent);

/* All that are known now, brought up to date, where that can be done at once. */
const struct prepared_book *agent_queries_book(struct agent *agent);

/* Who is a member has changed. */
void agent_queries_members_changed(struct agent *agent);

/* For forwarder_options: the reply to what was asked under a ticket of FORWARDER_OWN. */
void agent_on_own_reply(void *context, http_ticket ticket,
                        const struct http_reply *reply);

/* ---- dns_explain_uv.c: why DNS answers as it does. See http_operations. */
int agent_explain_dns(void *context, const struct http_dns_question *given,
                      struct rc_json *json, char error[HTTP_DNS_ERROR_MAX]);

/* ---- watches_uv.c: what runs or calls somebody when something changes. */

/* RC_OK, or an error with a line in `agent->error`. */
int agent_open_watches(struct agent *agent);

/* From now on the watches of `config` run, without script handlers that it does not allow.
 * RC_OK or RC_ENOMEM. */
int agent_set_watches(struct agent *agent, const struct agent_config *config);

/* A change: of the catalog, of events, of members. Also before watches are open. */
void agent_tell_watches(struct agent *agent, enum watch_subject subject);

/* GOSSIP_QUERY. */
void agent_on_query(struct agent *agent, const struct gossip_action *action);

/* ---- permits_uv.c: tokens. */

/* RC_OK or RC_ENOMEM; before HTTP. */
int agent_open_permits(struct agent *agent);

/* ---- board_uv.c: what DNS answers from. */

/* Puts up what the catalog holds; after HTTP, which knows what may be shown. RC_OK or
 * RC_ENOMEM. */
int agent_open_board(struct agent *agent);
/* What has changed since the last turn. */
void agent_board_turn(struct agent *agent, const struct catalog_change *changes,
                      size_t count);
/* For http_operations: what was just written is found at once. */
void agent_board_written(void *context);
/* After every thread that reads it has ended. */
void agent_close_board(struct agent *agent);

/* ---- orders_uv.c: from operators. */

/* For http_options; `context` is the agent. */
struct http_operations agent_operations(struct agent *agent);

/* Says goodbye to the others, then closes. A second call closes at once. */
void agent_begin_leave(struct agent *agent);

/* Reads files and flags again; takes over services, checks, watches and log level, or, on
 * an error, nothing. RC_OK, or an error with one line in `text`. */
int agent_reload_config(struct agent *agent, char *text, size_t size);

/* Closes every edge; the loop then ends. */
void agent_close(struct agent *agent);

#endif

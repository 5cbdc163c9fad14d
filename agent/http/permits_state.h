/* permits_state.h - what permits*.c and permit.c share. For them only. */
#ifndef AGENT_HTTP_PERMITS_STATE_H
#define AGENT_HTTP_PERMITS_STATE_H

#include "agent/acl/guess.h"
#include "agent/http/exchange.h"
#include "agent/http/permits.h"
#include "base/table.h"

struct remote;

struct permits {
    struct permits_options options;
    struct guess_list *guesses; /* of clients */
    struct guess_list *relayed; /* of agents */

    /* With an engine: the store's documents, and how far they are read. */
    struct directory *directory;
    uint64_t read_to[STORE_TABLE_COUNT]; /* index of each table */
    bool is_bootstrapped;                /* as the store, or the last server, said */
    bool has_key;
    uint8_t key[SECRET_KEY_SIZE];

    /* Without: what servers said (permits_remote.c). */
    struct rc_table *remotes; /* by keyed hash of the token */
    struct rc_table *asked;   /* by ticket */
    struct {                  /* of changes (permits_news.c) */
        http_ticket ticket;   /* of the question that is open; 0: none is */
        uint64_t index;       /* as a server said last; 0: none did */
        uint64_t failed_ms;   /* when none could be asked; 0: one can */
        uint64_t wanted_ms;   /* when somebody last wanted to know */
        bool is_starting;
    } news;

    struct subject *nobody;  /* has no policies: when nobody can be asked */
    struct rc_table *warned; /* "accessor resource:access" -> struct warning */
    struct {                 /* refusals in the audit, of this second */
        uint64_t since_ms;
        unsigned count;
        uint64_t dropped; /* since the last line */
    } audited;
    struct rc_metric *refusals;
    struct rc_metric *warnings;
};

/* What came of asking who a token is. */
enum permits_found {
    PERMITS_FOUND,   /* `*out` is a new reference */
    PERMITS_UNKNOWN, /* no such token, or not any more */
    PERMITS_AWAY,    /* it cannot be told now */
    PERMITS_ASKED    /* wait for `*wake` */
};

/* permits_audit.c: tells what was just answered, or is about to be. */
enum permits_deed { PERMITS_REFUSED, PERMITS_CHANGED };
void permits_audit(struct http_api *api, const struct http_exchange *x,
                   enum permits_deed deed);

/* Without an engine. */
enum permits_found permits_ask_remote(struct http_api *api, const char *token,
                                      struct subject **out, uint64_t *wake);
void permits_free_remotes(struct permits *permits);
/* What is known of all of them may be wrong by now: asked for again, when it is needed. */
void permits_doubt_remotes(struct permits *permits);

/* permits_news.c: sees to it that a question about changes is open; whether one is, and what was
 * known when it was asked is known; takes its answer (false: it is none). */
void permits_want_news(struct http_api *api);
bool permits_news_come(const struct permits *permits);
bool permits_told_news(struct http_api *api, http_ticket ticket,
                       const struct http_reply *reply);

/* Whose request it is: its token, or that of requests without; NULL: answered, it must not come
 * so. */
const char *permits_token(const struct http_api *api, struct http_exchange *x);

/* permits_restore.c: a restore was cut short before this server had read anything of tokens, so
 * nobody can be told from anybody. permits_admit() then asks this, which lets only that restore
 * be done again, and be looked at. False: answered. */
bool permits_are_blind(const struct http_api *api);
bool permits_admit_blind(struct http_api *api, struct http_exchange *x,
                         const struct route *route);

/* With an engine: reads what has changed in the store, once that is loaded. */
void permits_read_store(struct http_api *api);
/* Whether that was ever done: before, nothing is known of tokens. */
bool permits_have_read(const struct permits *permits);

#endif

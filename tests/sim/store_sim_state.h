/* store_sim_state.h - a world of stores: servers, clients, sessions and what is held of them. */
#ifndef TESTS_SIM_STORE_SIM_STATE_H
#define TESTS_SIM_STORE_SIM_STATE_H

#include "agent/store/engine_memory.h"
#include "agent/store/store.h"
#include "base/random.h"
#include "tests/sim/store_sim.h"

enum {
    SIM_SERVERS = 3,
    SIM_CLIENTS = 10,
    SIM_KEYS = 6,
    SIM_SESSIONS = 512,
    SIM_TRIES = 4,
    SIM_STAMP_BITS = 24 /* of a stamp: what happened within a millisecond */
};

struct sim_session {
    char id[STORE_ID_SIZE];
    uint64_t ttl_ms;
    uint64_t delay_ms;
    bool deletes;
    bool is_made;
    bool may_be_made;
    uint64_t safe_from_ms; /* call of the last renewal that was answered */
    uint64_t tried_ms;     /* until here a renewal may have arrived */
    uint64_t ended_ms;     /* call of its end; UINT64_MAX */
};

enum sim_kind { SIM_WRITE, SIM_READ, SIM_PAIR, SIM_CREATE, SIM_RENEW, SIM_END };

struct sim_world;

struct sim_client {
    struct sim_world *world;
    unsigned number;
    bool is_busy;
    uint64_t next_ms;
    enum sim_kind kind;
    struct history_op op; /* what goes into the history; of a pair: its first key */
    struct store_op ops[2];
    size_t op_count;
    char keys[2][HISTORY_KEY_MAX];
    char values[2][HISTORY_VALUE_MAX];
    struct sim_session *session; /* its own; NULL */
    struct sim_session *asked;   /* about which */
    uint8_t request[STORE_REQUEST_SIZE];
    bool has_request;
    bool was_unknown;
    unsigned tries;
    size_t server;
    uint64_t known_index[SIM_KEYS]; /* what it last read of each key */
};

struct sim_server {
    struct sim_world *world;
    struct engine *engine; /* NULL: it is down */
    struct store *store;
    uint64_t up_at_ms;
    uint64_t given_index[SIM_KEYS]; /* the highest X-Consul-Index since it started */
};

struct sim_world {
    struct engine_memory *memory;
    struct engine_memory_faults faults;
    struct sim_server servers[SIM_SERVERS];
    struct sim_client clients[SIM_CLIENTS];
    struct sim_session sessions[SIM_SESSIONS];
    size_t session_count;
    struct rc_random workload;
    struct rc_random trouble;
    struct history history;
    uint64_t now_ms;
    uint64_t stamps; /* of this millisecond */
    uint64_t made_values;
    uint64_t made_requests;
    uint64_t epoch; /* of keys */
    uint64_t epoch_ops;
    uint64_t leader_back_ms;
    uint64_t next_trouble_ms;
    bool is_calm;
    struct store_sim_report *report;
};

/* ---- store_sim_clients.c */
void store_sim_clients_step(struct sim_world *world);
uint64_t store_sim_stamp(struct sim_world *world);
void store_sim_fail(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void store_sim_key(const struct sim_world *world, size_t key,
                   char space[HISTORY_KEY_MAX]);

/* ---- store_sim_claims.c */
/* The session was seen to be no more. */
void store_sim_claim_ended(struct sim_world *world, const struct sim_session *session);
/* Nobody lives long after its time. */
void store_sim_claim_ends(struct sim_world *world);
/* Who holds a lock next does so after the one before has lost it, and its delay. */
void store_sim_claim_locks(struct sim_world *world);
/* All servers have what the engine has. */
void store_sim_claim_agreement(struct sim_world *world);
struct sim_session *store_sim_find_session(struct sim_world *world, const char *id);

#endif

/* store_uv.h - the store in this agent: its engine, its time, and who is told of its news. */
#ifndef AGENT_STORE_UV_H
#define AGENT_STORE_UV_H

struct agent;
struct engine;
struct store;
struct store_uv;

/* Opens the engine that the settings ask for, if any. RC_OK, or an error with one line in
 * `agent->error`. */
int agent_open_store(struct agent *agent);

/* Answers what is open with an error and closes; `agent->open` counts it until then. */
void agent_close_store(struct agent *agent);

/* NULL: no engine here. */
struct store *agent_store(const struct agent *agent);
struct engine *agent_engine(const struct agent *agent);

/* Before each wait of the loop. */
void agent_store_turn(struct agent *agent);

/* The catalog, or who is a member, has changed. */
void agent_store_catalog_changed(struct agent *agent);
void agent_store_members_changed(struct agent *agent);

#endif

/* render.h - the objects of the API as JSON: one function an object.
 *
 * Field names, their order and what is left out are Consul's (consul-api.md section 4);
 * empty lists and maps are [] and {}, never null, which every client takes. */
#ifndef AGENT_HTTP_RENDER_H
#define AGENT_HTTP_RENDER_H

#include "base/json.h"

struct catalog_check;
struct catalog_node;
struct catalog_service;
struct gossip_coordinate;
struct catalog;
struct gossip_member;
struct local_check;
struct local_restart;
struct local_service;

/* Whether the fields of a node stand alone or inside another object. */
void render_node(struct rc_json *json, const struct catalog_node *node);

/* As in health/service and catalog/node. */
void render_service(struct rc_json *json, const struct catalog_service *service);

/* As in catalog/service: node and service side by side. */
void render_service_node(struct rc_json *json, const struct catalog_service *service);

void render_check(struct rc_json *json, const struct catalog_check *check);

/* The same for the status page: with "SinceMs", when the status began, in ms since 1970, and
 * "Flaps", how often it changed in the last hour; `restart` is NULL where none is known. */
void render_check_since(struct rc_json *json, const struct catalog_check *check,
                        const struct local_restart *restart, uint64_t now_ms);

/* "Restart": {...}; nothing if none are asked for. */
void render_restart(struct rc_json *json, const struct local_restart *restart);

/* {Node, Service, Checks}: an instance with all checks that concern it. */
void render_instance(struct rc_json *json, const struct catalog_service *service);

/* As /v1/agent/members has it; the id of its node in `catalog` stands among its tags. */
void render_member(struct rc_json *json, const struct gossip_member *member,
                   const struct catalog *catalog);
void render_coordinate(struct rc_json *json, const struct gossip_coordinate *coordinate);

enum render_hash { RENDER_WITHOUT_HASH, RENDER_WITH_HASH };

/* A service as this agent registered it. */
void render_local_service(struct rc_json *json, const struct local_service *service,
                          const char *datacenter, enum render_hash hash);

/* A check as this agent runs it; `service` is the one it belongs to, or NULL. `flaps`: as in
 * render_check_since(). */
void render_local_check(struct rc_json *json, const struct local_check *check,
                        const struct local_service *service, const char *node,
                        unsigned flaps);

enum { RENDER_HASH_SIZE = 17 };

/* The content hash as text, 16 digits and a NUL. */
void render_hash(const struct local_service *service, char space[RENDER_HASH_SIZE]);

#endif

/* acl_show.h - tokens, policies and roles on a terminal. */
#ifndef AGENT_CLI_ACL_SHOW_H
#define AGENT_CLI_ACL_SHOW_H

#include <jansson.h>

/* One object, a line a field. */
void acl_show_object(const json_t *object);

/* Many, a line each. `id_key` is "ID" or "AccessorID". */
void acl_show_list(const json_t *list, const char *id_key);

/* What /v1/acl/explain says. */
void acl_show_reason(const json_t *reason);

#endif

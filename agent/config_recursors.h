/* config_recursors.h - settings about questions of other zones, and their types.
 *
 * `recursors`, `dns_config.forward`, `dns_config.recursion_for`. For agent/config*.c and
 * agent/recursion.c. */
#ifndef AGENT_CONFIG_RECURSORS_H
#define AGENT_CONFIG_RECURSORS_H

#include "agent/catalog/definition_field.h"
#include "base/address.h"

/* "10.0.0.53", "10.0.0.53:5353", "[fd00::53]:5353", "resolv.conf": adds up. */
extern const struct definition_field_type agent_config_recursors_type;

/* { "corp.example" = ["10.0.0.53", ...] }: pairs of a name and addresses with a space
 * between. */
extern const struct definition_field_type agent_config_forward_type;

/* "10.0.0.0/8", "loopback", "own" (networks of this machine), "any": adds up. */
extern const struct definition_field_type agent_config_clients_type;

/* "fastest", "sequential" or "random". */
extern const struct definition_field_type agent_config_strategy_type;

/* The word for the servers of resolv.conf(5). */
bool config_is_system(const char *recursor);

#endif

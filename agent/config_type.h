/* config_type.h - the types that settings of an agent have, beside those of definitions. For
 * agent/config*.c only. */
#ifndef AGENT_CONFIG_TYPE_H
#define AGENT_CONFIG_TYPE_H

#include "agent/catalog/definition_field.h"

extern const struct definition_field_type agent_config_list_type;  /* adds up */
extern const struct definition_field_type agent_config_hosts_type; /* "a.b", "*.b" */
extern const struct definition_field_type agent_config_join_type; /* addresses, adds up */
extern const struct definition_field_type agent_config_ips_type;  /* "a b": replaces */
extern const struct definition_field_type agent_config_ip_type;   /* char * */
extern const struct definition_field_type agent_config_meta_type; /* adds up */
extern const struct definition_field_type agent_config_ttls_type; /* adds up */
extern const struct definition_field_type
    agent_config_count_type; /* int64_t, not negative */
extern const struct definition_field_type
    agent_config_port_type; /* int64_t, -1 gives 0 */
/* uint64_t ms; a bare number is of seconds, as Consul has it in SOA */
extern const struct definition_field_type agent_config_seconds_type;
extern const struct definition_field_type agent_config_name_type; /* char * */
extern const struct definition_field_type agent_config_uuid_type;
extern const struct definition_field_type agent_config_datacenter_type; /* lower case */
extern const struct definition_field_type agent_config_domain_type; /* with final dot */
extern const struct definition_field_type agent_config_encrypt_type;
extern const struct definition_field_type agent_config_profile_type;
extern const struct definition_field_type agent_config_level_type;
extern const struct definition_field_type
    agent_config_services_type;                                     /* the whole struct */
extern const struct definition_field_type agent_config_checks_type; /* the whole struct */
extern const struct definition_field_type
    agent_config_watches_type;                                      /* the whole struct */
extern const struct definition_field_type agent_config_unique_type; /* the whole struct */

#endif

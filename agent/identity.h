/* identity.h - who this agent is: settled once at start, from configuration, disk and machine. */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include <stddef.h>

#include "agent/gossip/gossip.h"
#include "agent/keep.h"
#include "base/address.h"

struct agent_config;

enum { IDENTITY_ERROR_MAX = 512, IDENTITY_TAGS_MAX = 10 };

struct identity {
    char node_name[GOSSIP_NAME_MAX + 1];
    char node_id[37];
    struct rc_address bind;      /* where gossip listens */
    struct rc_address advertise; /* what others are told */
    struct gossip_key key;
    size_t key_count; /* 0 or 1 */
    struct gossip_tag tags[IDENTITY_TAGS_MAX];
    size_t tag_count;
    char port_text[8];
    char build_text[32];
    char reconnect_text[32];
    struct keep kept; /* what the last run left; kept up to date by agent.c */
};

/* Fills `out`: names and addresses that the configuration leaves open are taken from the
 * machine, the node's id from the data folder, or made. Strings of `config` are borrowed. RC_OK,
 * or an error with one line for the operator. In all cases identity_fini() may be called. */
int identity_settle(const struct agent_config *config, struct identity *out,
                    char error[IDENTITY_ERROR_MAX]);
void identity_fini(struct identity *identity);

#endif

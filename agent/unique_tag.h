/* unique_tag.h - `unique_tag` of the configuration: who holds tags whose right lies in a key.
 *
 * A Patroni that nobody changed registers "primary" and "master" on each node by itself, and for a
 * while on two. Its key of the leader is the truth: while it is locked its value names the
 * instance. Pure. */
#ifndef AGENT_UNIQUE_TAG_H
#define AGENT_UNIQUE_TAG_H

#include <stddef.h>

#include "agent/catalog/definition.h"

enum { UNIQUE_TAGS_MAX = 16, UNIQUE_HOLDER_MAX = 256 };

/* Strings are owned. */
struct unique_tag {
    char *service;
    struct definition_list tags; /* none given: primary and master */
    char *by_kv;                 /* the key */
    char *token;                 /* to read it with; NULL: as watches do */
};

/* Reads one pair as the API tells it, or null, into the name of the holder: the key's value
 * while it is locked, else "". RC_OK, or RC_EMALFORMED (then "", too: nobody rather than a guess). */
int unique_tag_holder(const char *json, size_t size, char out[UNIQUE_HOLDER_MAX]);

#endif

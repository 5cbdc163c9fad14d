/* config_blocks.h - the larger blocks of the configuration, one function each.
 * Private to config*.c. Each returns RC_OK, RC_EMALFORMED (noted) or RC_ENOMEM. */
#ifndef PROXY_CONFIG_BLOCKS_H
#define PROXY_CONFIG_BLOCKS_H

#include "proxy/config_read.h"

/* `pool NAME { ... }`: appends to config->pools, for which there is room. */
int config_read_pool(struct config_reader *reader, size_t statement, void *into);

/* `listen MODE ADDRESS { ... }`: appends to config->listeners; all pools are known. */
int config_read_listener(struct config_reader *reader, size_t statement, void *into);

/* `host`, `route` and the words of a route, inside `listen http`. */
int config_read_hosts(struct config_reader *reader, size_t statement,
                      struct config_listener *listener);

/* A word that names a pool -> its index. */
int config_read_pool_name(struct config_reader *reader, const struct config_word *word,
                          size_t *out);

#endif

/* config_blocks.h - the larger blocks of the configuration, one function each.
 * Private to config*.c. Each returns RC_OK, RC_EMALFORMED (noted) or RC_ENOMEM. */
#ifndef PROXY_CONFIG_CONFIG_BLOCKS_H
#define PROXY_CONFIG_CONFIG_BLOCKS_H

#include "proxy/config/config_read.h"

/* `pool NAME { ... }`: appends to config->pools, for which there is room. */
int config_read_pool(struct config_reader *reader, size_t statement, void *into);

/* `listen MODE ADDRESS { ... }`: appends to config->listeners; all pools are known. */
int config_read_listener(struct config_reader *reader, size_t statement, void *into);

/* `host`, `route` and the words of a route, inside `listen http`. */
int config_read_hosts(struct config_reader *reader, size_t statement,
                      struct config_listener *listener);

/* The words of a route that stand below `statement`: config_route.c. `host` is its host, or "".
 * Words that are none of a route are left to others. */
int config_read_route(struct config_reader *reader, size_t statement, const char *host,
                      struct config_route *route);
struct config_route config_default_route(void);
/* Fault if a word stands in `host NAME { ... }` that has no place there. */
int config_check_host_words(struct config_reader *reader, size_t statement);
/* True if a word that says what a route does stands directly in `parent`. */
bool config_has_action(const struct config_reader *reader, int parent);
/* True if any word of a route does. */
bool config_has_route_words(const struct config_reader *reader, int parent);
void config_route_fini(struct config_route *route);

/* Words of a route, each a file's: config_when.c, config_edit.c, config_action.c. */
int config_read_match(struct config_reader *reader, size_t statement,
                      struct config_route *route);
int config_read_when(struct config_reader *reader, size_t statement, void *into);
int config_read_request_header(struct config_reader *reader, size_t statement,
                               void *into);
int config_read_response_header(struct config_reader *reader, size_t statement,
                                void *into);
int config_read_services(struct config_reader *reader, size_t statement, void *into);
int config_read_redirect(struct config_reader *reader, size_t statement, void *into);
int config_read_answer(struct config_reader *reader, size_t statement, void *into);
int config_read_rewrite(struct config_reader *reader, size_t statement, void *into);
int config_read_route_maintenance(struct config_reader *reader, size_t statement,
                                  void *into);
int config_read_maintenance(struct config_reader *reader, size_t statement,
                            struct config_maintenance *out);

/* Values: a regular expression, a name of a field (copied), a template. */
int config_read_pattern(struct config_reader *reader, const struct config_word *word,
                        struct pattern **out);
int config_read_field_name(struct config_reader *reader, const struct config_word *word,
                           char **out);
int config_read_template(struct config_reader *reader, const struct config_word *word,
                         const struct config_route *route, struct template *out);

/* A pool `from agent service *` for `services DOMAIN [tag TAG]`; one a tag. There is room: config.c
 * has counted. RC_OK or a fault. */
int config_make_pattern_pool(struct config_reader *reader, const char *tag, size_t *out);

/* Prints what print_http does not: a route with all that belongs to it. */
void config_print_route(const struct config *config, const struct config_route *route,
                        struct rc_buffer *out);
/* The text in quotes, such that the reader gets the same bytes. */
void config_put_text(struct rc_buffer *out, const char *text);
/* BEFORE NAME DURATION, and a line end. */
void config_put_duration(struct rc_buffer *out, const char *before, const char *name,
                         uint32_t ms);

/* Numbers and labels the routes of all listeners. RC_OK or RC_ENOMEM. */
int config_number_routes(struct config *config);

/* `balance`, `sticky`, `prefer`, `panic` and `check` of a pool. */
int config_read_balance(struct config_reader *reader, size_t statement, void *into);
int config_read_sticky(struct config_reader *reader, size_t statement, void *into);
int config_read_prefer(struct config_reader *reader, size_t statement, void *into);
int config_read_check(struct config_reader *reader, size_t statement, void *into);

/* The same as text. */
void config_print_balance(const struct config_pool *pool, struct rc_buffer *out);
/* `limit ...` into a struct config_listener, or a struct config_route; and back to text. */
int config_read_listener_limit(struct config_reader *reader, size_t statement,
                               void *into);
int config_read_route_limit(struct config_reader *reader, size_t statement, void *into);
void config_print_limits(const struct config_limits *limits, const char *indent,
                         struct rc_buffer *out);

/* `access_log ...` into a struct config_listener. */
int config_read_access_log(struct config_reader *reader, size_t statement, void *into);

/* `tls { ... }` inside `listen http` and `listen tcp`; `into` is the listener. */
int config_read_secure(struct config_reader *reader, size_t statement, void *into);
void config_print_secure(const struct config_listener *listener, struct rc_buffer *out);

/* A word that names a pool -> its index. */
int config_read_pool_name(struct config_reader *reader, const struct config_word *word,
                          size_t *out);

/* `proxy_protocol accept NETWORK ...` of a listener, `proxy_protocol send [v1]` of a pool. */
int config_read_proxy_accept(struct config_reader *reader, size_t statement, void *into);
int config_read_proxy_send(struct config_reader *reader, size_t statement, void *into);

/* "10.0.0.0/8", or a fault. */
int config_read_network(struct config_reader *reader, const struct config_word *word,
                        struct rc_network *out);

/* A line of networks after `before`; nothing if there are none. */
void config_print_networks(const char *before, const struct rc_network *networks,
                           size_t count, struct rc_buffer *out);

#endif

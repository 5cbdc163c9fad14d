/* config_print.c - the effective configuration as text that config_parse reads back. */
#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "proxy/config/config_blocks.h"
#include "proxy/config/log_template.h"

static void put_address(struct rc_buffer *out, const struct rc_address *address)
{
    char text[RC_ADDRESS_TEXT_MAX];
    rc_address_format(address, text);
    rc_buffer_text(out, text);
}

static void put_named(struct rc_buffer *out, const char *before, const char *text)
{
    rc_buffer_text(out, before);
    config_put_text(out, text);
    rc_buffer_byte(out, '\n');
}

static void print_sources(const struct config_pool *pool, struct rc_buffer *out)
{
    if (pool->service[0] != '\0' || pool->pattern) {
        rc_buffer_text(out, "    from agent service ");
        config_put_text(out, pool->pattern ? "*" : pool->service);
        if (pool->tag[0] != '\0') {
            rc_buffer_text(out, " tag ");
            config_put_text(out, pool->tag);
        }
        rc_buffer_byte(out, '\n');
    }
    if (pool->postgres[0] != '\0') {
        put_named(out, "    from agent postgres ", pool->postgres);
    }
    if (pool->dns_name[0] != '\0') {
        put_named(out, pool->dns_port > 0 ? "    from dns A " : "    from dns ",
                  pool->dns_name);
    }
    if (pool->dns_port > 0) {
        out->size--; /* the port stands in the same line */
        rc_buffer_format(out, " port %u\n", pool->dns_port);
    }
    if (pool->file[0] != '\0') {
        put_named(out, "    from file ", pool->file);
    }
    for (size_t i = 0; i < pool->static_count; i++) {
        rc_buffer_text(out, "    static ");
        put_address(out, &pool->statics[i].address);
        rc_buffer_format(out, " weight %u\n", pool->statics[i].weight);
    }
}

static void print_probe(const struct config_pool *pool, struct rc_buffer *out)
{
    if (pool->probe_user[0] != '\0') {
        put_named(out, "    probe_user ", pool->probe_user);
    }
    put_named(out, "    probe_database ", pool->probe_database);
    if (pool->probe_password[0] != '\0') {
        rc_buffer_text(out, "    # probe_password is set, and not shown\n");
    }
    config_put_duration(out, "    ", "probe_every", pool->probe_every_ms);
}

static void print_keepers(const struct config_pool *pool, struct rc_buffer *out)
{
    if (pool->postgres[0] == '\0') {
        return;
    }
    if (pool->view_max_ms > 0) {
        config_put_duration(out, "    ", "view_max", pool->view_max_ms);
    }
    rc_buffer_format(out, "    view_loss %s\n", pool->view_keep ? "keep" : "close");
    rc_buffer_format(out, "    max_lag_bytes %lluB\n",
                     (unsigned long long)pool->max_lag_bytes);
    config_put_duration(out, "    ", "max_lag", pool->max_lag_ms);
    config_put_duration(out, "    ", "read_drain", pool->read_drain_ms);
}

static void print_server_tls(const struct config_pool *pool, struct rc_buffer *out)
{
    if (pool->proxy_send != CONFIG_PROXY_SEND_OFF) {
        rc_buffer_format(out, "    proxy_protocol send %s\n",
                         pool->proxy_send == CONFIG_PROXY_SEND_V1 ? "v1" : "v2");
    }
    if (pool->server_ca[0] == '\0') {
        return;
    }
    put_named(out, "    server_tls {\n        ca ", pool->server_ca);
    if (pool->server_name[0] != '\0') {
        put_named(out, "        name ", pool->server_name);
    }
    rc_buffer_text(out, "    }\n");
}

static void print_pool(const struct config_pool *pool, struct rc_buffer *out)
{
    put_named(out, "\npool ", pool->name);
    out->size--; /* the block opens in the same line */
    rc_buffer_text(out, " {\n");
    print_sources(pool, out);
    config_print_balance(pool, out);
    config_put_duration(out, "    ", "slow_start", pool->slow_start_ms);
    rc_buffer_format(out, "    outlier { failures %u; ", pool->outlier_failures);
    config_put_duration(out, "", "base", pool->outlier_base_ms);
    rc_buffer_format(out, "        max_ejected %u%% }\n", pool->outlier_max_percent);
    config_put_duration(out, "    ", "connect_timeout", pool->connect_timeout_ms);
    config_put_duration(out, "    ", "response_timeout", pool->response_timeout_ms);
    config_put_duration(out, "    ", "queue_timeout", pool->queue_timeout_ms);
    config_put_duration(out, "    ", "idle", pool->idle_ms);
    rc_buffer_format(out, "    max_connections %u\n", pool->max_connections);
    print_keepers(pool, out);
    print_server_tls(pool, out);
    print_probe(pool, out);
    rc_buffer_text(out, "}\n");
}

static void print_http(const struct config *config,
                       const struct config_listener *listener, struct rc_buffer *out)
{
    for (size_t i = 0; i < listener->host_count; i++) {
        rc_buffer_text(out, "    host ");
        config_put_text(out, listener->hosts[i].name);
        rc_buffer_text(out, " {\n");
        for (size_t k = 0; k < listener->hosts[i].route_count; k++) {
            config_print_route(config, &listener->hosts[i].routes[k], out);
        }
        rc_buffer_text(out, "    }\n");
    }
    config_print_networks("    trust_forwarded", listener->trusted,
                          listener->trusted_count, out);
    if (listener->log_form == CONFIG_LOG_OFF) {
        rc_buffer_text(out, "    access_log off\n");
    } else {
        rc_buffer_text(out, "    access_log ");
        if (listener->log_path[0] != '\0') {
            rc_buffer_text(out, "file ");
            config_put_text(out, listener->log_path);
        } else {
            rc_buffer_text(out, "stdout");
        }
        if (listener->log_form == CONFIG_LOG_TEMPLATE) {
            put_named(out, " format ", listener->log_template->text);
        } else {
            rc_buffer_text(out, listener->log_form == CONFIG_LOG_JSON ? " json\n"
                                                                      : " combined\n");
        }
    }
    rc_buffer_format(out, "    head_limit %uB\n    header_lines %u\n",
                     listener->head_limit, listener->header_lines);
    config_put_duration(out, "    ", "head_timeout", listener->head_timeout_ms);
    config_put_duration(out, "    ", "body_timeout", listener->body_timeout_ms);
    config_put_duration(out, "    ", "keepalive", listener->keepalive_ms);
    rc_buffer_format(out, "    http2 %s\n    http2_streams %u\n",
                     listener->http2_clear ? "clear" : "off", listener->http2_streams);
    config_print_secure(listener, out);
}

static void print_tls(const struct config_listener *listener, struct rc_buffer *out)
{
    if (listener->tls != CONFIG_TLS_END) {
        rc_buffer_format(out, "    tls %s\n", config_tls_name(listener->tls));
        return;
    }
    put_named(out, "    tls {\n        certificate ", listener->certificate);
    put_named(out, "        key ", listener->key);
    rc_buffer_format(out, "        optional %s\n", listener->tls_optional ? "on" : "off");
    config_put_duration(out, "        ", "limit", listener->tls_limit_ms);
    rc_buffer_text(out, "    }\n");
}

static void print_stream(const struct config *config,
                         const struct config_listener *listener, struct rc_buffer *out)
{
    put_named(out, "    pool ", config->pools[listener->pool].name);
    config_put_duration(out, "    ", "idle", listener->idle_ms);
    if (listener->mode == CONFIG_TCP) {
        config_print_secure(listener, out);
    }
    if (listener->mode == CONFIG_POSTGRES) {
        rc_buffer_format(out, "    target %s\n    fallback %s\n",
                         config_target_name(listener->target),
                         listener->fallback_primary ? "primary" : "none");
        config_put_duration(out, "    ", "wait_for_primary",
                            listener->wait_for_primary_ms);
        rc_buffer_format(out,
                         "    max_waiting %u\n    ramp %u\n    cancel %s\n"
                         "    cancel_rate %u\n    split %s\n",
                         listener->max_waiting, listener->ramp,
                         listener->cancel == CONFIG_CANCEL_DENY ? "deny" : "forward",
                         listener->cancel_rate, listener->split ? "on" : "off");
        print_tls(listener, out);
    }
}

static void print_discovery(const struct config *config, struct rc_buffer *out)
{
    rc_buffer_text(out, "\ndiscovery agent {\n    address ");
    put_address(out, &config->agent);
    rc_buffer_byte(out, '\n');
    config_put_duration(out, "    ", "wait", config->agent_wait_ms);
    if (config->agent_token[0] != '\0') {
        rc_buffer_text(out, "    # token is set, and not shown\n");
    }
    if (config->register_name[0] != '\0') {
        put_named(out, "    register {\n        name ", config->register_name);
        rc_buffer_text(out, "    }\n");
    }
    rc_buffer_text(out, "}\ndiscovery dns {\n    servers");
    for (size_t i = 0; i < config->dns_server_count; i++) {
        rc_buffer_byte(out, ' ');
        put_address(out, &config->dns_servers[i]);
    }
    rc_buffer_byte(out, '\n');
    config_put_duration(out, "    ", "min_ttl", config->dns_min_ttl_ms);
    config_put_duration(out, "    ", "max_ttl", config->dns_max_ttl_ms);
    config_put_duration(out, "    ", "hold_empty", config->dns_hold_empty_ms);
    rc_buffer_text(out, "}\n");
}

static void print_port(const char *before, const struct rc_address *address,
                       struct rc_buffer *out)
{
    rc_buffer_text(out, before);
    if (address->family == RC_ADDRESS_NONE) {
        rc_buffer_text(out, "off");
    } else {
        put_address(out, address);
    }
    rc_buffer_byte(out, '\n');
}

void config_print(const struct config *config, struct rc_buffer *out)
{
    rc_buffer_format(out, "worker_threads %u\n", config->worker_threads);
    print_port("admin ", &config->admin, out);
    print_port("figures ", &config->figures, out);
    config_put_duration(out, "", "drain_timeout", config->drain_timeout_ms);
    config_put_duration(out, "", "grace", config->grace_ms);
    config_put_duration(out, "", "upgrade_timeout", config->upgrade_timeout_ms);
    rc_buffer_format(out, "buffer_limit %lluKiB\n",
                     (unsigned long long)config->buffer_limit_bytes / 1024);
    if (config->max_connections > 0) {
        rc_buffer_format(out, "max_connections %u\n", config->max_connections);
    }
    print_discovery(config, out);
    for (size_t i = 0; i < config->pool_count; i++) {
        print_pool(&config->pools[i], out);
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        rc_buffer_format(out, "\nlisten %s ", config_mode_name(listener->mode));
        put_address(out, &listener->address);
        rc_buffer_format(out, " {\n    max_connections %u\n", listener->max_connections);
        config_print_limits(&listener->limits, "    ", out);
        config_print_networks("    proxy_protocol accept", listener->proxied,
                              listener->proxied_count, out);
        if (listener->mode == CONFIG_HTTP) {
            print_http(config, listener, out);
        } else {
            print_stream(config, listener, out);
        }
        rc_buffer_text(out, "}\n");
    }
}

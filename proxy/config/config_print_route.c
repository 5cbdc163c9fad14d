/* config_print_route.c - a route of the effective configuration, as the reader takes it back. */
#include <assert.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

static const char indent[] = "            ";

void config_put_duration(struct rc_buffer *out, const char *before, const char *name,
                         uint32_t ms)
{
    char text[32];
    rc_text_from_duration_ns((uint64_t)ms * 1000000, text, sizeof text);
    rc_buffer_format(out, "%s%s %s\n", before, name, text);
}

/* Always in quotes: then no byte of a name has a meaning of its own. */
void config_put_text(struct rc_buffer *out, const char *text)
{
    rc_buffer_byte(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            rc_buffer_byte(out, '\\');
        }
        if (*text == '\n') {
            rc_buffer_text(out, "\\n");
        } else {
            rc_buffer_byte(out, (uint8_t)*text);
        }
    }
    rc_buffer_byte(out, '"');
}

static void put_word(struct rc_buffer *out, const char *before, const char *text)
{
    rc_buffer_text(out, before);
    config_put_text(out, text);
}

static void put_line(struct rc_buffer *out, const char *name, const char *text)
{
    rc_buffer_format(out, "%s%s ", indent, name);
    config_put_text(out, text);
    rc_buffer_byte(out, '\n');
}

static void print_networks(const struct config_condition *condition,
                           struct rc_buffer *out)
{
    for (size_t i = 0; i < condition->network_count; i++) {
        char text[RC_ADDRESS_TEXT_MAX];
        rc_address_format_ip(&condition->networks[i].address, text);
        rc_buffer_format(out, " %s/%u", text, condition->networks[i].bits);
    }
}

void config_print_condition(const struct config_condition *condition,
                            struct rc_buffer *out)
{
    rc_buffer_format(out, "when %s", condition->negated ? "not " : "");
    switch (condition->fact) {
    case CONFIG_WHEN_HEADER:
        put_word(out, "header ", condition->name);
        if (condition->compare == CONFIG_IS_EQUAL) {
            put_word(out, " ", condition->value);
        } else if (condition->compare == CONFIG_IS_LIKE) {
            put_word(out, " ~ ", pattern_text(condition->pattern));
        }
        break;
    case CONFIG_WHEN_METHOD:
        rc_buffer_text(out, "method");
        for (size_t i = 0; i < CONFIG_METHODS_MAX && condition->methods[i] != NULL; i++) {
            put_word(out, " ", condition->methods[i]);
        }
        break;
    case CONFIG_WHEN_SOURCE:
        rc_buffer_text(out, "source");
        print_networks(condition, out);
        break;
    }
}

void config_print_match(const struct config_route *route, struct rc_buffer *out)
{
    static const char *const signs[CONFIG_MATCH_COUNT] = {"= ", "~ ", ""};
    put_word(out, signs[route->match], route->prefix);
}

static void print_action(const struct config *config, const struct config_route *route,
                         struct rc_buffer *out)
{
    switch (route->action) {
    case CONFIG_TO_POOL:
        put_line(out, "pool", config->pools[route->pool].name);
        return;
    case CONFIG_TO_SERVICE:
        rc_buffer_format(out, "%sservices ", indent);
        config_put_text(out, route->domain);
        put_word(out, " pool ", config->pools[route->pool].name);
        rc_buffer_byte(out, '\n');
        return;
    case CONFIG_REDIRECT:
        rc_buffer_format(out, "%sredirect %u ", indent, route->status);
        config_put_text(out, route->target.text);
        rc_buffer_byte(out, '\n');
        return;
    case CONFIG_ANSWER:
        rc_buffer_format(out, "%sanswer %u", indent, route->status);
        if (route->text != NULL) {
            put_word(out, " ", route->content_type);
            put_word(out, " ", route->text);
        }
        rc_buffer_byte(out, '\n');
        return;
    case CONFIG_ACTION_COUNT:
        break;
    }
    assert(false && "no action");
}

static void print_edits(const struct config_edits *edits, const char *name,
                        struct rc_buffer *out)
{
    static const char *const kinds[] = {"set", "add", "remove"};
    for (size_t i = 0; i < edits->count; i++) {
        const struct config_edit *edit = &edits->items[i];
        rc_buffer_format(out, "%s%s %s ", indent, name, kinds[edit->kind]);
        config_put_text(out, edit->name);
        if (edit->kind != CONFIG_EDIT_REMOVE) {
            put_word(out, " ", edit->value.text);
        }
        rc_buffer_byte(out, '\n');
    }
}

static void print_maintenance(const struct config_maintenance *maintenance,
                              struct rc_buffer *out)
{
    char text[32];
    if (maintenance->mode == CONFIG_MAINTENANCE_OFF ||
        maintenance->mode == CONFIG_MAINTENANCE_INHERIT) {
        return;
    }
    rc_buffer_format(out, "%smaintenance ", indent);
    if (maintenance->mode == CONFIG_MAINTENANCE_FILE) {
        put_word(out, "file ", maintenance->file);
    } else {
        rc_buffer_text(out, "on");
    }
    rc_text_from_duration_ns((uint64_t)maintenance->retry_after_ms * 1000000, text,
                             sizeof text);
    rc_buffer_format(out, " retry_after %s\n", text);
}

static void print_sending(const struct config_route *route, struct rc_buffer *out)
{
    if (route->rewrites) {
        put_line(out, "rewrite", route->rewrite.text);
    }
    config_put_duration(out, indent, "connect_timeout", route->connect_timeout_ms);
    config_put_duration(out, indent, "response_timeout", route->response_timeout_ms);
    config_put_duration(out, indent, "body_timeout", route->body_timeout_ms);
    rc_buffer_format(out, "%sretry { attempts %u", indent, route->retry_attempts);
    for (size_t i = 0; i < CONFIG_STATUS_MAX && route->retry_status[i] != 0; i++) {
        rc_buffer_format(out, "%s%u", i == 0 ? "; on_status " : " ",
                         route->retry_status[i]);
    }
    rc_buffer_format(out, "; idempotency_key %s; draining_posts %s; hedge ",
                     route->retry_by_key ? "on" : "off",
                     route->retry_draining_posts ? "on" : "off");
    if (route->hedge_ms > 0) {
        rc_buffer_format(out, "%ums }\n", route->hedge_ms);
    } else {
        rc_buffer_format(out, "off }\n");
    }
    rc_buffer_format(out, "%supgrade %s\n", indent,
                     route->upgrade_websocket ? "websocket" : "off");
    config_put_duration(out, indent, "tunnel_idle", route->tunnel_idle_ms);
    rc_buffer_format(out, "%svia %s\n%sforwarded %s\n", indent, route->via ? "on" : "off",
                     indent, route->forwarded ? "on" : "off");
}

void config_print_route(const struct config *config, const struct config_route *route,
                        struct rc_buffer *out)
{
    rc_buffer_text(out, "        route ");
    config_print_match(route, out);
    rc_buffer_text(out, " {\n");
    if (route->named) {
        put_line(out, "name", route->label);
    }
    for (size_t i = 0; i < route->condition_count; i++) {
        rc_buffer_text(out, indent);
        config_print_condition(&route->conditions[i], out);
        rc_buffer_byte(out, '\n');
    }
    print_action(config, route, out);
    if (route->body_limit_bytes > 0) {
        rc_buffer_format(out, "%sbody_limit %lluB\n", indent,
                         (unsigned long long)route->body_limit_bytes);
    }
    config_print_limits(&route->limits, indent, out);
    print_maintenance(&route->maintenance, out);
    if (route->action == CONFIG_TO_POOL || route->action == CONFIG_TO_SERVICE) {
        print_sending(route, out);
    }
    print_edits(&route->request, "request_header", out);
    print_edits(&route->response, "response_header", out);
    rc_buffer_text(out, "        }\n");
}

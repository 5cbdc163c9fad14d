/* config_action.c - what a route does with its requests: where they go, or what they hear. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { HOUR_MS = 3600 * 1000, RETRY_AFTER_MS = 60 * 1000 };

/* --- services --- */

/* The service's name is one label of the host; the rest is the domain. */
static int read_domain(struct config_reader *reader, const struct config_word *word,
                       struct config_route *route)
{
    if (rc_text_put(route->domain, sizeof route->domain, word->text) != RC_OK ||
        word->text[0] == '\0' || word->text[0] == '.' || word->text[0] == '*') {
        return config_fault(
            reader, word, "\"%.80s\" is no domain, such as apps.example.org", word->text);
    }
    for (char *at = route->domain; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    return RC_OK;
}

int config_read_services(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const words[] = {"tag", "pool", NULL};
    struct config_route *route = into;
    size_t which = 0;
    int err = config_expect_words(reader, statement, 1, 3);
    if (err == RC_OK) {
        err = read_domain(reader, config_word_at(reader, statement, 1), route);
    }
    route->action = CONFIG_TO_SERVICE;
    if (err != RC_OK) {
        return err;
    }
    if (config_word_at(reader, statement, 2) == NULL) {
        return config_make_pattern_pool(reader, "", &route->pool);
    }
    err = config_expect_words(reader, statement, 3, 3);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 2), words,
                                 &which);
    }
    const struct config_word *value = config_word_at(reader, statement, 3);
    if (err != RC_OK) {
        return err;
    }
    if (which == 0) {
        return strlen(value->text) < 100
                   ? config_make_pattern_pool(reader, value->text, &route->pool)
                   : config_fault(reader, value, "longer than 99 bytes");
    }
    err = config_read_pool_name(reader, value, &route->pool);
    if (err == RC_OK && !reader->config->pools[route->pool].pattern) {
        err = config_fault(reader, value,
                           "pool \"%s\" has instances of its own: \"services\" needs "
                           "one with \"from agent service *\"",
                           value->text);
    }
    return err;
}

/* --- redirect --- */

/* Where a URL leads must not be a visitor's to say: behind the host comes a slash. */
static bool keeps_its_host(const struct template *target)
{
    const char *text = target->text;
    const char *scheme_end = strstr(text, "://");
    if (scheme_end == NULL) {
        return text[0] == '/' && text[1] != '/' && text[1] != '\\';
    }
    if (!rc_text_starts_with(text, "http://") && !rc_text_starts_with(text, "https://") &&
        !rc_text_starts_with(text, "$scheme://")) {
        return false;
    }
    const char *at = scheme_end + 3;
    if (rc_text_starts_with(at, "$host")) {
        at += strlen("$host");
    }
    size_t literal = strcspn(at, "/?$\\");
    bool some = at[-1] != '/' || literal > 0;
    at += literal;
    return some &&
           (*at == '\0' || *at == '/' || *at == '?' || rc_text_starts_with(at, "$path") ||
            rc_text_starts_with(at, "$query"));
}

int config_read_redirect(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const statuses[] = {"301", "302", "303", "307", "308", NULL};
    static const uint16_t numbers[] = {301, 302, 303, 307, 308};
    struct config_route *route = into;
    size_t which = 0;
    int err = config_expect_words(reader, statement, 2, 2);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), statuses,
                                 &which);
    }
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *url = config_word_at(reader, statement, 2);
    route->action = CONFIG_REDIRECT;
    route->status = numbers[which];
    err = config_read_template(reader, url, route, &route->target);
    if (err == RC_OK && (strpbrk(url->text, " \t") != NULL)) {
        err = config_fault(reader, url, "white space in it");
    }
    if (err == RC_OK && !keeps_its_host(&route->target)) {
        err = config_fault(reader, url,
                           "a redirect begins with /path, or with http://, https:// or "
                           "$scheme://, a fixed host or $host, then \"/\" or $path");
    }
    return err;
}

/* --- answer --- */

int config_read_answer(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule status = {
        .kind = CONFIG_RULE_COUNT, .min = 200, .max = 599};
    struct config_route *route = into;
    uint32_t value = 0;
    int err = config_expect_words(reader, statement, 1, 3);
    if (err == RC_OK) {
        err = config_read_value(reader, config_word_at(reader, statement, 1), &status,
                                &value);
    }
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *type = config_word_at(reader, statement, 2);
    const struct config_word *text = config_word_at(reader, statement, 3);
    route->action = CONFIG_ANSWER;
    route->status = (uint16_t)value;
    if (type == NULL) {
        return RC_OK;
    }
    if (text == NULL) {
        return config_fault(reader, type,
                            "expected: answer STATUS, or answer STATUS TYPE TEXT");
    }
    if (value == 204 || value == 304) {
        return config_fault(reader, type, "a %u has no text", value);
    }
    if (strpbrk(type->text, "\r\n\t") != NULL || strchr(type->text, '/') == NULL ||
        strlen(type->text) > 100) {
        return config_fault(reader, type,
                            "\"%.80s\" is no media type, such as text/plain", type->text);
    }
    if (strlen(text->text) > CONFIG_PAGE_MAX) {
        return config_fault(reader, text, "longer than %d bytes", CONFIG_PAGE_MAX);
    }
    route->content_type = rc_text_copy(type->text);
    route->text = rc_text_copy(text->text);
    return route->content_type != NULL && route->text != NULL ? RC_OK : RC_ENOMEM;
}

/* --- rewrite --- */

int config_read_rewrite(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    err = config_read_template(reader, word, route, &route->rewrite);
    if (err != RC_OK) {
        return err;
    }
    route->rewrites = true;
    if (word->text[0] != '/' || strpbrk(word->text, " \t?#\\") != NULL) {
        return config_fault(reader, word,
                            "\"rewrite\" begins with \"/\", and is a path alone: the "
                            "query is kept");
    }
    if (template_has(&route->rewrite, TEMPLATE_PATH) ||
        template_has(&route->rewrite, TEMPLATE_QUERY)) {
        return config_fault(reader, word,
                            "the rest of the path and the query come by themselves");
    }
    return RC_OK;
}

/* --- maintenance --- */

/* [retry_after DURATION] at the end. */
static int read_retry_after(struct config_reader *reader, size_t statement, size_t at,
                            struct config_maintenance *maintenance)
{
    static const struct config_rule retry = {
        .kind = CONFIG_RULE_DURATION,
        .offset = offsetof(struct config_maintenance, retry_after_ms),
        .min = 1000,
        .max = UINT64_C(24) * HOUR_MS};
    const struct config_word *word = config_word_at(reader, statement, at);
    if (word == NULL) {
        return RC_OK;
    }
    if (!rc_text_equals(word->text, "retry_after")) {
        return config_fault(reader, word, "expected: retry_after DURATION");
    }
    int err = config_expect_words(reader, statement, at + 1, at + 1);
    return err != RC_OK
               ? err
               : config_read_value(reader, config_word_at(reader, statement, at + 1),
                                   &retry, maintenance);
}

int config_read_maintenance(struct config_reader *reader, size_t statement,
                            struct config_maintenance *out)
{
    static const char *const modes[] = {"off", "on", "file", NULL};
    static const struct config_rule file = {.kind = CONFIG_RULE_TEXT,
                                            .offset =
                                                offsetof(struct config_maintenance, file),
                                            .max = CONFIG_FILE_NAME_MAX};
    size_t mode = 0;
    int err = config_expect_words(reader, statement, 1, 4);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), modes,
                                 &mode);
    }
    if (err != RC_OK) {
        return err;
    }
    *out = (struct config_maintenance){.mode = (enum config_maintenance_mode)(mode + 1),
                                       .retry_after_ms = RETRY_AFTER_MS};
    if (out->mode != CONFIG_MAINTENANCE_FILE) {
        return read_retry_after(reader, statement, 2, out);
    }
    err = config_expect_words(reader, statement, 2, 4);
    if (err == RC_OK) {
        err = config_read_value(reader, config_word_at(reader, statement, 2), &file, out);
    }
    return err != RC_OK ? err : read_retry_after(reader, statement, 3, out);
}

int config_read_route_maintenance(struct config_reader *reader, size_t statement,
                                  void *into)
{
    struct config_route *route = into;
    return config_read_maintenance(reader, statement, &route->maintenance);
}

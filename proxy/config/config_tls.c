/* config_tls.c - `tls { ... }` of listeners for http and tcp. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum {
    HOUR_MS = 3600 * 1000,
    DAY_S = 24 * 3600,
    HSTS_DAYS_MAX = 3650,
    CERTIFICATES_MAX = 10000
};

#define FIELD(name) offsetof(struct config_secure, name)

static const struct config_rule path_rule = {.kind = CONFIG_RULE_TEXT,
                                             .max = CONFIG_PATH_MAX};

static struct config_certificate *add_certificate(struct config_secure *secure)
{
    struct config_certificate *grown =
        realloc(secure->certificates, (secure->certificate_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    secure->certificates = grown;
    grown += secure->certificate_count++;
    *grown = (struct config_certificate){0};
    return grown;
}

/* certificate FILE key FILE; or, on lines of their own, certificate FILE and then key FILE. */
static int read_certificate(struct config_reader *reader, size_t statement, void *into)
{
    struct config_secure *secure = into;
    const struct config_word *file = config_word_at(reader, statement, 1);
    const struct config_word *word = config_word_at(reader, statement, 2);
    const struct config_word *key = config_word_at(reader, statement, 3);
    int err = config_expect_words(reader, statement, 1, 3);
    if (err != RC_OK) {
        return err;
    }
    if (word != NULL && (key == NULL || !rc_text_equals(word->text, "key"))) {
        return config_fault(reader, word, "expected: certificate FILE key FILE");
    }
    if (secure->certificate_count == CERTIFICATES_MAX) {
        return config_fault(reader, file, "too many certificates");
    }
    struct config_certificate *made = add_certificate(secure);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    made->line = file->line;
    err = config_read_value(reader, file, &path_rule, made->certificate);
    return err != RC_OK || key == NULL
               ? err
               : config_read_value(reader, key, &path_rule, made->key);
}

static int read_key(struct config_reader *reader, size_t statement, void *into)
{
    struct config_secure *secure = into;
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *file = config_word_at(reader, statement, 1);
    struct config_certificate *last =
        secure->certificate_count > 0
            ? &secure->certificates[secure->certificate_count - 1]
            : NULL;
    if (last == NULL || last->key[0] != '\0') {
        return config_fault(reader, file,
                            "a key stands behind its certificate: "
                            "certificate FILE key FILE");
    }
    return config_read_value(reader, file, &path_rule, last->key);
}

static int read_sni(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"default", "strict", NULL};
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    ((struct config_secure *)into)->strict = chosen == 1;
    return err;
}

static int read_minimum(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"1.2", "1.3", NULL};
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    ((struct config_secure *)into)->only_1_3 = chosen == 1;
    return err;
}

/* hsts 180d, or any duration: too long for milliseconds. */
static int read_hsts(struct config_reader *reader, size_t statement, void *into)
{
    struct config_secure *secure = into;
    uint64_t ns = 0;
    char *end = NULL;
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    unsigned long days = strtoul(word->text, &end, 10);
    bool in_days = end != word->text && rc_text_equals(end, "d");
    if (in_days && days <= HSTS_DAYS_MAX) {
        secure->hsts_s = (uint32_t)days * DAY_S;
        return RC_OK;
    }
    if (in_days || rc_text_to_duration_ns(word->text, &ns) != RC_OK ||
        ns / 1000000000 > (uint64_t)HSTS_DAYS_MAX * DAY_S) {
        return config_fault(reader, word, "\"%.60s\" is no time for hsts, such as 180d",
                            word->text);
    }
    secure->hsts_s = (uint32_t)(ns / 1000000000);
    return RC_OK;
}

/* client_ca FILE required | optional */
static int read_client_ca(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"optional", "required", NULL};
    struct config_secure *secure = into;
    size_t chosen = 0;
    int err = config_expect_words(reader, statement, 2, 2);
    if (err == RC_OK) {
        err = config_read_value(reader, config_word_at(reader, statement, 1), &path_rule,
                                secure->client_ca);
    }
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 2), names,
                                 &chosen);
    }
    secure->client_required = chosen == 1;
    return err;
}

static const struct config_rule rules[] = {
    {"certificate", CONFIG_RULE_CALL, 0, 0, 0, read_certificate},
    {"key", CONFIG_RULE_CALL, 0, 0, 0, read_key},
    {"sni", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_sni},
    {"http2", CONFIG_RULE_FLAG, FIELD(http2), 0, 0, NULL},
    {"minimum", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_minimum},
    {"hsts", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_hsts},
    {"client_ca", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_client_ca},
    {"limit", CONFIG_RULE_DURATION, FIELD(limit_ms), 100, HOUR_MS, NULL},
    {"handshakes", CONFIG_RULE_COUNT, FIELD(handshakes), 1, 1000000, NULL},
    {0},
};

int config_read_secure(struct config_reader *reader, size_t statement, void *into)
{
    struct config_listener *listener = into;
    struct config_secure *secure = &listener->secure;
    const struct config_word *word = config_word_at(reader, statement, 0);

    secure->limit_ms = 5000;
    secure->handshakes = 1000;
    int err = config_expect_words(reader, statement, 0, 0);
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, rules, secure);
    }
    if (err == RC_OK && secure->certificate_count == 0) {
        err = config_fault(reader, word,
                           "TLS that ends here needs \"certificate FILE key FILE\"");
    }
    for (size_t i = 0; err == RC_OK && i < secure->certificate_count; i++) {
        if (secure->certificates[i].key[0] == '\0') {
            err = config_fault_at(reader, secure->certificates[i].line, 1,
                                  "this certificate has no key: certificate FILE key "
                                  "FILE");
        }
    }
    if (err == RC_OK && listener->mode == CONFIG_TCP &&
        (secure->http2 || secure->hsts_s > 0)) {
        err = config_fault(reader, word, "http2 and hsts are words of listen http");
    }
    if (secure->hsts_s > 0) {
        (void)snprintf(secure->hsts_line, sizeof secure->hsts_line,
                       "Strict-Transport-Security: max-age=%u\r\n", secure->hsts_s);
    }
    listener->tls = CONFIG_TLS_END;
    return err;
}

void config_print_secure(const struct config_listener *listener, struct rc_buffer *out)
{
    const struct config_secure *secure = &listener->secure;
    if (listener->tls != CONFIG_TLS_END) {
        return;
    }
    rc_buffer_text(out, "    tls {\n");
    for (size_t i = 0; i < secure->certificate_count; i++) {
        rc_buffer_text(out, "        certificate ");
        config_put_text(out, secure->certificates[i].certificate);
        rc_buffer_text(out, " key ");
        config_put_text(out, secure->certificates[i].key);
        rc_buffer_byte(out, '\n');
    }
    rc_buffer_format(out, "        sni %s\n        http2 %s\n        minimum %s\n",
                     secure->strict ? "strict" : "default", secure->http2 ? "on" : "off",
                     secure->only_1_3 ? "1.3" : "1.2");
    if (secure->hsts_s > 0) {
        rc_buffer_format(out, "        hsts %us\n", secure->hsts_s);
    }
    if (secure->client_ca[0] != '\0') {
        rc_buffer_text(out, "        client_ca ");
        config_put_text(out, secure->client_ca);
        rc_buffer_text(out, secure->client_required ? " required\n" : " optional\n");
    }
    config_put_duration(out, "        ", "limit", secure->limit_ms);
    rc_buffer_format(out, "        handshakes %u\n    }\n", secure->handshakes);
}

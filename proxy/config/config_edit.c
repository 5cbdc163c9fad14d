/* config_edit.c - `request_header` and `response_header`: fields that a route sets, adds, or
 * takes away. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { EDITS_MAX = 64 };

/* What decides where a message ends and how the connection goes on is the proxy's alone, and so
 * is what it says about the client. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "host",
        "expect",
        "http2-settings",
        "max-forwards",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-request-id",
        "forwarded",
        "via",
        "sec-websocket-key",
        "idempotency-key",
        "x-real-ip",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rc_text_equals_nocase(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* True for what responses may say themselves though requests may not. */
static bool is_free_in_responses(const char *name)
{
    return rc_text_equals_nocase(name, "x-request-id") ||
           rc_text_equals_nocase(name, "x-real-ip");
}

int config_read_template(struct config_reader *reader, const struct config_word *word,
                         const struct config_route *route, struct template *out)
{
    const char *why = NULL;
    for (const char *at = word->text; *at != '\0'; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f) {
            return config_fault(reader, word, "a control character in it");
        }
    }
    int err = template_init(out, word->text, &why);
    if (err == RC_EMALFORMED) {
        return config_fault(reader, word, "%s", why);
    }
    size_t groups = route->pattern != NULL ? pattern_groups(route->pattern) : 0;
    if (err == RC_OK && template_groups(out) > groups) {
        return config_fault(reader, word,
                            "$%u here, but the route's regular expression has %zu groups",
                            template_groups(out), groups);
    }
    return err;
}

static int read_edit(struct config_reader *reader, size_t statement,
                     const struct config_route *route, struct config_edit *edit)
{
    static const char *const kinds[] = {"set", "add", "remove", NULL};
    size_t kind = 0;
    int err = config_expect_words(reader, statement, 2, 3);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), kinds,
                                 &kind);
    }
    if (err != RC_OK) {
        return err;
    }
    edit->kind = (enum config_edit_kind)kind;
    size_t words = edit->kind == CONFIG_EDIT_REMOVE ? 2 : 3;
    err = config_expect_words(reader, statement, words, words);
    if (err == RC_OK) {
        err = config_read_field_name(reader, config_word_at(reader, statement, 2),
                                     &edit->name);
    }
    if (err != RC_OK || edit->kind == CONFIG_EDIT_REMOVE) {
        return err;
    }
    return config_read_template(reader, config_word_at(reader, statement, 3), route,
                                &edit->value);
}

/* One more at the end. */
static struct config_edit *append(struct config_edits *edits)
{
    struct config_edit *grown =
        realloc(edits->items, (edits->count + 1) * sizeof *edits->items);
    if (grown == NULL) {
        return NULL;
    }
    edits->items = grown;
    grown[edits->count] = (struct config_edit){0};
    return &grown[edits->count++];
}

static int read_into(struct config_reader *reader, size_t statement,
                     const struct config_route *route, struct config_edits *edits)
{
    if (edits->count == EDITS_MAX) {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "more than %d of them", EDITS_MAX);
    }
    struct config_edit *edit = append(edits);
    if (edit == NULL) {
        return RC_ENOMEM;
    }
    int err = read_edit(reader, statement, route, edit);
    if (err != RC_OK) {
        return err;
    }
    edit->name_size = strlen(edit->name);
    bool request = edits == &route->request;
    if (is_ours(edit->name) && (request || !is_free_in_responses(edit->name))) {
        return config_fault(reader, config_word_at(reader, statement, 2),
                            "\"%s\" is written by the proxy itself, or frames messages",
                            edit->name);
    }
    return RC_OK;
}

int config_read_request_header(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    return read_into(reader, statement, route, &route->request);
}

int config_read_response_header(struct config_reader *reader, size_t statement,
                                void *into)
{
    struct config_route *route = into;
    return read_into(reader, statement, route, &route->response);
}

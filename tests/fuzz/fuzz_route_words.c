/* fuzz_route_words.c - a target in the first line, the words of a listener behind it: whatever is chosen,
 * paths have one form, and what goes on is one that would be accepted again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/explain/explain.h"
#include "proxy/route/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char before[] = "pool p { static 127.0.0.1:1 }\nlisten http 127.0.0.1:2 {\n";

static struct config *make_config(const uint8_t *words, size_t size)
{
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    char *text = malloc(sizeof before + size + 8);
    assert(text != NULL);
    size_t used = sizeof before - 1;
    memcpy(text, before, used);
    if (size > 0) {
        memcpy(text + used, words, size);
    }
    memcpy(text + used + size, "\n}\n", 4);
    if (config_parse("fuzz", text, used + size + 3, &config, error) != RC_OK) {
        config = NULL;
    }
    free(text);
    return config;
}

/* The normal form of a normal form is itself, and so is the lax reading of a lax reading. */
static void one_form(struct rc_span path)
{
    static char again[PATH_FORM_MAX];
    static char lax[PATH_FORM_MAX];
    static char laxer[PATH_FORM_MAX];
    size_t size = 0;
    assert(path.size > 0 && path.at[0] == '/');
    assert(path_form_normal(path.at, path.size, again, &size) == PATH_SOUND);
    assert(size == path.size && memcmp(again, path.at, size) == 0);
    size = path_form_lax(path.at, path.size, lax);
    assert(size > 0 && size <= path.size && lax[0] == '/');
    (void)path_form_lax(lax, size, laxer);
    if (path_form_is_plain(path.at, path.size)) {
        assert(size == path.size && memcmp(lax, path.at, size) == 0);
    }
}

static void no_line_break(struct rc_span text)
{
    for (size_t i = 0; i < text.size; i++) {
        assert((unsigned char)text.at[i] >= 0x20 && text.at[i] != 0x7f);
    }
}

static void shape(const struct route_choice *choice, struct route_scratch *scratch)
{
    struct template_values values;
    struct rc_span made;
    struct shape_facts facts = {rc_span_of("http"), rc_span_of("192.0.2.1"),
                                rc_span_of("80"), rc_span_of("0123")};

    shape_values(choice, &facts, &values);
    if (choice->route->action == CONFIG_REDIRECT) {
        if (shape_location(choice, &values, scratch, &made) == RC_OK) {
            no_line_break(made);
            assert(made.size == 0 || made.at[0] != '/' || made.size == 1 ||
                   made.at[1] != '/');
        }
        return;
    }
    if (shape_target(choice, &values, scratch, &made) == RC_OK && made.size > 0) {
        const char *query = memchr(made.at, '?', made.size);
        no_line_break(made);
        one_form((struct rc_span){made.at,
                                  query == NULL ? made.size : (size_t)(query - made.at)});
    }
}

static void choose(const struct config *config, const char *target)
{
    static char head[HTTP1_HEAD_MAX];
    static struct http1_request request;
    struct route_choice choice;
    struct rc_address peer;
    struct route_scratch *scratch = route_scratch_create();
    assert(scratch != NULL && rc_address_parse_ip("192.0.2.1", 1, &peer) == RC_OK);
    int size = snprintf(head, sizeof head,
                        "GET %s HTTP/1.1\r\nHost: a.test\r\nX-Beta: yes\r\n\r\n", target);
    if ((size_t)size < sizeof head &&
        http1_request_parse(head, (size_t)size, &request) == HTTP1_SOUND) {
        struct route_request asked = {head, &request, &peer};
        enum route_verdict verdict =
            route_find(&config->listeners[0], &asked, scratch, NULL, &choice);
        if (verdict == ROUTE_FOUND) {
            one_form(choice.path);
            shape(&choice, scratch);
        } else {
            assert(route_verdict_text(&choice)[0] != '\0');
        }
    }
    route_scratch_destroy(scratch);
}

/* The same in words: the question's form must hold for any URL. */
static void explain(const struct config *config, const char *target)
{
    struct explanation *explanation = NULL;
    struct rc_buffer out = {0};
    char why[256] = "";
    static char url[9000];
    (void)snprintf(url, sizeof url, "a.test%s", target);
    struct explain_question question = {.url = url};
    if (explain_request(config, &question, &explanation, why) != EXPLAIN_UNASKED) {
        explain_text(explanation, &out);
        explain_json(explanation, &out);
        explain_destroy(explanation);
    } else {
        assert(why[0] != '\0');
    }
    rc_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char target[8300];
    const uint8_t *end = size > 0 ? memchr(bytes, '\n', size) : NULL;
    size_t length = end != NULL ? (size_t)(end - bytes) : size;
    if (length >= sizeof target || memchr(bytes, '\0', length) != NULL) {
        return 0;
    }
    memcpy(target, bytes, length);
    target[length] = '\0';
    size_t used = end != NULL ? length + 1 : length;
    struct config *config = make_config(bytes + used, size - used);
    if (config != NULL) {
        if (config->listener_count == 1 && config->listeners[0].mode == CONFIG_HTTP) {
            choose(config, target);
            explain(config, target);
        }
        config_destroy(config);
    }
    return 0;
}

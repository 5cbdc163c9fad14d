/* fuzz_route.c - any request through routes that rewrite and redirect: whatever goes on, or back to the client, is a target
 * or a place of visible bytes: no request brings its own lines into a head. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/config/config.h"
#include "proxy/route/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char words[] =
    "pool p { static 1.1.1.1:1 }\n"
    "listen http 1.1.1.1:1 {\n"
    "  host a.example { route / { pool p; rewrite /base }\n"
    "    route ~ ^/go/(.*)$ { redirect 302 https://b.example/$1$query }\n"
    "    route ~ ^/u/([^/]+)/(.*)$ { pool p; rewrite /$2/$1 }\n"
    "    route /h { pool p; rewrite /$host/x } }\n"
    "  host *.example { route / { redirect 301 https://$host$path$query }\n"
    "    route /secret { pool p } }\n"
    "  host * { route /api { pool p; rewrite / } route / { pool p } }\n"
    "}\n";

static void assert_visible(struct rc_span text)
{
    for (size_t i = 0; i < text.size; i++) {
        assert(text.at[i] > 0x20 && text.at[i] < 0x7f);
    }
}

static void follow(const struct route_choice *choice, struct route_scratch *scratch)
{
    struct shape_facts facts = {rc_span_of("http"), rc_span_of("10.0.0.1"),
                                rc_span_of("80"), rc_span_of("id")};
    struct template_values values;
    struct rc_span out = {0};

    shape_values(choice, &facts, &values);
    if (choice->route->action == CONFIG_REDIRECT) {
        if (shape_location(choice, &values, scratch, &out) == RC_OK) {
            assert_visible(out);
        }
    } else if (shape_target(choice, &values, scratch, &out) == RC_OK) {
        assert(out.size == 0 || out.at[0] == '/');
        assert_visible(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct config *config;
    static struct route_scratch *scratch;
    struct http1_scan scan = {0};
    struct http1_request request;
    struct route_choice choice;
    struct rc_address peer = {0};
    size_t head = 0;

    if (config == NULL) {
        char error[CONFIG_ERROR_MAX];
        if (config_parse("p", words, sizeof words - 1, &config, error) != RC_OK) {
            abort();
        }
        scratch = route_scratch_create();
    }
    const char *text = (const char *)bytes;
    if (http1_scan(&scan, text, size, &head) != HTTP1_SOUND || head == 0 ||
        http1_request_parse(text, head, &request) != HTTP1_SOUND) {
        return 0;
    }
    struct route_request asked = {text, &request, &peer};
    if (route_find(&config->listeners[0], &asked, scratch, NULL, &choice) ==
        ROUTE_FOUND) {
        follow(&choice, scratch);
    }
    return 0;
}

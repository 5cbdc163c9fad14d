/* registration.c - see registration.h. */
#include "proxy/discover/registration.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

void registration_of(const struct config *config, const char *version,
                     struct registration *out)
{
    struct rc_address asked = config->figures;
    char text[RC_ADDRESS_TEXT_MAX];

    assert(config->register_name[0] != '\0' && asked.family != RC_ADDRESS_NONE);
    *out = (struct registration){.port = asked.port, .version = version};
    (void)rc_text_put(out->name, sizeof out->name, config->register_name);
    (void)rc_text_put(out->token, sizeof out->token, config->agent_token);
    (void)snprintf(out->id, sizeof out->id, "%s-%u", out->name, asked.port);
    if (!rc_address_is_any(&asked)) {
        rc_address_format_ip(&asked, out->address);
    } else { /* the agent stands beside us */
        (void)rc_address_parse_ip(asked.family == RC_ADDRESS_IPV4 ? "127.0.0.1" : "::1",
                                  asked.port, &asked);
    }
    rc_address_format(&asked, text);
    (void)snprintf(out->check, sizeof out->check, "http://%s/health", text);
}

static void put_body(const struct registration *r, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 4);

    rc_json_object(&json);
    rc_json_put_string(&json, "ID", r->id);
    rc_json_put_string(&json, "Name", r->name);
    rc_json_put_string(&json, "Address", r->address);
    rc_json_put_u64(&json, "Port", r->port);
    rc_json_key(&json, "Meta");
    rc_json_object(&json);
    rc_json_put_string(&json, "version", r->version);
    rc_json_object_end(&json);
    rc_json_key(&json, "Check");
    rc_json_object(&json);
    rc_json_put_string(&json, "Name", "figures");
    rc_json_put_string(&json, "HTTP", r->check);
    rc_json_put_string(&json, "Interval", "5s");
    rc_json_put_string(&json, "Timeout", "2s");
    rc_json_put_string(&json, "Status", "passing"); /* we answer already */
    rc_json_put_string(&json, "DeregisterCriticalServiceAfter", "24h");
    rc_json_object_end(&json);
    rc_json_object_end(&json);
}

/* What is escaped stays one part of the path. */
static void put_escaped(struct rc_buffer *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
        if (plain) {
            rc_buffer_byte(out, c);
        } else {
            rc_buffer_format(out, "%%%02X", c);
        }
    }
}

void registration_ask(const struct registration *registration,
                      enum registration_step step, struct rc_buffer *out)
{
    static const char *const starts[REGISTRATION_STEP_COUNT] = {
        [REGISTRATION_LOOK] = "GET /v1/agent/service/",
        [REGISTRATION_PUT] = "PUT /v1/agent/service/register",
        [REGISTRATION_REMOVE] = "PUT /v1/agent/service/deregister/",
    };
    struct rc_buffer body = {0};

    rc_buffer_text(out, starts[step]);
    if (step == REGISTRATION_PUT) {
        put_body(registration, &body);
    } else {
        put_escaped(out, registration->id);
    }
    rc_buffer_text(out, " HTTP/1.0\r\n");
    if (registration->token[0] != '\0' && strpbrk(registration->token, "\r\n") == NULL) {
        rc_buffer_format(out, "X-Consul-Token: %s\r\n", registration->token);
    }
    rc_buffer_format(out,
                     "Host: localhost\r\nUser-Agent: rollcall-proxy\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     body.size);
    rc_buffer_append(out, body.bytes, body.size);
    rc_buffer_fini(&body);
}

static bool is_text(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && rc_text_equals(text, wanted);
}

bool registration_stands(const struct registration *registration, unsigned status,
                         const char *body, size_t size)
{
    json_error_t why;
    json_t *root = status == 200 ? json_loadb(body, size, 0, &why) : NULL;
    bool stands =
        is_text(root, "Service", registration->name) &&
        is_text(root, "Address", registration->address) &&
        json_integer_value(json_object_get(root, "Port")) == registration->port &&
        is_text(json_object_get(root, "Meta"), "version", registration->version);
    json_decref(root);
    return stands;
}

#include "agent/watch/watch_question.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/event/user_event.h"
#include "base/err.h"
#include "base/text.h"

static const char *const type_names[WATCH_TYPE_COUNT] = {
    [WATCH_NODES] = "nodes",          [WATCH_SERVICES] = "services",
    [WATCH_SERVICE] = "service",      [WATCH_CHECKS] = "checks",
    [WATCH_EVENT] = "event",          [WATCH_MEMBERS] = "members",
    [WATCH_QUERY] = "query",          [WATCH_KEY] = "key",
    [WATCH_KEY_PREFIX] = "keyprefix",
};

/* Consul's that cannot be here. */
static const struct {
    const char *name;
    const char *why;
} absent[] = {
    {"connect_roots", "rollcall is no service mesh"},
    {"connect_leaf", "rollcall is no service mesh"},
    {"agent_service", "watch the service instead"},
};

const char *watch_type_name(enum watch_type type)
{
    assert(type < WATCH_TYPE_COUNT);
    return type_names[type];
}

int watch_type_parse(const char *text, enum watch_type *out, char fault[WATCH_FAULT_MAX])
{
    if (text == NULL || text[0] == '\0') {
        (void)rc_text_put(fault, WATCH_FAULT_MAX, "Watch type must be specified");
        return RC_EINVAL;
    }
    for (size_t i = 0; i < WATCH_TYPE_COUNT; i++) {
        if (strcmp(type_names[i], text) == 0) {
            *out = (enum watch_type)i;
            return RC_OK;
        }
    }
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        if (strcmp(absent[i].name, text) == 0) {
            (void)snprintf(fault, WATCH_FAULT_MAX, "Unsupported watch type: %s: %s", text,
                           absent[i].why);
            return RC_EINVAL;
        }
    }
    (void)snprintf(fault, WATCH_FAULT_MAX, "Unsupported watch type: %.64s", text);
    return RC_EINVAL;
}

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int watch_question_check(const struct watch_question *question,
                         char fault[WATCH_FAULT_MAX])
{
    enum watch_type type = question->type;
    const struct {
        bool is_wrong;
        const char *text;
    } rules[] = {
        {type == WATCH_SERVICE && !given(question->service),
         "Must specify a single service to watch"},
        {type == WATCH_CHECKS && given(question->service) && given(question->state),
         "Cannot specify service and state"},
        {type == WATCH_KEY && !given(question->key),
         "Must specify a single key to watch"},
        {type == WATCH_KEY_PREFIX && !given(question->key),
         "Must specify a single prefix to watch"},
        {given(question->key) && type != WATCH_KEY && type != WATCH_KEY_PREFIX,
         "Invalid parameter: key"},
        {type == WATCH_QUERY && !given(question->name),
         "Must specify the name of the query to answer"},
        {given(question->service) && type != WATCH_SERVICE && type != WATCH_CHECKS,
         "Invalid parameter: service"},
        {given(question->state) && type != WATCH_CHECKS, "Invalid parameter: state"},
        {given(question->name) && type != WATCH_EVENT && type != WATCH_QUERY,
         "Invalid parameter: name"},
        {question->tag_count > 0 && type != WATCH_SERVICE, "Invalid parameter: tag"},
        {question->passing_only && type != WATCH_SERVICE,
         "Invalid parameter: passingonly"},
    };

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].is_wrong) {
            (void)rc_text_put(fault, WATCH_FAULT_MAX, rules[i].text);
            return RC_EINVAL;
        }
    }
    return RC_OK;
}

/* RFC 3986 section 2.3. */
static void escape(struct rc_buffer *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            rc_buffer_byte(out, (uint8_t)*text);
        } else {
            rc_buffer_format(out, "%%%02X", (unsigned char)*text);
        }
    }
}

static void add_service(const struct watch_question *question, struct rc_buffer *out)
{
    char separator = '?';

    rc_buffer_text(out, "/v1/health/service/");
    escape(out, question->service);
    if (question->passing_only) {
        rc_buffer_text(out, "?passing=1");
        separator = '&';
    }
    for (size_t i = 0; i < question->tag_count; i++) {
        rc_buffer_format(out, "%ctag=", separator);
        escape(out, question->tags[i]);
        separator = '&';
    }
}

void watch_question_target(const struct watch_question *question, struct rc_buffer *out)
{
    switch (question->type) {
    case WATCH_NODES:
        rc_buffer_text(out, "/v1/catalog/nodes");
        break;
    case WATCH_SERVICES:
        rc_buffer_text(out, "/v1/catalog/services");
        break;
    case WATCH_SERVICE:
        add_service(question, out);
        break;
    case WATCH_CHECKS:
        rc_buffer_text(out, given(question->service) ? "/v1/health/checks/"
                                                     : "/v1/health/state/");
        escape(out, given(question->service) ? question->service
                    : given(question->state) ? question->state
                                             : "any");
        break;
    case WATCH_EVENT:
        rc_buffer_text(out, "/v1/event/list");
        if (given(question->name)) {
            rc_buffer_text(out, "?name=");
            escape(out, question->name);
        }
        break;
    case WATCH_MEMBERS:
        rc_buffer_text(out, "/v1/agent/members");
        break;
    case WATCH_KEY:
    case WATCH_KEY_PREFIX:
        rc_buffer_text(out, "/v1/kv/");
        escape(out, question->key[0] == '/' ? question->key + 1 : question->key);
        rc_buffer_text(out, question->type == WATCH_KEY_PREFIX ? "?recurse" : "");
        break;
    case WATCH_QUERY:
    case WATCH_TYPE_COUNT:
        assert(false && "asks nothing");
    }
}

void watch_drop_known_events(json_t *events, unsigned long long index)
{
    for (size_t i = json_array_size(events); i-- > 0;) {
        const char *id =
            json_string_value(json_object_get(json_array_get(events, i), "ID"));
        if (id != NULL && user_event_index(id) == index) {
            for (size_t k = 0; k <= i; k++) {
                (void)json_array_remove(events, 0);
            }
            return;
        }
    }
}

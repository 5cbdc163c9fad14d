/* template_catalog.c - what is in the catalog and in the store: functions of templates. */
#include <stdio.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "agent/template/template_source.h"
#include "base/err.h"

/* The answer, borrowed; NULL if it is not known yet, which is counted. */
static json_t *ask(struct template_call *call, const struct template_query *query)
{
    json_t *answer = call->source->find(call->source->context, query);

    if (answer == NULL) {
        call->waiting++;
    }
    return answer;
}

/* What stands for an answer that is not there yet: an empty list. */
static int give_list(json_t *answer, json_t **out)
{
    return builtin_give(answer != NULL ? json_incref(answer) : json_array(), out);
}

static int read_name(struct template_call *call, const json_t *argument,
                     struct template_query *query)
{
    struct rc_span text;

    int err = builtin_text(call, argument, &text);
    if (err == RC_OK && template_query_parse_name(text, query) != RC_OK) {
        err = builtin_fail(call, "wants [TAG.]NAME[@DATACENTER]");
    }
    return err;
}

/* ---- service. */

enum { STATES_MAX = 64 };

/* "any", or a list such as "passing,warning". */
static int read_states(struct template_call *call, const json_t *argument,
                       char states[STATES_MAX])
{
    static const char *const known[] = {"any", "passing", "warning", "critical",
                                        "maintenance"};
    struct rc_span text;

    int err = builtin_text(call, argument, &text);
    if (err != RC_OK) {
        return err;
    }
    (void)snprintf(states, STATES_MAX, "%.*s", (int)(text.size < 60 ? text.size : 60),
                   text.at);
    const char *at = states;
    while (err == RC_OK) {
        size_t size = strcspn(at, ",");
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            is_known =
                is_known || (strlen(known[i]) == size && memcmp(known[i], at, size) == 0);
        }
        if (!is_known || text.size > 60) {
            err = builtin_fail(
                call,
                "knows any, passing, warning, critical and maintenance, with "
                "commas between, not \"%.40s\"",
                states);
        }
        if (at[size] == '\0') {
            break;
        }
        at += size + 1;
    }
    return err;
}

static bool has_state(const char *states, const char *state)
{
    const char *found = strstr(states, state);

    return strstr(states, "any") != NULL || (found != NULL && state[0] != '\0');
}

static int select_states(json_t *from, const char *states, json_t **out)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(from); i++) {
        json_t *instance = json_array_get(from, i);
        const char *state = json_string_value(json_object_get(instance, "Status"));
        if (state != NULL && has_state(states, state)) {
            (void)json_array_append(list, instance);
        }
    }
    return builtin_give(list, out);
}

/* Holds the rendering when too few of them are left: what vanished whole has rarely gone. */
static void guard(struct template_call *call, const struct template_query *query,
                  const json_t *list)
{
    char words[160];
    size_t count = json_array_size(list);

    if (count >= call->source->min_instances || call->held != NULL) {
        return;
    }
    template_query_describe(query, words, sizeof words);
    (void)snprintf(call->held_space, sizeof call->held_space,
                   "%s has %zu instances, and min_instances is %u", words, count,
                   call->source->min_instances);
    call->held = call->held_space;
}

static int instances(struct template_call *call, struct template_query *query,
                     const char *states, json_t **out)
{
    bool is_passing = strcmp(states, "passing") == 0;

    query->kind = is_passing ? QUERY_PASSING : QUERY_SERVICE;
    json_t *answer = ask(call, query);
    int err = is_passing || answer == NULL || strcmp(states, "any") == 0
                  ? give_list(answer, out)
                  : select_states(answer, states, out);
    if (err == RC_OK && answer != NULL) {
        guard(call, query, *out);
    }
    return err;
}

BUILTIN(service)
{
    struct template_query query;
    char states[STATES_MAX] = "passing";

    int err = read_name(call, arguments[0], &query);
    if (err == RC_OK && count == 2) {
        err = read_states(call, arguments[1], states);
    }
    return err == RC_OK ? instances(call, &query, states, out) : err;
}

/* {Primary, Standbys}: of those that pass; Primary is null while there is none. */
BUILTIN(postgres)
{
    struct template_query query = {.kind = QUERY_PASSING, .name = rc_span_of("postgres")};
    json_t *list = NULL;
    json_t *record = template_value_record("a PostgreSQL cluster");
    json_t *standbys = json_array();
    json_t *primary = NULL;

    int err = count == 1 ? read_name(call, arguments[0], &query) : RC_OK;
    if (err == RC_OK && (record == NULL || standbys == NULL)) {
        err = RC_ENOMEM;
    }
    if (err == RC_OK) {
        err = instances(call, &query, "passing", &list);
    }
    for (size_t i = 0; err == RC_OK && i < json_array_size(list); i++) {
        json_t *instance = json_array_get(list, i);
        const json_t *tags = json_object_get(instance, "Tags");
        for (size_t k = 0; k < json_array_size(tags); k++) {
            const char *tag = json_string_value(json_array_get(tags, k));
            if (tag != NULL && strcmp(tag, "primary") == 0) {
                primary = instance;
            } else if (tag != NULL && strcmp(tag, "standby") == 0) {
                (void)json_array_append(standbys, instance);
            }
        }
    }
    if (err == RC_OK) {
        (void)json_object_set(record, "Primary", primary != NULL ? primary : json_null());
        (void)json_object_set(record, "Standbys", standbys);
        err = builtin_give(json_incref(record), out);
    }
    json_decref(list);
    json_decref(standbys);
    json_decref(record);
    return err;
}

/* ---- The rest of the catalog. */

static int whole_list(struct template_call *call, enum template_query_kind kind,
                      json_t *const *arguments, size_t count, json_t **out)
{
    struct template_query query = {.kind = kind};
    struct rc_span text = {"", 0};

    int err = count == 1 ? builtin_text(call, arguments[0], &text) : RC_OK;
    if (err != RC_OK) {
        return err;
    }
    if (text.size > 0 && *text.at == '@') { /* as consul-template writes it */
        text.at++;
        text.size--;
    }
    query.datacenter = text;
    return give_list(ask(call, &query), out);
}

BUILTIN(services)
{
    return whole_list(call, QUERY_SERVICES, arguments, count, out);
}

BUILTIN(nodes)
{
    return whole_list(call, QUERY_NODES, arguments, count, out);
}

BUILTIN(node)
{
    struct template_query query = {.kind = QUERY_NODE};
    struct rc_span text;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err != RC_OK) {
        return err;
    }
    const char *at = memchr(text.at, '@', text.size);
    query.name =
        (struct rc_span){text.at, at != NULL ? (size_t)(at - text.at) : text.size};
    if (at != NULL) {
        query.datacenter = (struct rc_span){at + 1, text.size - query.name.size - 1};
    }
    if (query.name.size == 0 || text.size > TEMPLATE_NAME_MAX) {
        return builtin_fail(call, "wants a node's name");
    }
    json_t *answer = ask(call, &query);
    return builtin_give(answer != NULL ? json_incref(answer) : json_null(), out);
}

/* ---- Keys. */

static int read_key(struct template_call *call, const json_t *argument,
                    enum template_query_kind kind, struct template_query *out)
{
    struct rc_span text;

    int err = builtin_text(call, argument, &text);
    if (err != RC_OK) {
        return err;
    }
    *out = (struct template_query){.kind = kind};
    while (text.size > 0 && *text.at == '/') {
        text.at++;
        text.size--;
    }
    if ((text.size == 0 && kind == QUERY_KEY) || text.size > TEMPLATE_NAME_MAX) {
        return builtin_fail(call, "wants the name of a key");
    }
    out->name = text;
    return RC_OK;
}

/* Until there is such a key what is rendered is held. */
BUILTIN(key)
{
    struct template_query query;

    (void)count;
    int err = read_key(call, arguments[0], QUERY_KEY, &query);
    if (err != RC_OK) {
        return err;
    }
    json_t *answer = ask(call, &query);
    if (json_is_null(answer) && call->held == NULL) {
        char words[160];
        template_query_describe(&query, words, sizeof words);
        (void)snprintf(call->held_space, sizeof call->held_space,
                       "there is not %s: keyOrDefault and keyExists do not wait for it",
                       words);
        call->held = call->held_space;
    }
    return builtin_give(json_is_string(answer) ? json_incref(answer) : json_string(""),
                        out);
}

BUILTIN(key_exists)
{
    struct template_query query;

    (void)count;
    int err = read_key(call, arguments[0], QUERY_KEY, &query);
    return err == RC_OK
               ? builtin_give(json_boolean(json_is_string(ask(call, &query))), out)
               : err;
}

BUILTIN(key_or_default)
{
    struct template_query query;

    (void)count;
    int err = read_key(call, arguments[0], QUERY_KEY, &query);
    if (err != RC_OK) {
        return err;
    }
    json_t *answer = ask(call, &query);
    return builtin_give(json_incref(json_is_string(answer) ? answer : arguments[1]), out);
}

BUILTIN(tree)
{
    struct template_query query;

    (void)count;
    int err = read_key(call, arguments[0], QUERY_TREE, &query);
    return err == RC_OK ? give_list(ask(call, &query), out) : err;
}

/* Those of the tree that lie in no folder below it. */
BUILTIN(ls)
{
    struct template_query query;

    (void)count;
    int err = read_key(call, arguments[0], QUERY_TREE, &query);
    if (err != RC_OK) {
        return err;
    }
    const json_t *answer = ask(call, &query);
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(answer); i++) {
        json_t *pair = json_array_get(answer, i);
        struct rc_span key = template_value_span(json_object_get(pair, "Key"));
        if (memchr(key.at, '/', key.size) == NULL) {
            (void)json_array_append(list, pair);
        }
    }
    return builtin_give(list, out);
}

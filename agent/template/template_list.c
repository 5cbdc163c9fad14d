/* template_list.c - lists and maps: functions of templates. */
#include <stdio.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "base/err.h"

enum { LOOP_MAX = 100000 };

BUILTIN(len)
{
    long size = template_value_size(arguments[0]);

    (void)count;
    if (size < 0) {
        return builtin_fail(call, "wants a text, a list or a map, not %s",
                            template_value_kind(arguments[0]));
    }
    return builtin_give(json_integer(size), out);
}

static int look(struct template_call *call, json_t *in, const json_t *where, json_t **out)
{
    if (json_is_array(in) && json_is_integer(where)) {
        json_int_t at = json_integer_value(where);
        if (at < 0 || (size_t)at >= json_array_size(in)) {
            return builtin_fail(call, "%lld is outside of a list of %zu", (long long)at,
                                json_array_size(in));
        }
        *out = json_array_get(in, (size_t)at);
        return RC_OK;
    }
    if (json_is_object(in) && json_is_string(where)) {
        return template_value_field(in, template_value_span(where), out, call->why);
    }
    return builtin_fail(call, "%s in %s: there is no such place",
                        template_value_kind(where), template_value_kind(in));
}

BUILTIN(index)
{
    json_t *at = arguments[0];
    int err = RC_OK;

    for (size_t i = 1; i < count && err == RC_OK; i++) {
        err = look(call, at, arguments[i], &at);
    }
    return err == RC_OK ? builtin_give(json_incref(at), out) : err;
}

/* As range of numbers: loop 3 is 0 1 2, loop 2 4 is 2 3. */
BUILTIN(loop)
{
    json_int_t start = 0;
    json_int_t end = 0;

    int err = builtin_whole(call, arguments[count - 1], &end);
    if (err == RC_OK && count == 2) {
        err = builtin_whole(call, arguments[0], &start);
    }
    if (err != RC_OK) {
        return err;
    }
    if (start < -LOOP_MAX || end > LOOP_MAX) {
        return builtin_fail(call, "goes to %d at most", LOOP_MAX);
    }
    err = builtin_spend(call, end > start ? (size_t)(end - start) * sizeof(json_t) : 0);
    if (err != RC_OK) {
        return err;
    }
    json_t *list = json_array();
    for (json_int_t i = start; i < end; i++) {
        (void)json_array_append_new(list, json_integer(i));
    }
    return builtin_give(list, out);
}

static int is_in(struct template_call *call, const json_t *list, const json_t *value,
                 json_t **out)
{
    bool found = false;

    if (json_is_string(list) && json_is_string(value)) {
        struct rc_span text = template_value_span(list);
        struct rc_span part = template_value_span(value);
        found = memmem(text.at, text.size, part.at, part.size) != NULL;
    } else if (json_is_array(list)) {
        for (size_t i = 0; i < json_array_size(list) && !found; i++) {
            int order = 1;
            found =
                template_value_compare(json_array_get(list, i), value, TEMPLATE_EQUALITY,
                                       &order, call->why) == RC_OK &&
                order == 0;
        }
    } else if (!json_is_null(list)) {
        return builtin_fail(call, "wants a list or a text, not %s",
                            template_value_kind(list));
    }
    return builtin_give(json_boolean(found), out);
}

BUILTIN(contains)
{
    (void)count;
    return is_in(call, arguments[1], arguments[0], out);
}

BUILTIN(in)
{
    (void)count;
    return is_in(call, arguments[0], arguments[1], out);
}

/* Instances by their tags: a map of lists. */
BUILTIN(by_tag)
{
    json_t *map = json_object();
    int err = json_is_array(arguments[0])
                  ? RC_OK
                  : builtin_fail(call, "wants a list of services");

    (void)count;
    for (size_t i = 0; err == RC_OK && i < json_array_size(arguments[0]); i++) {
        json_t *instance = json_array_get(arguments[0], i);
        const json_t *tags = json_object_get(instance, "Tags");
        for (size_t k = 0; err == RC_OK && k < json_array_size(tags); k++) {
            const char *tag = json_string_value(json_array_get(tags, k));
            tag = tag != NULL ? tag : "";
            err = builtin_spend(call, sizeof(json_t) + strlen(tag));
            if (err == RC_OK && json_object_get(map, tag) == NULL) {
                (void)json_object_set_new_nocheck(map, tag, json_array());
            }
            (void)json_array_append(json_object_get(map, tag), instance);
        }
    }
    if (err != RC_OK) {
        json_decref(map);
        return err;
    }
    return builtin_give(map, out);
}

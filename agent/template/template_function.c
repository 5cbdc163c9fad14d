#include "agent/template/template_function.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "agent/template/template_program.h"
#include "base/err.h"

enum { ANY = TEMPLATE_ARGUMENTS_MAX, CLOSE_ENOUGH = 2 };

/* In order of their names. */
static const struct {
    const char *name;
    unsigned least;
    unsigned most;
    template_function call;
    const char *fault; /* of another number of arguments */
} functions[] = {
    {"add", 2, 2, builtin_add, "add takes two numbers"},
    {"and", 1, ANY, builtin_and, "and takes at least one value"},
    {"base64Decode", 1, 1, builtin_base64_decode, "base64Decode takes a text"},
    {"base64Encode", 1, 1, builtin_base64_encode, "base64Encode takes a text"},
    {"byTag", 1, 1, builtin_by_tag, "byTag takes a list of services"},
    {"contains", 2, 2, builtin_contains, "contains takes a value and a list"},
    {"divide", 2, 2, builtin_divide, "divide takes two numbers"},
    {"eq", 2, ANY, builtin_eq, "eq takes at least two values"},
    {"ge", 2, 2, builtin_ge, "ge takes two values"},
    {"gt", 2, 2, builtin_gt, "gt takes two values"},
    {"hostPort", 2, 2, builtin_host_port, "hostPort takes an address and a port"},
    {"html", 1, ANY, builtin_html, "html takes a value"},
    {"in", 2, 2, builtin_in, "in takes a list and a value"},
    {"indent", 2, 2, builtin_indent, "indent takes a number of spaces and a text"},
    {"index", 2, ANY, builtin_index, "index takes a list or a map, and where to look"},
    {"join", 2, 2, builtin_join, "join takes what stands between, and a list"},
    {"key", 1, 1, builtin_key, "key takes a name"},
    {"keyExists", 1, 1, builtin_key_exists, "keyExists takes a name"},
    {"keyOrDefault", 2, 2, builtin_key_or_default,
     "keyOrDefault takes a name and a default"},
    {"le", 2, 2, builtin_le, "le takes two values"},
    {"len", 1, 1, builtin_len, "len takes a text, a list or a map"},
    {"loop", 1, 2, builtin_loop, "loop takes an end, or a start and an end"},
    {"ls", 1, 1, builtin_ls, "ls takes a prefix of keys"},
    {"lt", 2, 2, builtin_lt, "lt takes two values"},
    {"maximum", 2, 2, builtin_maximum, "maximum takes two numbers"},
    {"minimum", 2, 2, builtin_minimum, "minimum takes two numbers"},
    {"modulo", 2, 2, builtin_modulo, "modulo takes two numbers"},
    {"multiply", 2, 2, builtin_multiply, "multiply takes two numbers"},
    {"ne", 2, 2, builtin_ne, "ne takes two values"},
    {"nginxQuote", 1, 1, builtin_nginx_quote, "nginxQuote takes a value"},
    {"node", 1, 1, builtin_node, "node takes a name"},
    {"nodes", 0, 1, builtin_nodes, "nodes takes nothing, or a datacenter"},
    {"not", 1, 1, builtin_not, "not takes a value"},
    {"or", 1, ANY, builtin_or, "or takes at least one value"},
    {"parseBool", 1, 1, builtin_parse_bool, "parseBool takes a text"},
    {"parseFloat", 1, 1, builtin_parse_float, "parseFloat takes a text"},
    {"parseInt", 1, 1, builtin_parse_int, "parseInt takes a text"},
    {"parseJSON", 1, 1, builtin_parse_json, "parseJSON takes a text"},
    {"postgres", 0, 1, builtin_postgres, "postgres takes nothing, or the service's name"},
    {"print", 0, ANY, builtin_print, "print takes values"},
    {"printf", 1, ANY, builtin_printf, "printf takes a format and values"},
    {"println", 0, ANY, builtin_println, "println takes values"},
    {"regexMatch", 2, 2, builtin_regex_match,
     "regexMatch takes an expression and a text"},
    {"replaceAll", 3, 3, builtin_replace_all,
     "replaceAll takes what is replaced, by what, and a text"},
    {"service", 1, 2, builtin_service, "service takes a name, and maybe which states"},
    {"services", 0, 1, builtin_services, "services takes nothing, or a datacenter"},
    {"shellQuote", 1, 1, builtin_shell_quote, "shellQuote takes a value"},
    {"split", 2, 2, builtin_split, "split takes what stands between, and a text"},
    {"subtract", 2, 2, builtin_subtract, "subtract takes two numbers"},
    {"toJSON", 1, 1, builtin_to_json, "toJSON takes a value"},
    {"toJSONPretty", 1, 1, builtin_to_json_pretty, "toJSONPretty takes a value"},
    {"toLower", 1, 1, builtin_to_lower, "toLower takes a text"},
    {"toUpper", 1, 1, builtin_to_upper, "toUpper takes a text"},
    {"tree", 1, 1, builtin_tree, "tree takes a prefix of keys"},
    {"trimPrefix", 2, 2, builtin_trim_prefix, "trimPrefix takes a prefix and a text"},
    {"trimSpace", 1, 1, builtin_trim_space, "trimSpace takes a text"},
    {"trimSuffix", 2, 2, builtin_trim_suffix, "trimSuffix takes a suffix and a text"},
    {"urlquery", 1, ANY, builtin_url_query, "urlquery takes a value"},
};

enum { FUNCTION_COUNT = sizeof functions / sizeof functions[0] };

static int compare(struct rc_span a, const char *b)
{
    size_t size = strlen(b);
    int first = memcmp(a.at, b, a.size < size ? a.size : size);

    return first != 0 ? first : (a.size > size) - (a.size < size);
}

bool template_function_find(struct rc_span name, uint32_t *out)
{
    size_t low = 0;
    size_t high = FUNCTION_COUNT;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, functions[middle].name);
        if (order == 0) {
            *out = (uint32_t)middle;
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

static uint32_t number_of(const char *name)
{
    uint32_t out = 0;
    bool is_found = template_function_find(rc_span_of(name), &out);

    assert(is_found);
    return out;
}

uint32_t template_function_and(void)
{
    return number_of("and");
}

uint32_t template_function_or(void)
{
    return number_of("or");
}

const char *template_function_nearest(struct rc_span name)
{
    char text[64];
    const char *found = NULL;
    unsigned best = CLOSE_ENOUGH + 1;

    (void)snprintf(text, sizeof text, "%.*s", (int)(name.size < 63 ? name.size : 63),
                   name.at);
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        unsigned distance = rc_text_distance(functions[i].name, text);
        if (distance < best) {
            best = distance;
            found = functions[i].name;
        }
    }
    return found;
}

const char *template_function_fault(uint32_t function, size_t count)
{
    assert(function < FUNCTION_COUNT);
    return count < functions[function].least || count > functions[function].most
               ? functions[function].fault
               : NULL;
}

const char *template_function_name(uint32_t function)
{
    return function < FUNCTION_COUNT ? functions[function].name : NULL;
}

int template_function_call(uint32_t function, struct template_call *call,
                           json_t *const *arguments, size_t count, json_t **out)
{
    assert(function < FUNCTION_COUNT);
    call->name = functions[function].name;
    call->why[0] = '\0';
    return functions[function].call(call, arguments, count, out);
}

/* ---- What functions share. */

int builtin_fail(struct template_call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(call->why, sizeof call->why, format, arguments);
    va_end(arguments);
    return RC_EINVAL;
}

int builtin_spend(struct template_call *call, size_t bytes)
{
    if (bytes > call->work_left) {
        call->work_left = 0;
        (void)builtin_fail(call, "this template makes more than it may");
        return RC_ETOOBIG;
    }
    call->work_left -= bytes;
    return RC_OK;
}

int builtin_give(json_t *value, json_t **out)
{
    *out = value;
    return value != NULL ? RC_OK : RC_ENOMEM;
}

int builtin_give_text(struct template_call *call, struct rc_buffer *text, json_t **out)
{
    int err = text->err;

    if (err == RC_OK) {
        err = builtin_spend(call, text->size);
    }
    if (err == RC_OK) {
        err = builtin_give(template_value_text(text->bytes, text->size), out);
    }
    rc_buffer_fini(text);
    return err;
}

int builtin_text(struct template_call *call, const json_t *argument, struct rc_span *out)
{
    if (!json_is_string(argument)) {
        return builtin_fail(call, "wants a text, not %s", template_value_kind(argument));
    }
    *out = template_value_span(argument);
    return RC_OK;
}

int builtin_written(struct template_call *call, const json_t *argument,
                    struct rc_buffer *space)
{
    return template_value_print(argument, space, call->why);
}

int builtin_whole(struct template_call *call, const json_t *argument, json_int_t *out)
{
    if (!json_is_integer(argument)) {
        return builtin_fail(call, "wants a whole number, not %s",
                            template_value_kind(argument));
    }
    *out = json_integer_value(argument);
    return RC_OK;
}

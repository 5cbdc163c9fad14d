/* template_number.c - numbers, and values out of texts: functions of templates. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_builtin.h"
#include "base/err.h"

/* consul-template's order: the value that comes through a | is the left side, so that
 * `5 | subtract 2` and `subtract 2 5` are both 3. */
enum operation { ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO };

static int whole(struct template_call *call, enum operation operation, json_int_t a,
                 json_int_t b, json_t **out)
{
    json_int_t result = 0;
    bool is_over = false;

    switch (operation) {
    case ADD:
        is_over = __builtin_add_overflow(a, b, &result);
        break;
    case SUBTRACT:
        is_over = __builtin_sub_overflow(a, b, &result);
        break;
    case MULTIPLY:
        is_over = __builtin_mul_overflow(a, b, &result);
        break;
    case DIVIDE:
    case MODULO:
        if (b == 0) {
            return builtin_fail(call, "divides by 0");
        }
        if (b == -1) { /* of the least number there is no opposite */
            is_over = operation == DIVIDE && __builtin_sub_overflow(0, a, &result);
        } else {
            result = operation == DIVIDE ? a / b : a % b;
        }
        break;
    }
    if (is_over) {
        return builtin_fail(call, "gives a number that is too large");
    }
    return builtin_give(json_integer(result), out);
}

static int real(struct template_call *call, enum operation operation, double a, double b,
                json_t **out)
{
    double result = operation == ADD        ? a + b
                    : operation == SUBTRACT ? a - b
                    : operation == MULTIPLY ? a * b
                                            : a / b;

    json_t *value = operation == MODULO ? NULL : json_real(result); /* NULL: not finite */
    if (value == NULL) {
        return builtin_fail(call, "gives no number");
    }
    return builtin_give(value, out);
}

static int calculate(struct template_call *call, enum operation operation,
                     json_t *const *arguments, json_t **out)
{
    const json_t *b = arguments[0];
    const json_t *a = arguments[1];

    if (!json_is_number(a) || !json_is_number(b)) {
        return builtin_fail(call, "wants numbers, not %s and %s: see parseInt",
                            template_value_kind(arguments[0]),
                            template_value_kind(arguments[1]));
    }
    if (json_is_integer(a) && json_is_integer(b)) {
        return whole(call, operation, json_integer_value(a), json_integer_value(b), out);
    }
    return real(call, operation, json_number_value(a), json_number_value(b), out);
}

BUILTIN(add)
{
    (void)count;
    return calculate(call, ADD, arguments, out);
}

BUILTIN(subtract)
{
    (void)count;
    return calculate(call, SUBTRACT, arguments, out);
}

BUILTIN(multiply)
{
    (void)count;
    return calculate(call, MULTIPLY, arguments, out);
}

BUILTIN(divide)
{
    (void)count;
    return calculate(call, DIVIDE, arguments, out);
}

BUILTIN(modulo)
{
    (void)count;
    return calculate(call, MODULO, arguments, out);
}

static int smaller(struct template_call *call, json_t *const *arguments, int *order)
{
    if (!json_is_number(arguments[0]) || !json_is_number(arguments[1])) {
        return builtin_fail(call, "wants numbers");
    }
    return template_value_compare(arguments[0], arguments[1], TEMPLATE_ORDER, order,
                                  call->why);
}

BUILTIN(minimum)
{
    int order = 0;
    int err = smaller(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_incref(arguments[order <= 0 ? 0 : 1]), out)
                        : err;
}

BUILTIN(maximum)
{
    int order = 0;
    int err = smaller(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_incref(arguments[order >= 0 ? 0 : 1]), out)
                        : err;
}

/* ---- Out of texts. "" is 0, or false, or null, as in consul-template: so keys may be missing. */

BUILTIN(parse_bool)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False", ""};
    struct rc_span text;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (rc_span_equals(text, yes[i])) {
            return builtin_give(json_true(), out);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (rc_span_equals(text, no[i])) {
            return builtin_give(json_false(), out);
        }
    }
    return builtin_fail(call, "this is neither true nor false");
}

BUILTIN(parse_int)
{
    struct rc_span text;
    char *end = NULL;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err != RC_OK) {
        return err;
    }
    errno = 0;
    long long number = strtoll(text.at, &end, 10);
    if (text.size > 0 && (errno != 0 || end != text.at + text.size ||
                          strchr(" \t\r\n\v\f", *text.at) != NULL)) {
        return builtin_fail(call, "this is no whole number");
    }
    return builtin_give(json_integer(number), out);
}

BUILTIN(parse_float)
{
    struct rc_span text;
    char *end = NULL;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err != RC_OK) {
        return err;
    }
    double number = strtod(text.at, &end);
    json_t *value = json_real(number);
    if (value == NULL || strspn(text.at, "0123456789+-.eE") != text.size ||
        end != text.at + text.size) {
        json_decref(value);
        return builtin_fail(call, "this is no number");
    }
    return builtin_give(value, out);
}

BUILTIN(parse_json)
{
    struct rc_span text;
    json_error_t why;

    (void)count;
    int err = builtin_text(call, arguments[0], &text);
    if (err == RC_OK) {
        err = builtin_spend(call, text.size * 4);
    }
    if (err != RC_OK) {
        return err;
    }
    if (text.size == 0) {
        return builtin_give(json_null(), out);
    }
    json_t *value =
        json_loadb(text.at, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (value == NULL) {
        return builtin_fail(call, "line %d, column %d: %s", why.line, why.column,
                            why.text);
    }
    return builtin_give(value, out);
}

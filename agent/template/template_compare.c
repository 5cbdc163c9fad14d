/* template_compare.c - true or not, equal, less: functions of templates. */
#include "agent/template/template_builtin.h"
#include "base/err.h"

/* As functions, behind a |, they are not short: all arguments are there already. */
static int pick(json_t *const *arguments, size_t count, bool wanted, json_t **out)
{
    size_t i = 0;

    while (i + 1 < count && template_value_is_true(arguments[i]) != wanted) {
        i++;
    }
    return builtin_give(json_incref(arguments[i]), out);
}

BUILTIN(and)
{
    (void)call;
    return pick(arguments, count, false, out);
}

BUILTIN(or)
{
    (void)call;
    return pick(arguments, count, true, out);
}

BUILTIN(not )
{
    (void)call;
    (void)count;
    return builtin_give(json_boolean(!template_value_is_true(arguments[0])), out);
}

/* The first equals any of the others. */
BUILTIN(eq)
{
    int order = 1;

    for (size_t i = 1; i < count && order != 0; i++) {
        int err = template_value_compare(arguments[0], arguments[i], TEMPLATE_EQUALITY,
                                         &order, call->why);
        if (err != RC_OK) {
            return err;
        }
    }
    return builtin_give(json_boolean(order == 0), out);
}

BUILTIN(ne)
{
    int order = 0;

    (void)count;
    int err = template_value_compare(arguments[0], arguments[1], TEMPLATE_EQUALITY,
                                     &order, call->why);
    return err == RC_OK ? builtin_give(json_boolean(order != 0), out) : err;
}

static int compare(struct template_call *call, json_t *const *arguments, int *order)
{
    return template_value_compare(arguments[0], arguments[1], TEMPLATE_ORDER, order,
                                  call->why);
}

BUILTIN(lt)
{
    int order = 0;
    int err = compare(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_boolean(order < 0), out) : err;
}

BUILTIN(le)
{
    int order = 0;
    int err = compare(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_boolean(order <= 0), out) : err;
}

BUILTIN(gt)
{
    int order = 0;
    int err = compare(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_boolean(order > 0), out) : err;
}

BUILTIN(ge)
{
    int order = 0;
    int err = compare(call, arguments, &order);

    (void)count;
    return err == RC_OK ? builtin_give(json_boolean(order >= 0), out) : err;
}

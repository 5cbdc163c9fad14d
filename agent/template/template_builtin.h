/* template_builtin.h - every function of templates, for the table in template_function.c.
 *
 * All have the shape of template_function: arguments are borrowed, the result is the caller's. */
#ifndef AGENT_TEMPLATE_TEMPLATE_BUILTIN_H
#define AGENT_TEMPLATE_TEMPLATE_BUILTIN_H

#include "agent/template/template_function.h"

/* RC_EINVAL, with what is wrong for people in call->why. */
int builtin_fail(struct template_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes so many bytes from what a rendering may make. RC_OK or RC_ETOOBIG. */
int builtin_spend(struct template_call *call, size_t bytes);

/* The result, if it is there: RC_OK, or RC_ENOMEM. */
int builtin_give(json_t *value, json_t **out);

/* Makes a text of what a buffer holds, and ends the buffer. */
int builtin_give_text(struct template_call *call, struct rc_buffer *text, json_t **out);

/* The argument as text: RC_OK, or RC_EINVAL if it is none. Numbers are not texts. */
int builtin_text(struct template_call *call, const json_t *argument, struct rc_span *out);

/* The same of an argument that may be any value that can be written; `space` is its owner's to end. */
int builtin_written(struct template_call *call, const json_t *argument,
                    struct rc_buffer *space);
int builtin_whole(struct template_call *call, const json_t *argument, json_int_t *out);

#define BUILTIN(name)                                                        \
    int builtin_##name(struct template_call *call, json_t *const *arguments, \
                       size_t count, json_t **out)

/* ---- template_compare.c */
BUILTIN(and);
BUILTIN(or);
BUILTIN(not );
BUILTIN(eq);
BUILTIN(ne);
BUILTIN(lt);
BUILTIN(le);
BUILTIN(gt);
BUILTIN(ge);

/* ---- template_text.c */
BUILTIN(print);
BUILTIN(println);
BUILTIN(printf);
BUILTIN(split);
BUILTIN(join);
BUILTIN(replace_all);
BUILTIN(regex_match);
BUILTIN(indent);
BUILTIN(to_lower);
BUILTIN(to_upper);
BUILTIN(trim_space);
BUILTIN(trim_prefix);
BUILTIN(trim_suffix);

/* ---- template_escape.c */
BUILTIN(base64_decode);
BUILTIN(base64_encode);
BUILTIN(host_port);
BUILTIN(html);
BUILTIN(nginx_quote);
BUILTIN(shell_quote);
BUILTIN(to_json);
BUILTIN(to_json_pretty);
BUILTIN(url_query);

/* ---- template_list.c */
BUILTIN(by_tag);
BUILTIN(contains);
BUILTIN(in);
BUILTIN(index);
BUILTIN(len);
BUILTIN(loop);

/* ---- template_number.c */
BUILTIN(add);
BUILTIN(subtract);
BUILTIN(multiply);
BUILTIN(divide);
BUILTIN(modulo);
BUILTIN(minimum);
BUILTIN(maximum);
BUILTIN(parse_bool);
BUILTIN(parse_float);
BUILTIN(parse_int);
BUILTIN(parse_json);

/* ---- template_catalog.c */
BUILTIN(key);
BUILTIN(key_exists);
BUILTIN(key_or_default);
BUILTIN(ls);
BUILTIN(node);
BUILTIN(nodes);
BUILTIN(postgres);
BUILTIN(service);
BUILTIN(services);
BUILTIN(tree);

#endif

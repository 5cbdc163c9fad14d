/* shape.c - see shape.h. */
#include "proxy/route/shape.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

void shape_values(const struct route_choice *choice, const struct shape_facts *facts,
                  struct template_values *out)
{
    *out = (struct template_values){0};
    out->at[TEMPLATE_HOST] = choice->name;
    out->at[TEMPLATE_PATH] = choice->path;
    out->at[TEMPLATE_QUERY] = choice->query;
    out->at[TEMPLATE_SCHEME] = facts->scheme;
    out->at[TEMPLATE_CLIENT] = facts->client;
    out->at[TEMPLATE_PORT] = facts->port;
    out->at[TEMPLATE_REQUEST_ID] = facts->request_id;
    for (size_t i = 1; i < choice->captures.count && i < PATTERN_CAPTURES_MAX; i++) {
        out->at[TEMPLATE_GROUP + i - 1] = choice->captures.at[i];
    }
}

/* "//host" would be another site's address: a local path begins with one slash. */
static struct rc_span with_one_slash(struct rc_span path)
{
    while (path.size > 1 && path.at[0] == '/' && path.at[1] == '/') {
        path.at++;
        path.size--;
    }
    return path;
}

/* The prefix makes way for its substitute; what is behind it stays, with one slash between. */
static void rewrite_prefix(const struct route_choice *choice,
                           const struct template_values *values, struct rc_writer *out)
{
    struct rc_span rest = choice->path;
    size_t prefix = choice->route->prefix_size;

    assert(rest.size >= prefix || prefix == 1);
    template_write(&choice->route->rewrite, values, out);
    rest.at += prefix;
    rest.size -= prefix;
    bool slash = prefix == 1 || choice->route->prefix[prefix - 1] == '/';
    while (rest.size > 0 && rest.at[0] == '/') {
        rest.at++;
        rest.size--;
        slash = true;
    }
    if (out->err != RC_OK || !slash || choice->route->match == CONFIG_MATCH_EXACT) {
        return;
    }
    bool ends_so = out->at > out->start && out->at[-1] == '/';
    rc_writer_bytes(out, "/", ends_so ? 0 : 1);
    rc_writer_bytes(out, rest.at, rest.size);
}

/* What templates put together is judged as what clients send. */
static int put_in_order(struct route_scratch *scratch, struct rc_span *path)
{
    size_t size = 0;
    struct rc_span made = with_one_slash(*path);

    if (path_form_is_plain(made.at, made.size)) {
        *path = made;
        return RC_OK;
    }
    if (made.size == 0 || made.at[0] != '/') {
        return RC_EMALFORMED;
    }
    /* The lax reading has been judged: its space is free. */
    enum path_fault fault = path_form_normal(made.at, made.size, scratch->lax, &size);
    if (fault != PATH_SOUND) {
        return fault == PATH_TOO_LONG ? RC_ETOOBIG : RC_EMALFORMED;
    }
    *path = with_one_slash((struct rc_span){scratch->lax, size});
    return RC_OK;
}

static int rewritten(const struct route_choice *choice,
                     const struct template_values *values, struct route_scratch *scratch,
                     struct rc_span *path)
{
    struct rc_writer out = rc_writer_over(scratch->target, PATH_FORM_MAX);

    if (choice->route->match == CONFIG_MATCH_PATTERN) {
        template_write(&choice->route->rewrite, values, &out);
    } else {
        rewrite_prefix(choice, values, &out);
    }
    if (out.err != RC_OK) {
        return out.err;
    }
    *path = (struct rc_span){scratch->target, rc_writer_size(&out)};
    return put_in_order(scratch, path);
}

int shape_target(const struct route_choice *choice, const struct template_values *values,
                 struct route_scratch *scratch, struct rc_span *out)
{
    struct rc_span path = choice->path;

    *out = (struct rc_span){NULL, 0};
    if (!choice->route->rewrites && !choice->respelled) {
        return RC_OK;
    }
    if (choice->route->rewrites) {
        int err = rewritten(choice, values, scratch, &path);
        if (err != RC_OK) {
            return err;
        }
    }
    if (path.size + choice->query.size > sizeof scratch->target) {
        return RC_ETOOBIG;
    }
    memmove(scratch->target, path.at, path.size);
    if (choice->query.size > 0) {
        memcpy(scratch->target + path.size, choice->query.at, choice->query.size);
    }
    *out = (struct rc_span){scratch->target, path.size + choice->query.size};
    return RC_OK;
}

int shape_location(const struct route_choice *choice,
                   const struct template_values *values, struct route_scratch *scratch,
                   struct rc_span *out)
{
    struct rc_writer writer = rc_writer_over(scratch->target, PATH_FORM_MAX);

    template_write(&choice->route->target, values, &writer);
    *out = with_one_slash((struct rc_span){scratch->target, rc_writer_size(&writer)});
    return writer.err;
}

/* Lower case, and one sign for "-" and "_". */
static char plain(char byte)
{
    if (byte == '_') {
        return '-';
    }
    bool upper = byte >= 'A' && byte <= 'Z';
    return (char)(byte + (upper ? 'a' - 'A' : 0));
}

/* Behind CGI "X_Env" and "X-Env" are one variable: whoever takes one away means both. */
static bool is_called(struct rc_span name, const char *wanted)
{
    for (size_t i = 0; i < name.size; i++) {
        if (plain(name.at[i]) != plain(wanted[i])) {
            return false;
        }
    }
    return true;
}

bool shape_drops(const struct config_edits *edits, struct rc_span name)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct config_edit *edit = &edits->items[i];
        if (edit->kind != CONFIG_EDIT_ADD && edit->name_size == name.size &&
            is_called(name, edit->name)) {
            return true;
        }
    }
    return false;
}

void shape_fields(const struct config_edits *edits, const struct template_values *values,
                  struct rc_writer *out)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct config_edit *edit = &edits->items[i];
        if (edit->kind == CONFIG_EDIT_REMOVE) {
            continue;
        }
        rc_writer_bytes(out, edit->name, edit->name_size);
        rc_writer_bytes(out, ": ", 2);
        template_write(&edit->value, values, out);
        rc_writer_bytes(out, "\r\n", 2);
    }
}

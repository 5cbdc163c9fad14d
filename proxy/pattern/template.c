/* template.c - see template.h. */
#include "proxy/pattern/template.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const char *const names[TEMPLATE_GROUP] = {
    [TEMPLATE_LITERAL] = "",      [TEMPLATE_HOST] = "host",
    [TEMPLATE_PATH] = "path",     [TEMPLATE_QUERY] = "query",
    [TEMPLATE_SCHEME] = "scheme", [TEMPLATE_CLIENT] = "client",
    [TEMPLATE_PORT] = "port",     [TEMPLATE_REQUEST_ID] = "request_id",
};

struct reader {
    const char *text;
    size_t at;
    struct template_piece pieces[TEMPLATE_PIECES_MAX];
    size_t count;
};

static bool is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || byte == '_';
}

/* The place that a name of `size` bytes means, or -1. */
static int place_of(const char *name, size_t size)
{
    if (size == 1 && name[0] >= '1' && name[0] <= '9') {
        return TEMPLATE_GROUP + (name[0] - '1');
    }
    for (int i = TEMPLATE_HOST; i < TEMPLATE_GROUP; i++) {
        if (rc_span_equals((struct rc_span){name, size}, names[i])) {
            return i;
        }
    }
    return -1;
}

/* Behind a "$": the name's start and size; moves `at` behind all of it. */
static struct rc_span take_name(struct reader *r)
{
    const char *text = r->text;
    bool braces = text[r->at] == '{';
    size_t start = r->at + (braces ? 1 : 0);
    size_t end = start;

    if (text[end] >= '0' && text[end] <= '9') {
        end++;
    } else {
        while (is_word(text[end])) {
            end++;
        }
    }
    struct rc_span name = {text + start, end - start};
    if (braces && text[end] != '}') {
        name.size = 0;
    }
    r->at = braces && text[end] == '}' ? end + 1 : end;
    return name;
}

static int put(struct reader *r, int place, size_t at, size_t size)
{
    if (r->count == TEMPLATE_PIECES_MAX) {
        return RC_ETOOBIG;
    }
    r->pieces[r->count++] =
        (struct template_piece){(uint8_t)place, (uint16_t)at, (uint16_t)size};
    return RC_OK;
}

static int take_place(struct reader *r, const char **why)
{
    if (r->text[++r->at] == '$') {
        r->at++;
        return put(r, TEMPLATE_LITERAL, r->at - 1, 1);
    }
    struct rc_span name = take_name(r);
    int place = name.size > 0 ? place_of(name.at, name.size) : -1;
    if (place < 0) {
        *why = "after \"$\" stands host, path, query, scheme, client, port, request_id, "
               "1 to 9, or \"$\"";
        return RC_EMALFORMED;
    }
    return put(r, place, 0, 0);
}

static int read_all(struct reader *r, const char **why)
{
    int err = RC_OK;
    while (err == RC_OK && r->text[r->at] != '\0') {
        size_t size = strcspn(r->text + r->at, "$");
        if (size == 0) {
            err = take_place(r, why);
        } else {
            err = put(r, TEMPLATE_LITERAL, r->at, size);
            r->at += size;
        }
    }
    return err;
}

int template_init(struct template *out, const char *text, const char **why)
{
    struct reader r = {.text = text};

    *why = "too long, or too many places in it";
    int err = strlen(text) < TEMPLATE_TEXT_MAX ? read_all(&r, why) : RC_ETOOBIG;
    if (err != RC_OK) {
        return RC_EMALFORMED;
    }
    struct template made = {.text = rc_text_copy(text), .count = r.count};
    made.pieces = calloc(r.count + 1, sizeof *made.pieces);
    if (made.text == NULL || made.pieces == NULL) {
        template_fini(&made);
        return RC_ENOMEM;
    }
    memcpy(made.pieces, r.pieces, r.count * sizeof *made.pieces);
    *out = made;
    return RC_OK;
}

void template_fini(struct template *t)
{
    free(t->text);
    free(t->pieces);
    *t = (struct template){0};
}

bool template_has(const struct template *t, enum template_place place)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->pieces[i].place == place) {
            return true;
        }
    }
    return false;
}

unsigned template_groups(const struct template *t)
{
    unsigned highest = 0;
    for (size_t i = 0; i < t->count; i++) {
        unsigned place = t->pieces[i].place;
        if (place >= TEMPLATE_GROUP && place - TEMPLATE_GROUP + 1 > highest) {
            highest = place - TEMPLATE_GROUP + 1;
        }
    }
    return highest;
}

void template_write(const struct template *t, const struct template_values *values,
                    struct rc_writer *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct template_piece *piece = &t->pieces[i];
        assert(piece->place < TEMPLATE_PLACE_COUNT);
        struct rc_span span = piece->place == TEMPLATE_LITERAL
                                  ? (struct rc_span){t->text + piece->at, piece->size}
                                  : values->at[piece->place];
        rc_writer_bytes(out, span.at, span.size);
    }
}

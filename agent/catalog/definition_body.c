/* definition_body.c - the body of a request as JSON, and Go's words for what is wrong with it.
 *
 * jansson reads; only when it refuses, the walk below finds the first fault the way Go's scanner
 * does (encoding/json, scanner.go), because clients show that text to people. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/catalog/definition.h"
#include "base/err.h"

enum { NESTING_MAX = 512 };

/* What Go was doing when the byte came that it did not want. */
enum expectation {
    VALUE,
    FIRST_KEY,
    KEY,
    COLON,
    AFTER_MEMBER,
    FIRST_ELEMENT,
    AFTER_ELEMENT,
    DONE
};

struct scan {
    const char *at;
    const char *end;
    enum expectation expect;
    char nesting[NESTING_MAX]; /* '{' or '[' */
    size_t depth;
    char *text; /* the fault, DEFINITION_ERROR_MAX */
};

static int refuse(struct scan *scan, const char *where)
{
    unsigned char byte = (unsigned char)*scan->at;
    char shown[16];

    if (byte == '\'' || byte == '\\') {
        (void)snprintf(shown, sizeof shown, "'\\%c'", byte);
    } else if (byte == '\n' || byte == '\t' || byte == '\r') {
        (void)snprintf(shown, sizeof shown, "'\\%c'",
                       byte == '\n'   ? 'n'
                       : byte == '\t' ? 't'
                                      : 'r');
    } else if (byte < 0x20 || byte >= 0x7f) {
        (void)snprintf(shown, sizeof shown, "'\\x%02x'", (unsigned)byte);
    } else {
        (void)snprintf(shown, sizeof shown, "'%c'", byte);
    }
    (void)snprintf(scan->text, DEFINITION_ERROR_MAX,
                   "Request decode failed: invalid character %s %s", shown, where);
    return RC_EMALFORMED;
}

static int refuse_end(struct scan *scan)
{
    (void)snprintf(scan->text, DEFINITION_ERROR_MAX,
                   "Request decode failed: unexpected EOF");
    return RC_EMALFORMED;
}

static int skip_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->end; scan->at++) {
        if (*scan->at == '"') {
            scan->at++;
            return RC_OK;
        }
        if ((unsigned char)*scan->at < 0x20) {
            return refuse(scan, "in string literal");
        }
        if (*scan->at != '\\') {
            continue;
        }
        scan->at++;
        if (scan->at < scan->end &&
            (*scan->at == '\0' || strchr("\"\\/bfnrtu", *scan->at) == NULL)) {
            return refuse(scan, "in string escape code");
        }
    }
    return refuse_end(scan);
}

static int skip_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    const char *word = words[*scan->at == 't' ? 0 : *scan->at == 'f' ? 1 : 2];
    char where[64];

    for (size_t i = 0; word[i] != '\0'; i++, scan->at++) {
        if (scan->at == scan->end) {
            return refuse_end(scan);
        }
        if (*scan->at != word[i]) {
            (void)snprintf(where, sizeof where, "in literal %s (expecting '%c')", word,
                           word[i]);
            return refuse(scan, where);
        }
    }
    return RC_OK;
}

static bool at_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static int skip_digits(struct scan *scan, const char *where)
{
    if (scan->at == scan->end) {
        return refuse_end(scan);
    }
    if (!at_digit(scan)) {
        return refuse(scan, where);
    }
    while (at_digit(scan)) {
        scan->at++;
    }
    return RC_OK;
}

static int skip_number(struct scan *scan)
{
    int err = RC_OK;

    scan->at += *scan->at == '-';
    if (scan->at < scan->end && *scan->at == '0') {
        scan->at++; /* a zero is a whole number already */
    } else {
        err = skip_digits(scan, "in numeric literal");
    }
    if (err == RC_OK && scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        err = skip_digits(scan, "after decimal point in numeric literal");
    }
    if (err == RC_OK && scan->at < scan->end && (*scan->at | 0x20) == 'e') {
        scan->at++;
        scan->at += scan->at < scan->end && (*scan->at == '+' || *scan->at == '-');
        err = skip_digits(scan, "in exponent of numeric literal");
    }
    return err;
}

static void after_value(struct scan *scan)
{
    if (scan->depth == 0) {
        scan->expect = DONE;
    } else {
        scan->expect =
            scan->nesting[scan->depth - 1] == '{' ? AFTER_MEMBER : AFTER_ELEMENT;
    }
}

static void close_level(struct scan *scan)
{
    scan->at++;
    scan->depth--;
    after_value(scan);
}

static int step_value(struct scan *scan)
{
    char first = *scan->at;
    int err = RC_OK;

    if (first == '{' || first == '[') {
        if (scan->depth == NESTING_MAX) {
            return refuse(scan, "exceeded max depth");
        }
        scan->nesting[scan->depth++] = first;
        scan->expect = first == '{' ? FIRST_KEY : FIRST_ELEMENT;
        scan->at++;
        return RC_OK;
    }
    if (first == '"') {
        err = skip_string(scan);
    } else if (first == '-' || at_digit(scan)) {
        err = skip_number(scan);
    } else if (first == 't' || first == 'f' || first == 'n') {
        err = skip_word(scan);
    } else {
        return refuse(scan, "looking for beginning of value");
    }
    after_value(scan);
    return err;
}

static int step_key(struct scan *scan)
{
    if (*scan->at == '}' && scan->expect == FIRST_KEY) {
        close_level(scan);
        return RC_OK;
    }
    if (*scan->at != '"') {
        return refuse(scan, "looking for beginning of object key string");
    }
    scan->expect = COLON;
    return skip_string(scan);
}

/* One sign that must be `wanted` (and leads to `next`), or closes the level if `closer`. */
static int step_sign(struct scan *scan, const char signs[2], enum expectation next,
                     const char *where)
{
    if (*scan->at == signs[0]) {
        scan->at++;
        scan->expect = next;
        return RC_OK;
    }
    if (*scan->at == signs[1]) {
        close_level(scan);
        return RC_OK;
    }
    return refuse(scan, where);
}

static int step(struct scan *scan)
{
    switch (scan->expect) {
    case FIRST_KEY:
    case KEY:
        return step_key(scan);
    case COLON:
        return step_sign(scan, "::", VALUE, "after object key");
    case AFTER_MEMBER:
        return step_sign(scan, ",}", KEY, "after object key:value pair");
    case AFTER_ELEMENT:
        return step_sign(scan, ",]", VALUE, "after array element");
    case FIRST_ELEMENT:
        if (*scan->at == ']') {
            close_level(scan);
            return RC_OK;
        }
        return step_value(scan);
    case VALUE:
    case DONE:
        break;
    }
    return step_value(scan);
}

/* The first fault in Go's words. RC_OK if Go's scanner would be content. */
static int find_fault(const char *body, size_t size, struct definition_fault *fault)
{
    struct scan scan = {.at = body, .end = body + size, .text = fault->text};
    int err = RC_OK;

    while (err == RC_OK && scan.expect != DONE) {
        while (scan.at < scan.end && *scan.at != '\0' &&
               strchr(" \t\r\n", *scan.at) != NULL) {
            scan.at++;
        }
        err = scan.at < scan.end ? step(&scan) : refuse_end(&scan);
    }
    return err;
}

static bool is_blank(const char *body, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (body[i] == '\0' || strchr(" \t\r\n", body[i]) == NULL) {
            return false;
        }
    }
    return true;
}

int definition_load_body(const char *body, size_t size, json_t **out,
                         struct definition_fault *fault)
{
    json_error_t error;

    assert(body != NULL || size == 0);
    fault->parent = NULL;
    fault->key[0] = '\0';
    if (is_blank(body, size)) {
        (void)snprintf(fault->text, sizeof fault->text, "Request decode failed: EOF");
        return RC_EMALFORMED;
    }
    /* Like Go's decoder: one value of any kind, and what follows it is not looked at. */
    *out = json_loadb(body, size, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    if (*out != NULL) {
        return RC_OK;
    }
    if (find_fault(body, size, fault) == RC_OK) {
        (void)snprintf(fault->text, sizeof fault->text, "Request decode failed: %s",
                       error.text);
    }
    return RC_EMALFORMED;
}

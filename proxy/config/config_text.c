/* config_text.c - see config_text.h. */
#include "proxy/config/config_text.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct reader {
    const char *at;
    const char *end;
    unsigned line;
    unsigned column;
    char *into; /* where the next word's bytes go */
    struct config_text *out;
    int around[CONFIG_TEXT_DEPTH_MAX]; /* open blocks */
    size_t depth;
    bool in_statement;
    struct config_text_fault *fault;
};

static int refuse(struct reader *r, const char *why)
{
    *r->fault = (struct config_text_fault){r->line, r->column, why};
    return RC_EMALFORMED;
}

static void step(struct reader *r)
{
    if (*r->at == '\n') {
        r->line++;
        r->column = 0;
    }
    r->column++;
    r->at++;
}

/* A word takes a byte of text at least, so the arrays are made once. */
static int reserve(struct config_text *out, size_t size)
{
    size_t most = size + 1;
    if (most > CONFIG_TEXT_WORDS_MAX) {
        most = CONFIG_TEXT_WORDS_MAX;
    }
    out->space = malloc(2 * size + 1);
    out->words = calloc(most, sizeof *out->words);
    out->statements = calloc(most, sizeof *out->statements);
    if (out->space == NULL || out->words == NULL || out->statements == NULL) {
        config_text_fini(out);
        return RC_ENOMEM;
    }
    return RC_OK;
}

static int begin_word(struct reader *r)
{
    struct config_text *out = r->out;
    if (out->word_count >= CONFIG_TEXT_WORDS_MAX) {
        return refuse(r, "too many words");
    }
    if (!r->in_statement) {
        int parent = r->depth > 0 ? r->around[r->depth - 1] : CONFIG_TEXT_NONE;
        out->statements[out->statement_count++] =
            (struct config_statement){parent, false, out->word_count, 0};
        r->in_statement = true;
    }
    out->statements[out->statement_count - 1].word_count++;
    out->words[out->word_count++] = (struct config_word){r->into, r->line, r->column};
    return RC_OK;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static bool ends_word(char byte)
{
    return is_space(byte) || byte == '\n' || byte == ';' || byte == '{' || byte == '}' ||
           byte == '"' || byte == '#';
}

static int read_bare(struct reader *r)
{
    int err = begin_word(r);
    if (err != RC_OK) {
        return err;
    }
    while (r->at < r->end && !ends_word(*r->at)) {
        if ((unsigned char)*r->at < 0x20 || *r->at == 0x7f) {
            return refuse(r, "control character");
        }
        *r->into++ = *r->at;
        step(r);
    }
    *r->into++ = '\0';
    return RC_OK;
}

static int read_escape(struct reader *r)
{
    static const char names[] = "\"\\nt";
    static const char bytes[] = "\"\\\n\t";

    step(r);
    const char *found = r->at < r->end && *r->at != '\0' ? strchr(names, *r->at) : NULL;
    if (found == NULL) {
        return refuse(r, "unknown escape: only \\\" \\\\ \\n \\t");
    }
    *r->into++ = bytes[found - names];
    step(r);
    return RC_OK;
}

static int read_quoted(struct reader *r)
{
    int err = begin_word(r);
    if (err != RC_OK) {
        return err;
    }
    struct config_text_fault start = {r->line, r->column, "the quote is never closed"};
    step(r);
    while (r->at < r->end && *r->at != '"' && *r->at != '\n') {
        if (*r->at == '\\') {
            err = read_escape(r);
            if (err != RC_OK) {
                return err;
            }
            continue;
        }
        if ((unsigned char)*r->at < 0x20 && *r->at != '\t') {
            return refuse(r, "control character");
        }
        *r->into++ = *r->at;
        step(r);
    }
    if (r->at >= r->end || *r->at != '"') {
        *r->fault = start;
        return RC_EMALFORMED;
    }
    step(r);
    *r->into++ = '\0';
    return RC_OK;
}

static int open_block(struct reader *r)
{
    if (!r->in_statement) {
        return refuse(r, "a block needs a word before it");
    }
    if (r->depth >= CONFIG_TEXT_DEPTH_MAX) {
        return refuse(r, "blocks too deep");
    }
    int self = (int)r->out->statement_count - 1;
    r->out->statements[self].block = true;
    r->around[r->depth++] = self;
    r->in_statement = false;
    step(r);
    return RC_OK;
}

static int close_block(struct reader *r)
{
    if (r->depth == 0) {
        return refuse(r, "this brace closes nothing");
    }
    r->depth--;
    r->in_statement = false;
    step(r);
    return RC_OK;
}

static int read_next(struct reader *r)
{
    switch (*r->at) {
    case '{':
        return open_block(r);
    case '}':
        return close_block(r);
    case '"':
        return read_quoted(r);
    case '\n':
    case ';':
        r->in_statement = false;
        step(r);
        return RC_OK;
    case '#':
        while (r->at < r->end && *r->at != '\n') {
            step(r);
        }
        return RC_OK;
    case ' ':
    case '\t':
    case '\r':
        step(r);
        return RC_OK;
    default:
        return read_bare(r);
    }
}

int config_text_init(const char *text, size_t size, struct config_text *out,
                     struct config_text_fault *fault)
{
    struct config_text made = {0};
    int err = reserve(&made, size);
    if (err != RC_OK) {
        return err;
    }
    struct reader r = {.at = text,
                       .end = text + size,
                       .line = 1,
                       .column = 1,
                       .into = made.space,
                       .out = &made,
                       .fault = fault};
    while (err == RC_OK && r.at < r.end) {
        err = read_next(&r);
    }
    if (err == RC_OK && r.depth > 0) {
        const struct config_statement *open = &made.statements[r.around[r.depth - 1]];
        r.line = made.words[open->first_word].line;
        r.column = made.words[open->first_word].column;
        err = refuse(&r, "the block that begins here is never closed");
    }
    if (err != RC_OK) {
        config_text_fini(&made);
        return err;
    }
    *out = made;
    return RC_OK;
}

void config_text_fini(struct config_text *text)
{
    free(text->space);
    free(text->words);
    free(text->statements);
    *text = (struct config_text){0};
}

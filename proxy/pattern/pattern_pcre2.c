/* pattern_pcre2.c - see pattern_pcre2.h. */
#include "proxy/pattern/pattern_pcre2.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/err.h"
#include "base/text.h"

/* PCRE2 counts anew from each place of the subject where a match may begin. */
enum {
    STEPS_MAX = 1000000,        /* from all places together */
    STEPS_FROM_ONE_MAX = 10000, /* from one */
    DEPTH_MAX = 1000,           /* of the interpreter, where there is no machine code */
    HEAP_KIB_MAX = 512
};

struct pattern {
    pcre2_code *code;
    bool anchored; /* begins at the first byte or nowhere */
    char text[PATTERN_TEXT_MAX];
};

struct pattern_scratch {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

/* What would let an expression read bytes that are not there, or call out. */
static pcre2_compile_context *careful(void)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context != NULL) {
        (void)pcre2_set_max_pattern_length(context, PATTERN_TEXT_MAX);
        (void)pcre2_set_parens_nest_limit(context, 50);
    }
    return context;
}

static int compile(const char *text, pcre2_code **out, char why[160])
{
    int fault = 0;
    PCRE2_SIZE at = 0;
    unsigned char words[120];
    pcre2_compile_context *context = careful();

    if (context == NULL) {
        return RC_ENOMEM;
    }
    *out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                         PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
                             PCRE2_NEVER_BACKSLASH_C,
                         &fault, &at, context);
    pcre2_compile_context_free(context);
    if (*out != NULL) {
        return RC_OK;
    }
    (void)pcre2_get_error_message(fault, words, sizeof words);
    (void)snprintf(why, 160, "%s, at its byte %zu", (const char *)words, at + 1);
    return RC_EMALFORMED;
}

int pattern_compile(const char *text, struct pattern **out, char why[160])
{
    pcre2_code *code = NULL;
    uint32_t options = 0;

    if (text[0] == '\0' || strlen(text) >= PATTERN_TEXT_MAX) {
        (void)snprintf(why, 160, "it has 1 to %d bytes", PATTERN_TEXT_MAX - 1);
        return RC_EMALFORMED;
    }
    int err = compile(text, &code, why);
    if (err != RC_OK) {
        return err;
    }
    struct pattern *made = calloc(1, sizeof *made);
    if (made == NULL) {
        pcre2_code_free(code);
        return RC_ENOMEM;
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
    (void)pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
    made->code = code;
    made->anchored = (options & PCRE2_ANCHORED) != 0;
    (void)rc_text_put(made->text, sizeof made->text, text);
    *out = made;
    return RC_OK;
}

void pattern_destroy(struct pattern *pattern)
{
    if (pattern != NULL) {
        pcre2_code_free(pattern->code);
        free(pattern);
    }
}

const char *pattern_text(const struct pattern *pattern)
{
    return pattern->text;
}

size_t pattern_groups(const struct pattern *pattern)
{
    uint32_t count = 0;
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &count);
    return count;
}

struct pattern_scratch *pattern_scratch_create(void)
{
    struct pattern_scratch *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->context = pcre2_match_context_create(NULL);
    made->data = pcre2_match_data_create(PATTERN_CAPTURES_MAX, NULL);
    if (made->context == NULL || made->data == NULL) {
        pattern_scratch_destroy(made);
        return NULL;
    }
    (void)pcre2_set_depth_limit(made->context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(made->context, HEAP_KIB_MAX);
    return made;
}

void pattern_scratch_destroy(struct pattern_scratch *scratch)
{
    if (scratch != NULL) {
        pcre2_match_context_free(scratch->context);
        pcre2_match_data_free(scratch->data);
        free(scratch);
    }
}

static void take_captures(pcre2_match_data *data, int count, struct rc_span subject,
                          struct pattern_captures *out)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    /* 0 says that there are more groups than places. */
    out->count = count > 0 ? (size_t)count : PATTERN_CAPTURES_MAX;
    for (size_t i = 0; i < PATTERN_CAPTURES_MAX; i++) {
        bool took_part = i < out->count && ends[2 * i] != PCRE2_UNSET &&
                         ends[2 * i] <= ends[2 * i + 1];
        out->at[i] = took_part ? (struct rc_span){subject.at + ends[2 * i],
                                                  ends[2 * i + 1] - ends[2 * i]}
                               : (struct rc_span){NULL, 0};
    }
}

enum pattern_verdict pattern_match(const struct pattern *pattern,
                                   struct pattern_scratch *scratch,
                                   struct rc_span subject,
                                   struct pattern_captures *captures)
{
    uint32_t steps = STEPS_FROM_ONE_MAX;

    if (!pattern->anchored && subject.size > STEPS_MAX / STEPS_FROM_ONE_MAX) {
        size_t share = STEPS_MAX / subject.size;
        steps = share > 0 ? (uint32_t)share : 1;
    }
    (void)pcre2_set_match_limit(scratch->context, steps);
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)subject.at, subject.size, 0, 0,
                            scratch->data, scratch->context);
    if (found == PCRE2_ERROR_NOMATCH) {
        return PATTERN_NO;
    }
    if (found < 0) {
        return PATTERN_GAVE_UP;
    }
    if (captures != NULL) {
        take_captures(scratch->data, found, subject, captures);
    }
    return PATTERN_YES;
}

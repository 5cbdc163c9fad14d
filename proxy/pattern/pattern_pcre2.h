/* pattern_pcre2.h - regular expressions (Perl's, by PCRE2) that cannot hang.
 *
 * Compiled once, when the configuration is read, to machine code where PCRE2 can. A match
 * takes a bounded number of steps: a million in all for a text of any length, ten thousand
 * from one place. Beyond that it ends without an answer. Bytes, not characters: what is
 * matched is the normal form of a path, in which all but ASCII is percent-encoded.
 *
 * A pattern is read by all threads; a scratch belongs to one. */
#ifndef PROXY_PATTERN_PATTERN_PCRE2_H
#define PROXY_PATTERN_PATTERN_PCRE2_H

#include <stddef.h>

#include "base/text.h"

enum {
    PATTERN_TEXT_MAX = 512,   /* bytes of an expression */
    PATTERN_CAPTURES_MAX = 10 /* the whole, and $1 to $9 */
};

struct pattern;
struct pattern_scratch;

/* RC_OK, RC_ENOMEM, or RC_EMALFORMED: then `why` says what is wrong, and where. */
int pattern_compile(const char *text, struct pattern **out, char why[160]);
void pattern_destroy(struct pattern *pattern); /* NULL is allowed */

/* The expression as it was given. Borrowed. */
const char *pattern_text(const struct pattern *pattern);

/* How many groups capture. */
size_t pattern_groups(const struct pattern *pattern);

/* Memory for matches. NULL when memory is out. */
struct pattern_scratch *pattern_scratch_create(void);
void pattern_scratch_destroy(struct pattern_scratch *scratch); /* NULL is allowed */

/* What matched: 0 is the whole; groups that took no part are empty. Spans of the subject. */
struct pattern_captures {
    size_t count;
    struct rc_span at[PATTERN_CAPTURES_MAX];
};

enum pattern_verdict { PATTERN_NO, PATTERN_YES, PATTERN_GAVE_UP };

/* Does it match somewhere in `subject`? `captures` may be NULL; filled for PATTERN_YES. */
enum pattern_verdict pattern_match(const struct pattern *pattern,
                                   struct pattern_scratch *scratch,
                                   struct rc_span subject,
                                   struct pattern_captures *captures);

#endif

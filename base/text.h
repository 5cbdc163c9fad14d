/* text.h - small questions about strings: same, number, duration, size, encoding. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of text inside something larger; not NUL-terminated; borrowed. */
struct rc_span {
    const char *at;
    size_t size;
};

struct rc_span rc_span_of(const char *text); /* NULL gives an empty span */
bool rc_span_equals(struct rc_span span, const char *text);
bool rc_span_equals_nocase(struct rc_span span, const char *text); /* ASCII */

/* ASCII only, whatever the locale. */
bool rc_text_equals(const char *a, const char *b); /* NULL equals only NULL */
bool rc_text_equals_nocase(const char *a, const char *b);
bool rc_text_starts_with(const char *text, const char *prefix);
bool rc_text_ends_with(const char *text, const char *suffix);

/* True if all `size` bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool rc_text_is_utf8(const void *bytes, size_t size);

/* A copy with malloc; NULL for NULL or when memory is out. */
char *rc_text_copy(const char *text);
char *rc_text_copy_span(struct rc_span span);
char *rc_text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies `text` into `space` of `size` bytes, NUL-terminated. RC_OK, or RC_ETOOBIG with
 * `space` holding what fits. */
int rc_text_put(char *space, size_t size, const char *text);

/* One byte as it stands in a line: itself, or the escape of a control character (C0 and DEL: "\\n",
 * "\\x1b"). Not NUL-terminated. Returns its size. */
size_t rc_text_show_byte(char byte, char space[4]);

/* Makes the text in `space` of `size` bytes one line by escaping its control characters. What no
 * longer fits is cut. For every message that quotes what came from outside. */
void rc_text_to_line(char *space, size_t size);

/* A whole decimal number without sign, at most `max`. RC_OK, RC_EMALFORMED, RC_ETOOBIG. */
int rc_text_to_u64(const char *text, uint64_t max, uint64_t *out);

/* A duration as Go writes it: decimal numbers with units ns us ms s m h ("1m30s", "1.5s");
 * "0" alone is allowed, a leading minus is not. Nanoseconds. RC_OK, RC_EMALFORMED, RC_ETOOBIG. */
int rc_text_to_duration_ns(const char *text, uint64_t *out);

/* The same duration as Go prints it ("10s", "1m0s", "200ms"), into `space` (32 bytes suffice). */
void rc_text_from_duration_ns(uint64_t ns, char *space, size_t size);

/* A size in bytes: number with optional unit KB MB GB KiB MiB GiB. RC_OK, RC_EMALFORMED, RC_ETOOBIG. */
int rc_text_to_size(const char *text, uint64_t *out);

/* Hexadecimal, lower case. `space` needs 2 * size + 1 bytes. */
void rc_text_to_hex(const void *bytes, size_t size, char *space);
/* Exactly `size` bytes from 2 * size digits. RC_OK or RC_EMALFORMED. */
int rc_text_from_hex(const char *text, size_t size, uint8_t *out);

/* Standard base64 with padding (RFC 4648 section 4). The encoder appends a NUL; `space` needs
 * 4 * ((size + 2) / 3) + 1 bytes. The decoder refuses line ends and missing padding. */
void rc_text_to_base64(const void *bytes, size_t size, char *space);
int rc_text_from_base64(const char *text, uint8_t *out, size_t out_max, size_t *out_size);

/* 36 characters and a NUL from 16 bytes (RFC 4122 text form; version and variant are set: 4). */
void rc_text_uuid(const uint8_t random[16], char space[37]);

/* Wall time in ms since 1970 as RFC 3339 UTC with milliseconds, "2006-01-02T15:04:05.000Z". */
void rc_text_from_wall_ms(uint64_t wall_ms, char space[25]);

/* How far `a` is from `b` in single edits, at most 64 characters are looked at: for "did you mean". */
unsigned rc_text_distance(const char *a, const char *b);

#endif

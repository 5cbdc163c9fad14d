/* json_read.h - what does a field of an object say that jansson has read?
 *
 * For documents of other programs and versions, where what is missing or of another type is as
 * good as empty. `object` may be NULL or no object at all. */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

#include <stdint.h>

#include <jansson.h>

/* "" when there is no such text; borrowed from `object`. */
const char *rc_json_read_text(const json_t *object, const char *key);

/* 0 when there is no such number, or one below 0. */
uint64_t rc_json_read_number(const json_t *object, const char *key);

#endif

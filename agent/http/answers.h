/* answers.h - bodies made a moment ago, for whoever asks the same before anything changes.
 *
 * A change wakes everybody who waits for it, and most of them asked the same question: the
 * body is made for the first and copied for the rest. Kept are a few bodies, and only as
 * long as the catalog as a whole has the index at which they were made. */
#ifndef AGENT_HTTP_ANSWERS_H
#define AGENT_HTTP_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

struct answers;
struct http_exchange;

enum { ANSWERS_MAX = 8, ANSWER_BYTES_MAX = 128 * 1024 };

struct answers *answers_create(void); /* NULL when memory is out */
void answers_destroy(struct answers *answers);

/* Answers `x` with a body kept for the same question at the same `index` of the whole catalog.
 * False if there is none. `answers` NULL: there never is. */
bool answers_recall(struct answers *answers, struct http_exchange *x, uint64_t index);

/* Keeps the body of `x`, whose status must be 200. */
void answers_keep(struct answers *answers, const struct http_exchange *x, uint64_t index);

#endif

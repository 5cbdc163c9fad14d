/* dns_trial.h - any bytes are a catalog, settings and questions; do the answers hold?
 *
 * For a property test that throws dice and for a fuzzer. What holds for every answer: it is
 * no longer than it may be, reads back whole with pointers that lead back, its counts are
 * true, the question is in it bit for bit, all records are of our zones, TC says when and
 * only when answers are missing, and errors are no larger than what was asked. And the short
 * way (lane.h) says the same as the long one. */
#ifndef TESTS_UNIT_DNS_TRIAL_H
#define TESTS_UNIT_DNS_TRIAL_H

#include <stddef.h>
#include <stdint.h>

enum { DNS_TRIAL_WHY_MAX = 320 };

/* 0 if all holds; else `why` says what does not, and of which question. */
int dns_trial(const uint8_t *bytes, size_t size, char why[DNS_TRIAL_WHY_MAX]);

#endif

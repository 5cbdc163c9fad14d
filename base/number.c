/* number.c - the numbers of base/text.h: counts, durations, sizes and instants as text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/text.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The longer name first where one begins with the other. */
static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* the micro sign, as Go prints it */
    {"\xce\xbcs", 1000}, /* the Greek letter, as Go also reads it */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
};

static const struct unit size_units[] = {
    {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824},
    {"KB", 1000},  {"MB", 1000000},  {"GB", 1000000000},
    {"B", 1},
};

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Reads digits from `*at` on into `*value`. RC_OK, RC_EMALFORMED (no digit), RC_ETOOBIG. */
static int take_digits(const char **at, uint64_t max, uint64_t *value)
{
    const char *start = *at;
    uint64_t sum = 0;

    for (; is_digit(**at); (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (digit > max || sum > (max - digit) / 10) {
            return RC_ETOOBIG;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return *at > start ? RC_OK : RC_EMALFORMED;
}

int rc_text_to_u64(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    int err = take_digits(&text, max, &value);

    if (err != RC_OK) {
        return err;
    }
    if (*text != '\0') {
        return RC_EMALFORMED;
    }
    *out = value;
    return RC_OK;
}

static const struct unit *unit_at(const char **at)
{
    const struct unit *found = NULL;

    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++) {
        const struct unit *unit = &duration_units[i];
        size_t size = strlen(unit->name);
        if (strncmp(*at, unit->name, size) == 0 &&
            (found == NULL || size > strlen(found->name))) {
            found = unit;
        }
    }
    if (found != NULL) {
        *at += strlen(found->name);
    }
    return found;
}

/* Digits after the point, as a fraction: nine of them are enough for nanoseconds of a
 * second, the rest is read and dropped. */
static void take_fraction(const char **at, uint64_t *value, uint64_t *scale)
{
    *value = 0;
    *scale = 1;
    for (; is_digit(**at); (*at)++) {
        if (*scale < 1000000000) {
            *value = *value * 10 + (uint64_t)(**at - '0');
            *scale *= 10;
        }
    }
}

/* One "12.5s" of a duration. */
static int take_term(const char **at, uint64_t *sum)
{
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    bool has_whole = is_digit(**at);

    int err = has_whole ? take_digits(at, INT64_MAX, &whole) : RC_OK;
    if (err != RC_OK) {
        return err;
    }
    if (**at == '.') {
        (*at)++;
        take_fraction(at, &fraction, &scale);
    }
    const struct unit *unit = unit_at(at);
    if (unit == NULL || (!has_whole && scale == 1)) {
        return RC_EMALFORMED;
    }
    /* By way of a double, like Go: the product may need more than 64 bits. */
    uint64_t part = (uint64_t)((double)fraction * ((double)unit->factor / (double)scale));
    if (whole > (INT64_MAX - *sum) / unit->factor ||
        part > INT64_MAX - *sum - whole * unit->factor) {
        return RC_ETOOBIG;
    }
    *sum += whole * unit->factor + part;
    return RC_OK;
}

int rc_text_to_duration_ns(const char *text, uint64_t *out)
{
    uint64_t sum = 0;

    if (text[0] == '\0') {
        return RC_EMALFORMED;
    }
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return RC_OK;
    }
    while (*text != '\0') {
        int err = take_term(&text, &sum);
        if (err != RC_OK) {
            return err;
        }
    }
    *out = sum;
    return RC_OK;
}

/* "1.5" from 1500 thousandths: `value` / `factor`, a power of ten, without zeros at the end. */
static void put_fraction(uint64_t value, uint64_t factor, char *space, size_t size)
{
    int used = snprintf(space, size, "%" PRIu64, value / factor);
    uint64_t rest = value % factor;

    if (rest == 0 || used < 0 || (size_t)used >= size) {
        return;
    }
    size_t at = (size_t)used;
    space[at++] = '.';
    for (uint64_t unit = factor / 10; unit > 0 && at + 1 < size; unit /= 10) {
        space[at++] = (char)('0' + rest / unit % 10);
    }
    while (space[at - 1] == '0') { /* stops at a digit: the rest is not 0 */
        at--;
    }
    space[at] = '\0';
}

void rc_text_from_duration_ns(uint64_t ns, char *space, size_t size)
{
    char number[32];

    if (ns == 0) {
        (void)snprintf(space, size, "0s");
    } else if (ns < 1000000000) { /* one of ns, µs, ms */
        bool is_ns = ns < 1000;
        bool is_us = ns < 1000000;
        put_fraction(ns, is_ns ? 1 : is_us ? 1000 : 1000000, number, sizeof number);
        (void)snprintf(space, size, "%s%s", number,
                       is_ns   ? "ns"
                       : is_us ? "\xc2\xb5s"
                               : "ms");
    } else {
        uint64_t minutes = ns / UINT64_C(60000000000);
        put_fraction(ns % UINT64_C(60000000000), 1000000000, number, sizeof number);
        if (minutes >= 60) {
            (void)snprintf(space, size, "%" PRIu64 "h%" PRIu64 "m%ss", minutes / 60,
                           minutes % 60, number);
        } else if (minutes > 0) {
            (void)snprintf(space, size, "%" PRIu64 "m%ss", minutes, number);
        } else {
            (void)snprintf(space, size, "%ss", number);
        }
    }
}

int rc_text_to_size(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    uint64_t factor = 0;
    int err = take_digits(&text, INT64_MAX, &value);

    if (err != RC_OK) {
        return err;
    }
    while (*text == ' ') {
        text++;
    }
    if (*text == '\0') {
        factor = 1;
    }
    for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++) {
        if (rc_text_equals_nocase(text, size_units[i].name)) {
            factor = size_units[i].factor;
        }
    }
    if (factor == 0) {
        return RC_EMALFORMED;
    }
    if (value > INT64_MAX / factor) {
        return RC_ETOOBIG;
    }
    *out = value * factor;
    return RC_OK;
}

void rc_text_from_wall_ms(uint64_t wall_ms, char space[25])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    char text[96];

    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 8099) {
        (void)rc_text_put(space, 25, "9999-12-31T23:59:59.999Z");
        return;
    }
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                   parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, (unsigned)(wall_ms % 1000));
    (void)rc_text_put(space, 25, text);
}

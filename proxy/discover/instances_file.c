/* instances_file.c - see instances_file.h. */
#include "proxy/discover/instances_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { WORD_MAX = INSTANCE_ID_MAX, WEIGHT_MAX = 65535 };

struct line {
    const char *at;
    size_t left;
    unsigned number; /* from 1 */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word into `space`. False: the line ends here. A word that does not fit is cut, and then
 * `*whole` is false. */
static bool next_word(struct line *line, char space[WORD_MAX], bool *whole)
{
    size_t size = 0;
    while (line->left > 0 && is_blank(*line->at)) {
        line->at++;
        line->left--;
    }
    if (line->left == 0 || *line->at == '#') {
        return false;
    }
    *whole = true;
    while (line->left > 0 && !is_blank(*line->at)) {
        *whole = *whole && size + 1 < WORD_MAX && *line->at != '\0';
        if (*whole) {
            space[size++] = *line->at;
        }
        line->at++;
        line->left--;
    }
    space[size] = '\0';
    return true;
}

static const char *read_option(struct line *line, const char *name,
                               struct lineup_entry *entry)
{
    char value[WORD_MAX];
    uint64_t weight = 0;
    bool whole = false;
    if (!next_word(line, value, &whole) || !whole) {
        return "a value is missing or too long";
    }
    if (rc_text_equals(name, "weight")) {
        if (rc_text_to_u64(value, WEIGHT_MAX, &weight) != RC_OK) {
            return "a weight is a number from 0 to 65535";
        }
        entry->weight = (uint32_t)weight;
        return NULL;
    }
    if (rc_text_equals(name, "id")) {
        return rc_text_put(entry->id, sizeof entry->id, value) == RC_OK
                   ? NULL
                   : "this id is too long";
    }
    return "expected: ADDRESS [weight NUMBER] [id NAME]";
}

/* NULL: `entry` is filled in, or the line is empty and `*found` false; else what is wrong. */
static const char *read_line(struct line *line, struct lineup_entry *entry, bool *found)
{
    char word[WORD_MAX];
    bool whole = false;
    *entry = (struct lineup_entry){.weight = 1};
    *found = next_word(line, word, &whole);
    if (!*found) {
        return NULL;
    }
    if (!whole || rc_address_parse(word, 0, &entry->address) != RC_OK ||
        entry->address.port == 0) {
        return "this is no address with a port, such as 192.0.2.1:80 or [::1]:80";
    }
    while (next_word(line, word, &whole)) {
        const char *problem =
            whole ? read_option(line, word, entry) : "this word is too long";
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}

static const char *check_twin(const struct lineup_entry *entries, size_t count,
                              const struct lineup_entry *entry)
{
    for (size_t i = 0; i < count; i++) {
        if (rc_address_equals(&entries[i].address, &entry->address) &&
            rc_text_equals(entries[i].id, entry->id)) {
            return "this instance stands here already";
        }
        if (entry->id[0] != '\0' && rc_text_equals(entries[i].id, entry->id)) {
            return "this id stands here already";
        }
    }
    return NULL;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 1;
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

static const char *read_all(const char *text, size_t size, struct lineup_entry *made,
                            size_t *used, unsigned *number)
{
    const char *end = text + size;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct line line = {text, (size_t)((stop != NULL ? stop : end) - text),
                            ++*number};
        bool found = false;
        struct lineup_entry entry;
        const char *problem = read_line(&line, &entry, &found);
        if (problem == NULL && found) {
            problem = *used == INSTANCES_FILE_ENTRIES_MAX
                          ? "there are too many instances"
                          : check_twin(made, *used, &entry);
        }
        if (problem != NULL) {
            return problem;
        }
        if (found) {
            made[(*used)++] = entry;
        }
        text = stop != NULL ? stop + 1 : end;
    }
    return NULL;
}

int instances_file_parse(const char *text, size_t size, struct lineup_entry **entries,
                         size_t *count, char error[INSTANCES_FILE_ERROR_MAX])
{
    size_t room = count_lines(text, size);
    unsigned number = 0;
    size_t used = 0;
    error[0] = '\0';
    room = room > INSTANCES_FILE_ENTRIES_MAX ? INSTANCES_FILE_ENTRIES_MAX : room;
    struct lineup_entry *made = calloc(room + 1, sizeof *made);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    const char *problem = read_all(text, size, made, &used, &number);
    if (problem != NULL) {
        (void)snprintf(error, INSTANCES_FILE_ERROR_MAX, "line %u: %s", number, problem);
    } else if (used == 0) {
        (void)rc_text_put(error, INSTANCES_FILE_ERROR_MAX, "it names no instance");
    }
    if (error[0] != '\0') {
        free(made);
        return RC_EMALFORMED;
    }
    *entries = made;
    *count = used;
    return RC_OK;
}

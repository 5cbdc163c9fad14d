/* diary.c - what happened to members and to our own health lately, and why. */
#include "agent/gossip/diary.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void diary_fini(struct diary *diary)
{
    free(diary->entries);
    free(diary->lost);
    *diary = (struct diary){0};
}

/* Grows only while it has not gone round: then place and order agree. */
static void grow(struct diary *diary)
{
    size_t capacity = diary->capacity > 0 ? 2 * diary->capacity : DIARY_FIRST;

    if (diary->count != diary->capacity || capacity > DIARY_MAX) {
        return;
    }
    struct diary_entry *entries = realloc(diary->entries, capacity * sizeof *entries);
    if (entries != NULL) {
        diary->entries = entries;
        diary->capacity = capacity;
    }
}

void diary_note(struct diary *diary, const struct diary_entry *entry)
{
    grow(diary);
    if (diary->capacity > 0) {
        diary->entries[diary->count % diary->capacity] = *entry;
        diary->count++;
    }
}

void diary_doubt(struct diary *diary, const struct diary_doubt *doubt)
{
    diary->doubts[diary->doubt_count++ % DIARY_DOUBTS_MAX] = *doubt;
}

void diary_lose(struct diary *diary, uint32_t member, const char *name)
{
    if (diary->lost == NULL) {
        diary->lost = calloc(DIARY_LOST_MAX, sizeof *diary->lost);
    }
    if (diary->lost != NULL) {
        struct diary_lost *lost = &diary->lost[diary->lost_count++ % DIARY_LOST_MAX];
        lost->member = member;
        (void)snprintf(lost->name, sizeof lost->name, "%s", name);
    }
}

const struct diary_entry *diary_at(const struct diary *diary, size_t back)
{
    if (back >= diary->count || back >= diary->capacity) {
        return NULL;
    }
    return &diary->entries[(diary->count - 1 - back) % diary->capacity];
}

const struct diary_doubt *diary_doubt_at(const struct diary *diary, size_t back)
{
    if (back >= diary->doubt_count || back >= DIARY_DOUBTS_MAX) {
        return NULL;
    }
    return &diary->doubts[(diary->doubt_count - 1 - back) % DIARY_DOUBTS_MAX];
}

const char *diary_lost_name(const struct diary *diary, uint32_t member)
{
    for (size_t i = 0; diary->lost != NULL && i < DIARY_LOST_MAX; i++) {
        if (diary->lost[i].member == member) {
            return diary->lost[i].name;
        }
    }
    return NULL;
}

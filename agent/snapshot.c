#include "agent/snapshot.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/table.h"
#include "base/text.h"

enum {
    COMPACT_BYTES_MIN = 128 * 1024, /* Serf's two */
    COMPACT_BYTES_EACH = 256,
    PENDING_MAX = 256 * 1024, /* more, while the disk is full: written anew then */
    NAME_BYTES_MAX = 255
};

struct snapshot {
    char path[PATH_MAX];
    enum snapshot_after after;
    struct rc_table *members; /* name -> struct rc_address, owned */
    uint64_t next[GOSSIP_CLOCK_COUNT];
    struct rc_buffer pending; /* lines to append */
    size_t file_bytes;
    bool has_left;
    bool is_stale; /* the file is to be written anew */
};

static const char *const clock_words[GOSSIP_CLOCK_COUNT] = {
    [GOSSIP_CLOCK_STATUS] = "clock: ",
    [GOSSIP_CLOCK_EVENT] = "event-clock: ",
    [GOSSIP_CLOCK_QUERY] = "query-clock: ",
};

/* ---- The members. */

static void drop(struct snapshot *s, const char *name)
{
    free(rc_table_remove(s->members, name));
}

static void drop_all(struct snapshot *s)
{
    size_t position = 0;
    const char *name;

    while (rc_table_next(s->members, &position, &name) != NULL) {
        drop(s, name);
    }
}

/* True if that is news. */
static bool put(struct snapshot *s, const char *name, const struct rc_address *address)
{
    struct rc_address *known = rc_table_get(s->members, name);

    if (known != NULL && rc_address_equals(known, address)) {
        return false;
    }
    if (known == NULL) {
        if (rc_table_count(s->members) >= SNAPSHOT_MEMBERS_MAX) {
            return false;
        }
        known = malloc(sizeof *known);
        if (known == NULL || rc_table_put(s->members, name, known, NULL) != RC_OK) {
            free(known);
            return false;
        }
    }
    *known = *address;
    return true;
}

/* ---- Reading. */

static void read_alive(struct snapshot *s, char *text)
{
    char *space = strrchr(text, ' '); /* names may have spaces */
    struct rc_address address;

    if (space == NULL || space == text || space - text > NAME_BYTES_MAX) {
        return;
    }
    *space = '\0';
    if (rc_address_parse(space + 1, 0, &address) == RC_OK && address.port != 0) {
        (void)put(s, text, &address);
    }
}

static void read_leave(struct snapshot *s)
{
    if (s->after == SNAPSHOT_FORGET_AFTER_LEAVE) {
        drop_all(s);
        memset(s->next, 0, sizeof s->next);
    }
}

static void read_line(struct snapshot *s, char *line)
{
    static const char alive[] = "alive: ";
    static const char gone[] = "not-alive: ";
    uint64_t number;

    if (rc_text_starts_with(line, alive)) {
        read_alive(s, line + strlen(alive));
    } else if (rc_text_starts_with(line, gone)) {
        drop(s, line + strlen(gone));
    } else if (strcmp(line, "leave") == 0) {
        read_leave(s);
    }
    for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
        if (rc_text_starts_with(line, clock_words[i]) &&
            rc_text_to_u64(line + strlen(clock_words[i]), UINT64_MAX / 2, &number) ==
                RC_OK &&
            number + 1 > s->next[i]) {
            s->next[i] = number + 1;
        }
    } /* comments and coordinates of old Serfs are nothing to us */
}

/* Cuts `text` into lines; a torn write may have left anything in them. */
static void read_lines(struct snapshot *s, struct rc_buffer *text)
{
    char *at = (char *)text->bytes;
    char *end = at + text->size;

    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) {
            s->is_stale = true; /* unfinished: what comes next must not be glued to it */
            return;
        }
        if (memchr(at, '\0', (size_t)(stop - at)) == NULL) {
            *stop = '\0';
            read_line(s, at);
        }
        at = stop + 1;
    }
}

static void set_aside(const struct snapshot *s)
{
    char aside[PATH_MAX + 8];

    (void)snprintf(aside, sizeof aside, "%s.broken", s->path);
    (void)rename(s->path, aside);
}

static int read_file(struct snapshot *s)
{
    struct rc_buffer text = {0};

    int err = rc_file_read(s->path, SNAPSHOT_FILE_MAX, &text);
    if (err == RC_OK && text.size > 0) {
        s->file_bytes = text.size;
        read_lines(s, &text);
    } else if (err == RC_ETOOBIG || err == RC_EIO) {
        set_aside(s);
    }
    rc_buffer_fini(&text);
    return err == RC_ENOMEM ? err : RC_OK;
}

int snapshot_open(const char *folder, enum snapshot_after after, uint64_t seed,
                  struct snapshot **out)
{
    if (folder == NULL) {
        *out = NULL;
        return RC_OK;
    }
    struct snapshot *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return RC_ENOMEM;
    }
    s->after = after;
    int size = snprintf(s->path, sizeof s->path, "%s/gossip.snapshot", folder);
    int err = size > 0 && (size_t)size < sizeof s->path ? RC_OK : RC_ETOOBIG;
    if (err == RC_OK) {
        s->members = rc_table_create(seed);
        err = s->members != NULL ? read_file(s) : RC_ENOMEM;
    }
    if (err != RC_OK) {
        snapshot_close(s);
        return err;
    }
    *out = s;
    return RC_OK;
}

void snapshot_close(struct snapshot *s)
{
    if (s == NULL) {
        return;
    }
    if (s->members != NULL) {
        drop_all(s);
    }
    rc_table_destroy(s->members);
    rc_buffer_fini(&s->pending);
    free(s);
}

/* ---- What is to be kept. */

/* Lines that find no room are not missed: the file is written anew from what we know. */
static void add_line(struct snapshot *s, const char *word, const char *rest)
{
    if (s->is_stale) {
        return;
    }
    rc_buffer_text(&s->pending, word);
    rc_buffer_text(&s->pending, rest);
    rc_buffer_byte(&s->pending, '\n');
    if (s->pending.err != RC_OK || s->pending.size > PENDING_MAX) {
        s->is_stale = true;
        rc_buffer_fini(&s->pending);
    }
}

static void write_alive(struct rc_buffer *out, const char *name,
                        const struct rc_address *address)
{
    char text[RC_ADDRESS_TEXT_MAX];

    rc_address_format(address, text);
    rc_buffer_text(out, name);
    rc_buffer_byte(out, ' ');
    rc_buffer_text(out, text);
}

static bool is_kept(const struct snapshot *s, const char *name)
{
    return s != NULL && !s->has_left && name[0] != '\0' && strchr(name, '\n') == NULL &&
           strlen(name) <= NAME_BYTES_MAX;
}

void snapshot_member(struct snapshot *s, const char *name,
                     const struct rc_address *address)
{
    struct rc_buffer line = {0};

    if (!is_kept(s, name) || address->port == 0 || !put(s, name, address)) {
        return;
    }
    write_alive(&line, name, address);
    add_line(s, "alive: ", rc_buffer_string(&line));
    rc_buffer_fini(&line);
}

void snapshot_forget(struct snapshot *s, const char *name)
{
    if (is_kept(s, name) && rc_table_get(s->members, name) != NULL) {
        drop(s, name);
        add_line(s, "not-alive: ", name);
    }
}

void snapshot_clocks(struct snapshot *s, const uint64_t next[GOSSIP_CLOCK_COUNT])
{
    char text[24];

    if (s == NULL || s->has_left) {
        return;
    }
    for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
        if (next[i] > s->next[i] && next[i] > 1) {
            s->next[i] = next[i];
            (void)snprintf(text, sizeof text, "%" PRIu64, next[i] - 1);
            add_line(s, clock_words[i], text);
        }
    }
}

void snapshot_leave(struct snapshot *s)
{
    if (s == NULL || s->has_left) {
        return;
    }
    add_line(s, "leave", "");
    read_leave(s);
    s->has_left = true;
}

bool snapshot_is_changed(const struct snapshot *s)
{
    return s != NULL && (s->is_stale || s->pending.size > 0);
}

/* ---- Writing. */

static int compact(struct snapshot *s)
{
    struct rc_buffer text = {0};
    const struct rc_address *address;
    const char *name;
    size_t position = 0;

    while ((address = rc_table_next(s->members, &position, &name)) != NULL) {
        rc_buffer_text(&text, "alive: ");
        write_alive(&text, name, address);
        rc_buffer_byte(&text, '\n');
    }
    for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
        if (s->next[i] > 0) {
            rc_buffer_format(&text, "%s%" PRIu64 "\n", clock_words[i], s->next[i] - 1);
        }
    }
    if (s->has_left) {
        rc_buffer_text(&text, "leave\n");
    }
    int err =
        text.err == RC_OK ? rc_file_replace(s->path, text.bytes, text.size) : text.err;
    if (err == RC_OK) {
        s->file_bytes = text.size;
        s->is_stale = false;
        rc_buffer_clear(&s->pending);
    }
    rc_buffer_fini(&text);
    return err;
}

int snapshot_write(struct snapshot *s)
{
    if (!snapshot_is_changed(s)) {
        return RC_OK;
    }
    size_t useful = rc_table_count(s->members) * COMPACT_BYTES_EACH;
    size_t most = useful > COMPACT_BYTES_MIN ? useful : COMPACT_BYTES_MIN;
    if (s->is_stale || s->file_bytes + s->pending.size > most) {
        return compact(s);
    }
    int err = rc_file_append(s->path, s->pending.bytes, s->pending.size);
    if (err != RC_OK) {
        s->is_stale = true; /* a part of it may have been written */
        rc_buffer_fini(&s->pending);
        return err;
    }
    s->file_bytes += s->pending.size;
    rc_buffer_fini(&s->pending); /* it grows when a pool comes up, and never so again */
    return RC_OK;
}

/* ---- What was kept. */

void snapshot_last_clocks(const struct snapshot *s, uint64_t out[GOSSIP_CLOCK_COUNT])
{
    memset(out, 0, GOSSIP_CLOCK_COUNT * sizeof *out);
    if (s != NULL) {
        memcpy(out, s->next, sizeof s->next);
    }
}

size_t snapshot_count(const struct snapshot *s)
{
    return s == NULL ? 0 : rc_table_count(s->members);
}

size_t snapshot_addresses(const struct snapshot *s, struct rc_address *out, size_t max)
{
    const struct rc_address *address;
    size_t position = 0;
    size_t count = 0;

    while (s != NULL && count < max &&
           (address = rc_table_next(s->members, &position, NULL)) != NULL) {
        out[count++] = *address;
    }
    return count;
}

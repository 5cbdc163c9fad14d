/* keyring_file.c - the keys of the pool as they survive a restart. */
#include "agent/keyring_file.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

enum { FILE_MAX = 16 * 1024, PATH_TEXT_MAX = 4096, KEY_TEXT_MAX = 45 };

static int path_of(const char *folder, const char *name, char path[PATH_TEXT_MAX])
{
    int length = snprintf(path, PATH_TEXT_MAX, "%s/%s", folder, name);
    return length > 0 && length < PATH_TEXT_MAX ? RC_OK : RC_EIO;
}

static void wipe(struct rc_buffer *buffer)
{
    if (buffer->bytes != NULL) {
        explicit_bzero(buffer->bytes, buffer->capacity);
    }
    rc_buffer_fini(buffer);
}

static bool is_same(const struct gossip_key *a, const struct gossip_key *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static size_t find(const struct keyring_list *list, const struct gossip_key *key)
{
    size_t i = 0;
    while (i < list->count && !is_same(&list->keys[i], key)) {
        i++;
    }
    return i;
}

/* ---- Reading. */

static int read_key(const char *text, struct gossip_key *out)
{
    memset(out, 0, sizeof *out);
    if (text == NULL ||
        rc_text_from_base64(text, out->bytes, sizeof out->bytes, &out->size) != RC_OK) {
        return RC_EMALFORMED;
    }
    bool is_key = out->size == 16 || out->size == 24 || out->size == 32;
    return is_key ? RC_OK : RC_EMALFORMED;
}

/* An empty list is none that anybody would write. */
static int read_list(const json_t *root, struct keyring_list *out)
{
    size_t index;
    const json_t *item;

    if (json_array_size(root) == 0 || json_array_size(root) > GOSSIP_KEYS_MAX) {
        return RC_EMALFORMED;
    }
    json_array_foreach(root, index, item)
    {
        struct gossip_key *key = &out->keys[out->count];
        if (read_key(json_string_value(item), key) != RC_OK) {
            return RC_EMALFORMED;
        }
        out->count += find(out, key) == out->count; /* twice is once */
    }
    return RC_OK;
}

static int read_file(const char *folder, struct keyring_list *out)
{
    char path[PATH_TEXT_MAX];
    char aside[PATH_TEXT_MAX];
    struct rc_buffer text = {0};

    int err = path_of(folder, "keyring.json", path);
    if (err == RC_OK) {
        err = rc_file_read(path, FILE_MAX, &text);
    }
    if (err == RC_OK) {
        json_t *root = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        err = read_list(root, out);
        json_decref(root);
    }
    wipe(&text);
    if (err == RC_EMALFORMED || err == RC_ETOOBIG) {
        explicit_bzero(out, sizeof *out);
        if (path_of(folder, "keyring.json.broken", aside) == RC_OK) {
            (void)rename(path, aside);
        }
        return RC_EMALFORMED;
    }
    return err == RC_ENOTFOUND ? RC_OK : err;
}

enum seen { SEEN_UNKNOWN, SEEN_SAME, SEEN_OTHER };

/* Whether the configured key (NULL: none) is what it was when the file was written. */
static enum seen compare_seen(const char *folder, const struct gossip_key *configured)
{
    static const struct gossip_key none = {.size = 0};
    char path[PATH_TEXT_MAX];
    struct rc_buffer text = {0};
    struct gossip_key seen = {.size = 0};

    bool is_known = path_of(folder, "keyring.seen", path) == RC_OK &&
                    rc_file_read(path, FILE_MAX, &text) == RC_OK &&
                    (text.size == 0 || read_key(rc_buffer_string(&text), &seen) == RC_OK);
    bool same = is_same(&seen, configured != NULL ? configured : &none);
    explicit_bzero(&seen, sizeof seen);
    wipe(&text);
    return !is_known ? SEEN_UNKNOWN : same ? SEEN_SAME : SEEN_OTHER;
}

/* ---- The rule. */

static void put_first(struct keyring_list *list, const struct gossip_key *key)
{
    if (list->count == GOSSIP_KEYS_MAX) {
        list->count--; /* the oldest gives way */
    }
    memmove(&list->keys[1], &list->keys[0], list->count * sizeof list->keys[0]);
    list->keys[0] = *key;
    list->count++;
}

static void put_last(struct keyring_list *list, const struct gossip_key *key)
{
    if (list->count == GOSSIP_KEYS_MAX) {
        list->count--;
    }
    list->keys[list->count++] = *key;
}

int keyring_file_settle(const char *folder, const struct gossip_key *configured,
                        struct keyring_list *out, enum keyring_source *source)
{
    memset(out, 0, sizeof *out);
    int err = folder != NULL ? read_file(folder, out) : RC_OK;
    if (err != RC_OK) {
        return err;
    }
    if (configured == NULL) {
        *source = out->count > 0 ? KEYRING_FROM_FILE : KEYRING_FROM_NOTHING;
        return RC_OK;
    }
    size_t place = find(out, configured);
    if (out->count == 0) {
        *source = KEYRING_FROM_CONFIG;
        put_last(out, configured);
    } else if (place < out->count) {
        *source = place == 0 ? KEYRING_FROM_FILE : KEYRING_FROM_FILE_SECOND;
    } else if (compare_seen(folder, configured) == SEEN_OTHER) {
        /* Unknown counts as the same: a file brought from a Serf is taken at its word. */
        *source = KEYRING_FROM_CHANGED_CONFIG;
        put_first(out, configured);
        return keyring_file_save(folder, configured, out);
    } else {
        *source = KEYRING_FROM_FILE_LACKING;
        put_last(out, configured);
    }
    return RC_OK;
}

/* ---- Writing. */

static int save_list(const char *folder, const struct keyring_list *list)
{
    char path[PATH_TEXT_MAX];
    char key[KEY_TEXT_MAX];
    struct rc_buffer text = {0};
    struct rc_json json = rc_json_over(&text, 2);

    rc_json_array(&json);
    for (size_t i = 0; i < list->count; i++) {
        rc_text_to_base64(list->keys[i].bytes, list->keys[i].size, key);
        rc_json_string(&json, key);
    }
    rc_json_array_end(&json);
    rc_buffer_byte(&text, '\n');
    int err = text.err != RC_OK ? text.err : path_of(folder, "keyring.json", path);
    if (err == RC_OK) {
        err = rc_file_replace(path, text.bytes, text.size);
    }
    explicit_bzero(key, sizeof key);
    wipe(&text);
    return err;
}

static int save_seen(const char *folder, const struct gossip_key *configured)
{
    char path[PATH_TEXT_MAX];
    char key[KEY_TEXT_MAX] = "";

    if (compare_seen(folder, configured) == SEEN_SAME) {
        return RC_OK; /* written already, and synced */
    }
    if (configured != NULL) {
        rc_text_to_base64(configured->bytes, configured->size, key);
    }
    int err = path_of(folder, "keyring.seen", path);
    if (err == RC_OK) {
        err = rc_file_replace(path, key, strlen(key));
    }
    explicit_bzero(key, sizeof key);
    return err;
}

/* The list first: between the two a crash leaves a list that has the configured key in it, or
 * one beside an unchanged configuration. */
int keyring_file_save(const char *folder, const struct gossip_key *configured,
                      const struct keyring_list *list)
{
    if (folder == NULL) {
        return RC_OK;
    }
    int err = save_list(folder, list);
    return err == RC_OK ? save_seen(folder, configured) : err;
}

#include "agent/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

enum { FILE_MAX = 64 * 1024, PATH_TEXT_MAX = 4096 };

static int read_epoch(const char *text, struct keep *out)
{
    size_t size = 0;
    size_t space = strlen(text) / 4 * 3;
    int err = rc_buffer_reserve(&out->epoch, space);
    if (err == RC_OK && space > 0) {
        err = rc_text_from_base64(text, out->epoch.bytes, space, &size);
    }
    out->epoch.size = size;
    return err;
}

static int read_tree(json_t *root, struct keep *out)
{
    const char *id = NULL;
    const char *epoch = NULL;
    json_int_t incarnation = 0;

    if (json_unpack(root, "{s:s, s:I, s:s}", "node_id", &id, "incarnation", &incarnation,
                    "epoch", &epoch) != 0) {
        return RC_EMALFORMED;
    }
    if (incarnation < 0 || incarnation > UINT32_MAX) {
        return RC_EMALFORMED;
    }
    out->incarnation = (uint32_t)incarnation;
    int err = rc_text_put(out->node_id, sizeof out->node_id, id);
    if (err == RC_OK) {
        err = read_epoch(epoch, out);
    }
    return err;
}

static int path_of(const char *folder, const char *name, char *space, size_t size)
{
    int length = snprintf(space, size, "%s/%s", folder, name);
    return length > 0 && (size_t)length < size ? RC_OK : RC_ETOOBIG;
}

static void set_aside(const char *folder, const char *path)
{
    char aside[PATH_TEXT_MAX];
    if (path_of(folder, "node.json.broken", aside, sizeof aside) == RC_OK) {
        (void)rename(path, aside);
    }
}

int keep_load(const char *folder, struct keep *out)
{
    struct rc_buffer text = {0};
    char path[PATH_TEXT_MAX];

    memset(out, 0, sizeof *out);
    if (folder == NULL) {
        return RC_OK;
    }
    int err = path_of(folder, "node.json", path, sizeof path);
    if (err != RC_OK) {
        return err;
    }
    err = rc_file_read(path, FILE_MAX, &text);
    if (err == RC_OK) {
        json_t *root = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        err = read_tree(root, out);
        json_decref(root);
        if (err != RC_OK) {
            keep_fini(out);
            set_aside(folder, path);
            err = RC_EMALFORMED;
        }
    } else if (err == RC_ENOTFOUND) {
        err = RC_OK;
    }
    rc_buffer_fini(&text);
    return err;
}

static void write_epoch(struct rc_json *json, const struct rc_buffer *epoch)
{
    char *text = malloc(4 * ((epoch->size + 2) / 3) + 1);
    if (text != NULL) {
        rc_text_to_base64(epoch->bytes, epoch->size, text);
    } else {
        json->out->err = RC_ENOMEM;
    }
    rc_json_put_string(json, "epoch", text);
    free(text);
}

int keep_save(const char *folder, const struct keep *keep)
{
    struct rc_buffer text = {0};
    struct rc_json json = rc_json_over(&text, 4);
    char path[PATH_TEXT_MAX];

    if (folder == NULL) {
        return RC_OK;
    }
    int err = path_of(folder, "node.json", path, sizeof path);
    if (err != RC_OK) {
        return err;
    }
    rc_json_object(&json);
    rc_json_put_string(&json, "node_id", keep->node_id);
    rc_json_put_u64(&json, "incarnation", keep->incarnation);
    write_epoch(&json, &keep->epoch);
    rc_json_object_end(&json);
    rc_buffer_byte(&text, '\n');
    err = text.err != RC_OK ? text.err : rc_file_replace(path, text.bytes, text.size);
    rc_buffer_fini(&text);
    return err;
}

void keep_fini(struct keep *keep)
{
    rc_buffer_fini(&keep->epoch);
    memset(keep, 0, sizeof *keep);
}

/* kv: reads and writes keys of the store, with Consul's flags and output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/kv.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { VALUE_MAX = 64 << 20, PIECE = 8192 };

static int read_input(struct rc_buffer *out)
{
    char piece[PIECE];
    size_t size;

    while ((size = fread(piece, 1, sizeof piece, stdin)) > 0) {
        rc_buffer_append(out, piece, size);
    }
    return ferror(stdin) ? RC_EIO : out->err;
}

int kv_take_value(const char *given, struct rc_buffer *out)
{
    int err;

    out->max = VALUE_MAX;
    if (strcmp(given, "-") == 0) {
        err = read_input(out);
        if (err != RC_OK) {
            cli_error("Error! Failed to read standard input: %s", rc_strerror(err));
        }
        return err;
    }
    if (given[0] == '@') {
        err = rc_file_read(given + 1, VALUE_MAX, out);
        if (err != RC_OK) {
            cli_error("Error! Failed to read %s: %s", given + 1,
                      err == RC_EIO ? strerrordesc_np(errno) : rc_strerror(err));
        }
        return err;
    }
    rc_buffer_text(out, given);
    return out->err;
}

void kv_path(struct rc_buffer *out, const char *key)
{
    rc_buffer_text(out, "/v1/kv/");
    cli_escape(out, key[0] == '/' ? key + 1 : key);
}

void kv_parameter(struct rc_buffer *path, const char *name, const char *value)
{
    rc_buffer_format(path, "%c%s",
                     strchr(rc_buffer_string(path), '?') != NULL ? '&' : '?', name);
    if (value != NULL) {
        rc_buffer_byte(path, '=');
        cli_escape(path, value);
    }
}

int kv_decode(const char *base64, struct rc_buffer *out)
{
    size_t most = base64 != NULL ? strlen(base64) / 4 * 3 + 3 : 0;
    size_t size = 0;

    if (most == 0) {
        return RC_OK;
    }
    int err = rc_buffer_reserve(out, most);
    if (err == RC_OK) {
        err = rc_text_from_base64(base64, out->bytes + out->size, most, &size);
    }
    if (err == RC_OK) {
        out->size += size;
        out->bytes[out->size] = '\0';
    }
    return err;
}

int kv_encode(const void *bytes, size_t size, struct rc_buffer *out)
{
    size_t length = (size + 2) / 3 * 4;

    if (rc_buffer_reserve(out, length + 1) == RC_OK) {
        rc_text_to_base64(bytes, size, (char *)out->bytes + out->size);
        out->size += length;
    }
    return out->err;
}

/* ---- put */

struct put {
    bool cas;
    bool acquire;
    bool release;
    bool base64;
    const char *modify_index;
    const char *flags;
    const char *session;
    const char *ttl;
    const char *key;
};

static const char *put_misuse(const struct put *put)
{
    if (put->cas + put->acquire + put->release > 1) {
        return "takes one of -cas, -acquire and -release";
    }
    if (put->cas && put->modify_index == NULL) {
        return "-cas wants -modify-index (0: only if the key is not there)";
    }
    if (!put->cas && put->modify_index != NULL) {
        return "-modify-index goes with -cas";
    }
    if ((put->acquire || put->release) && put->session == NULL) {
        return "-acquire and -release want -session";
    }
    return put->key[0] == '\0' ? "wants a key" : NULL;
}

static void put_path(const struct put *put, struct rc_buffer *path)
{
    kv_path(path, put->key);
    if (put->cas) {
        kv_parameter(path, "cas", put->modify_index);
    }
    if (put->flags != NULL) {
        kv_parameter(path, "flags", put->flags);
    }
    if (put->acquire) {
        kv_parameter(path, "acquire", put->session);
    }
    if (put->release) {
        kv_parameter(path, "release", put->session);
    }
    if (put->ttl != NULL) {
        kv_parameter(path, "ttl", put->ttl);
    }
}

/* "true" or "false" from the agent: RC_OK or RC_ECONFLICT, else an error that was told. */
static int ask_bool(const struct cli_client_flags *client,
                    const struct cli_request *request, const char *what)
{
    struct cli_answer answer;

    int err = cli_ask(client, request, &answer);
    if (err != RC_OK) {
        cli_error("Error! %s: %s", what, answer.error);
    } else if (strncmp(rc_buffer_string(&answer.body), "true", 4) != 0) {
        err = RC_ECONFLICT;
    }
    rc_buffer_fini(&answer.body);
    return err;
}

static int tell_put(const struct put *put, int err)
{
    const char *what = put->acquire   ? "Lock acquired on"
                       : put->release ? "Lock released on"
                                      : "Data written to";
    if (err == RC_OK) {
        (void)printf("Success! %s: %s\n", what, put->key);
    } else if (err == RC_ECONFLICT && put->cas) {
        cli_error("Error! Did not write to %s: CAS failed", put->key);
    } else if (err == RC_ECONFLICT) {
        cli_error("Error! Did not %s lock on: %s", put->acquire ? "acquire" : "release",
                  put->key);
    }
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

static int decode_in_place(struct rc_buffer *value)
{
    struct rc_buffer bytes = {0};

    int err = kv_decode(rc_buffer_string(value), &bytes);
    if (err != RC_OK) {
        cli_error("Error! the value is not base64");
        rc_buffer_fini(&bytes);
        return err;
    }
    rc_buffer_fini(value);
    *value = bytes;
    return RC_OK;
}

static int put_value(const struct cli_client_flags *client, const struct put *put,
                     const char *given)
{
    struct rc_buffer value = {0};
    struct rc_buffer path = {0};

    int err = kv_take_value(given, &value);
    if (err == RC_OK && put->base64) {
        err = decode_in_place(&value);
    }
    if (err == RC_OK) {
        put_path(put, &path);
        const struct cli_request request = {.method = "PUT",
                                            .path = rc_buffer_string(&path),
                                            .body = rc_buffer_string(&value),
                                            .body_size = value.size};
        err = ask_bool(client, &request, "Failed writing data");
    }
    rc_buffer_fini(&value);
    rc_buffer_fini(&path);
    return tell_put(put, err);
}

static int put_key(const struct cli_command *self, int count, char **words)
{
    struct put put = {.cas = false};
    const struct cli_flag flags[] = {
        {"cas", CLI_SWITCH, &put.cas, NULL, "write only if -modify-index is still right"},
        {"modify-index", CLI_TEXT, &put.modify_index, "N",
         "the key's ModifyIndex as it was read; 0: only if it is not there"},
        {"flags", CLI_TEXT, &put.flags, "N", "a number kept with the value"},
        {"acquire", CLI_SWITCH, &put.acquire, NULL, "take the key's lock for -session"},
        {"release", CLI_SWITCH, &put.release, NULL, "give it back"},
        {"session", CLI_TEXT, &put.session, "ID", "for -acquire and -release"},
        {"ttl", CLI_TEXT, &put.ttl, "TIME", "let the key go by itself after this time"},
        {"base64", CLI_SWITCH, &put.base64, NULL, "the value is base64: write its bytes"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count < 1 || parsed.word_count > 2) {
        return cli_misuse(self, "put wants a key and a value");
    }
    put.key = parsed.words[0];
    const char *misuse = put_misuse(&put);
    return misuse != NULL ? cli_misuse(self, misuse)
                          : put_value(&parsed.client, &put,
                                      parsed.word_count > 1 ? parsed.words[1] : "");
}

/* ---- delete */

static int delete_key(const struct cli_command *self, int count, char **words)
{
    bool cas = false;
    bool recurse = false;
    const char *modify_index = NULL;
    const struct cli_flag flags[] = {
        {"recurse", CLI_SWITCH, &recurse, NULL, "all keys with this prefix"},
        {"cas", CLI_SWITCH, &cas, NULL, "delete only if -modify-index is still right"},
        {"modify-index", CLI_TEXT, &modify_index, "N", "as the key was read"},
    };
    struct cli_parsed parsed;
    struct rc_buffer path = {0};

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count != 1 || (!recurse && parsed.words[0][0] == '\0')) {
        return cli_misuse(self, "delete wants one key");
    }
    if (cas != (modify_index != NULL) || (cas && recurse)) {
        return cli_misuse(self, "-cas goes with -modify-index, and not with -recurse");
    }
    kv_path(&path, parsed.words[0]);
    if (recurse) {
        kv_parameter(&path, "recurse", NULL);
    }
    if (cas) {
        kv_parameter(&path, "cas", modify_index);
    }
    const struct cli_request request = {.method = "DELETE",
                                        .path = rc_buffer_string(&path)};
    err = ask_bool(&parsed.client, &request, "Failed deleting");
    if (err == RC_OK) {
        (void)printf("Success! Deleted key%s: %s\n", recurse ? "s with prefix" : "",
                     parsed.words[0]);
    } else if (err == RC_ECONFLICT) {
        cli_error("Error! Did not delete key %s: CAS failed", parsed.words[0]);
    }
    rc_buffer_fini(&path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int kv_run(const struct cli_command *self, int count, char **words)
{
    static const struct {
        const char *name;
        int (*run)(const struct cli_command *self, int count, char **words);
    } parts[] = {
        {"get", kv_command_get},       {"put", put_key},
        {"delete", delete_key},        {"export", kv_command_export},
        {"import", kv_command_import},
    };
    if (count > 0 && words[0][0] == '-') {
        struct cli_parsed parsed;
        int err = cli_parse(self, NULL, 0, count, words, &parsed);
        return err == RC_OK ? cli_misuse(self, "wants get, put, delete, export or import")
                            : cli_parse_exit(err);
    }
    for (size_t i = 0; count > 0 && i < sizeof parts / sizeof parts[0]; i++) {
        if (rc_text_equals(words[0], parts[i].name)) {
            return parts[i].run(self, count - 1, words + 1);
        }
    }
    return cli_misuse(self, "wants get, put, delete, export or import");
}

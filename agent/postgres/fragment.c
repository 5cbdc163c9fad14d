#include "agent/postgres/fragment.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* What the keeper's promises rest on (restart_after_crash: it decides, section 3 of the design;
 * wal_retrieve_retry_interval: a promotion must not sleep for 5 s), and what makes a rewind
 * possible. What else a server needs (wal_level, max_wal_senders) is right by default. */
static const char fixed[] = "# Written by rollcall's keeper; changes are lost.\n"
                            "restart_after_crash = off\n"
                            "hot_standby = on\n"
                            "wal_log_hints = on\n"
                            "recovery_target_timeline = 'latest'\n"
                            "wal_receiver_status_interval = '1s'\n"
                            "wal_receiver_timeout = '5s'\n"
                            "wal_sender_timeout = '5s'\n"
                            "wal_keep_size = '256MB'\n"
                            "max_slot_wal_keep_size = '4GB'\n"
                            "tcp_keepalives_idle = 5\n"
                            "tcp_keepalives_interval = 1\n"
                            "tcp_keepalives_count = 4\n";

static const char names_key[] = "synchronous_standby_names = ";
static const char conninfo_key[] = "primary_conninfo = ";
static const char slot_key[] = "primary_slot_name = ";

void fragment_quote(const char *text, struct rc_buffer *out)
{
    rc_buffer_byte(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            rc_buffer_byte(out, '\'');
        }
        rc_buffer_byte(out, (uint8_t)*text);
    }
    rc_buffer_byte(out, '\'');
}

static void put(const char *key, const char *value, struct rc_buffer *out)
{
    rc_buffer_text(out, key);
    fragment_quote(value, out);
    rc_buffer_byte(out, '\n');
}

/* As on the command line: a file that says otherwise would be told off at each reload. */
static void put_place(const struct postgres_place *place, struct rc_buffer *out)
{
    put("listen_addresses = ", place->listen, out);
    rc_buffer_format(out, "port = %u\n", (unsigned)place->port);
    put("cluster_name = ", place->cluster, out);
    if (place->socket_dir[0] != '\0') {
        put("unix_socket_directories = ", place->socket_dir, out);
    }
    if (place->hba_file[0] != '\0') {
        put("hba_file = ", place->hba_file, out);
    }
}

void fragment_write(const struct fragment *fragment, const struct postgres_place *place,
                    struct rc_buffer *out)
{
    rc_buffer_text(out, fixed);
    put_place(place, out);
    /* A detached one looks for WAL in vain, and says so in its log each time. */
    put("wal_retrieve_retry_interval = ", fragment->conninfo[0] != '\0' ? "100ms" : "1s",
        out);
    put(names_key, fragment->names, out);
    put(conninfo_key, fragment->conninfo, out);
    put(slot_key, fragment->slot, out);
}

/* Undoes fragment_quote() up to the end of the line. */
static int unquote(const char *text, char *out, size_t size)
{
    size_t used = 0;

    if (*text++ != '\'') {
        return RC_EMALFORMED;
    }
    while (*text != '\0' && *text != '\n') {
        if (*text == '\'' && text[1] != '\'') {
            out[used] = '\0';
            return RC_OK;
        }
        text += *text == '\'';
        if (used + 1 >= size) {
            return RC_ETOOBIG;
        }
        out[used++] = *text++;
    }
    return RC_EMALFORMED;
}

static int take_line(const char *line, struct fragment *out)
{
    const struct {
        const char *key;
        char *place;
        size_t size;
    } keys[] = {
        {names_key, out->names, sizeof out->names},
        {conninfo_key, out->conninfo, sizeof out->conninfo},
        {slot_key, out->slot, sizeof out->slot},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (rc_text_starts_with(line, keys[i].key)) {
            int err = unquote(line + strlen(keys[i].key), keys[i].place, keys[i].size);
            if (err != RC_OK) {
                keys[i].place[0] = '\0';
            }
            return err == RC_ETOOBIG ? err : RC_OK;
        }
    }
    return RC_OK;
}

int fragment_read(const char *text, struct fragment *out)
{
    int err = RC_OK;

    memset(out, 0, sizeof *out);
    for (const char *line = text; line != NULL && err == RC_OK;) {
        err = take_line(line, out);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return err;
}

/* ---- postgresql.auto.conf, which PostgreSQL reads after all else. */

/* Whether `line` sets one of the parameters that the lines of `text` set. */
static bool sets_one_of(const char *line, size_t size, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t length = strcspn(text, " =\n");
        bool is_it = length < size && strncasecmp(line, text, length) == 0 &&
                     strchr(" \t=", line[length]) != NULL;
        if (text[0] != '#' && is_it) {
            return true;
        }
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return false;
}

bool fragment_without(const char *configuration, const char *fragment,
                      struct rc_buffer *out)
{
    bool is_less = false;

    for (const char *line = configuration; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *next = line + size + (line[size] == '\n' ? 1 : 0);
        size_t blank = strspn(line, " \t");
        if (blank < size && sets_one_of(line + blank, size - blank, fragment)) {
            is_less = true;
        } else {
            rc_buffer_append(out, line, (size_t)(next - line));
        }
        line = next;
    }
    return is_less;
}

/* libpq: in single quotes, where ' and \ get a backslash. */
static void put_conninfo(const char *key, const char *value, struct rc_buffer *out)
{
    rc_buffer_format(out, "%s%s='", out->size > 0 ? " " : "", key);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\') {
            rc_buffer_byte(out, '\\');
        }
        rc_buffer_byte(out, (uint8_t)*value);
    }
    rc_buffer_byte(out, '\'');
}

int fragment_conninfo(const struct postgres_place *place, const char *address,
                      uint16_t port, char out[FRAGMENT_CONNINFO_MAX])
{
    struct rc_buffer text = {.max = FRAGMENT_CONNINFO_MAX - 1};
    struct rc_buffer passwords = {0};

    put_conninfo("host", address, &text);
    rc_buffer_format(&text, " port=%u", (unsigned)port);
    put_conninfo("user", place->replication_user, &text);
    put_conninfo("application_name", place->node, &text);
    if (place->replication_password[0] != '\0') {
        rc_buffer_format(&passwords, "%s/" FRAGMENT_PASSWORDS, place->data_dir);
        put_conninfo("passfile", rc_buffer_string(&passwords), &text);
    }
    rc_buffer_text(&text, " connect_timeout=3 keepalives_idle=2 keepalives_interval=1 "
                          "keepalives_count=3 tcp_user_timeout=5000 gssencmode=disable");
    int err = text.err == RC_OK ? passwords.err : text.err;
    if (err == RC_OK) {
        (void)rc_text_put(out, FRAGMENT_CONNINFO_MAX, rc_buffer_string(&text));
    }
    rc_buffer_fini(&passwords);
    rc_buffer_fini(&text);
    return err;
}

bool fragment_is_included(const char *configuration)
{
    for (const char *line = configuration; line != NULL;) {
        const char *at = line + strspn(line, " \t");
        const char *end = strchr(line, '\n');
        size_t size = end != NULL ? (size_t)(end - at) : strlen(at);
        const char *name = memmem(at, size, FRAGMENT_FILE, strlen(FRAGMENT_FILE));
        if (rc_text_starts_with(at, "include") && name != NULL) {
            return true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

void fragment_include(const char *folder, struct rc_buffer *out)
{
    rc_buffer_text(out, "\n# Added by rollcall's keeper; must stay last.\n"
                        "include_if_exists '");
    rc_buffer_format(out, "%s%s" FRAGMENT_FILE "'\n", folder,
                     folder[0] != '\0' ? "/" : "");
}

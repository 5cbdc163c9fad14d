/* pg: the PostgreSQL clusters that keepers look after. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/pg.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

enum { WAIT_MS_DEFAULT = 30 * 1000, NS_PER_MS = 1000000 };

struct wish {
    struct pg_cluster cluster;
    enum cli_format format;
    const char *to;
    bool accept_loss;
    bool cancels;
    uint64_t due_ms; /* wall time; 0: at once */
    uint64_t wait_ms;
    const char *name; /* of the subcommand */
    const char *word; /* behind it; "" */
};

const json_t *pg_member(const json_t *view, const char *node)
{
    size_t i;
    const json_t *member;

    json_array_foreach(json_object_get(view, "Members"), i, member)
    {
        if (strcmp(rc_json_read_text(member, "Node"), node) == 0) {
            return member;
        }
    }
    return NULL;
}

/* ---- Asking. */

int pg_read(struct pg_cluster *cluster, uint64_t wait_ms, json_t **out)
{
    struct rc_buffer path = {0};
    struct cli_answer answer;

    rc_buffer_text(&path, "/v1/postgres/");
    cli_escape(&path, cluster->name);
    if (wait_ms > 0) {
        rc_buffer_format(&path, "?index=%" PRIu64 "&wait=%" PRIu64 "ms", cluster->index,
                         wait_ms);
    }
    const struct cli_request request = {.method = "GET", .path = rc_buffer_string(&path)};
    int err = cli_ask(cluster->client, &request, &answer);
    if (err == RC_OK) {
        *out = json_loadb(rc_buffer_string(&answer.body), answer.body.size, 0, NULL);
        cluster->index = answer.index;
        err = *out != NULL ? RC_OK : RC_EMALFORMED;
    }
    if (err != RC_OK) {
        cli_error("Error reading the cluster: %s",
                  answer.error[0] != '\0' ? answer.error : "the answer is not JSON");
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err;
}

/* PUTs `body` (taken) to the cluster's `path`; `*out` is owned by the caller. */
static int put(const struct wish *wish, const char *path, json_t *body, json_t **out)
{
    struct rc_buffer whole = {0};
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    rc_buffer_text(&whole, "/v1/postgres/");
    cli_escape(&whole, wish->cluster.name);
    rc_buffer_format(&whole, "/%s", path);
    int err = text == NULL ? RC_ENOMEM
                           : cli_put_json(wish->cluster.client, rc_buffer_string(&whole),
                                          text, "Error", out);
    free(text);
    rc_buffer_fini(&whole);
    return err;
}

/* Without -cluster: the only one there is, copied. NULL: told on stderr. */
static char *only_cluster(const struct cli_client_flags *client)
{
    json_t *list = NULL;
    char *name = NULL;

    if (cli_get_json(client, "/v1/postgres", "Error looking for clusters", &list) !=
        RC_OK) {
        return NULL;
    }
    if (json_array_size(list) == 1) {
        name = rc_text_copy(rc_json_read_text(json_array_get(list, 0), "Cluster"));
    } else if (json_array_size(list) == 0) {
        cli_error("Error: no keeper looks after a cluster yet (or this token may not "
                  "see it)");
    } else {
        cli_error("Error: there are several clusters: say -cluster");
    }
    json_decref(list);
    return name;
}

/* ---- Showing. */

static int show(struct wish *wish, void (*print)(const json_t *view), const char *part)
{
    json_t *view = NULL;

    if (pg_read(&wish->cluster, 0, &view) != RC_OK) {
        return CLI_FAILED;
    }
    if (wish->format == CLI_FORMAT_JSON) {
        cli_print_json(part != NULL ? json_object_get(view, part) : view);
    } else {
        pg_show_banner(view);
        print(view);
    }
    json_decref(view);
    return CLI_DONE;
}

static int status(struct wish *wish)
{
    return show(wish, pg_show_status, NULL);
}

static int members(struct wish *wish)
{
    return show(wish, pg_show_members, "Members");
}

static int history(struct wish *wish)
{
    return show(wish, pg_show_history, "History");
}

/* ---- Moving the primary. */

static int cancel(struct wish *wish)
{
    json_t *answer = NULL;

    if (put(wish, "cancel", json_object(), &answer) != RC_OK) {
        return CLI_FAILED;
    }
    (void)printf("Cancelled: %s\n", rc_json_read_text(answer, "Kind"));
    json_decref(answer);
    return CLI_DONE;
}

static void tell_plan(const struct wish *wish, const char *to)
{
    char at[PG_TIME_SPACE];

    rc_text_from_wall_ms(wish->due_ms, at);
    (void)printf(
        "Planned: %s to %s at %s; rollcall pg switchover -cancel takes it back\n",
        wish->name, to, at);
}

static int move(struct wish *wish)
{
    json_t *body = json_object();
    json_t *answer = NULL;
    int result = CLI_DONE;

    if (wish->due_ms != 0) {
        (void)json_object_set_new(body, "AtMs", json_integer((json_int_t)wish->due_ms));
    }

    if (wish->to != NULL) {
        (void)json_object_set_new(body, "To", json_string(wish->to));
    }
    (void)json_object_set_new(body, "AcceptLoss", json_boolean(wish->accept_loss));
    if (put(wish, wish->name, body, &answer) != RC_OK) {
        return CLI_FAILED;
    }
    const char *to = rc_json_read_text(answer, "To");
    if (wish->due_ms != 0) {
        tell_plan(wish, to);
    } else if (wish->wait_ms > 0) {
        result = pg_follow_move(&wish->cluster, rc_json_read_text(answer, "ID"), to,
                                wish->wait_ms);
    } else {
        (void)printf("Asked for: %s to %s\n", wish->name, to);
    }
    json_decref(answer);
    return result;
}

/* ---- Settings. */

static int pause_or_resume(struct wish *wish)
{
    json_t *answer = NULL;

    if (put(wish, wish->name, json_object(), &answer) != RC_OK) {
        return CLI_FAILED;
    }
    (void)printf("Cluster %s is %s\n", wish->cluster.name,
                 wish->name[0] == 'p' ? "paused" : "no longer paused");
    json_decref(answer);
    return CLI_DONE;
}

/* "mode=strict" and the like. */
static int settings(struct wish *wish)
{
    static const struct {
        const char *name;
        const char *key;
    } known[] = {{"mode", "Mode"}, {"max_lag_bytes", "MaxLagBytes"}, {"k", "K"}};
    json_t *answer = NULL;
    json_t *body = json_object();
    size_t size = strcspn(wish->word, "=");
    const char *value = wish->word[size] == '=' ? wish->word + size + 1 : "";
    uint64_t number = 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) == size &&
            strncmp(known[i].name, wish->word, size) == 0) {
            bool is_number = rc_text_to_u64(value, INT64_MAX, &number) == RC_OK;
            (void)json_object_set_new(body, known[i].key,
                                      is_number ? json_integer((json_int_t)number)
                                                : json_string(value));
        }
    }
    if (json_object_size(body) == 0) {
        cli_error("Error: no setting '%s': there are mode=, max_lag_bytes= and k=",
                  wish->word);
        json_decref(body);
        return CLI_USAGE;
    }
    if (put(wish, "settings", body, &answer) != RC_OK) {
        return CLI_FAILED;
    }
    (void)printf("Set: %s\n", wish->word);
    json_decref(answer);
    return CLI_DONE;
}

/* ---- Orders to one node. */

static int order(struct wish *wish)
{
    struct rc_buffer path = {0};
    json_t *answer = NULL;
    int result = CLI_DONE;

    rc_buffer_text(&path, "order/");
    cli_escape(&path, wish->word);
    int err = put(wish, rc_buffer_string(&path), json_pack("{s:s}", "Kind", wish->name),
                  &answer);
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    if (wish->wait_ms > 0) {
        result = pg_follow_order(&wish->cluster, rc_json_read_text(answer, "ID"),
                                 wish->word, wish->wait_ms);
    } else {
        (void)printf("Asked for: %s of %s\n", wish->name, wish->word);
    }
    json_decref(answer);
    return result;
}

/* ---- The command. */

static const struct part {
    const char *name;
    int words; /* behind it */
    int (*run)(struct wish *wish);
} parts[] = {
    {"status", 0, status},
    {"members", 0, members},
    {"history", 0, history},
    {"switchover", 0, move},
    {"failover", 0, move},
    {"pause", 0, pause_or_resume},
    {"resume", 0, pause_or_resume},
    {"settings", 1, settings},
    {"reinit", 1, order},
    {"restart", 1, order},
    {"reload", 1, order},
    {"stop", 1, order},
    {"start", 1, order},
    {"fence", 1, order},
    {"unfence", 1, order},
};

static const struct part *find(const struct cli_parsed *parsed)
{
    for (size_t i = 0; parsed->word_count > 0 && i < sizeof parts / sizeof parts[0];
         i++) {
        if (strcmp(parts[i].name, parsed->words[0]) == 0 &&
            parsed->word_count == parts[i].words + 1) {
            return &parts[i];
        }
    }
    return NULL;
}

/* RFC 3339 in UTC, or "+5m". */
static int read_time(const char *text, uint64_t *out)
{
    struct tm time = {.tm_isdst = 0};
    struct timespec now;
    uint64_t ns = 0;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (text[0] == '+') {
        int err = rc_text_to_duration_ns(text + 1, &ns);
        *out = (uint64_t)now.tv_sec * 1000 + ns / NS_PER_MS;
        return err;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &time);
    time_t seconds = end != NULL ? timegm(&time) : -1;
    if (end == NULL || strcmp(end, "Z") != 0 || seconds <= 0) {
        return RC_EMALFORMED;
    }
    *out = (uint64_t)seconds * 1000;
    return RC_OK;
}

static int run(struct wish *wish, const struct part *part)
{
    char *found = NULL;

    if (wish->cluster.name == NULL) {
        found = only_cluster(wish->cluster.client);
        wish->cluster.name = found;
    }
    int result = CLI_FAILED;
    if (wish->cluster.name != NULL) {
        result = wish->cancels ? cancel(wish) : part->run(wish);
    }
    free(found);
    return result;
}

int pg_run(const struct cli_command *self, int count, char **words)
{
    struct wish wish = {.to = NULL};
    const char *format = NULL;
    const char *wait = NULL;
    const char *at = NULL;
    const struct cli_flag flags[] = {
        {"cluster", CLI_TEXT, &wish.cluster.name, "NAME",
         "which one; not needed while there is one only"},
        {"format", CLI_TEXT, &format, "FORMAT", "table (default) or json"},
        {"to", CLI_TEXT, &wish.to, "NODE",
         "who becomes primary; a switchover finds the best by itself"},
        {"accept-loss", CLI_SWITCH, &wish.accept_loss, NULL,
         "fail over though writes that were acknowledged may be lost"},
        {"at", CLI_TEXT, &at, "TIME",
         "plan the switchover: 2026-01-31T03:00:00Z, or +5m from now"},
        {"cancel", CLI_SWITCH, &wish.cancels, NULL, "take a planned switchover back"},
        {"wait", CLI_TEXT, &wait, "TIME",
         "how long to follow what was asked for; default 30s, 0 for not at all"},
    };
    struct cli_parsed parsed;
    uint64_t wait_ns = (uint64_t)WAIT_MS_DEFAULT * NS_PER_MS;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    const struct part *part = find(&parsed);
    if (part == NULL) {
        return cli_misuse(self, "wants one of the forms above");
    }
    if (cli_format_parse(format, &wish.format) != RC_OK ||
        (wait != NULL && rc_text_to_duration_ns(wait, &wait_ns) != RC_OK)) {
        return cli_misuse(self, "-format is table or json, -wait a time such as 30s");
    }
    if ((at != NULL || wish.cancels) && strcmp(part->name, "switchover") != 0) {
        return cli_misuse(self, "-at and -cancel are for switchover");
    }
    if (at != NULL && read_time(at, &wish.due_ms) != RC_OK) {
        return cli_misuse(self, "-at is a time such as 2026-01-31T03:00:00Z, or +5m");
    }
    if (parsed.client.stale && part->run != status && part->run != members &&
        part->run != history) {
        return cli_misuse(self, "this is decided by what is: -stale is for looking");
    }
    wish.cluster.client = &parsed.client;
    wish.wait_ms = wait_ns / NS_PER_MS;
    wish.name = part->name;
    wish.word = part->words > 0 ? parsed.words[1] : "";
    return run(&wish, part);
}

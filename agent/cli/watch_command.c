/* watch: asks until something changes, and runs a command for it, as Consul's does. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/kv.h"
#include "agent/cli/say.h"
#include "agent/watch/watch_question.h"
#include "base/err.h"
#include "base/text.h"

enum { RETRY_FIRST_S = 1, RETRY_MAX_S = 60, INDENT = 4 };

/* What is being watched, and what was seen last. */
struct follow {
    const struct cli_parsed *parsed;
    struct watch_question question;
    bool uses_shell;
    uint64_t index;
    json_t *last; /* NULL: nothing yet */
};

/* ---- The command. */

static void write_all(int file, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(file, bytes, size);
        if (done < 0 && errno != EINTR) {
            return; /* it does not want to read: its affair */
        }
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        }
    }
}

/* In the child: never returns. */
static void become(const struct follow *follow, char *const *words, int input)
{
    char index[24];

    (void)snprintf(index, sizeof index, "%" PRIu64, follow->index);
    (void)setenv("CONSUL_INDEX", index, 1); // NOLINT(concurrency-mt-unsafe): one thread
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(input, STDIN_FILENO);
    (void)execvp(words[0], words);
    cli_error("Error starting handler: %s: %s", words[0], strerrordesc_np(errno));
    _exit(127);
}

/* Runs `words` with `json` and a line end on its standard input. Its status as of wait(). */
static int run_words(const struct follow *follow, char *const *words, const char *json)
{
    int ends[2];
    int status = -1;

    (void)fflush(NULL);
    if (pipe(ends) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[1]);
        become(follow, words, ends[0]);
    }
    (void)close(ends[0]);
    if (child > 0) {
        write_all(ends[1], json, strlen(json));
        write_all(ends[1], "\n", 1);
    }
    (void)close(ends[1]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Consul's: the words joined by spaces, for the shell; -shell=false: as they are. */
static int run_command(const struct follow *follow, const char *json)
{
    const struct cli_parsed *parsed = follow->parsed;
    struct rc_buffer line = {0};
    char **words = calloc((size_t)parsed->word_count + 1, sizeof *words);
    int status = -1;

    for (int i = 0; i < parsed->word_count; i++) {
        rc_buffer_format(&line, "%s%s", i > 0 ? " " : "", parsed->words[i]);
        if (words != NULL) {
            words[i] = parsed->words[i];
        }
    }
    char *const shell[] = {(char *)"/bin/sh", (char *)"-c", (char *)line.bytes, NULL};
    if (words != NULL && line.err == RC_OK) {
        status = run_words(follow, follow->uses_shell ? shell : words, json);
    }
    rc_buffer_fini(&line);
    free(words);
    if (status == 0) {
        return CLI_DONE;
    }
    if (status > 0 && WIFSIGNALED(status)) {
        cli_error("Error executing handler: signal %d", WTERMSIG(status));
    } else {
        cli_error("Error executing handler: exit status %d",
                  status > 0 ? WEXITSTATUS(status) : 1);
    }
    return CLI_FAILED;
}

/* ---- The questions. */

static bool is_of_keys(const struct watch_question *question)
{
    return question->type == WATCH_KEY || question->type == WATCH_KEY_PREFIX;
}

/* Of a list of one that one, of an empty list null: what Consul gives to handlers. */
static void take_only(json_t **list)
{
    json_t *one = json_array_get(*list, 0);

    one = one != NULL ? json_incref(one) : json_null();
    json_decref(*list);
    *list = one;
}

/* One question; waits while the answer has the index that is known. RC_OK with `*out` owned. */
static int ask(const struct follow *follow, json_t **out, uint64_t *index, char *why,
               size_t why_size)
{
    struct rc_buffer path = {0};
    struct cli_answer answer;

    watch_question_target(&follow->question, &path);
    if (follow->index > 0) {
        rc_buffer_format(&path, "%cindex=%" PRIu64,
                         strchr(rc_buffer_string(&path), '?') != NULL ? '&' : '?',
                         follow->index);
    }
    const struct cli_request request = {.method = "GET", .path = rc_buffer_string(&path)};
    int err = cli_ask(&follow->parsed->client, &request, &answer);
    bool of_keys = is_of_keys(&follow->question);
    if (of_keys && answer.status == 404 && answer.body.size == 0) {
        err = RC_OK; /* nothing there is an answer, too */
        rc_buffer_text(&answer.body, "[]");
    }
    if (err == RC_OK) {
        *out = of_keys ? kv_load(answer.body.bytes, answer.body.size, NULL)
                       : json_loadb((const char *)answer.body.bytes, answer.body.size,
                                    JSON_DECODE_ANY, NULL);
        *index = answer.index;
        err = *out != NULL ? RC_OK : RC_EMALFORMED;
    }
    if (err == RC_OK && follow->question.type == WATCH_KEY) {
        take_only(out);
    }
    (void)snprintf(why, why_size, "%s",
                   err == RC_EMALFORMED ? "the answer is not JSON" : answer.error);
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err;
}

/* True if `fresh` (taken) is news; it stands in follow->last then. */
static bool take(struct follow *follow, json_t *fresh, uint64_t index)
{
    uint64_t known = follow->index;

    follow->index = index < known && follow->question.type != WATCH_EVENT ? 0 : index;
    if (follow->last != NULL &&
        (index == known || json_equal(follow->last, fresh) == 1)) {
        json_decref(fresh);
        return false;
    }
    json_decref(follow->last);
    follow->last = fresh;
    return true;
}

static int handle(const struct follow *follow, uint64_t known)
{
    json_t *news = follow->last;

    if (follow->question.type == WATCH_EVENT) {
        news = json_deep_copy(follow->last);
        watch_drop_known_events(news, known);
    } else {
        (void)json_incref(news);
    }
    bool is_empty = follow->question.type == WATCH_EVENT && json_array_size(news) == 0;
    struct rc_buffer text = {0};
    kv_write(news, JSON_COMPACT, &text);
    int result = text.err != RC_OK ? CLI_FAILED : CLI_DONE;
    if (result == CLI_DONE && !is_empty) {
        result = run_command(follow, rc_buffer_string(&text));
    }
    rc_buffer_fini(&text);
    json_decref(news);
    return result;
}

static void wait_a_while(unsigned failures)
{
    unsigned seconds = RETRY_FIRST_S;

    for (unsigned i = 1; i < failures && seconds < RETRY_MAX_S; i++) {
        seconds *= 2;
    }
    const struct timespec time = {seconds < RETRY_MAX_S ? seconds : RETRY_MAX_S, 0};
    (void)nanosleep(&time, NULL);
}

/* Until the command fails. An agent that does not answer is asked again. */
static int follow_on(struct follow *follow)
{
    unsigned failures = 0;
    int result = CLI_DONE;
    char why[512];

    while (result == CLI_DONE) {
        json_t *fresh = NULL;
        uint64_t known = follow->index;
        uint64_t index = 0;
        if (ask(follow, &fresh, &index, why, sizeof why) != RC_OK) {
            failures++;
            cli_error("Watch (type: %s) errored: %s",
                      watch_type_name(follow->question.type), why);
            follow->index = 0;
            wait_a_while(failures);
            continue;
        }
        failures = index > 0 ? 0 : 1;
        if (index == 0) { /* nothing to wait on: not one of ours? */
            wait_a_while(failures);
        }
        if (take(follow, fresh, index)) {
            result = handle(follow, known);
        }
    }
    return result;
}

static int show_once(const struct follow *follow)
{
    json_t *fresh = NULL;
    uint64_t index = 0;
    char why[512];

    if (ask(follow, &fresh, &index, why, sizeof why) != RC_OK) {
        cli_error("Error querying: %s", why);
        return CLI_FAILED;
    }
    struct rc_buffer text = {0};
    kv_write(fresh, JSON_INDENT(INDENT), &text);
    (void)printf("%s\n", rc_buffer_string(&text));
    rc_buffer_fini(&text);
    json_decref(fresh);
    return CLI_DONE;
}

/* ---- The flags. */

static int settle(const struct cli_command *self, struct follow *follow, const char *type)
{
    char fault[WATCH_FAULT_MAX];

    int err = watch_type_parse(type, &follow->question.type, fault);
    if (err == RC_OK && follow->question.type == WATCH_QUERY) {
        err = RC_EINVAL;
        (void)rc_text_put(fault, sizeof fault,
                          "queries are answered by watches of the agent's configuration");
    }
    if (err == RC_OK) {
        err = watch_question_check(&follow->question, fault);
    }
    return err == RC_OK ? CLI_DONE : cli_misuse(self, fault);
}

int watch_run(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;
    struct follow follow = {.parsed = &parsed, .uses_shell = true};
    struct watch_question *question = &follow.question;
    struct cli_list tags = {.count = 0};
    const char *type = NULL;
    const char *prefix = NULL;
    const struct cli_flag flags[] = {
        {"type", CLI_TEXT, &type, "TYPE", "what to watch"},
        {"key", CLI_TEXT, &question->key, "KEY", "of type key"},
        {"prefix", CLI_TEXT, &prefix, "TEXT", "of type keyprefix"},
        {"name", CLI_TEXT, &question->name, "NAME", "only events of this name"},
        {"service", CLI_TEXT, &question->service, "NAME", "of service and checks"},
        {"tag", CLI_LIST, &tags, "TAG", "the instance has it; may be repeated"},
        {"state", CLI_TEXT, &question->state, "STATE",
         "of checks: any (default), passing, warning or critical"},
        {"passingonly", CLI_SWITCH, &question->passing_only, NULL,
         "only healthy instances of the service"},
        {"shell", CLI_SWITCH, &follow.uses_shell, NULL,
         "run the command by the shell (default); false: as it is"},
    };

    int err = cli_parse_until_word(self, flags, sizeof flags / sizeof flags[0], count,
                                   words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    question->tags = tags.items;
    question->tag_count = tags.count;
    if (prefix != NULL && rc_text_equals(type, "keyprefix")) {
        question->key = prefix;
    }
    int result = settle(self, &follow, type);
    if (result == CLI_DONE) {
        result = parsed.word_count > 0 ? follow_on(&follow) : show_once(&follow);
    }
    json_decref(follow.last);
    return result;
}

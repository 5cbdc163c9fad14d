/* lock: runs a command while holding a lock, with Consul's flags and exit status. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/cli/commands.h"
#include "agent/cli/lock.h"
#include "agent/cli/say.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

enum { TTL_MS = 15000, TTL_LEAST_MS = 1000, LIMIT_MAX = 1024, CHILD_FAILED = 2 };

struct wish {
    const char *limit;
    const char *name;
    const char *try_for;
    const char *timeout;
    const char *monitor_retry;
    const char *ttl;
    const char *lock_delay;
    bool shell;
    bool child_exit_code;
    bool pass_stdin;
    bool verbose;
};

static void tell(const struct wish *wish, const char *text)
{
    if (wish->verbose) {
        (void)printf("%s\n", text);
        (void)fflush(stdout);
    }
}

/* RC_OK, or RC_ETIMEOUT after -try, or RC_EINVAL; told on stderr. */
static int acquire(const struct wish *wish, struct lock_claim *claim, uint64_t try_ms)
{
    uint64_t end = try_ms > 0 ? lock_now_ms() + try_ms : UINT64_MAX;
    char told[LOCK_TEXT_MAX] = "";

    for (;;) {
        int err = lock_try(claim);
        if (err == RC_OK) {
            return RC_OK;
        }
        if (err != RC_EAGAIN) {
            cli_error("Lock acquisition failed: %s", claim->why);
            return err;
        }
        if (wish->verbose && !rc_text_equals(told, claim->why)) {
            (void)snprintf(told, sizeof told, "%s", claim->why);
            cli_error("waiting: %s", claim->why);
        }
        uint64_t now = lock_now_ms();
        if (now >= end) {
            cli_error("Lock acquisition failed: not within -try: %s", claim->why);
            (void)lock_give_back(claim);
            return RC_ETIMEOUT;
        }
        uint64_t part = claim->ttl_ms / 3;
        lock_wait(claim, end - now < part ? end - now : part);
    }
}

/* The command as it is run: by the shell, or the words themselves. */
static int run(const struct wish *wish, struct lock_claim *claim,
               const struct cli_parsed *parsed, struct lock_ending *ending)
{
    struct rc_buffer line = {0};
    char **words = calloc((size_t)parsed->word_count, sizeof *words);
    char shell[] = "/bin/sh";
    char option[] = "-c";

    for (int i = 1; words != NULL && i < parsed->word_count; i++) {
        rc_buffer_format(&line, "%s%s", i > 1 ? " " : "", parsed->words[i]);
        words[i - 1] = parsed->words[i];
    }
    char *by_shell[] = {shell, option, (char *)line.bytes, NULL};
    const struct lock_command command = {.words = wish->shell ? by_shell : words,
                                         .pass_stdin = wish->pass_stdin};
    int err = words == NULL || line.err != RC_OK ? RC_ENOMEM
                                                 : lock_hold(claim, &command, ending);
    rc_buffer_fini(&line);
    free(words);
    return err;
}

static int result_of(const struct wish *wish, const struct lock_ending *ending)
{
    if (ending->lost) {
        cli_error("Lock lost, the command was ended");
        return CLI_FAILED;
    }
    bool failed = !WIFEXITED(ending->status) || WEXITSTATUS(ending->status) != 0;
    if (failed && WIFSIGNALED(ending->status)) {
        cli_error("Error running handler: signal %d", WTERMSIG(ending->status));
    } else if (failed) {
        cli_error("Error running handler: exit status %d", WEXITSTATUS(ending->status));
    }
    return failed && wish->child_exit_code ? CHILD_FAILED : CLI_DONE;
}

static int lock_and_run(const struct wish *wish, struct lock_claim *claim,
                        const struct cli_parsed *parsed, uint64_t try_ms)
{
    struct lock_ending ending;

    tell(wish, "Attempting lock acquisition");
    if (acquire(wish, claim, try_ms) != RC_OK) {
        return CLI_FAILED;
    }
    tell(wish, "Lock acquired, starting the command");
    int err = run(wish, claim, parsed, &ending);
    if (err != RC_OK) {
        cli_error("Error starting handler: %s",
                  err == RC_EIO ? strerrordesc_np(errno) : rc_strerror(err));
    }
    if (lock_give_back(claim) != RC_OK && (err != RC_OK || !ending.lost)) {
        cli_error("Lock release failed, its session ends by itself: %s", claim->why);
    }
    tell(wish, "Cleanup done");
    return err == RC_OK ? result_of(wish, &ending) : CLI_FAILED;
}

static int read_ms(const char *text, uint64_t *out)
{
    uint64_t ns = 0;

    int err = rc_text_to_duration_ns(text, &ns);
    *out = ns / 1000000;
    return err;
}

/* NULL, or what is wrong with the flags. */
static const char *read_wish(const struct wish *wish, struct lock_claim *claim,
                             uint64_t *try_ms)
{
    const char *try_for = wish->try_for != NULL ? wish->try_for : wish->timeout;
    uint64_t limit = 1;
    uint64_t ignored = 0;

    if (wish->limit != NULL &&
        (rc_text_to_u64(wish->limit, LIMIT_MAX, &limit) != RC_OK || limit == 0)) {
        return "-n is 1 (a lock) to 1024 (a semaphore)";
    }
    claim->limit = (unsigned)limit;
    if (try_for != NULL && read_ms(try_for, try_ms) != RC_OK) {
        return "-try is a time, such as 10s";
    }
    if (wish->lock_delay != NULL && read_ms(wish->lock_delay, &ignored) != RC_OK) {
        return "-lock-delay is a time, such as 5s";
    }
    claim->lock_delay = wish->lock_delay;
    claim->ttl_ms = TTL_MS;
    if (wish->ttl != NULL &&
        (read_ms(wish->ttl, &claim->ttl_ms) != RC_OK || claim->ttl_ms < TTL_LEAST_MS)) {
        return "-ttl is a time of 1s or more";
    }
    return NULL;
}

int lock_run(const struct cli_command *self, int count, char **words)
{
    struct wish wish = {.shell = true};
    struct lock_claim claim = {.limit = 1};
    const struct cli_flag flags[] = {
        {"n", CLI_TEXT, &wish.limit, "N", "how many may hold it at once; default 1"},
        {"name", CLI_TEXT, &wish.name, "NAME", "of the session"},
        {"try", CLI_TEXT, &wish.try_for, "TIME", "give up after this; default: never"},
        {"timeout", CLI_TEXT, &wish.timeout, "TIME", "the old word for -try"},
        {"ttl", CLI_TEXT, &wish.ttl, "TIME",
         "of the session: what others wait when this machine dies; default 15s"},
        {"lock-delay", CLI_TEXT, &wish.lock_delay, "TIME",
         "how long nobody gets it after its session ended unasked; default 15s"},
        {"monitor-retry", CLI_TEXT, &wish.monitor_retry, "N",
         "accepted; renewing is tried until the session could end"},
        {"shell", CLI_SWITCH, &wish.shell, NULL,
         "run the words by /bin/sh; default true"},
        {"child-exit-code", CLI_SWITCH, &wish.child_exit_code, NULL,
         "end with 2 when the command fails"},
        {"pass-stdin", CLI_SWITCH, &wish.pass_stdin, NULL,
         "let the command read standard input"},
        {"verbose", CLI_SWITCH, &wish.verbose, NULL, "tell what is being done"},
    };
    struct cli_parsed parsed;
    uint64_t try_ms = 0;

    int err = cli_parse_until_word(self, flags, sizeof flags / sizeof flags[0], count,
                                   words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count < 2) {
        return cli_misuse(self, "wants a prefix and a command");
    }
    const char *misuse = read_wish(&wish, &claim, &try_ms);
    const char *given = parsed.words[0][0] == '/' ? parsed.words[0] + 1 : parsed.words[0];
    size_t length = strlen(given);
    while (length > 0 && given[length - 1] == '/') {
        length--;
    }
    if (misuse == NULL && (length == 0 || length + sizeof "/.lock" > LOCK_PATH_MAX)) {
        misuse = "wants a prefix of 1 to 1000 characters";
    }
    if (misuse != NULL) {
        return cli_misuse(self, misuse);
    }
    (void)snprintf(claim.prefix, sizeof claim.prefix, "%.*s", (int)length, given);
    (void)snprintf(claim.key, sizeof claim.key, "%.*s/.lock", (int)length, given);
    claim.client = &parsed.client;
    claim.session_name = wish.name != NULL ? wish.name : "rollcall lock";
    return lock_and_run(&wish, &claim, &parsed, try_ms);
}

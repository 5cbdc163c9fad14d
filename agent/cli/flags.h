/* flags.h - options as Consul's users write them: -flag, --flag, -flag=value, -flag value. */
#ifndef AGENT_CLI_FLAGS_H
#define AGENT_CLI_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

struct cli_command;

enum cli_flag_kind {
    CLI_SWITCH, /* -flag, -flag=true, -flag=false */
    CLI_TEXT,   /* the last one wins */
    CLI_LIST    /* may be repeated */
};

enum { CLI_LIST_MAX = 64, CLI_FLAGS_MAX = 24 };

struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

struct cli_flag {
    const char *name;
    enum cli_flag_kind kind;
    void *place;         /* bool *, const char ** or struct cli_list * */
    const char *value;   /* what stands for the value in --help, such as "NAME" */
    const char *meaning; /* one line for --help */
};

/* How to reach the agent; filled from flags and environment by cli_parse(). */
struct cli_client_flags {
    const char *http_addr;
    const char *token;
    const char *token_file;
    const char *auth; /* "user:password" for whatever stands before the agent */
    const char *ca_file;
    const char *ca_path;
    const char *client_cert;
    const char *client_key;
    const char *datacenter;
    bool stale;
    bool tls;            /* for an address without a scheme */
    bool tls_unverified; /* take any certificate */
};

struct cli_parsed {
    struct cli_client_flags client;
    char **words; /* what is not a flag, in order */
    int word_count;
};

/* Reads `words` by `flags` and the client's own flags. RC_OK with `*out` filled (borrowing from
 * `words`, which is reordered); RC_EINVAL after telling on stderr what is wrong; RC_ECLOSED
 * after --help was printed. */
int cli_parse(const struct cli_command *command, const struct cli_flag *flags,
              size_t flag_count, int count, char **words, struct cli_parsed *out);

/* The same, but the first word ends the flags: what follows is a command of its own. */
int cli_parse_until_word(const struct cli_command *command, const struct cli_flag *flags,
                         size_t flag_count, int count, char **words,
                         struct cli_parsed *out);

/* The exit status that goes with cli_parse()'s error. */
int cli_parse_exit(int err);

/* Prints "rollcall NAME: TEXT" and where help is; returns CLI_USAGE. */
int cli_misuse(const struct cli_command *command, const char *text);

#endif

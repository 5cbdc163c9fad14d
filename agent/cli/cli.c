#include "agent/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands.h"
#include "agent/cli/say.h"
#include "base/text.h"
#include "base/version.h"

#ifndef ROLLCALL_REVISION
#define ROLLCALL_REVISION ""
#endif

const char cli_version[] = ROLLCALL_VERSION;
const char cli_revision[] = ROLLCALL_REVISION;

static const struct cli_command commands[] = {
    {"members", "who is in the cluster, and how it stands",
     "usage: rollcall members [flags]\n\n"
     "Lists the members as the agent sees them. Ends with 2 when none matches -status.\n"
     "With -detailed also: Serf's protocol, incarnation, how long it has stood so, round "
     "trip.\n",
     members_run},
    {"join", "join a cluster through one of its members",
     "usage: rollcall join ADDRESS...\n\n"
     "Makes the agent join the cluster that the addresses belong to.\n",
     join_run},
    {"leave", "make the agent leave the cluster and stop",
     "usage: rollcall leave [-force]\n\n"
     "The agent says goodbye, so that nobody takes it for failed, and ends. When it keeps the "
     "primary of a PostgreSQL cluster a standby takes over first; where none can without loss it "
     "is refused, unless forced.\n",
     leave_run},
    {"force-leave", "count a failed member as one that left",
     "usage: rollcall force-leave [-prune] NODE\n\n"
     "A member that still runs will come back by itself.\n",
     force_leave_run},
    {"event", "fire a user event",
     "usage: rollcall event [flags] NAME [PAYLOAD]\n"
     "       rollcall event -name NAME [flags] [PAYLOAD]\n\n"
     "Every member gets it, those of Serf too; the filters say for whom it is meant. Name, "
     "payload and\nfilters share 512 bytes.\n",
     event_run},
    {"query", "ask all members, and wait for their answers",
     "usage: rollcall query [flags] NAME [PAYLOAD]\n\n"
     "Who answers is decided by the members: those with a watch of type query of that "
     "name, or a handler of Serf.\n",
     query_run},
    {"rtt", "estimate the round trip between two nodes",
     "usage: rollcall rtt NODE [NODE]\n\n"
     "By their network coordinates; without a second node, from the agent's own.\n",
     rtt_run},
    {"dns", "what DNS answers to a name, and why",
     "usage: rollcall dns NAME [TYPE] [flags]\n\n"
     "Which instances were considered, which are left out and why, the TTL and where it comes "
     "from, and\nthe answer as it is sent. A short NAME (web, primary.postgres, 10.0.0.1) is "
     "completed. TYPE: by the\nname, of a service A, AAAA and SRV. Ends with 1 when there is no "
     "record.\n",
     dns_run},
    {"watch", "run a command whenever something changes",
     "usage: rollcall watch -type TYPE [flags] [COMMAND...]\n\n"
     "Types: nodes, services, service, checks, event, members, key, keyprefix. The command "
     "gets JSON on\nits standard input and CONSUL_INDEX in its environment. Without one: prints the JSON as it "
     "is now, and ends.\n",
     watch_run},
    {"reload", "make the agent read its configuration again",
     "usage: rollcall reload\n\n"
     "Services, checks, watches and the log level are taken over in one step, or, on an error, not "
     "at all.\n",
     reload_run},
    {"info", "what the agent says of itself",
     "usage: rollcall info\n\nSections of key = value lines.\n", info_run},
    {"services", "register or deregister services of the agent",
     "usage: rollcall services register [flags] [FILE...]\n"
     "       rollcall services deregister [-id ID] [FILE...]\n\n"
     "A file holds definitions as in the configuration, in JSON: {\"service\": {...}}.\n",
     services_run},
    {"catalog", "nodes, services and datacenters that are known",
     "usage: rollcall catalog nodes [flags]\n"
     "       rollcall catalog services [flags]\n"
     "       rollcall catalog datacenters\n",
     catalog_run},
    {"maint", "take a node or a service out of all answers, and back",
     "usage: rollcall maint [-enable|-disable] [-service ID] [-reason TEXT] [-force]\n\n"
     "Without -enable or -disable: lists what is in maintenance.\n",
     maint_run},
    {"monitor", "follow the agent's log",
     "usage: rollcall monitor [-log-level LEVEL] [-log-json]\n\nEnds with Ctrl-C.\n",
     monitor_run},
    {"debug", "what gossip did lately, and why",
     "usage: rollcall debug gossip [flags]\n\n"
     "Health, queues, open suspicions, whom we refuse, and how members changed.\n",
     debug_run},
    {"keygen", "make a key for gossip encryption, or a server's key",
     "usage: rollcall keygen [-server FILE]\n\nPrints 32 random bytes in base64, for "
     "-encrypt. With -server it makes the key pair\nby which servers prove to be some: "
     "the secret for link.server_key_file, the public\nkey for "
     "link.server_public_keys.\n",
     keygen_run},
    {"keyring", "the keys of gossip encryption, in the whole pool",
     "usage: rollcall keyring -list|-list-primary [flags]\n"
     "       rollcall keyring -install KEY [flags]\n"
     "       rollcall keyring -use KEY [-force] [flags]\n"
     "       rollcall keyring -remove KEY [-force] [flags]\n\n"
     "To change the key of a pool: -install the new one, -use it, -remove the old one. A\n"
     "step that would lose members which are away is refused. KEY may be -: then it is\n"
     "read from standard input, where `ps` does not show it.\n",
     keyring_run},
    {"kv", "read and write keys of the store",
     "usage: rollcall kv get [flags] KEY\n"
     "       rollcall kv put [flags] KEY [VALUE|@FILE|-]\n"
     "       rollcall kv delete [flags] KEY\n"
     "       rollcall kv export [PREFIX]\n"
     "       rollcall kv import [-prefix TEXT] DATA|@FILE|-\n\n"
     "Any agent answers, as long as a server of the pool keeps a store.\n",
     kv_run},
    {"lock", "run a command while holding a lock",
     "usage: rollcall lock [flags] PREFIX COMMAND...\n\n"
     "Waits for the lock PREFIX/.lock, or for a place among -n, runs the command and gives it "
     "back. When\nthe lock is lost, or can no longer be renewed, the command gets SIGTERM, and "
     "SIGKILL before anybody\nelse can hold it. CONSUL_LOCK_HELD and ROLLCALL_LOCK_TERM, a number "
     "that grows with every holder,\nare in its environment.\n",
     lock_run},
    {"session", "what locks hang on",
     "usage: rollcall session create [flags]\n"
     "       rollcall session renew|destroy|info ID\n"
     "       rollcall session list\n",
     session_run},
    {"operator", "the engine of the store: its members and how they are",
     "usage: rollcall operator raft list-peers\n"
     "       rollcall operator autopilot get-config\n"
     "       rollcall operator autopilot set-config [-SETTING=VALUE ...]\n"
     "       rollcall operator autopilot state\n"
     "       rollcall operator link revoke KEY\n"
     "       rollcall operator link revoked\n\n"
     "The words are Consul's; who is shown are the members of the etcd cluster, or the one "
     "server with\nSQLite.\n",
     operator_run},
    {"snapshot", "save the store into a file, and back",
     "usage: rollcall snapshot save [-stale] FILE\n"
     "       rollcall snapshot restore FILE\n"
     "       rollcall snapshot inspect [-format json] FILE\n\n"
     "A snapshot holds keys, prepared queries and tokens (their hashes), not sessions and locks. "
     "It may be\nrestored into a store of another engine. What is there before is replaced by "
     "it.\n",
     snapshot_run},
    {"acl", "tokens, policies and roles, and why a request is refused",
     "usage: rollcall acl bootstrap\n"
     "       rollcall acl token create|read|update|clone|delete|list [flags]\n"
     "       rollcall acl policy create|read|update|delete|list [flags]\n"
     "       rollcall acl role create|read|update|delete|list [flags]\n"
     "       rollcall acl explain METHOD PATH [NAME]\n"
     "       rollcall acl explain RESOURCE [NAME] read|list|write\n\n"
     "bootstrap makes the first token, on a server's own machine, once. A token's SecretID is "
     "shown when\nit is made and never again. explain says which rule of which policy decides "
     "about the token that is\nsent (-token), and ends with 1 if it is refused. Ready made: the "
     "roles read, register and admin.\n",
     acl_run},
    {"store", "how the store stands, and moving it to another engine",
     "usage: rollcall store status [-format json]\n"
     "       rollcall store migrate -to ADDR [-to-token-file FILE]\n\n"
     "Migrate copies the store of the agent at hand into that of another pool, or of the same "
     "one before\nit is switched over, and compares both. Stop whoever writes first; sessions and "
     "locks are not taken\nalong. What the other store held before is replaced.\n",
     store_run},
    {"pg", "PostgreSQL clusters: who is primary, and moving it",
     "usage: rollcall pg status|members|history [flags]\n"
     "       rollcall pg switchover [-to NODE] [-at TIME] [flags]\n"
     "       rollcall pg switchover -cancel [flags]\n"
     "       rollcall pg failover -to NODE [-accept-loss] [flags]\n"
     "       rollcall pg pause|resume [flags]\n"
     "       rollcall pg settings mode=async|sync|strict|max_lag_bytes=BYTES|k=NUMBER\n"
     "       rollcall pg stop|start|restart|reload|reinit|fence|unfence NODE [flags]\n\n"
     "A switchover moves the primary with the help of the old one and loses nothing; a failover "
     "does\nwithout it. reinit copies a standby anew. stop stays until start, fence until "
     "unfence. What would\nharm is refused, and why is said.\n",
     pg_run},
    {"template", "keep files right that are made from catalog and store",
     "usage: rollcall template -config PATH [flags]\n"
     "       rollcall template -template IN:OUT[:RELOAD] [flags]\n\n"
     "Renders templates and writes the files when something has changed: whole or not at all, "
     "after their\ncheck, and runs their reload. SIGHUP reads everything again. Ends with 0; 12 "
     "after SIGINT; 13 for\nwrong flags; 14 when -once did not work; 15 for configuration and "
     "templates that cannot be read.\nman rollcall-template tells what stands in templates.\n",
     template_command_run},
    {"version", "print the version", "usage: rollcall version [-format json]\n",
     version_run},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], CLOSE_ENOUGH = 2 };

struct command_list {
    const struct cli_command *own;
    size_t own_count;
};

static const struct cli_command *command_at(const struct command_list *list, size_t i)
{
    if (i < list->own_count) {
        return &list->own[i];
    }
    return i - list->own_count < COMMAND_COUNT ? &commands[i - list->own_count] : NULL;
}

static int print_list(const struct command_list *list, FILE *to)
{
    (void)fprintf(to, "usage: rollcall COMMAND [flags]\n\nCommands:\n");
    const struct cli_command *command;
    for (size_t i = 0; (command = command_at(list, i)) != NULL; i++) {
        (void)fprintf(to, "  %-12s %s\n", command->name, command->summary);
    }
    (void)fprintf(to, "\nrollcall COMMAND -help tells more.\n");
    return to == stdout ? CLI_DONE : CLI_USAGE;
}

static int unknown(const struct command_list *list, const char *name)
{
    const struct cli_command *command;
    const char *close = NULL;
    for (size_t i = 0; (command = command_at(list, i)) != NULL; i++) {
        if (rc_text_distance(command->name, name) <= CLOSE_ENOUGH) {
            close = command->name;
        }
    }
    cli_error("rollcall: no command '%s'%s%s%s; see rollcall help", name,
              close != NULL ? ", did you mean '" : "", close != NULL ? close : "",
              close != NULL ? "'?" : "");
    return CLI_USAGE;
}

/* A full disk behind `>` must not look like success; a closed pipe is no news to anybody. */
static int finish(int result)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return result;
    }
    if (errno != EPIPE && errno != 0) {
        cli_error("rollcall: standard output: %s", strerrordesc_np(errno));
    }
    return CLI_FAILED;
}

int cli_run(const struct cli_command *own, size_t own_count, int count, char **arguments)
{
    const struct command_list list = {own, own_count};
    const char *name = count > 0 ? arguments[0] : "";

    if (count == 0) {
        return print_list(&list, stderr);
    }
    if (rc_text_equals(name, "help") || rc_text_equals(name, "-h") ||
        rc_text_equals(name, "-help") || rc_text_equals(name, "--help")) {
        return finish(print_list(&list, stdout));
    }
    if (rc_text_equals(name, "-v") || rc_text_equals(name, "-version") ||
        rc_text_equals(name, "--version")) {
        name = "version";
    }
    const struct cli_command *command;
    for (size_t i = 0; (command = command_at(&list, i)) != NULL; i++) {
        if (rc_text_equals(command->name, name)) {
            return finish(command->run(command, count - 1, arguments + 1));
        }
    }
    return unknown(&list, name);
}

/* place.h - the PostgreSQL server that is kept here: where it is and as whom it is asked. */
#ifndef AGENT_POSTGRES_PLACE_H
#define AGENT_POSTGRES_PLACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PLACE_PATH_MAX = 1024, PLACE_PASSWORD_MAX = 256 };

/* Texts are borrowed for as long as whoever was given it lives, and may be "" where it says so. */
struct postgres_place {
    const char *cluster;
    const char *node;
    const char *data_dir;
    const char *bin_dir;
    const char *config_file; /* "": postgresql.conf in data_dir */
    const char *hba_file;    /* "": as the configuration says */
    const char *listen;      /* listen_addresses */
    const char *socket_dir;  /* "": it is asked at 127.0.0.1 */
    uint16_t port;
    const char *user; /* of our own sessions */
    const char *database;
    const char *password; /* "": none is needed */
    const char *replication_user;
    const char *replication_password;
    const char *repair_mark; /* file that stands while the data folder is half done */
    unsigned keep_old;       /* old data folders kept when it is copied anew */
    uint64_t max_rate;       /* KiB a second of a copy; 0: no limit */
    uid_t uid;               /* whose the server's files are, and who runs it */
    gid_t gid;
};

/* The name of the physical slot that `node` receives through: "rc_" and the node's name, in what
 * slots may be called (lower case letters, digits, underscores). */
enum { PLACE_SLOT_MAX = 64 };
void place_slot_name(const char *node, char out[PLACE_SLOT_MAX]);

#endif

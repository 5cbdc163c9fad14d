/* launch.h - how a postmaster is started: as a standby, as its own user, and never outliving us.
 *
 * It always gets standby.signal first, so nothing on disk can make it writable; only a
 * promotion does. It dies when its parent does (PR_SET_PDEATHSIG SIGQUIT). */
#ifndef AGENT_WARDEN_LAUNCH_H
#define AGENT_WARDEN_LAUNCH_H

#include <sys/types.h>

#include "agent/warden/warden.h"

/* Who `user` is; looked up before memory is locked. */
struct launch_user {
    uid_t uid;
    gid_t gid;
    char name[WARDEN_USER_MAX]; /* "": ourselves */
};

/* RC_OK, or RC_ENOTFOUND: there is no such user. "" is ourselves. */
int launch_find_user(const char *name, struct launch_user *out);

struct launch_place {
    const char *data_dir;
    const char *repair_mark; /* file that forbids a start: the data folder is half done */
    const char *cgroup;      /* joined by the child; NULL: ours */
};

/* Makes standby.signal in the data folder, owned as the folder is. RC_OK, RC_ENOTFOUND (no data
 * folder there), or RC_EIO. */
int launch_mark_standby(const char *data_dir);

/* Starts it. RC_OK with its number; otherwise one line in `problem` (WARDEN_PROBLEM_MAX). */
int launch_postmaster(const struct warden_order *order, const struct launch_user *user,
                      const struct launch_place *place, pid_t *out, char *problem);

#endif

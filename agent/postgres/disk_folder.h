/* disk_folder.h - whole folders: empty, removed, the old ones of a row of them. Blocks. */
#ifndef AGENT_POSTGRES_DISK_FOLDER_H
#define AGENT_POSTGRES_DISK_FOLDER_H

#include <stdbool.h>

/* Also one that is not there; lost+found does not count. */
bool disk_folder_is_empty(const char *path);

/* With all that is in it; links are not followed. RC_OK also if it is not there; RC_EIO with
 * errno. */
int disk_folder_remove(const char *path);

/* Of the folders whose names begin with `prefix`, a path, all but the `keep` last in the order of
 * names are removed, as far as that works. */
void disk_folder_prune(const char *prefix, unsigned keep);

/* A copy of a file, mode 0600. RC_OK, RC_ENOTFOUND or RC_EIO. */
int disk_folder_copy_file(const char *from, const char *to);

#endif

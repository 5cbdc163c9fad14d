/* template_file.h - a file that is replaced whole: beside it, synced, checked, renamed.
 *
 * Whoever is killed at any moment leaves the old file or the new one, and at most
 * `.NAME.rollcall-new` in the same folder, which the next write replaces. */
#ifndef AGENT_TEMPLATE_TEMPLATE_FILE_H
#define AGENT_TEMPLATE_TEMPLATE_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { TEMPLATE_FILE_WHY_MAX = 320 };

struct template_file {
    const char *path; /* symbolic links are followed by the caller */
    int mode;         /* -1: that of the file that is there, else 0644 */
    const char *user; /* name or number; NULL: as the file that is there, else ours */
    const char *group;
};

/* Whether the file holds exactly these bytes. */
bool template_file_is(const char *path, const void *bytes, size_t size);

/* Where the new text waits, into `space` (of PATH_MAX). RC_OK or RC_ETOOBIG. */
int template_file_beside(const char *path, char *space, size_t size);

/* Writes the new text beside the file, synced, with mode and owner. RC_OK, or RC_EIO with words. */
int template_file_prepare(const struct template_file *file, const void *bytes,
                          size_t size, char why[TEMPLATE_FILE_WHY_MAX]);

/* It replaces the file; or it is dropped. */
int template_file_install(const char *path, char why[TEMPLATE_FILE_WHY_MAX]);
void template_file_drop(const char *path);

#endif

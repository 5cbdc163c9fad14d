/* temp_folder.c - see temp_folder.h. */
#include "tests/unit/temp_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int temp_folder_make(void **state, const char *name, const char *other)
{
    struct temp_folder *folder = calloc(1, sizeof *folder);

    *state = folder;
    if (folder == NULL) {
        return -1;
    }
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/rollcall-test-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        return -1;
    }
    (void)snprintf(folder->file, sizeof folder->file, "%s/%s", folder->path, name);
    (void)snprintf(folder->broken, sizeof folder->broken, "%s.broken", folder->file);
    if (other != NULL) {
        (void)snprintf(folder->other, sizeof folder->other, "%s/%s", folder->path, other);
    }
    return 0;
}

int temp_folder_remove(void **state)
{
    struct temp_folder *folder = *state;

    (void)unlink(folder->file);
    (void)unlink(folder->broken);
    (void)unlink(folder->other);
    int err = rmdir(folder->path);
    free(folder);
    return err;
}

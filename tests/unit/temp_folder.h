/* temp_folder.h - a folder of a test's own, in which what it tests keeps a file. */
#ifndef TESTS_UNIT_TEMP_FOLDER_H
#define TESTS_UNIT_TEMP_FOLDER_H

struct temp_folder {
    char path[64];
    char file[96];    /* path/NAME */
    char broken[112]; /* where a damaged one is kept aside: path/NAME.broken */
    char other[96];   /* another file beside it; "" if there is none */
};

/* For cmocka's set-up, with the names of the file and of another (NULL: none): `*state` is a
 * struct temp_folder. Nothing is in it yet. Returns 0, or -1: it cannot be made. */
int temp_folder_make(void **state, const char *name, const char *other);

/* For its tear-down: removes these files and the folder. Fails if anything else is left. */
int temp_folder_remove(void **state);

#endif

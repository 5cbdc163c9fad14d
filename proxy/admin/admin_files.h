/* admin_files.h - the files of the page at the admin port, as scripts/embed-pages puts them into
 * the program.
 *
 * The table is generated from proxy/admin/page/ into build/<variant>/generated/admin_files.c. */
#ifndef PROXY_ADMIN_ADMIN_FILES_H
#define PROXY_ADMIN_ADMIN_FILES_H

#include <stddef.h>

struct admin_file {
    const char *path;         /* below /page/, such as "style.css" */
    const char *content_type; /* by the ending of the name */
    const unsigned char *bytes;
    size_t size;
    const char *etag; /* with its quotes */
};

extern const struct admin_file admin_files[];
extern const size_t admin_file_count;

#endif

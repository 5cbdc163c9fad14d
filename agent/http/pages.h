/* pages.h - the files of the status page, as scripts/embed-pages puts them into the program.
 *
 * The table is generated from agent/ui/ into build/<variant>/generated/ui_pages.c. */
#ifndef AGENT_HTTP_PAGES_H
#define AGENT_HTTP_PAGES_H

#include <stddef.h>

struct http_page {
    const char *path;         /* below /ui/, such as "style.css" */
    const char *content_type; /* by the ending of the name */
    const unsigned char *bytes;
    size_t size;
    const char *etag; /* with its quotes */

    /* The same for who takes gzip: less than half of it. */
    const unsigned char *packed;
    size_t packed_size;
    const char *packed_etag;
};

extern const struct http_page http_pages[];
extern const size_t http_page_count;

#endif

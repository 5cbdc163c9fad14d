/* library.h - a shared library that is loaded when it is first needed.
 *
 * libpq, libcurl and libcrypto bring megabytes with them; an agent that runs no
 * such check should not pay for them. Names are Debian's sonames. */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stddef.h>

/* One symbol wanted: its name, and the address of the function pointer that receives it
 * (`&connect_start`, without a cast). */
struct rc_symbol {
    const char *name;
    void *place;
};

/* Opens `soname` and fills every place. RC_OK, or RC_ENOTFOUND with `error` (`error_size` bytes)
 * naming what is missing and the Debian package that has it. Never unloaded. */
int rc_library_load(const char *soname, const char *package,
                    const struct rc_symbol *symbols, size_t count, char *error,
                    size_t error_size);

#endif

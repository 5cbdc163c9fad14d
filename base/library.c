/* library.c - dlopen and dlsym. */
#include "base/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/pages.h"

int rc_library_load(const char *soname, const char *package,
                    const struct rc_symbol *symbols, size_t count, char *error,
                    size_t error_size)
{
    assert(error != NULL && error_size > 0);
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        (void)snprintf(error, error_size, "%s is missing; install the package %s", soname,
                       package);
        return RC_ENOTFOUND;
    }
    for (size_t i = 0; i < count; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (symbol == NULL) {
            (void)snprintf(error, error_size,
                           "%s does not have %s; upgrade the package %s", soname,
                           symbols[i].name, package);
            return RC_ENOTFOUND;
        }
        /* ISO C has no cast from object to function pointers; POSIX gives them one size. */
        memcpy(symbols[i].place, &symbol, sizeof symbol);
    }
    rc_pages_release();
    return RC_OK;
}

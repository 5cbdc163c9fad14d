/* plain_mhd.c - libmicrohttpd without TLS: we speak plain HTTP.
 *
 * libmicrohttpd brings GnuTLS up as soon as it is loaded, with or without need: tables, PKCS #11
 * and self-tests cost each process 900 kB and milliseconds, also `rollcall members`. Two
 * functions stop that, both linked into the programs by name, because only libraries call them. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): GnuTLS's name
int _gnutls_global_init_skip(void);
int gnutls_global_init(void);

/* gnutls.h, GNUTLS_SKIP_GLOBAL_INIT: a program that defines this starts GnuTLS by itself. */
int _gnutls_global_init_skip(void)
{
    return 1;
}

/* Stands before GnuTLS's own. libmicrohttpd is told that all is well; any other library, such as
 * the libldap that libpq loads, gets what it asks for. */
int gnutls_global_init(void)
{
    Dl_info caller = {0};
    int (*own)(void) = NULL;

    if (dladdr(__builtin_return_address(0), &caller) != 0 &&
        strstr(caller.dli_fname, "libmicrohttpd") != NULL) {
        return 0;
    }
    void *symbol = dlsym(RTLD_NEXT, "gnutls_global_init");
    /* ISO C has no cast from object to function pointers; POSIX gives them one size. */
    memcpy(&own, &symbol, sizeof own);
    return own != NULL ? own() : -1;
}

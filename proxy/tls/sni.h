/* sni.h - which certificates are shown to a client that asks for a name (RFC 6066 section 3).
 *
 * Names as certificates spell them: exact ones, and "*.example.org", which stands for one label
 * and no more (RFC 6125 section 6.4.3). A name may have one certificate of each kind of key,
 * as a client may know one kind only. Pure. */
#ifndef PROXY_TLS_SNI_H
#define PROXY_TLS_SNI_H

#include <stddef.h>
#include <stdint.h>

enum { SNI_NAME_MAX = 253, SNI_NONE = -1 };

enum sni_key { SNI_RSA, SNI_ECDSA, SNI_EDWARDS, SNI_KEY_COUNT };

struct sni;

/* What a name leads to. */
struct sni_entry {
    char name[SNI_NAME_MAX + 1];     /* lower case */
    int certificates[SNI_KEY_COUNT]; /* as given to sni_add, or SNI_NONE */
    size_t set;                      /* the caller's own */
};

/* NULL when memory is out. `seed` is for the hash. */
struct sni *sni_create(uint64_t seed);
void sni_destroy(struct sni *sni); /* NULL is allowed */

/* `certificate` is for `name`, in any case. The first of its kind stays. RC_OK, RC_EINVAL (no such
 * name can be asked for: it is left out) or RC_ENOMEM. */
int sni_add(struct sni *sni, const char *name, size_t size, enum sni_key kind,
            int certificate);

/* The entry for what a client asks for, in any case: an exact one before a wildcard. NULL if there
 * is none. Borrowed. */
const struct sni_entry *sni_find(const struct sni *sni, const char *name, size_t size);

/* Walks in the order of sni_add; starts with `*position` = 0; NULL at the end. */
struct sni_entry *sni_next(const struct sni *sni, size_t *position);

#endif

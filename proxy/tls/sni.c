/* sni.c - see sni.h. */
#include "proxy/tls/sni.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

struct sni {
    struct rc_table *names; /* name -> struct sni_entry, owned */
};

struct sni *sni_create(uint64_t seed)
{
    struct sni *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->names = rc_table_create(seed);
    if (made->names == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

void sni_destroy(struct sni *sni)
{
    size_t position = 0;
    struct sni_entry *entry = NULL;
    if (sni == NULL) {
        return;
    }
    while ((entry = sni_next(sni, &position)) != NULL) {
        free(entry);
    }
    rc_table_destroy(sni->names);
    free(sni);
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '_' || byte == '.';
}

/* Lower case, without the root's dot. False if nobody can ask for it. */
static bool put_lower(const char *name, size_t size, char out[SNI_NAME_MAX + 1])
{
    if (size > 0 && name[size - 1] == '.') {
        size--;
    }
    if (size == 0 || size > SNI_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
        bool star = i == 0 && size > 2 && name[0] == '*' && name[1] == '.';
        if (!star && !is_name_byte(out[i])) {
            return false;
        }
    }
    out[size] = '\0';
    return true;
}

int sni_add(struct sni *sni, const char *name, size_t size, enum sni_key kind,
            int certificate)
{
    char lower[SNI_NAME_MAX + 1];
    if (!put_lower(name, size, lower)) {
        return RC_EINVAL;
    }
    struct sni_entry *entry = rc_table_get(sni->names, lower);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL || rc_table_put(sni->names, lower, entry, NULL) != RC_OK) {
            free(entry);
            return RC_ENOMEM;
        }
        memcpy(entry->name, lower, sizeof lower);
        for (size_t i = 0; i < SNI_KEY_COUNT; i++) {
            entry->certificates[i] = SNI_NONE;
        }
    }
    if (entry->certificates[kind] == SNI_NONE) {
        entry->certificates[kind] = certificate;
    }
    return RC_OK;
}

const struct sni_entry *sni_find(const struct sni *sni, const char *name, size_t size)
{
    char lower[SNI_NAME_MAX + 1];
    if (!put_lower(name, size, lower) || lower[0] == '*') {
        return NULL;
    }
    const struct sni_entry *exact = rc_table_get(sni->names, lower);
    char *dot = strchr(lower, '.');
    if (exact != NULL || dot == NULL || dot == lower) {
        return exact;
    }
    *--dot = '*'; /* over the end of the first label */
    return rc_table_get(sni->names, dot);
}

struct sni_entry *sni_next(const struct sni *sni, size_t *position)
{
    return rc_table_next(sni->names, position, NULL);
}

/* store_pending.c - stands for the parts of the store that are not in the tree yet; weak, so that the
 * real ones take its place. */
#include "agent/engine/sqlite_engine.h"
#include "agent/store/store.h"
#include "base/err.h"
__attribute__((weak)) int sqlite_engine_open(const struct sqlite_engine_options *o,
                                             struct engine **out,
                                             char e[ENGINE_ERROR_MAX])
{
    (void)o;
    *out = NULL;
    e[0] = 0;
    return RC_OK;
}
__attribute__((weak)) struct store *store_create(const struct store_options *o)
{
    (void)o;
    return NULL;
}
__attribute__((weak)) void store_destroy(struct store *s)
{
    (void)s;
}
__attribute__((weak)) uint64_t store_deadline_ms(const struct store *s)
{
    (void)s;
    return UINT64_MAX;
}
__attribute__((weak)) void store_tick(struct store *s, uint64_t n)
{
    (void)s;
    (void)n;
}
__attribute__((weak)) int store_submit(struct store *s, uint64_t n,
                                       const struct store_op *o, size_t c,
                                       const uint8_t *r, store_done *d, void *x)
{
    (void)s;
    (void)n;
    (void)o;
    (void)c;
    (void)r;
    (void)d;
    (void)x;
    return RC_EAGAIN;
}
__attribute__((weak)) int store_create_session(struct store *s, uint64_t n,
                                               const struct store_session *e,
                                               const uint8_t *r, store_done *d, void *x)
{
    (void)s;
    (void)n;
    (void)e;
    (void)r;
    (void)d;
    (void)x;
    return RC_EAGAIN;
}
__attribute__((weak)) int store_renew_session(struct store *s, uint64_t n, const char *i,
                                              store_done *d, void *x)
{
    (void)s;
    (void)n;
    (void)i;
    (void)d;
    (void)x;
    return RC_EAGAIN;
}
__attribute__((weak)) int store_settle(struct store *s, uint64_t n, store_done *d,
                                       void *x)
{
    (void)s;
    (void)n;
    (void)d;
    (void)x;
    return RC_EAGAIN;
}
__attribute__((weak)) struct store_freshness store_freshness(const struct store *s,
                                                             uint64_t n)
{
    (void)s;
    (void)n;
    return (struct store_freshness){0};
}
__attribute__((weak)) bool store_read(const struct store *s, enum store_table t,
                                      struct rc_pack_bytes k, struct store_pair *o)
{
    (void)s;
    (void)t;
    (void)k;
    (void)o;
    return false;
}
__attribute__((weak)) bool store_next(const struct store *s, enum store_table t,
                                      struct rc_pack_bytes k, struct rc_pack_bytes a,
                                      struct store_pair *o)
{
    (void)s;
    (void)t;
    (void)k;
    (void)o;
    (void)a;
    return false;
}
__attribute__((weak)) uint64_t store_key_index(const struct store *s, enum store_table t,
                                               struct rc_pack_bytes k)
{
    (void)s;
    (void)t;
    (void)k;
    return 1;
}
__attribute__((weak)) uint64_t
store_prefix_index(const struct store *s, enum store_table t, struct rc_pack_bytes k)
{
    (void)s;
    (void)t;
    (void)k;
    return 1;
}
__attribute__((weak)) bool store_read_session(const struct store *s, const char *i,
                                              struct store_session *o)
{
    (void)s;
    (void)i;
    (void)o;
    return false;
}
__attribute__((weak)) bool store_next_session(const struct store *s, const char *i,
                                              struct store_session *o)
{
    (void)s;
    (void)i;
    (void)o;
    return false;
}

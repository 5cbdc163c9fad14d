/* secrecy.c - see secrecy.h. */
#include "base/secrecy.h"

#include <sys/prctl.h>

/* RLIMIT_CORE alone would not do: it is not asked for when core_pattern is a program (core(5)). */
void rc_forbid_core_dumps(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
}

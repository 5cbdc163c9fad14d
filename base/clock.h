/* clock.h - what time it is: for the edges only, pure modules are told. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* From an arbitrary start, never going back (CLOCK_MONOTONIC). */
uint64_t rc_clock_ns(void);
uint64_t rc_clock_ms(void);

/* As rc_clock_ms(), and it goes on while the machine sleeps (CLOCK_BOOTTIME): for leases. */
uint64_t rc_clock_boot_ms(void);

/* Since 1970 UTC (CLOCK_REALTIME): for display and for the catalog's epochs. */
uint64_t rc_clock_wall_ms(void);

#endif

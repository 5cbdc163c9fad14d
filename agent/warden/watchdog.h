/* watchdog.h - somebody who ends us, or the machine, should we no longer turn.
 *
 * systemd's watchdog (sd_watchdog_enabled(3): WATCHDOG_USEC, WATCHDOG_PID), spoken without its
 * library, and a watchdog device (Linux, Documentation/watchdog/watchdog-api.rst), which is open
 * only while there is a deadline: a machine with a stuck warden and a writable server resets. */
#ifndef AGENT_WARDEN_WATCHDOG_H
#define AGENT_WARDEN_WATCHDOG_H

#include <stdint.h>

struct watchdog {
    uint64_t every_ms; /* of systemd; 0: it does not watch */
    uint64_t fed_ms;
    char device[128]; /* "": none */
    int file;         /* of the device; -1: closed */
};

void watchdog_init(struct watchdog *dog, const char *device);

/* Feeds who is due. `deadline_ms` 0: the device is not needed. */
void watchdog_feed(struct watchdog *dog, uint64_t now_ms, uint64_t deadline_ms);

void watchdog_close(struct watchdog *dog);

#endif

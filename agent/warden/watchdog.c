#include "agent/warden/watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/notify.h"
#include "base/text.h"

enum { DEVICE_TIMEOUT_S = 5, DEVICE_EVERY_MS = 500, US_PER_MS = 1000 };

/* The end of a day is as good as any. */
static const uint64_t usec_max = UINT64_C(86400000000);

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets it
    uint64_t number = 0;

    return text != NULL && rc_text_to_u64(text, usec_max, &number) == RC_OK ? number : 0;
}

void watchdog_init(struct watchdog *dog, const char *device)
{
    uint64_t pid = number_of("WATCHDOG_PID");

    *dog = (struct watchdog){.file = -1};
    if (pid == 0 || pid == (uint64_t)getpid()) {
        /* Half of what is allowed, says sd_watchdog_enabled(3); a third is kinder. */
        dog->every_ms = number_of("WATCHDOG_USEC") / US_PER_MS / 3;
    }
    (void)rc_text_put(dog->device, sizeof dog->device, device);
}

static void open_device(struct watchdog *dog)
{
    int timeout_s = DEVICE_TIMEOUT_S;

    dog->file = open(dog->device, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (dog->file >= 0) {
        (void)ioctl(dog->file, WDIOC_SETTIMEOUT, &timeout_s); /* or what it has */
    }
}

/* The magic close: without it the machine would reset. */
static void close_device(struct watchdog *dog)
{
    if (dog->file >= 0) {
        (void)!write(dog->file, "V", 1);
        (void)close(dog->file);
        dog->file = -1;
    }
}

void watchdog_feed(struct watchdog *dog, uint64_t now_ms, uint64_t deadline_ms)
{
    uint64_t every_ms = dog->every_ms != 0 && dog->every_ms < DEVICE_EVERY_MS
                            ? dog->every_ms
                            : DEVICE_EVERY_MS;

    if (dog->device[0] != '\0' && deadline_ms != 0 && dog->file < 0) {
        open_device(dog);
    }
    if (deadline_ms == 0) {
        close_device(dog);
    }
    if (dog->fed_ms != 0 && now_ms - dog->fed_ms < every_ms) {
        return;
    }
    dog->fed_ms = now_ms;
    if (dog->every_ms != 0) {
        rc_notify("WATCHDOG=1");
    }
    if (dog->file >= 0) {
        (void)!write(dog->file, "1", 1);
    }
}

void watchdog_close(struct watchdog *dog)
{
    close_device(dog);
}

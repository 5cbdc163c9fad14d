/* libsystemd_systemd.h - the part of libsystemd that is used here, loaded when it is first needed. */
#ifndef AGENT_CHECKS_LIBSYSTEMD_SYSTEMD_H
#define AGENT_CHECKS_LIBSYSTEMD_SYSTEMD_H

#include <systemd/sd-bus.h>

enum { LIBSYSTEMD_ERROR_MAX = 256 };

/* Its functions, by what they do here: sd_bus_open_system(3) and the pages it leads to. */
struct libsystemd {
    int (*open)(sd_bus **out);
    sd_bus *(*close)(sd_bus *bus);
    int (*file)(sd_bus *bus);
    int (*events)(sd_bus *bus);
    int (*timeout)(sd_bus *bus, uint64_t *out_us);
    int (*process)(sd_bus *bus, sd_bus_message **out);
    int (*new_call)(sd_bus *bus, sd_bus_message **out, const char *destination,
                    const char *path, const char *interface, const char *member);
    int (*append)(sd_bus_message *message, const char *types, ...);
    int (*call)(sd_bus *bus, sd_bus_slot **out, sd_bus_message *message,
                sd_bus_message_handler_t callback, void *context, uint64_t timeout_us);
    int (*match)(sd_bus *bus, sd_bus_slot **out, const char *sender, const char *path,
                 const char *interface, const char *member,
                 sd_bus_message_handler_t callback, sd_bus_message_handler_t on_added,
                 void *context);
    sd_bus_message *(*unref)(sd_bus_message *message);
    sd_bus_slot *(*end)(sd_bus_slot *slot);
    const sd_bus_error *(*error)(sd_bus_message *message);
    int (*read)(sd_bus_message *message, const char *types, ...);
    int (*encode)(const char *prefix, const char *name, char **out);
};

/* Fills `out`. RC_OK, or RC_ENOTFOUND with `error` naming the package to install. */
int libsystemd_load(struct libsystemd *out, char error[LIBSYSTEMD_ERROR_MAX]);

#endif

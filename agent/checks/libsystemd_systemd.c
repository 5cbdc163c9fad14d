/* libsystemd_systemd.c - the table of its functions. */
#include "agent/checks/libsystemd_systemd.h"

#include "base/library.h"

int libsystemd_load(struct libsystemd *out, char error[LIBSYSTEMD_ERROR_MAX])
{
    const struct rc_symbol symbols[] = {
        {"sd_bus_open_system", (void **)&out->open},
        {"sd_bus_close_unref", (void **)&out->close},
        {"sd_bus_get_fd", (void **)&out->file},
        {"sd_bus_get_events", (void **)&out->events},
        {"sd_bus_get_timeout", (void **)&out->timeout},
        {"sd_bus_process", (void **)&out->process},
        {"sd_bus_message_new_method_call", (void **)&out->new_call},
        {"sd_bus_message_append", (void **)&out->append},
        {"sd_bus_call_async", (void **)&out->call},
        {"sd_bus_match_signal_async", (void **)&out->match},
        {"sd_bus_message_unref", (void **)&out->unref},
        {"sd_bus_slot_unref", (void **)&out->end},
        {"sd_bus_message_get_error", (void **)&out->error},
        {"sd_bus_message_read", (void **)&out->read},
        {"sd_bus_path_encode", (void **)&out->encode},
    };

    return rc_library_load("libsystemd.so.0", "libsystemd0", symbols,
                           sizeof symbols / sizeof symbols[0], error,
                           LIBSYSTEMD_ERROR_MAX);
}

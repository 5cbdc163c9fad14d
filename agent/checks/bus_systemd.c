#include "agent/checks/bus_systemd.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/libsystemd_systemd.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum {
    CALL_TIMEOUT_US = 30 * 1000 * 1000,
    TURNS_MAX = 1000, /* of libsystemd in one of ours: others want theirs */
    LATER_MS = 1,
    LONGEST_WAIT_MS = 3600 * 1000
};

static const char systemd[] = "org.freedesktop.systemd1";
static const char manager_path[] = "/org/freedesktop/systemd1";
static const char manager[] = "org.freedesktop.systemd1.Manager";
static const char unit_part[] = "org.freedesktop.systemd1.Unit";
static const char service_part[] = "org.freedesktop.systemd1.Service";

/* What is asked about a unit. */
static const struct {
    const char *interface;
    const char *name;
    size_t offset; /* in struct unit_state; words but for restarts */
} properties[] = {
    {unit_part, "LoadState", offsetof(struct unit_state, load)},
    {unit_part, "ActiveState", offsetof(struct unit_state, active)},
    {unit_part, "SubState", offsetof(struct unit_state, sub)},
    {service_part, "Result", offsetof(struct unit_state, result)},
    {service_part, "NRestarts", offsetof(struct unit_state, restarts)},
};

enum {
    PROPERTY_COUNT = sizeof properties / sizeof properties[0],
    PROPERTIES_OF_ANY = 3, /* the first ones; the others are of services */
    PROPERTY_RESTARTS = 4
};

struct property {
    struct bus_request *request;
    sd_bus_slot *slot; /* NULL: it is not asked (any more) */
    size_t index;
};

struct bus_request {
    struct bus *bus;
    struct bus_request *next;
    char unit[UNIT_NAME_MAX + 1];
    char *path; /* of the unit's object; of libsystemd, freed by free() */
    struct property asked[PROPERTY_COUNT];
    size_t open; /* properties without an answer */
    struct unit_state state;
    sd_bus_slot *order; /* of RestartUnit */
    char *job;          /* its object; owned; NULL: no answer yet */
    uint64_t due_ms;    /* of a restart: given up then; else UINT64_MAX */
    bool is_left_alone;
    bool is_over;              /* to be reported */
    char error[BUS_ERROR_MAX]; /* "": none */
    void (*on_look)(void *context, const struct unit_state *state, const char *error);
    void (*on_restart)(void *context, enum bus_outcome outcome, const char *text);
    void *context;
};

struct bus {
    struct uv_loop_s *loop;
    struct libsystemd lib;
    bool is_loaded;
    sd_bus *connection;
    sd_bus_slot *jobs; /* the match of JobRemoved */
    struct watch *watch;
    int watched; /* which file */
    struct watch_timer *timer;
    struct bus_request *requests;
};

static void arm(struct bus *bus);

/* ---- the end of a request -------------------------------------------------------- */

static void end_calls(struct bus_request *request)
{
    const struct libsystemd *lib = &request->bus->lib;

    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        if (request->asked[i].slot != NULL) {
            lib->end(request->asked[i].slot);
            request->asked[i].slot = NULL;
        }
    }
    if (request->order != NULL) {
        lib->end(request->order);
        request->order = NULL;
    }
}

static void destroy(struct bus_request *request)
{
    end_calls(request);
    free(request->path);
    free(request->job);
    free(request);
}

void bus_forget(struct bus_request *request)
{
    struct bus_request **at = &request->bus->requests;

    while (*at != request) {
        at = &(*at)->next;
    }
    *at = request->next;
    destroy(request);
}

__attribute__((format(printf, 2, 3))) static void fail(struct bus_request *request,
                                                       const char *format, ...)
{
    va_list arguments;

    if (!request->is_over) { /* the first reason counts */
        va_start(arguments, format);
        (void)vsnprintf(request->error, sizeof request->error, format, arguments);
        va_end(arguments);
        rc_text_to_line(request->error, sizeof request->error);
        request->is_over = true;
    }
}

static void fail_all(struct bus *bus, const char *why)
{
    for (struct bus_request *request = bus->requests; request != NULL;
         request = request->next) {
        fail(request, "%s", why);
    }
}

/* Takes one that is over out of the list; NULL: none is. */
static struct bus_request *take_over(struct bus *bus)
{
    struct bus_request **at = &bus->requests;

    while (*at != NULL && !(*at)->is_over) {
        at = &(*at)->next;
    }
    struct bus_request *request = *at;
    if (request != NULL) {
        *at = request->next;
    }
    return request;
}

/* Reports what is over. Not inside libsystemd: whoever is told may ask again at once. */
static void settle(struct bus *bus)
{
    struct bus_request *request = NULL;

    while ((request = take_over(bus)) != NULL) {
        const char *error = request->error[0] != '\0' ? request->error : NULL;
        end_calls(request);
        if (request->on_restart != NULL) {
            request->on_restart(request->context,
                                request->is_left_alone ? BUS_LEFT_ALONE
                                : error != NULL        ? BUS_FAILED
                                                       : BUS_RESTARTED,
                                error);
        } else {
            request->on_look(request->context, error == NULL ? &request->state : NULL,
                             error);
        }
        destroy(request);
    }
}

/* ---- the connection -------------------------------------------------------------- */

static void disconnect(struct bus *bus)
{
    watch_uv_close(bus->watch);
    bus->watch = NULL;
    for (struct bus_request *request = bus->requests; request != NULL;
         request = request->next) {
        end_calls(request);
    }
    if (bus->jobs != NULL) {
        bus->lib.end(bus->jobs);
        bus->jobs = NULL;
    }
    if (bus->connection != NULL) {
        bus->lib.close(bus->connection);
        bus->connection = NULL;
    }
}

static void lose(struct bus *bus, int error)
{
    char why[BUS_ERROR_MAX];

    (void)snprintf(why, sizeof why, "the connection to D-Bus is lost: %s",
                   strerrordesc_np(-error));
    fail_all(bus, why);
    disconnect(bus);
}

static void pump(struct bus *bus)
{
    int left = 1;

    for (int turn = 0; turn < TURNS_MAX && left > 0 && bus->connection != NULL; turn++) {
        left = bus->lib.process(bus->connection, NULL);
    }
    if (left < 0) {
        lose(bus, left);
    }
    uint64_t now_ms = rc_clock_ms();
    for (struct bus_request *request = bus->requests; request != NULL;
         request = request->next) {
        if (now_ms >= request->due_ms) {
            fail(request,
                 "systemd does not say how the restart of %s ends: systemctl status %s",
                 request->unit, request->unit);
        }
    }
    settle(bus);
    arm(bus);
}

static void on_ready(void *context, int file, unsigned events)
{
    (void)file;
    (void)events;
    pump(context);
}

static void on_due(void *context)
{
    pump(context);
}

/* libsystemd may change its file while it connects. */
static void watch(struct bus *bus)
{
    int file = bus->lib.file(bus->connection);
    int wanted = bus->lib.events(bus->connection);
    unsigned events = ((wanted & POLLIN) != 0 ? WATCH_READ : 0U) |
                      ((wanted & POLLOUT) != 0 ? WATCH_WRITE : 0U);

    if (bus->watch != NULL && bus->watched != file) {
        watch_uv_close(bus->watch);
        bus->watch = NULL;
    }
    if (bus->watch == NULL && file >= 0) {
        bus->watch = watch_uv_open(bus->loop, file, on_ready, bus);
        bus->watched = file;
    }
    if (bus->watch != NULL) {
        watch_uv_set(bus->watch, events);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void arm(struct bus *bus)
{
    uint64_t now_ms = rc_clock_ms();
    uint64_t due_ms = UINT64_MAX;
    uint64_t due_us = UINT64_MAX;

    if (bus->connection != NULL) {
        watch(bus);
        if (bus->lib.timeout(bus->connection, &due_us) >= 0 && due_us != UINT64_MAX) {
            due_ms = due_us / 1000 + 1;
        }
    }
    for (const struct bus_request *request = bus->requests; request != NULL;
         request = request->next) {
        due_ms = earlier(due_ms, request->is_over ? 0 : request->due_ms);
    }
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : LATER_MS;
    watch_uv_timer_set(bus->timer, due_ms == UINT64_MAX
                                       ? -1
                                       : (int64_t)earlier(wait_ms, LONGEST_WAIT_MS));
}

/* ---- answers --------------------------------------------------------------------- */

static bool is_about(const sd_bus_error *error, const char *prefix)
{
    return error->name != NULL && rc_text_starts_with(error->name, prefix);
}

/* Why systemd, or the bus, does not do it. */
static void refuse(struct bus_request *request, const sd_bus_error *error)
{
    const char *message = error->message != NULL ? error->message : error->name;

    if (is_about(error, "org.freedesktop.DBus.Error.ServiceUnknown") ||
        is_about(error, "org.freedesktop.DBus.Error.NameHasNoOwner") ||
        is_about(error, "org.freedesktop.DBus.Error.Spawn")) {
        fail(request, "systemd does not answer on D-Bus: this machine is not run by it");
    } else if (is_about(error, "org.freedesktop.DBus.Error.AccessDenied") ||
               is_about(error,
                        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")) {
        fail(request,
             "systemd refuses to restart %s to whom this agent runs as: allow it by a "
             "polkit rule as in rollcall(1), RESTARTS",
             request->unit);
    } else if (is_about(error, "org.freedesktop.systemd1.NoSuchUnit")) {
        fail(request, "this machine has no unit %s", request->unit);
    } else {
        fail(request, "systemd: %s", message != NULL ? message : "no answer");
    }
}

static void order_restart(struct bus_request *request);

static void on_all_known(struct bus_request *request)
{
    const char *why = unit_left_alone(&request->state);

    if (request->on_restart == NULL) {
        request->is_over = true;
    } else if (why != NULL) {
        request->is_left_alone = true;
        fail(request, "%s %s: it is left alone", request->unit, why);
    } else {
        order_restart(request);
    }
}

static int on_property(sd_bus_message *message, void *context, sd_bus_error *unused)
{
    struct property *property = context;
    struct bus_request *request = property->request;
    const struct libsystemd *lib = &request->bus->lib;
    const sd_bus_error *error = lib->error(message);
    void *place = (char *)&request->state + properties[property->index].offset;
    const char *word = "";

    (void)unused;
    if (error != NULL) {
        refuse(request, error);
    } else if (property->index == PROPERTY_RESTARTS) {
        (void)lib->read(message, "v", "u", place);
    } else if (lib->read(message, "v", "s", &word) >= 0) {
        (void)rc_text_put(place, UNIT_WORD_MAX, word);
    }
    if (--request->open == 0 && !request->is_over) {
        on_all_known(request);
    }
    return 0;
}

static int on_ordered(sd_bus_message *message, void *context, sd_bus_error *unused)
{
    struct bus_request *request = context;
    const struct libsystemd *lib = &request->bus->lib;
    const sd_bus_error *error = lib->error(message);
    const char *job = NULL;

    (void)unused;
    if (error != NULL) {
        refuse(request, error);
    } else if (lib->read(message, "o", &job) < 0 ||
               (request->job = rc_text_copy(job)) == NULL) {
        fail(request, "systemd answers the order to restart %s with no job",
             request->unit);
    }
    return 0;
}

static int on_job_removed(sd_bus_message *message, void *context, sd_bus_error *unused)
{
    struct bus *bus = context;
    uint32_t number = 0;
    const char *job = NULL;
    const char *unit = NULL;
    const char *result = NULL;

    (void)unused;
    if (bus->lib.read(message, "uoss", &number, &job, &unit, &result) < 0) {
        return 0;
    }
    for (struct bus_request *request = bus->requests; request != NULL;
         request = request->next) {
        if (request->job == NULL || !rc_text_equals(request->job, job)) {
            continue;
        }
        if (rc_text_equals(result, "done")) {
            request->is_over = true;
        } else {
            fail(request, "systemd could not start %s again (%.40s): journalctl -u %s",
                 request->unit, result, request->unit);
        }
    }
    return 0;
}

/* ---- questions ------------------------------------------------------------------- */

/* Sends and drops `message`; `error` is that of making it. */
static int send(struct bus *bus, sd_bus_message *message, int error, sd_bus_slot **slot,
                sd_bus_message_handler_t callback, void *context)
{
    if (error >= 0) {
        error = bus->lib.call(bus->connection, slot, message, callback, context,
                              CALL_TIMEOUT_US);
    }
    bus->lib.unref(message);
    return error;
}

static void ask_property(struct bus_request *request, size_t index)
{
    struct bus *bus = request->bus;
    struct property *property = &request->asked[index];
    sd_bus_message *message = NULL;

    *property = (struct property){.request = request, .index = index};
    int error = bus->lib.new_call(bus->connection, &message, systemd, request->path,
                                  "org.freedesktop.DBus.Properties", "Get");
    if (error >= 0) {
        error = bus->lib.append(message, "ss", properties[index].interface,
                                properties[index].name);
    }
    error = send(bus, message, error, &property->slot, on_property, property);
    if (error < 0) {
        fail(request, "D-Bus: %s", strerrordesc_np(-error));
    } else {
        request->open++;
    }
}

static void order_restart(struct bus_request *request)
{
    struct bus *bus = request->bus;
    sd_bus_message *message = NULL;

    int error = bus->lib.new_call(bus->connection, &message, systemd, manager_path,
                                  manager, "RestartUnit");
    if (error >= 0) {
        error = bus->lib.append(message, "ss", request->unit, "replace");
    }
    error = send(bus, message, error, &request->order, on_ordered, request);
    if (error < 0) {
        fail(request, "D-Bus: %s", strerrordesc_np(-error));
    }
}

/* RC_OK, or an error with a line in `why`. */
static int connect_bus(struct bus *bus, char why[BUS_ERROR_MAX])
{
    char missing[LIBSYSTEMD_ERROR_MAX];

    if (bus->connection != NULL) {
        return RC_OK;
    }
    if (!bus->is_loaded && libsystemd_load(&bus->lib, missing) != RC_OK) {
        (void)snprintf(why, BUS_ERROR_MAX, "systemd cannot be asked: %s", missing);
        return RC_ENOTFOUND;
    }
    bus->is_loaded = true;
    int error = bus->lib.open(&bus->connection);
    if (error >= 0) {
        error = bus->lib.match(bus->connection, &bus->jobs, systemd, manager_path,
                               manager, "JobRemoved", on_job_removed, NULL, bus);
    }
    if (error < 0) {
        (void)snprintf(why, BUS_ERROR_MAX,
                       "systemd cannot be asked: no system bus here (%s); is the package "
                       "dbus installed and running?",
                       strerrordesc_np(-error));
        disconnect(bus);
        return RC_EIO;
    }
    return RC_OK;
}

static struct bus_request *begin(struct bus *bus, const char *unit, void *context)
{
    struct bus_request *request = calloc(1, sizeof *request);

    if (request == NULL) {
        return NULL;
    }
    request->bus = bus;
    request->due_ms = UINT64_MAX;
    request->context = context;
    (void)rc_text_put(request->unit, sizeof request->unit, unit);
    request->next = bus->requests;
    bus->requests = request;
    return request;
}

static void ask(struct bus_request *request)
{
    struct bus *bus = request->bus;
    char why[BUS_ERROR_MAX];

    if (connect_bus(bus, why) != RC_OK) {
        fail(request, "%s", why);
    } else if (bus->lib.encode("/org/freedesktop/systemd1/unit", request->unit,
                               &request->path) < 0) {
        fail(request, "out of memory");
    }
    request->state.is_service = unit_is_service(request->unit);
    size_t count = request->state.is_service ? PROPERTY_COUNT : PROPERTIES_OF_ANY;
    for (size_t i = 0; i < count && !request->is_over; i++) {
        ask_property(request, i);
    }
    arm(bus); /* libsystemd writes what it can at once and waits for the rest */
}

struct bus_request *bus_look(struct bus *bus, const char *unit,
                             void (*done)(void *context, const struct unit_state *state,
                                          const char *error),
                             void *context)
{
    struct bus_request *request = begin(bus, unit, context);

    if (request != NULL) {
        request->on_look = done;
        ask(request);
    }
    return request;
}

struct bus_request *bus_restart(struct bus *bus, const char *unit, uint64_t timeout_ms,
                                void (*done)(void *context, enum bus_outcome outcome,
                                             const char *text),
                                void *context)
{
    struct bus_request *request = begin(bus, unit, context);

    if (request != NULL) {
        request->on_restart = done;
        request->due_ms = rc_clock_ms() + timeout_ms;
        ask(request);
    }
    return request;
}

struct bus *bus_open(struct uv_loop_s *loop)
{
    struct bus *bus = calloc(1, sizeof *bus);

    if (bus == NULL) {
        return NULL;
    }
    bus->loop = loop;
    bus->timer = watch_uv_timer_open(loop, on_due, bus);
    if (bus->timer == NULL) {
        free(bus);
        return NULL;
    }
    return bus;
}

void bus_close(struct bus *bus)
{
    if (bus == NULL) {
        return;
    }
    for (struct bus_request *next = NULL, *at = bus->requests; at != NULL; at = next) {
        next = at->next;
        bus_forget(at);
    }
    disconnect(bus);
    watch_uv_timer_close(bus->timer);
    free(bus);
}

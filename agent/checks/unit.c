#include "agent/checks/unit.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static const char *const kinds[] = {
    ".service", ".socket", ".timer",  ".mount", ".path",      ".target",
    ".slice",   ".scope",  ".device", ".swap",  ".automount",
};

static bool has_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (rc_text_ends_with(name, kinds[i])) {
            return true;
        }
    }
    return false;
}

bool unit_is_service(const char *name)
{
    return rc_text_ends_with(name, ".service");
}

int unit_name_complete(const char *name, char out[UNIT_NAME_MAX + 1])
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
    size_t size = name == NULL ? 0 : strlen(name);

    if (size == 0 || size > UNIT_NAME_MAX || strspn(name, letters) != size ||
        name[0] == '.' || name[0] == '@') {
        return RC_EINVAL;
    }
    int wrote =
        snprintf(out, UNIT_NAME_MAX + 1, "%s%s", name, has_kind(name) ? "" : ".service");
    const char *instance = strchr(out, '@');
    return wrote <= UNIT_NAME_MAX && (instance == NULL || instance[1] != '.') ? RC_OK
                                                                              : RC_EINVAL;
}

static bool is_one_of(const char *word, const char *first, const char *second)
{
    return rc_text_equals(word, first) || rc_text_equals(word, second);
}

const char *unit_left_alone(const struct unit_state *state)
{
    bool has_ended_well =
        state->result[0] == '\0' || rc_text_equals(state->result, "success");

    if (rc_text_equals(state->active, "inactive") && has_ended_well) {
        return "was stopped on purpose, or has ended well";
    }
    if (is_one_of(state->active, "activating", "deactivating") ||
        rc_text_equals(state->active, "reloading")) {
        return "is being started or stopped by systemd already";
    }
    return NULL;
}

/* "failed (signal)", "active (running)". */
static void put_state(const struct unit_state *state, const char *name,
                      struct rc_buffer *text)
{
    bool has_failed = rc_text_equals(state->active, "failed");
    const char *detail = has_failed && state->is_service ? state->result : state->sub;

    rc_buffer_format(text, "%s is %s", name, state->active);
    if (detail[0] != '\0') {
        rc_buffer_format(text, " (%s)", detail);
    }
    if (state->is_service && state->restarts > 0) {
        rc_buffer_format(text, ", restarted %u times by systemd",
                         (unsigned)state->restarts);
    }
}

enum check_status unit_judge(const struct unit_state *state, const char *name,
                             const struct unit_rules *rules, struct rc_buffer *text)
{
    bool is_active = rc_text_equals(state->active, "active");
    bool is_loaded = rc_text_equals(state->load, "loaded");

    if (!is_active && !is_loaded) {
        rc_buffer_format(text, "%s: %s", name,
                         rc_text_equals(state->load, "not-found")
                             ? "this machine has no such unit"
                             : state->load);
        return CHECK_CRITICAL;
    }
    put_state(state, name, text);
    if (is_one_of(state->active, "activating", "reloading")) {
        return rules->starting;
    }
    if (!is_active) {
        return CHECK_CRITICAL;
    }
    if (rules->max_restarts > 0 && state->restarts > rules->max_restarts) {
        rc_buffer_format(text, ", more than max_restarts %u", rules->max_restarts);
        return CHECK_WARNING;
    }
    return CHECK_PASSING;
}

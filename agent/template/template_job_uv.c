/* template_job_uv.c - one template: rendered, compared, checked, written, its reload run. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/process_uv.h"
#include "agent/template/template_file.h"
#include "agent/template/template_job.h"
#include "agent/template/template_render.h"
#include "base/err.h"
#include "base/file.h"

enum { OUTPUT_MAX = 4096, SHOWN_MAX = 1000, PATH_VARIABLE_MAX = PATH_MAX + 16 };

/* ---- What is told, once until something else is. */

static void say(struct template_job *job, enum rc_log_level level, const char *text)
{
    job->has_failed = job->has_failed || level >= RC_LOG_ERROR;
    if (strcmp(job->said, text) != 0) {
        (void)rc_text_put(job->said, sizeof job->said, text);
        rc_log(level, "template", "%s: %s", job->name, text);
    }
}

/* The file is right: what was told before may be told again. */
static void is_right(struct template_job *job)
{
    job->is_complete = true;
    job->said[0] = '\0';
}

/* Where the file really is: a link stays one, and commands run elsewhere. */
static void resolve(const char *path, char space[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];

    if (realpath(path, space) != NULL) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%.*s.",
                   slash != NULL ? (int)(slash - path) + 1 : 0, path);
    if (realpath(folder, space) == NULL || strlen(space) + strlen(path) + 2 > PATH_MAX) {
        (void)rc_text_put(space, PATH_MAX, path);
        return;
    }
    size_t size = strlen(space);
    (void)snprintf(space + size, PATH_MAX - size, "/%s",
                   slash != NULL ? slash + 1 : path);
}

/* ---- Commands. */

static void log_output(const struct template_job *job, const char *what,
                       const void *output, size_t size, enum rc_log_level level)
{
    if (size > 0) {
        rc_log(level, "template", "%s: the %s says: %.*s", job->name, what,
               (int)(size < SHOWN_MAX ? size : SHOWN_MAX), (const char *)output);
    }
}

static int start(struct template_job *job, const struct template_command *command,
                 const char *file, const char *destination,
                 void (*ended)(void *context, const struct process_end *end))
{
    char file_variable[PATH_VARIABLE_MAX];
    char destination_variable[PATH_VARIABLE_MAX];
    char text[TEMPLATE_SAID_MAX];
    const char *const variables[] = {file_variable, destination_variable, NULL};
    const char *why = rc_strerror(RC_ENOMEM);
    char **words = template_command_words(command, file);
    int err = RC_ENOMEM;

    (void)snprintf(file_variable, sizeof file_variable, "FILE=%s", file);
    (void)snprintf(destination_variable, sizeof destination_variable, "DESTINATION=%s",
                   destination);
    if (words != NULL) {
        const struct process_order order = {
            .arguments = words,
            .variables = variables,
            .keep = PROCESS_KEEP_LAST,
            .keep_max = OUTPUT_MAX,
            .errors = PROCESS_ERRORS_KEPT,
            .ended = ended,
            .context = job,
        };
        err = process_start(job->loop, &order, &job->process, &why);
    }
    if (err != RC_OK) {
        (void)snprintf(text, sizeof text, "%.200s cannot be started: %s",
                       command->words[0], why);
        say(job, RC_LOG_ERROR, text);
    }
    job->process_ends_ms = uv_now(job->loop) + job->entry->command_ms;
    template_command_release(words);
    return err;
}

static void ended_with(char *space, size_t size, const char *what, int64_t status)
{
    (void)snprintf(space, size, "the %s ended with %s%lld", what,
                   status == PROCESS_ENDED_BY_SIGNAL ? "a signal, " : "status ",
                   (long long)status);
}

/* ---- Reload. */

static void reload_over(struct template_job *job, enum template_reload result)
{
    char text[TEMPLATE_SAID_MAX];

    job->process = NULL;
    uv_update_time(job->loop);
    template_pace_reloaded(&job->pace, result, uv_now(job->loop));
    if (result == TEMPLATE_RELOAD_DONE) {
        is_right(job);
    } else {
        (void)snprintf(text, sizeof text,
                       "the file is new, but its reload failed; it is tried again");
        say(job, RC_LOG_ERROR, text);
    }
    job->on_moved(job->context);
}

static void on_reload_ended(void *context, const struct process_end *end)
{
    char text[TEMPLATE_SAID_MAX];
    struct template_job *job = context;
    bool went_well = end->status == 0;

    if (!went_well && job->pace.reload_failures == 0) {
        ended_with(text, sizeof text, "reload", end->status);
        rc_log(RC_LOG_ERROR, "template", "%s: %s", job->name, text);
    }
    log_output(job, "reload", end->output, end->size,
               went_well || job->pace.reload_failures > 0 ? RC_LOG_DEBUG : RC_LOG_ERROR);
    reload_over(job, went_well ? TEMPLATE_RELOAD_DONE : TEMPLATE_RELOAD_FAILED);
}

static void reload(struct template_job *job)
{
    char path[PATH_MAX];

    resolve(job->entry->destination, path);
    if (start(job, &job->entry->reload, path, path, on_reload_ended) != RC_OK) {
        reload_over(job, TEMPLATE_RELOAD_FAILED);
    }
}

/* ---- Check, and the file. */

static void rendered(struct template_job *job, enum template_outcome outcome)
{
    uv_update_time(job->loop);
    template_pace_rendered(&job->pace, outcome, uv_now(job->loop));
}

static void install(struct template_job *job, const char *path)
{
    char why[TEMPLATE_FILE_WHY_MAX];

    if (template_file_install(path, why) != RC_OK) {
        say(job, RC_LOG_ERROR, why);
        rendered(job, TEMPLATE_FAILED);
        return;
    }
    rc_log(RC_LOG_INFO, "template", "%s: written, %zu bytes", job->name, job->text.size);
    bool has_reload = job->entry->reload.words != NULL;
    if (!has_reload) {
        is_right(job);
    }
    rendered(job, has_reload ? TEMPLATE_OWES : TEMPLATE_WRITTEN);
}

static void refuse(struct template_job *job, const char *path, const char *why)
{
    char text[TEMPLATE_SAID_MAX];

    template_file_drop(path);
    (void)snprintf(text, sizeof text, "%s: the new text is not taken, the file stays",
                   why);
    say(job, RC_LOG_ERROR, text);
    rendered(job, TEMPLATE_FAILED);
}

static void on_check_ended(void *context, const struct process_end *end)
{
    char path[PATH_MAX];
    char why[128];
    char said[TEMPLATE_SAID_MAX];
    struct template_job *job = context;

    job->process = NULL;
    resolve(job->entry->destination, path);
    if (end->status == 0) {
        log_output(job, "check", end->output, end->size, RC_LOG_DEBUG);
        install(job, path);
    } else {
        (void)rc_text_put(said, sizeof said, job->said);
        ended_with(why, sizeof why, "check", end->status);
        refuse(job, path, why);
        log_output(job, "check", end->output, end->size,
                   strcmp(said, job->said) != 0 ? RC_LOG_ERROR : RC_LOG_DEBUG);
    }
    job->on_moved(job->context);
}

static void put(struct template_job *job)
{
    const struct template_entry *entry = job->entry;
    char path[PATH_MAX];
    char beside[PATH_MAX];
    char why[TEMPLATE_FILE_WHY_MAX];

    resolve(entry->destination, path);
    if (template_file_is(path, job->text.bytes, job->text.size)) {
        is_right(job);
        rendered(job, TEMPLATE_SAME);
        return;
    }
    const struct template_file file = {path, entry->mode, entry->user, entry->group};
    if (template_file_prepare(&file, job->text.bytes, job->text.size, why) != RC_OK ||
        template_file_beside(path, beside, sizeof beside) != RC_OK) {
        say(job, RC_LOG_ERROR, why);
        rendered(job, TEMPLATE_FAILED);
    } else if (entry->check.words == NULL) {
        install(job, path);
    } else if (start(job, &entry->check, beside, path, on_check_ended) == RC_OK) {
        rendered(job, TEMPLATE_CHECKS);
    } else {
        template_file_drop(path);
        rendered(job, TEMPLATE_FAILED);
    }
}

/* -dry, as consul-template prints it. */
static void show(struct template_job *job, struct rc_buffer *text)
{
    bool is_same =
        job->has_shown && text->size == job->text.size &&
        (text->size == 0 || memcmp(text->bytes, job->text.bytes, text->size) == 0);

    if (!is_same) {
        (void)printf("> %s\n", job->name);
        (void)fwrite(rc_buffer_string(text), 1, text->size, stdout);
        (void)printf("\n");
        (void)fflush(stdout);
    }
    job->has_shown = true;
    is_right(job);
    rendered(job, TEMPLATE_SAME);
}

/* ---- Rendering. */

static void take_text(struct template_job *job, struct rc_buffer *text)
{
    if (job->is_dry) {
        show(job, text);
    }
    rc_buffer_fini(&job->text);
    job->text = *text;
    *text = (struct rc_buffer){.size = 0};
    if (!job->is_dry) {
        put(job);
    }
    if (!job->process && !job->is_dry) {
        rc_buffer_fini(&job->text);
    }
}

static void render(struct template_job *job, struct template_facts *facts)
{
    struct template_reading reading;
    struct template_result result;
    struct rc_buffer text = {0};
    char words[TEMPLATE_SAID_MAX];
    struct template_source source = template_facts_begin(facts, &reading);

    source.min_instances = (unsigned)job->entry->min_instances;
    int err =
        template_render(job->program, &source, &template_bounds_usual, &text, &result);
    bool is_waiting = result.waiting > 0;
    int reading_err = reading.err;
    template_facts_end(&reading, &job->needs,
                       is_waiting || err != RC_OK ? TEMPLATE_INCOMPLETE
                                                  : TEMPLATE_COMPLETE);
    if (reading_err != RC_OK) {
        (void)snprintf(words, sizeof words, "%s asks more than %d questions", job->name,
                       TEMPLATE_FACTS_MAX);
        say(job, RC_LOG_ERROR,
            reading_err == RC_ETOOBIG ? words : rc_strerror(reading_err));
        rendered(job, TEMPLATE_SAME);
    } else if (is_waiting) {
        rendered(job, TEMPLATE_SAME); /* the answer comes, and with it the next turn */
    } else if (err != RC_OK) {
        say(job, RC_LOG_ERROR, result.error);
        rendered(job, TEMPLATE_SAME);
    } else if (result.held[0] != '\0') {
        (void)snprintf(words, sizeof words, "held, the file stays: %s", result.held);
        say(job, RC_LOG_WARN, words);
        rendered(job, TEMPLATE_SAME);
    } else {
        take_text(job, &text);
    }
    rc_buffer_fini(&text);
}

/* A command that takes too long is ended with all that it started. */
static void expire(struct template_job *job)
{
    char path[PATH_MAX];

    process_kill(job->process);
    job->process = NULL;
    rc_log(RC_LOG_ERROR, "template", "%s: the %s ended after its time limit of %llu ms",
           job->name, job->pace.state == TEMPLATE_CHECKING ? "check" : "reload",
           (unsigned long long)job->entry->command_ms);
    if (job->pace.state == TEMPLATE_CHECKING) {
        resolve(job->entry->destination, path);
        refuse(job, path, "the check took too long");
    } else {
        reload_over(job, TEMPLATE_RELOAD_FAILED);
    }
}

void template_job_turn(struct template_job *job, struct template_facts *facts,
                       uint64_t now_ms)
{
    enum template_action action;

    if (job->process != NULL && now_ms >= job->process_ends_ms) {
        expire(job);
    }
    while ((action = template_pace_next(&job->pace, now_ms)) != TEMPLATE_NOTHING) {
        if (action == TEMPLATE_RENDER) {
            render(job, facts);
        } else {
            reload(job);
        }
        if (job->pace.state != TEMPLATE_IDLE) {
            return;
        }
    }
}

uint64_t template_job_deadline_ms(const struct template_job *job)
{
    return job->process != NULL ? job->process_ends_ms
                                : template_pace_deadline_ms(&job->pace);
}

/* ---- Life. */

int template_job_init(struct template_job *job, const struct template_entry *entry,
                      char error[TEMPLATE_ERROR_MAX])
{
    struct rc_buffer file = {0};

    job->entry = entry;
    job->name = entry->destination != NULL ? entry->destination : entry->source;
    template_pace_init(&job->pace, entry->quiet_min_ms, entry->quiet_max_ms);
    if (entry->source != NULL) {
        int err = rc_file_read(entry->source, TEMPLATE_SOURCE_MAX, &file);
        if (err != RC_OK) {
            (void)snprintf(
                error, TEMPLATE_ERROR_MAX, "%.300s cannot be read: %s", entry->source,
                err == RC_ETOOBIG ? "a template has at most 1 MiB" : rc_strerror(err));
            rc_buffer_fini(&file);
            return err;
        }
    }
    const struct template_source_text text = {
        .name = entry->source != NULL ? entry->source : "contents",
        .text = entry->source != NULL ? rc_buffer_string(&file) : entry->contents,
        .size = entry->source != NULL ? file.size : strlen(entry->contents),
        .left = entry->left,
        .right = entry->right,
    };
    int err = template_program_create(&text, &job->program, error);
    rc_buffer_fini(&file);
    return err;
}

void template_job_fini(struct template_job *job)
{
    char path[PATH_MAX];

    if (job->process != NULL) {
        process_kill(job->process);
        job->process = NULL;
        if (job->pace.state == TEMPLATE_CHECKING) {
            resolve(job->entry->destination, path);
            template_file_drop(path);
        }
    }
    template_needs_clear(&job->needs);
    template_program_destroy(job->program);
    job->program = NULL;
    rc_buffer_fini(&job->text);
}

/* template_job.h - the inside of template_uv.c: one template, from its text to the reload.
 *
 * template_uv.c has the loop, the questions and the signals; template_job_uv.c what is done for
 * one file. */
#ifndef AGENT_TEMPLATE_TEMPLATE_JOB_H
#define AGENT_TEMPLATE_TEMPLATE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/template/template_config.h"
#include "agent/template/template_facts.h"
#include "agent/template/template_pace.h"
#include "agent/template/template_program.h"
#include "base/buffer.h"

struct process;
struct uv_loop_s;

enum { TEMPLATE_SAID_MAX = 640 };

struct template_job {
    struct uv_loop_s *loop;
    const struct template_entry *entry; /* borrowed */
    const char *name;                   /* for messages: the destination, or the source */
    struct template_program *program;   /* owned */
    struct template_needs needs;
    struct template_pace pace;
    struct rc_buffer text;   /* that is being checked, or was printed last */
    struct process *process; /* a check or a reload that runs */
    uint64_t process_ends_ms;
    char said[TEMPLATE_SAID_MAX]; /* the last trouble that was told: it is told once */
    bool is_dry;
    bool is_complete;                /* the file has been right once */
    bool has_failed;                 /* since then, or ever */
    bool has_shown;                  /* -dry: printed */
    void (*on_moved)(void *context); /* something has ended: look again */
    void *context;
};

/* Reads the template. RC_OK; or an error with words in `error`, TEMPLATE_ERROR_MAX. */
int template_job_init(struct template_job *job, const struct template_entry *entry,
                      char error[TEMPLATE_ERROR_MAX]);
/* Ends what runs, and releases its needs. */
void template_job_fini(struct template_job *job);

/* Carries out what is due. */
void template_job_turn(struct template_job *job, struct template_facts *facts,
                       uint64_t now_ms);

/* When it wants to be called; UINT64_MAX: not by time alone. */
uint64_t template_job_deadline_ms(const struct template_job *job);

#endif

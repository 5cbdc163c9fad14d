#include "agent/acl/subject.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static int read_all(const struct subject_policy *policies, size_t count,
                    struct rule_list *lists, struct grant_source *sources)
{
    char error[RULE_ERROR_MAX];

    for (size_t i = 0; i < count; i++) {
        int err = rule_list_parse(policies[i].rules, strlen(policies[i].rules), &lists[i],
                                  error);
        if (err != RC_OK) {
            return err;
        }
        sources[i] = (struct grant_source){policies[i].name, &lists[i]};
    }
    return RC_OK;
}

static int make(const char *accessor, struct grant *grant, struct subject **out)
{
    struct subject *subject = calloc(1, sizeof *subject);

    if (subject == NULL) {
        grant_destroy(grant);
        return RC_ENOMEM;
    }
    (void)rc_text_put(subject->accessor, sizeof subject->accessor, accessor);
    subject->grant = grant;
    subject->references = 1;
    *out = subject;
    return RC_OK;
}

int subject_create(const char *accessor, const struct subject_policy *policies,
                   size_t count, enum grant_default fallback, struct subject **out)
{
    struct rule_list *lists = calloc(count + 1, sizeof *lists);
    struct grant_source *sources = calloc(count + 1, sizeof *sources);
    struct grant *grant = NULL;

    int err = lists != NULL && sources != NULL ? read_all(policies, count, lists, sources)
                                               : RC_ENOMEM;
    if (err == RC_OK) {
        err = grant_create(sources, count, fallback, &grant);
    }
    if (err == RC_OK) {
        err = make(accessor, grant, out);
    }
    for (size_t i = 0; lists != NULL && i < count; i++) {
        rule_list_fini(&lists[i]);
    }
    free(lists);
    free(sources);
    return err;
}

struct subject *subject_keep(struct subject *subject)
{
    if (subject != NULL) {
        subject->references++;
    }
    return subject;
}

void subject_drop(struct subject *subject)
{
    if (subject != NULL && --subject->references == 0) {
        grant_destroy(subject->grant);
        free(subject);
    }
}

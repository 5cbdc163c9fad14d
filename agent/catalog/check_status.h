/* check_status.h - how a check stands: in a definition, in its runs and in the catalog alike. */
#ifndef AGENT_CATALOG_CHECK_STATUS_H
#define AGENT_CATALOG_CHECK_STATUS_H

/* A larger number is worse; the numbers are on the wire. */
enum check_status { CHECK_PASSING, CHECK_WARNING, CHECK_CRITICAL, CHECK_STATUS_COUNT };

/* "passing", "warning", "critical". Parse: exact words; RC_OK or RC_EINVAL. */
const char *check_status_name(enum check_status status);
int check_status_parse(const char *text, enum check_status *out);

#endif

/* say.h - text from elsewhere on a terminal.
 *
 * Names, reasons and error bodies come from whoever may write to the catalog; as control
 * characters they would move the cursor, forge lines or worse. */
#ifndef AGENT_CLI_SAY_H
#define AGENT_CLI_SAY_H

enum cli_lines {
    CLI_ONE_LINE,  /* line ends and tabs are control characters like others */
    CLI_MANY_LINES /* they stay */
};

/* Replaces each control character in `text` by '?': C0, DEL, and C1 in UTF-8 (ISO 6429). */
void cli_clean(char *text, enum cli_lines lines);

/* Prints to stderr, cleaned, with a line end. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

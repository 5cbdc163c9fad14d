/* secrecy.h - a process whose memory holds keys and tokens keeps it to itself. */
#ifndef BASE_SECRECY_H
#define BASE_SECRECY_H

/* From now on a crash leaves no core dump, wherever the system would send it, and nobody but
 * root may look into the process (PR_SET_DUMPABLE, prctl(2)). Programs that it starts are not
 * meant: exec undoes it. */
void rc_forbid_core_dumps(void);

#endif

/* haste.h - how soon the silence of a server counts, for who asked.
 *
 * A proxy asks for its PostgreSQL cluster again and again, each time with a short `wait`, and cuts
 * sessions when it hears nothing for a few of those: the server that was asked may have gone, and
 * another must have been asked by then. Pure. */
#ifndef AGENT_LINK_HASTE_H
#define AGENT_LINK_HASTE_H

#include <stdint.h>

/* For how many ms a server that is asked this (path and query) may be silent; 0: as usual. */
uint64_t haste_of(const char *target);

#endif

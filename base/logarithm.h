/* logarithm.h - ln(x), without libm.
 *
 * libm costs each process 450 kB for the few logarithms that gossip and balancing take. */
#ifndef BASE_LOGARITHM_H
#define BASE_LOGARITHM_H

/* The natural logarithm of a normal number above 0, to 15 digits. */
double rc_logarithm(double x);

#endif

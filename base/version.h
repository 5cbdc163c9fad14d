/* version.h - which release this is: of both programs and of their packages. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define ROLLCALL_VERSION "0.1.0"

#endif

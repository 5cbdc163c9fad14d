/* wire_format.h - which field of a message goes where: the tables of wire.c.
 *
 * For wire.c, and for the simulator, which passes the structs around by the same tables
 * without packing them. */
#ifndef AGENT_GOSSIP_WIRE_FORMAT_H
#define AGENT_GOSSIP_WIRE_FORMAT_H

#include <stddef.h>

enum wire_field_kind {
    WIRE_FIELD_BYTES,
    WIRE_FIELD_RAW,
    WIRE_FIELD_U8,
    WIRE_FIELD_U16,
    WIRE_FIELD_U32,
    WIRE_FIELD_U64,
    WIRE_FIELD_BOOL,
    WIRE_FIELD_DOUBLE,
    WIRE_FIELD_VERSIONS
};

enum wire_field_presence { WIRE_ALWAYS, WIRE_UNLESS_ZERO };

struct wire_field {
    const char *name;
    size_t offset;
    enum wire_field_kind kind;
    enum wire_field_presence presence;
};

struct wire_format {
    size_t size; /* of the struct */
    size_t count;
    const struct wire_field *fields; /* in ASCII order of their names */
};

#endif

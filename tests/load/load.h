/* load.h - streams of DNS traffic at one server, side by side in one thread.
 *
 * A stream is a kind of traffic at a rate of its own, or as fast as answers come. Figures
 * are the client's. For tests and measurements on loopback only. */
#ifndef TESTS_LOAD_LOAD_H
#define TESTS_LOAD_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_kind {
    LOAD_UDP,     /* questions that are in order */
    LOAD_GARBAGE, /* random bytes */
    LOAD_MUTATED, /* questions with some bytes changed, or cut */
    LOAD_TCP,     /* questions over connections that stay open */
    LOAD_CONNECT, /* connections that are reset as soon as they are made */
    LOAD_IDLE, /* connections that say nothing, opened again when the server ends them */
    LOAD_SLOW, /* connections that say a question byte by byte */
    LOAD_KIND_COUNT
};

enum {
    LOAD_STREAMS_MAX = 8,
    LOAD_PACKET_MAX = 320,
    LOAD_PACKETS_MAX = 16384,
    LOAD_IDS = 16384, /* of a socket, one after the other */
    LOAD_BUCKETS = 64 * 32,
    LOAD_RCODES = 16
};

struct load_settings {
    enum load_kind kind;
    const char *name; /* "#" in it: a number below `numbers`; borrowed */
    uint64_t numbers;
    uint64_t type;
    uint64_t edns;    /* UDP size told to the server; 0: no OPT */
    uint64_t rate;    /* a second; 0: as fast as answers come */
    uint64_t sockets; /* or connections */
    uint64_t window;  /* unanswered at a time, of all sockets, without a rate */
    struct in_addr from;
    uint64_t addresses; /* sockets take turns at so many from `from` on */
};

/* What came of a stream. Of kinds that ask nothing, `answered` counts what the server ended
 * or took. */
struct load_tally {
    uint64_t sent;
    uint64_t answered;
    uint64_t lost;   /* not answered within LOST_NS */
    uint64_t failed; /* the system did not take it, or connections that broke */
    uint64_t late;   /* answers that were lost before */
    uint64_t truncated;
    uint64_t bytes; /* of answers */
    uint64_t open_max;
    uint64_t rcodes[LOAD_RCODES];
    uint64_t max_ns;
    uint64_t buckets[LOAD_BUCKETS]; /* of times until the answer came */
};

struct load_packet {
    uint16_t size; /* in front of the bytes, as TCP wants it, host order */
    uint8_t bytes[LOAD_PACKET_MAX];
};

struct load_stream;

struct load_socket {
    struct load_stream *stream;
    int fd;             /* -1: not open */
    uint32_t next;      /* number of the next question */
    uint32_t oldest;    /* all before it are answered or lost */
    uint64_t *asked_at; /* per id, ns; 0: not under way */
    uint64_t began_ns;  /* of the connection */
    bool connected;
    uint8_t *input; /* of a connection: an answer that is not there whole */
    size_t input_size;
    uint8_t *output; /* what the system did not take yet */
    size_t output_size;
};

struct load_stream {
    struct load_settings settings;
    struct sockaddr_in server;
    int epoll;
    struct load_packet *packets; /* asked in turn */
    size_t packet_count;
    size_t packet_next;
    struct load_socket *sockets;
    size_t turn; /* whose turn it is */
    size_t open; /* connections */
    uint64_t under_way;
    uint64_t began_ns;
    struct load_tally tally;
};

/* How a kind of stream is driven. */
struct load_driver {
    void (*open)(struct load_stream *stream);
    void (*send)(struct load_stream *stream, uint64_t now_ns); /* what is due */
    void (*ready)(struct load_socket *socket, uint32_t events);
    void (*sweep)(struct load_stream *stream, uint64_t now_ns); /* now and then */
};

extern const struct load_driver load_udp_driver;
extern const struct load_driver load_tcp_driver;
extern const struct load_driver load_connect_driver;

/* Ends the program with words. */
_Noreturn void load_fail(const char *what);

/* Words KEY=VALUE of one stream; a wrong one ends the program. */
void load_settings_read(char **words, size_t count, struct load_settings *out);

/* Makes the packets of a stream: always the same ones. */
void load_packets_make(struct load_stream *stream);
const struct load_packet *load_packet_next(struct load_stream *stream);

/* An open socket of `type` for the next turn, from the address of its turn, watched for
 * `events`. Connecting may be under way. */
void load_socket_open(struct load_socket *socket, int type, uint32_t events);
void load_socket_close(struct load_socket *socket);

/* How many questions are due, and when the first of them was. */
uint64_t load_due(const struct load_stream *stream, uint64_t now_ns, uint64_t *first_ns);

/* A question goes out over `socket`: its id, and it is on its way since `at_ns`. */
uint16_t load_ask(struct load_socket *socket, uint64_t at_ns);
/* An answer of `size` bytes has come. */
void load_answer(struct load_socket *socket, const uint8_t *bytes, size_t size,
                 uint64_t now_ns);
/* Gives up what is too old. */
void load_sweep(struct load_socket *socket, uint64_t now_ns);

void load_tally_time(struct load_tally *tally, uint64_t ns);
void load_tally_print(const struct load_stream *stream, double seconds);

#endif

/* dns_echo.c - the least that a server can do: every packet goes back as it came.
 *
 *   dns_echo ADDRESS PORT
 *
 * One recvfrom and one sendto a packet. What a DNS server takes is told as a multiple of it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/text.h"

enum { PACKET_MAX = 4096, BUFFER_SIZE = 4 << 20, QR_AT = 2, QR = 0x80 };

static int serve(int socket)
{
    static uint8_t packet[PACKET_MAX];
    struct sockaddr_in peer;

    for (;;) {
        socklen_t size = sizeof peer;
        ssize_t got =
            recvfrom(socket, packet, sizeof packet, 0, (struct sockaddr *)&peer, &size);
        if (got < 0) {
            return 1;
        }
        if (got > QR_AT) {
            packet[QR_AT] |= QR; /* dnsperf wants an answer */
        }
        (void)sendto(socket, packet, (size_t)got, 0, (const struct sockaddr *)&peer,
                     size);
    }
}

int main(int count, char **words)
{
    uint64_t port = 0;
    int size = BUFFER_SIZE;
    struct sockaddr_in address = {.sin_family = AF_INET};

    if (count != 3 || inet_pton(AF_INET, words[1], &address.sin_addr) != 1 ||
        rc_text_to_u64(words[2], UINT16_MAX, &port) != 0) {
        (void)fputs("usage: dns_echo ADDRESS PORT\n", stderr);
        return 2;
    }
    address.sin_port = htons((uint16_t)port);
    int bound = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bound < 0) {
        perror("socket");
        return 1;
    }
    (void)setsockopt(bound, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(bound, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror("bind");
        return 1;
    }
    return serve(bound);
}

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/load/load.h"

static const char *const kinds[LOAD_KIND_COUNT] = {
    [LOAD_UDP] = "udp",   [LOAD_GARBAGE] = "garbage", [LOAD_MUTATED] = "mutated",
    [LOAD_TCP] = "tcp",   [LOAD_CONNECT] = "connect", [LOAD_IDLE] = "idle",
    [LOAD_SLOW] = "slow",
};

static const struct {
    const char *name;
    uint64_t number;
} types[] = {{"A", 1},     {"NS", 2},   {"SOA", 6},  {"TXT", 16},
             {"AAAA", 28}, {"SRV", 33}, {"ANY", 255}};

_Noreturn void load_fail(const char *what)
{
    perror(what);
    exit(1); /* there is one thread. NOLINT(concurrency-mt-unsafe) */
}

static _Noreturn void refuse(const char *word)
{
    (void)fprintf(stderr, "dns_load: what is %s?\n", word);
    exit(2); /* there is one thread. NOLINT(concurrency-mt-unsafe) */
}

static enum load_kind kind_of(const char *word)
{
    for (unsigned i = 0; i < LOAD_KIND_COUNT; i++) {
        if (rc_text_equals(kinds[i], word)) {
            return (enum load_kind)i;
        }
    }
    refuse(word);
}

static uint64_t type_of(const char *word)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (rc_text_equals(types[i].name, word)) {
            return types[i].number;
        }
    }
    refuse(word);
}

static void set_number(const char *word, const char *value, struct load_settings *out)
{
    const struct {
        const char *key;
        uint64_t *number;
    } numbers[] = {
        {"numbers=", &out->numbers}, {"edns=", &out->edns},
        {"rate=", &out->rate},       {"sockets=", &out->sockets},
        {"window=", &out->window},   {"addresses=", &out->addresses},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (rc_text_starts_with(word, numbers[i].key) &&
            rc_text_to_u64(value, UINT32_MAX, numbers[i].number) == 0) {
            return;
        }
    }
    refuse(word);
}

static void set(const char *word, struct load_settings *out)
{
    const char *value = strchr(word, '=');

    if (value == NULL) {
        refuse(word);
    }
    value++;
    if (rc_text_starts_with(word, "kind=")) {
        out->kind = kind_of(value);
    } else if (rc_text_starts_with(word, "name=")) {
        out->name = value;
    } else if (rc_text_starts_with(word, "type=")) {
        out->type = type_of(value);
    } else if (rc_text_starts_with(word, "from=")) {
        if (inet_pton(AF_INET, value, &out->from) != 1) {
            refuse(word);
        }
    } else {
        set_number(word, value, out);
    }
}

void load_settings_read(char **words, size_t count, struct load_settings *out)
{
    *out = (struct load_settings){.name = "rollcall",
                                  .numbers = 1,
                                  .type = 1,
                                  .sockets = 10,
                                  .window = 100,
                                  .from = {.s_addr = htonl(INADDR_LOOPBACK)},
                                  .addresses = 1};
    for (size_t i = 0; i < count; i++) {
        set(words[i], out);
    }
    if (out->sockets == 0 || out->addresses == 0 || out->numbers == 0 ||
        out->window / out->sockets >= LOAD_IDS) {
        refuse("that number");
    }
}

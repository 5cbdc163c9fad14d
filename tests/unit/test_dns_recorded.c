/* Answers recorded from Consul 1.10 against ours, section by section as sets. A file that
 * differs must be listed with its reason in tests/fixtures/dns/DEVIATIONS.md, and a file
 * that is listed there must differ. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/file.h"
#include "dns/answer/answer.h"
#include "dns/answer/foreign.h"
#include "dns/forward/forward_message.h"
#include "dns/wire/message.h"
#include "dns/wire/response.h"
#include "tests/unit/dns_world.h"

#define FOLDER         "tests/fixtures/dns"
#define RECORDED_AT_MS (UINT64_C(1795190723) * 1000)

enum {
    FILE_MAX = 65536,
    LINES_MAX = 256,
    LINE_MAX = 512,
    FILES_MAX = 128,
    FILE_NAME_MAX = 64
};

/* What an answer says, one line for each thing, in any order. */
struct lines {
    size_t count;
    char text[LINES_MAX][LINE_MAX];
};

struct exchange {
    enum dns_channel channel;
    uint8_t query[DNS_UDP_PLAIN_MAX];
    size_t query_size;
    struct lines answer;
};

static const struct dns_service_ttl ttls[] = {{"web", 10}, {"m*", 20}, {"*", 5}};

/* The two profiles of the recordings, with Consul's defaults written out. */
static struct dns_options options_of(const char *file, enum dns_choice consul_compat)
{
    struct dns_options options;

    dns_options_init(&options);
    options.domain = "consul.";
    options.udp_answer_limit = 3;
    options.enable_truncate = DNS_NO;
    options.node_meta_txt = DNS_YES;
    options.consul_compat = consul_compat;
    if (file[0] == 'o') {
        options.alt_domain = "svc.test";
        options.node_ttl_s = 30;
        options.service_ttls = ttls;
        options.service_ttl_count = sizeof ttls / sizeof ttls[0];
        options.only_passing = DNS_YES;
        options.a_record_limit = 2;
        options.enable_truncate = DNS_YES;
        options.node_meta_txt = DNS_NO;
        options.soa.refresh_s = 1;
        options.soa.retry_s = 2;
        options.soa.expire_s = 3;
        options.soa.min_ttl_s = 7;
    }
    return options;
}

__attribute__((format(printf, 2, 3))) static void add(struct lines *lines,
                                                      const char *format, ...)
{
    va_list arguments;

    assert_true(lines->count < LINES_MAX);
    va_start(arguments, format);
    (void)vsnprintf(lines->text[lines->count++], LINE_MAX, format, arguments);
    va_end(arguments);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Of the service with forty instances any part may be in an answer: digits that tell
 * them apart become "*". The serial of an SOA, the word before the last four, is masked
 * too. */
static void mask(char *line)
{
    static const char *const marks[] = {" 10.0.1.", " 0a0001", "0a0001", " SRV 1 1 60"};
    char *at;

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        at = strstr(line, marks[i]);
        if (at != NULL) {
            for (at += strlen(marks[i]); *at != '\0' && *at != ' ' && *at != '.'; at++) {
                *at = '*';
            }
        }
    }
    at = strstr(line, "hostmaster.consul. ");
    if (at != NULL) {
        for (at += strlen("hostmaster.consul. "); *at != ' ' && *at != '\0'; at++) {
            *at = '*';
        }
    }
    at = strstr(line, " 10.0.1.");
    if (at != NULL) {
        at[strlen(" 10.0.1.")] = '\0';
    }
}

/* Sorted, repetitions left out, then masked. */
static void normalize(struct lines *lines)
{
    size_t kept = 0;

    qsort(lines->text, lines->count, LINE_MAX, compare);
    for (size_t i = 0; i < lines->count; i++) {
        if (kept == 0 || strcmp(lines->text[kept - 1], lines->text[i]) != 0) {
            memmove(lines->text[kept++], lines->text[i], LINE_MAX);
        }
    }
    lines->count = kept;
    for (size_t i = 0; i < kept; i++) {
        mask(lines->text[i]);
    }
    qsort(lines->text, lines->count, LINE_MAX, compare);
}

static size_t read_hex(const char *text, uint8_t *out, size_t max)
{
    size_t size = 0;

    for (; *text != '\0' && strncmp(text, "==", 2) != 0; text++) {
        if (*text == '\n') {
            continue;
        }
        assert_true(size < max);
        assert_int_equal(
            rc_text_from_hex((char[]){text[0], text[1], '\0'}, 1, out + size), RC_OK);
        size++;
        text++;
    }
    return size;
}

static void read_flags(struct lines *lines, const char *line)
{
    add(lines, "flags:%s%s%s", strstr(line, " aa") != NULL ? " aa" : "",
        strstr(line, " tc") != NULL ? " tc" : "",
        strstr(line, " ra") != NULL ? " ra" : "");
}

static void read_line(struct lines *lines, const char *line, char *section)
{
    if (strncmp(line, "-- ", 3) == 0) {
        *section =
            line[4]; /* its second letter: qUestion, aNswer, aUthority, aDditional */
    } else if (strncmp(line, "flags: ", 7) == 0) {
        read_flags(lines, line);
    } else if (strncmp(line, "; OPT", 5) == 0) {
        add(lines, "OPT");
    } else if (strncmp(line, "rcode: ", 7) == 0 || strcmp(line, "(no reply)") == 0) {
        add(lines, "%s", line);
    } else if (strncmp(line, "opcode: ", 8) != 0 && strncmp(line, "counts: ", 8) != 0 &&
               strncmp(line, "bytes: ", 7) != 0) {
        add(lines, "%c %s", *section, line);
    }
}

static void read_recording(const char *file, struct exchange *out)
{
    struct rc_buffer buffer = {.max = FILE_MAX};
    char path[sizeof FOLDER + FILE_NAME_MAX + 1];
    char section = '?';
    char *rest = NULL;

    (void)snprintf(path, sizeof path, "%s/%.63s", FOLDER, file);
    assert_int_equal(rc_file_read(path, FILE_MAX, &buffer), RC_OK);
    char *text = rc_buffer_steal(&buffer);
    out->answer.count = 0;
    out->channel = strstr(text, "\ntransport: tcp\n") != NULL ? DNS_CHANNEL_TCP
                                                              : DNS_CHANNEL_UDP_REMOTE;
    out->query_size = read_hex(strstr(text, "== query hex\n") + strlen("== query hex\n"),
                               out->query, sizeof out->query);
    char *answer = strstr(text, "== response text\n") + strlen("== response text\n");
    char *end = strstr(answer, "== response hex");
    if (end != NULL) {
        *end = '\0';
    }
    for (char *line = strtok_r(answer, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        read_line(&out->answer, line, &section);
    }
    free(text);
}

/* As asked, case kept. */
static const char *name_text(const struct dns_name *name, char space[LINE_MAX])
{
    size_t size = 0;

    for (size_t i = 0; i < name->label_count; i++) {
        struct rc_span label = dns_name_label(name, i);
        memcpy(space + size, label.at, label.size);
        size += label.size;
        space[size++] = '.';
    }
    space[size] = '\0';
    return space;
}

static void tell_soa(const struct dns_response *response,
                     const struct dns_received *record, char space[LINE_MAX])
{
    struct rc_cursor data = rc_cursor_over(response->bytes, record->at + record->size);
    char text[LINE_MAX];
    struct dns_name name;
    size_t size = 0;

    (void)rc_cursor_take(&data, record->at);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dns_name_read(&data, response->bytes, &name), RC_OK);
        size += (size_t)snprintf(space + size, LINE_MAX - size, "%s%s",
                                 size > 0 ? " " : "", name_text(&name, text));
    }
    for (int i = 0; i < 5; i++) {
        size +=
            (size_t)snprintf(space + size, LINE_MAX - size, " %u", rc_cursor_u32(&data));
    }
}

static const char *tell_data(const struct dns_response *response,
                             const struct dns_received *record, char space[LINE_MAX])
{
    const uint8_t *data = response->bytes + record->at;
    struct dns_received_srv srv;
    struct rc_address ip;
    struct dns_name name;
    char text[LINE_MAX];

    switch (record->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        assert_int_equal(dns_received_address(response, record, &ip), RC_OK);
        rc_address_format_ip(&ip, space);
        return record->type == DNS_TYPE_A ? "A" : "AAAA";
    case DNS_TYPE_SRV:
        assert_int_equal(dns_received_srv(response, record, &srv), RC_OK);
        (void)snprintf(space, LINE_MAX, "%u %u %u %s", srv.priority, srv.weight, srv.port,
                       name_text(&srv.target, text));
        return "SRV";
    case DNS_TYPE_TXT:
        (void)snprintf(space, LINE_MAX, "\"%.*s\"", data[0], (const char *)data + 1);
        return "TXT";
    case DNS_TYPE_SOA:
        tell_soa(response, record, space);
        return "SOA";
    default: /* CNAME, NS, PTR: one name */
        assert_int_equal(dns_received_cname(response, record, &name), RC_OK);
        (void)name_text(&name, space);
        return record->type == DNS_TYPE_CNAME ? "CNAME"
               : record->type == DNS_TYPE_NS  ? "NS"
                                              : "PTR";
    }
}

static const char *rcode_name(unsigned rcode)
{
    static const char *const names[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
    return rcode < sizeof names / sizeof names[0] ? names[rcode] : "?";
}

static const char *type_name(unsigned type)
{
    static const struct {
        unsigned type;
        const char *name;
    } names[] = {{DNS_TYPE_A, "A"},     {DNS_TYPE_AAAA, "AAAA"}, {DNS_TYPE_SRV, "SRV"},
                 {DNS_TYPE_ANY, "ANY"}, {DNS_TYPE_TXT, "TXT"},   {DNS_TYPE_PTR, "PTR"},
                 {DNS_TYPE_SOA, "SOA"}, {DNS_TYPE_NS, "NS"},     {DNS_TYPE_AXFR, "AXFR"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].type == type) {
            return names[i].name;
        }
    }
    return "?";
}

static void tell(const uint8_t *bytes, size_t size, struct lines *out)
{
    static const char sections[] = {'n', 'u', 'd'};
    struct dns_response response;
    struct dns_received record;
    char owner[LINE_MAX];
    char data[LINE_MAX];
    size_t additional = 0;

    if (size == 0) {
        add(out, "(no reply)");
        return;
    }
    unsigned flags = (unsigned)bytes[2] << 8 | bytes[3];
    add(out, "rcode: %s", rcode_name(flags & 0xf));
    add(out, "flags:%s%s%s", (flags & DNS_FLAG_AA) != 0 ? " aa" : "",
        (flags & DNS_FLAG_TC) != 0 ? " tc" : "", (flags & DNS_FLAG_RA) != 0 ? " ra" : "");
    if (size == DNS_HEADER_SIZE) {
        return;
    }
    assert_int_equal(dns_response_open(bytes, size, &response), RC_OK);
    add(out, "u %s IN %s", name_text(&response.name, owner), type_name(response.type));
    while (dns_response_next(&response, &record) == RC_OK) {
        const char *type = tell_data(&response, &record, data);
        additional += record.section == DNS_SECTION_ADDITIONAL ? 1 : 0;
        add(out, "%c %s %u IN %s %s", sections[record.section],
            name_text(&record.owner, owner), record.ttl_s, type, data);
    }
    if (additional < response.counts[DNS_SECTION_ADDITIONAL]) {
        add(out, "OPT");
    }
}

/* What had happened in the recorded world by then. */
static void prepare(struct dns_world *world, const char *file)
{
    if (strcmp(file, "d55-failed-node.txt") == 0) {
        dns_world_set_health(world, "onn2", DNS_HEALTH_UNUSABLE);
    } else if (strcmp(file, "d56-left-node.txt") == 0) {
        dns_world_forget_node(world, "node2");
    } else if (strcmp(file, "d57-service-maint.txt") == 0) {
        dns_world_set_health(world, "noport", DNS_HEALTH_UNUSABLE);
    }
}

/* The recorded recursor: an address for every name, but nothing under nx.test, and failure
 * under fail.test. Makes of a question of ours its answer. */
static size_t recurse(uint8_t *message, size_t size, const struct dns_name *name)
{
    static const uint8_t record[] = {0xc0, 0x0c, 0, DNS_TYPE_A, 0,  DNS_CLASS_IN, 0, 0, 0,
                                     77,   0,    4, 198,        51, 100,          7};
    struct dns_name nothing;
    struct dns_name failure;

    assert_int_equal(dns_name_from_text("nx.test", &nothing), RC_OK);
    assert_int_equal(dns_name_from_text("fail.test", &failure), RC_OK);
    uint8_t rcode = dns_name_ends_with(name, &nothing)   ? DNS_RCODE_NXDOMAIN
                    : dns_name_ends_with(name, &failure) ? DNS_RCODE_SERVFAIL
                                                         : DNS_RCODE_NOERROR;
    message[2] |= 0x80;
    message[3] = 0x80 | rcode;
    message[11] = 0; /* no OPT */
    size = (size_t)DNS_QUESTION_AT + name->size + 4;
    if (rcode == DNS_RCODE_NOERROR) {
        message[7] = 1;
        memcpy(message + size, record, sizeof record);
        size += sizeof record;
    }
    return size;
}

static size_t question_of(const struct dns_name *name, uint16_t type,
                          uint8_t out[DNS_FORWARD_QUERY_MAX])
{
    const struct dns_forward_question question = {.name = name, .type = type};
    const struct dns_forward_mark mark = {.instance = 1, .hops = 1};
    struct rc_random random;

    rc_random_init(&random, 3);
    return dns_forward_query_write(&question, &mark, DNS_PART_PRESENT, &random, out);
}

static enum dns_foreign_state find_foreign(void *context, const struct dns_client *client,
                                           const struct dns_name *name, uint16_t type,
                                           struct dns_foreign_answer *out)
{
    static uint8_t message[DNS_FORWARD_QUERY_MAX];

    (void)context;
    (void)client;
    size_t size = recurse(message, question_of(name, type, message), name);
    *out = (struct dns_foreign_answer){message, size, message[3] & 0xf};
    return DNS_FOREIGN_KNOWN;
}

/* What a client hears of a question about another zone. */
static size_t forward(const struct dns_outcome *asked, uint8_t *out)
{
    static uint16_t ttl_at[DNS_KEPT_RECORDS_MAX];
    const struct dns_forward_frame frame = {asked->query, asked->extras,
                                            DNS_UDP_PLAIN_MAX};
    uint8_t message[DNS_FORWARD_QUERY_MAX];
    uint8_t sent[DNS_FORWARD_QUERY_MAX];
    struct dns_kept kept;
    enum dns_part is_cut;

    size_t sent_size = question_of(&asked->query->name, asked->query->type, sent);
    memcpy(message, sent, sent_size);
    size_t size = recurse(message, sent_size, &asked->query->name);
    assert_int_equal(dns_kept_read(message, size, sent, sent_size, ttl_at, &kept), RC_OK);
    return dns_kept_write(&kept, 0, &frame, out, &is_cut);
}

static void ask(const char *file, const struct exchange *exchange,
                enum dns_choice consul_compat, struct lines *out)
{
    static uint8_t answer[DNS_MESSAGE_MAX];
    struct dns_options options = options_of(file, consul_compat);
    struct dns_answerer *answerer;

    struct dns_world *world =
        dns_world_create(file[0] == 'o' ? "127.0.0.12" : "127.0.0.10");
    prepare(world, file);
    assert_int_equal(dns_answerer_create(&options, dns_world_view(world), 1, &answerer),
                     RC_OK);
    const struct dns_foreign foreign = {.find = find_foreign};
    dns_answerer_set_foreign(answerer, &foreign);
    const struct dns_client client = {.channel = exchange->channel,
                                      .may_recurse = file[0] == 'o' ? DNS_YES : DNS_NO,
                                      .wall_ms = RECORDED_AT_MS};
    struct dns_outcome outcome = dns_answer(answerer, &client, exchange->query,
                                            exchange->query_size, answer, sizeof answer);
    if (outcome.verdict == DNS_VERDICT_FORWARD) {
        outcome.size = forward(&outcome, answer);
    }
    tell(answer, outcome.size, out);
    dns_answerer_destroy(answerer);
    dns_world_destroy(world);
}

static int is_same(const struct lines *a, const struct lines *b)
{
    if (a->count != b->count) {
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->text[i], b->text[i]) != 0) {
            return 0;
        }
    }
    return 1;
}

static void print_difference(const struct lines *recorded, const struct lines *ours)
{
    for (size_t i = 0; i < recorded->count; i++) {
        print_message("#   recorded: %s\n", recorded->text[i]);
    }
    for (size_t i = 0; i < ours->count; i++) {
        print_message("#   ours:     %s\n", ours->text[i]);
    }
}

/* With the switch for Consul none may differ. */
static int is_listed(const char *deviations, const char *file,
                     enum dns_choice consul_compat)
{
    char row[FILE_NAME_MAX + 8];

    (void)snprintf(row, sizeof row, "| %.*s |", (int)strcspn(file, "."), file);
    return consul_compat == DNS_NO && strstr(deviations, row) != NULL;
}

static int is_recording(const struct dirent *entry)
{
    return rc_text_ends_with(entry->d_name, ".txt") ? 1 : 0;
}

static size_t list_files(char files[FILES_MAX][FILE_NAME_MAX])
{
    struct dirent **entries = NULL;

    int count = scandir(FOLDER, &entries, is_recording, alphasort);
    assert_in_range(count, 1, FILES_MAX);
    for (int i = 0; i < count; i++) {
        assert_int_equal(rc_text_put(files[i], FILE_NAME_MAX, entries[i]->d_name), RC_OK);
        free(entries[i]);
    }
    free(entries);
    return (size_t)count;
}

/* How many files are not as the table says. */
static size_t replay(const char *deviations, enum dns_choice consul_compat)
{
    static char files[FILES_MAX][FILE_NAME_MAX];
    static struct exchange exchange;
    static struct lines ours;
    size_t same = 0;
    size_t wrong = 0;

    size_t count = list_files(files);
    for (size_t i = 0; i < count; i++) {
        read_recording(files[i], &exchange);
        ours.count = 0;
        ask(files[i], &exchange, consul_compat, &ours);
        normalize(&exchange.answer);
        normalize(&ours);
        int is_equal = is_same(&exchange.answer, &ours);
        same += is_equal ? 1 : 0;
        if (is_equal == is_listed(deviations, files[i], consul_compat)) {
            wrong++;
            print_message("# %s: %s\n", files[i],
                          is_equal ? "is listed in DEVIATIONS.md, but does not differ"
                                   : "differs, but is not listed in DEVIATIONS.md");
            print_difference(&exchange.answer, &ours);
        }
    }
    print_message("# %zu of %zu answers as recorded, %zu differ for a reason\n", same,
                  count, count - same);
    assert_true(count >= 70);
    return wrong;
}

static void replay_with(enum dns_choice consul_compat)
{
    struct rc_buffer deviations = {.max = FILE_MAX};

    assert_int_equal(rc_file_read(FOLDER "/DEVIATIONS.md", FILE_MAX, &deviations), RC_OK);
    size_t wrong = replay(rc_buffer_string(&deviations), consul_compat);
    rc_buffer_fini(&deviations);
    assert_int_equal(wrong, 0);
}

static void our_answers_are_the_recorded_ones_or_differ_for_a_reason(void **state)
{
    (void)state;
    replay_with(DNS_NO);
}

static void with_the_switch_for_consul_all_are_the_recorded_ones(void **state)
{
    (void)state;
    replay_with(DNS_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_answers_are_the_recorded_ones_or_differ_for_a_reason),
        cmocka_unit_test(with_the_switch_for_consul_all_are_the_recorded_ones),
    };
    return cmocka_run_group_tests_name("dns_recorded", tests, NULL, NULL);
}

#include "dns/resolve/lookup.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "dns/wire/message.h"
#include "dns/wire/name.h"
#include "dns/wire/response.h"

enum {
    SRV_ID = 0, /* of the first question; then two for each host */
    IDS_PER_HOST = 2,
    FIRST_ROOM = 16
};

enum asked { NOT_ASKED, WAITING, TOLD };

/* A name that SRV records lead to. */
struct host {
    char name[DNS_RESOLVE_NAME_MAX];
    struct rc_address ips[DNS_LOOKUP_ADDRESSES_MAX];
    size_t ip_count;
    enum asked asked[IDS_PER_HOST]; /* A, AAAA */
};

struct entry {
    uint16_t priority;
    uint16_t weight;
    uint16_t port;
    const struct host *host;
};

struct dns_lookup {
    struct dns_name name;
    char text[DNS_RESOLVE_NAME_MAX];
    enum asked asked;
    bool plain;               /* only addresses are asked for */
    bool failed;              /* plain: one of the two questions was not answered */
    enum dns_verdict verdict; /* FULL until something is found missing */
    const char *problem;
    uint32_t min_ttl_s;
    struct rc_table *by_name; /* name to host */
    struct host **hosts;      /* in order of appearance; owned */
    size_t host_count;
    size_t next_host; /* the first that may have to be asked for */
    struct entry *entries;
    size_t entry_count;
    struct dns_target *targets; /* of the result */
    size_t target_count;
};

int dns_lookup_create(const char *name, uint64_t seed, struct dns_lookup **out)
{
    struct dns_lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL) {
        return RC_ENOMEM;
    }
    lookup->min_ttl_s = UINT32_MAX;
    int err = dns_name_from_text(name, &lookup->name);
    if (err == RC_OK &&
        dns_name_to_text(&lookup->name, 0, lookup->name.label_count, lookup->text) == 0) {
        err = RC_EMALFORMED;
    }
    if (err == RC_OK) {
        lookup->by_name = rc_table_create(seed);
        err = lookup->by_name == NULL ? RC_ENOMEM : RC_OK;
    }
    if (err != RC_OK) {
        dns_lookup_destroy(lookup);
        return err;
    }
    *out = lookup;
    return RC_OK;
}

void dns_lookup_destroy(struct dns_lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    rc_table_destroy(lookup->by_name);
    for (size_t i = 0; i < lookup->host_count; i++) {
        free(lookup->hosts[i]);
    }
    free(lookup->hosts);
    free(lookup->entries);
    free(lookup->targets);
    free(lookup);
}

static void miss(struct dns_lookup *lookup, enum dns_verdict verdict, const char *problem)
{
    if (lookup->verdict == DNS_VERDICT_FULL) {
        lookup->verdict = verdict;
        lookup->problem = problem;
    }
}

static void use_ttl(struct dns_lookup *lookup, uint32_t ttl_s)
{
    if (ttl_s < lookup->min_ttl_s) {
        lookup->min_ttl_s = ttl_s;
    }
}

/* Room for one more of `size` bytes each, doubling; NULL when memory is out. */
static void *grow(void *items, size_t count, size_t size)
{
    bool is_full = count == 0 || (count >= FIRST_ROOM && (count & (count - 1)) == 0);

    if (!is_full) {
        return items;
    }
    return realloc(items, (count == 0 ? FIRST_ROOM : 2 * count) * size);
}

/* The host of that name, made if it is new; NULL when memory is out. */
static struct host *host_of(struct dns_lookup *lookup, const char *name)
{
    struct host *host = rc_table_get(lookup->by_name, name);

    if (host != NULL) {
        return host;
    }
    void *room = grow(lookup->hosts, lookup->host_count, sizeof(struct host *));
    if (room == NULL) {
        return NULL;
    }
    lookup->hosts = room;
    host = calloc(1, sizeof *host);
    if (host == NULL || rc_table_put(lookup->by_name, name, host, NULL) != RC_OK) {
        free(host);
        return NULL;
    }
    (void)rc_text_put(host->name, sizeof host->name, name); /* it fits: it is a name */
    lookup->hosts[lookup->host_count++] = host;
    return host;
}

int dns_lookup_create_addresses(const char *name, uint16_t port, uint64_t seed,
                                struct dns_lookup **out)
{
    struct dns_lookup *lookup = NULL;
    int err = dns_lookup_create(name, seed, &lookup);
    if (err != RC_OK) {
        return err;
    }
    const struct host *host = host_of(lookup, lookup->text);
    lookup->entries = calloc(1, sizeof *lookup->entries);
    if (host == NULL || lookup->entries == NULL) {
        dns_lookup_destroy(lookup);
        return RC_ENOMEM;
    }
    lookup->entries[0] = (struct entry){.weight = 1, .port = port, .host = host};
    lookup->entry_count = 1;
    lookup->asked = TOLD;
    lookup->plain = true;
    *out = lookup;
    return RC_OK;
}

static void add_ip(struct dns_lookup *lookup, struct host *host,
                   const struct rc_address *ip, uint32_t ttl_s)
{
    for (size_t i = 0; i < host->ip_count; i++) {
        if (rc_address_ip_equals(&host->ips[i], ip)) {
            return;
        }
    }
    if (host->ip_count < DNS_LOOKUP_ADDRESSES_MAX) {
        host->ips[host->ip_count++] = *ip;
        use_ttl(lookup, ttl_s);
    }
}

static bool is_address(const struct dns_received *record)
{
    return record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA;
}

static void add_entry(struct dns_lookup *lookup, const struct dns_response *response,
                      const struct dns_received *record)
{
    char name[DNS_NAME_TEXT_MAX];
    struct dns_received_srv srv;

    if (dns_received_srv(response, record, &srv) != RC_OK ||
        lookup->entry_count == DNS_RESOLVE_TARGETS_MAX) {
        miss(lookup, DNS_VERDICT_PARTIAL,
             "an SRV record is malformed, or there are too many");
        return;
    }
    use_ttl(lookup, record->ttl_s);
    if (srv.target.label_count == 0) {
        return; /* RFC 2782: "." says that the service is not there */
    }
    if (dns_name_to_text(&srv.target, 0, srv.target.label_count, name) == 0) {
        miss(lookup, DNS_VERDICT_PARTIAL, "a target has no name that can be written");
        return;
    }
    const struct host *host = host_of(lookup, name);
    void *room = grow(lookup->entries, lookup->entry_count, sizeof(struct entry));
    if (host == NULL || room == NULL) {
        lookup->entries = room != NULL ? room : lookup->entries;
        miss(lookup, DNS_VERDICT_PARTIAL, "out of memory");
        return;
    }
    lookup->entries = room;
    lookup->entries[lookup->entry_count++] = (struct entry){
        .priority = srv.priority, .weight = srv.weight, .port = srv.port, .host = host};
}

/* Follows the aliases of the answer section from `name`, leaving the last one there. */
static int follow(struct dns_lookup *lookup, struct dns_response *response,
                  struct dns_name *name)
{
    struct dns_received record;

    for (size_t step = 0; step <= DNS_LOOKUP_CHAIN_MAX; step++) {
        bool is_alias = false;
        int err;
        dns_response_rewind(response);
        while (!is_alias && (err = dns_response_next(response, &record)) == RC_OK) {
            if (record.section == DNS_SECTION_ANSWER && record.type == DNS_TYPE_CNAME &&
                dns_name_equals(&record.owner, name)) {
                use_ttl(lookup, record.ttl_s);
                err = dns_received_cname(response, &record, name);
                is_alias = err == RC_OK;
            }
            if (err != RC_OK) {
                return err;
            }
        }
        if (!is_alias) {
            return err == RC_ENOTFOUND ? RC_OK : err;
        }
    }
    return RC_EMALFORMED; /* too long, or a loop */
}

/* First the SRV records of the name, then whatever addresses of their targets came
 * along. */
static int read_srv(struct dns_lookup *lookup, struct dns_response *response)
{
    struct dns_name name = lookup->name;
    struct dns_received record;
    struct rc_address ip;
    char text[DNS_NAME_TEXT_MAX];

    int err = follow(lookup, response, &name);
    dns_response_rewind(response);
    while (err == RC_OK && (err = dns_response_next(response, &record)) == RC_OK) {
        if (record.section == DNS_SECTION_ANSWER && record.type == DNS_TYPE_SRV &&
            dns_name_equals(&record.owner, &name)) {
            add_entry(lookup, response, &record);
        }
    }
    dns_response_rewind(response);
    while (err == RC_ENOTFOUND && dns_response_next(response, &record) == RC_OK) {
        if (!is_address(&record) ||
            dns_name_to_text(&record.owner, 0, record.owner.label_count, text) == 0) {
            continue;
        }
        struct host *host = rc_table_get(lookup->by_name, text);
        if (host != NULL && dns_received_address(response, &record, &ip) == RC_OK) {
            add_ip(lookup, host, &ip, record.ttl_s);
        }
    }
    return err == RC_ENOTFOUND ? RC_OK : err;
}

static void read_denial(struct dns_lookup *lookup, struct dns_response *response)
{
    struct dns_received record;
    uint32_t ttl_s;

    dns_response_rewind(response);
    while (dns_response_next(response, &record) == RC_OK) {
        if (record.section == DNS_SECTION_AUTHORITY && record.type == DNS_TYPE_SOA &&
            dns_received_soa(response, &record, &ttl_s) == RC_OK) {
            use_ttl(lookup, ttl_s);
        }
    }
}

static void srv_answered(struct dns_lookup *lookup, const uint8_t *bytes, size_t size)
{
    struct dns_response response;

    if (dns_response_open(bytes, size, &response) != RC_OK ||
        response.type != DNS_TYPE_SRV ||
        !dns_name_equals(&response.name, &lookup->name)) {
        miss(lookup, DNS_VERDICT_FAILED, "the answer is malformed");
        return;
    }
    if (response.rcode != DNS_RCODE_NOERROR && response.rcode != DNS_RCODE_NXDOMAIN) {
        miss(lookup, DNS_VERDICT_FAILED, "the server cannot answer");
        return;
    }
    if (read_srv(lookup, &response) != RC_OK) {
        miss(lookup, lookup->entry_count > 0 ? DNS_VERDICT_PARTIAL : DNS_VERDICT_FAILED,
             "the answer is malformed");
    } else if ((response.flags & DNS_FLAG_TC) != 0) {
        miss(lookup, DNS_VERDICT_PARTIAL, "the answer was cut");
    } else if (lookup->entry_count == 0) {
        miss(lookup, DNS_VERDICT_EMPTY, NULL);
        read_denial(lookup, &response);
    }
}

static void host_answered(struct dns_lookup *lookup, struct host *host,
                          const uint8_t *bytes, size_t size)
{
    struct dns_response response;
    struct dns_received record;
    struct dns_name name;
    struct rc_address ip;

    /* A name without an address of this family is no fault: the other may have one. */
    if (dns_response_open(bytes, size, &response) != RC_OK ||
        dns_name_from_text(host->name, &name) != RC_OK ||
        !dns_name_equals(&response.name, &name) ||
        follow(lookup, &response, &name) != RC_OK) {
        lookup->failed = true;
        return;
    }
    dns_response_rewind(&response);
    while (dns_response_next(&response, &record) == RC_OK) {
        if (record.section == DNS_SECTION_ANSWER && is_address(&record) &&
            dns_name_equals(&record.owner, &name) &&
            dns_received_address(&response, &record, &ip) == RC_OK) {
            add_ip(lookup, host, &ip, record.ttl_s);
        }
    }
}

void dns_lookup_answer(struct dns_lookup *lookup, size_t id, const uint8_t *bytes,
                       size_t size, const char *problem)
{
    if (id == SRV_ID) {
        assert(lookup->asked == WAITING);
        lookup->asked = TOLD;
        if (bytes == NULL) {
            miss(lookup, DNS_VERDICT_FAILED, problem);
        } else {
            srv_answered(lookup, bytes, size);
        }
        return;
    }
    size_t number = (id - 1) / IDS_PER_HOST;
    assert(number < lookup->host_count);
    struct host *host = lookup->hosts[number];
    assert(host->asked[(id - 1) % IDS_PER_HOST] == WAITING);
    host->asked[(id - 1) % IDS_PER_HOST] = TOLD;
    if (bytes != NULL) {
        host_answered(lookup, host, bytes, size);
    } else {
        lookup->failed = true;
        lookup->problem = lookup->plain ? problem : lookup->problem;
    }
}

int dns_lookup_next(struct dns_lookup *lookup, struct dns_lookup_question *out)
{
    static const uint16_t types[IDS_PER_HOST] = {DNS_TYPE_A, DNS_TYPE_AAAA};

    if (lookup->asked == NOT_ASKED) {
        lookup->asked = WAITING;
        memcpy(out->name, lookup->text, sizeof out->name);
        out->type = DNS_TYPE_SRV;
        out->id = SRV_ID;
        return RC_OK;
    }
    while (lookup->asked == TOLD && lookup->next_host < lookup->host_count &&
           lookup->next_host < DNS_LOOKUP_ASKED_MAX) {
        struct host *host = lookup->hosts[lookup->next_host];
        size_t family = 0;
        while (family < IDS_PER_HOST && host->asked[family] != NOT_ASKED) {
            family++;
        }
        /* What came with the SRV answer is not asked for again. */
        if (family == IDS_PER_HOST || (host->ip_count > 0 && family == 0)) {
            lookup->next_host++;
            continue;
        }
        host->asked[family] = WAITING;
        memcpy(out->name, host->name, sizeof out->name);
        out->type = types[family];
        out->id = 1 + lookup->next_host * IDS_PER_HOST + family;
        return RC_OK;
    }
    return RC_ENOTFOUND;
}

static bool is_waiting(const struct dns_lookup *lookup)
{
    if (lookup->asked != TOLD) {
        return true;
    }
    for (size_t i = 0; i < lookup->host_count; i++) {
        const enum asked *asked = lookup->hosts[i]->asked;
        bool may_be_asked = i < DNS_LOOKUP_ASKED_MAX && lookup->hosts[i]->ip_count == 0;
        if (asked[0] == WAITING || asked[1] == WAITING ||
            (may_be_asked && asked[0] == NOT_ASKED)) {
            return true;
        }
    }
    return false;
}

static int make_targets(struct dns_lookup *lookup)
{
    size_t count = 0;

    for (size_t i = 0; i < lookup->entry_count; i++) {
        count += lookup->entries[i].host->ip_count;
    }
    lookup->targets = calloc(count == 0 ? 1 : count, sizeof *lookup->targets);
    if (lookup->targets == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < lookup->entry_count; i++) {
        const struct entry *entry = &lookup->entries[i];
        if (lookup->plain && lookup->failed) {
            lookup->problem =
                lookup->problem != NULL ? lookup->problem : "the answer is malformed";
            lookup->verdict =
                entry->host->ip_count > 0 ? DNS_VERDICT_PARTIAL : DNS_VERDICT_FAILED;
        } else if (lookup->plain && entry->host->ip_count == 0) {
            lookup->verdict = DNS_VERDICT_EMPTY;
        } else if (entry->host->ip_count == 0) {
            miss(lookup, DNS_VERDICT_PARTIAL, "a target has no address");
        }
        for (size_t k = 0; k < entry->host->ip_count; k++) {
            struct dns_target *target = &lookup->targets[lookup->target_count++];
            target->address = entry->host->ips[k];
            target->address.port = entry->port;
            target->priority = entry->priority;
            target->weight = entry->weight;
            memcpy(target->name, entry->host->name, sizeof target->name);
        }
    }
    assert(lookup->target_count == count);
    return RC_OK;
}

int dns_lookup_result(struct dns_lookup *lookup, struct dns_result *out)
{
    if (is_waiting(lookup)) {
        return RC_EAGAIN;
    }
    int err = lookup->targets == NULL ? make_targets(lookup) : RC_OK;
    *out = (struct dns_result){
        .verdict = err == RC_OK ? lookup->verdict : DNS_VERDICT_FAILED,
        .targets = lookup->targets,
        .target_count = err == RC_OK ? lookup->target_count : 0,
        .min_ttl_s = lookup->min_ttl_s == UINT32_MAX ? 0 : lookup->min_ttl_s,
        .problem = err == RC_OK ? lookup->problem : "out of memory",
    };
    return err;
}

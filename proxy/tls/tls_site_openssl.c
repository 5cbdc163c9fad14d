/* tls_site_openssl.c - see tls_site_openssl.h. */
#include "proxy/tls/tls_site_openssl.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/entropy.h"
#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "proxy/tls/sni.h"
#include "proxy/tls/tls_context_openssl.h"

enum {
    TICKETS_SENT = 2, /* after a full handshake of TLS 1.3 */
    TICKET_IV = 16
};

struct own_certificate {
    SSL_CTX *ssl; /* owned; with this certificate alone */
    enum sni_key kind;
    struct tls_fact fact;
};

/* What is shown for some names: one certificate of each kind. */
struct site_set {
    int certificates[SNI_KEY_COUNT]; /* indexes, or SNI_NONE */
    SSL_CTX *ssl;                    /* of its only certificate, or owned */
    bool owned;
};

struct tls_site {
    const struct tls_library *library; /* of the context that owns us */
    struct tls_tickets *tickets;       /* one reference */
    EVP_CIPHER *seal;                  /* of tickets */
    struct sni *names;
    struct own_certificate *own;
    size_t own_count;
    struct site_set *sets; /* the first is for who asks for no name of ours */
    size_t set_count;
    bool strict;
    unsigned char protocols[16]; /* by ALPN, in our order, as on the wire */
    unsigned protocols_size;
    unsigned char id[8]; /* sessions of other listeners are none of ours */
};

/* The one variable that all share: OpenSSL asks for the key of a ticket with nothing in hand that
 * leads to its functions, which are loaded and not linked. Set once, never freed. */
static _Atomic(const struct tls_library *) ticket_library;

/* --- what OpenSSL asks during a handshake --- */

static int on_name(SSL *ssl, int *alert, void *argument)
{
    const struct tls_site *site = argument;
    const char *name = site->library->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct sni_entry *entry =
        name != NULL ? sni_find(site->names, name, strlen(name)) : NULL;
    if (entry == NULL) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return site->strict ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
    }
    if (entry->set != 0) {
        (void)site->library->SSL_set_SSL_CTX(ssl, site->sets[entry->set].ssl);
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Ours in our order. Who offers only what we do not speak means somebody else
 * (RFC 7301 section 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *offered, unsigned size, void *argument)
{
    const struct tls_site *site = argument;
    (void)ssl;
    for (unsigned i = 0; i < site->protocols_size; i += 1U + site->protocols[i]) {
        unsigned length = 1U + site->protocols[i];
        for (unsigned at = 0; at < size; at += 1U + offered[at]) {
            if (size - at >= length &&
                memcmp(offered + at, site->protocols + i, length) == 0) {
                *out = offered + at + 1;
                *out_size = offered[at];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int sign_with(const struct tls_library *l, EVP_MAC_CTX *mac,
                     const struct tls_ticket_key *key)
{
    char digest[] = "SHA256";
    uint8_t sign[sizeof key->sign]; /* parameters are not const */
    memcpy(sign, key->sign, sizeof sign);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, sign, sizeof sign),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
        OSSL_PARAM_END,
    };
    return l->EVP_MAC_CTX_set_params(mac, parameters);
}

/* Seals a ticket, or opens one: 1 = done, 2 = done and a newer one is due, 0 = none of ours,
 * -1 = an error. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals)
{
    const struct tls_library *l = atomic_load(&ticket_library);
    const struct tls_site *site = l->SSL_CTX_get_ex_data(l->SSL_get_SSL_CTX(ssl), 0);
    bool newest = true;

    if (seals != 0) {
        const struct tls_ticket_key *key = tls_tickets_newest(site->tickets);
        memcpy(name, key->name, TLS_TICKETS_NAME);
        rc_entropy(iv, TICKET_IV);
        return l->EVP_EncryptInit_ex(cipher, site->seal, NULL, key->seal, iv) == 1 &&
                       sign_with(l, mac, key) == 1
                   ? 1
                   : -1;
    }
    const struct tls_ticket_key *key = tls_tickets_find(site->tickets, name, &newest);
    if (key == NULL) {
        return 0;
    }
    if (l->EVP_DecryptInit_ex(cipher, site->seal, NULL, key->seal, iv) != 1 ||
        sign_with(l, mac, key) != 1) {
        return -1;
    }
    /* In TLS 1.3 a ticket is good for one connection (RFC 8446 appendix C.4): always a new one. */
    return newest && l->SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

/* --- what a certificate says --- */

static enum sni_key kind_of(const struct tls_library *l, const X509 *x509)
{
    switch (l->EVP_PKEY_get_base_id(l->X509_get0_pubkey(x509))) {
    case EVP_PKEY_EC:
        return SNI_ECDSA;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return SNI_EDWARDS;
    default:
        return SNI_RSA;
    }
}

static void take_name(struct tls_fact *fact, const char *name, size_t size)
{
    if (fact->name[0] == '\0' && size < sizeof fact->name) {
        memcpy(fact->name, name, size);
        fact->name[size] = '\0';
    }
}

/* Certificates without names for DNS speak by their subject, as they did of old. */
static int add_common_name(struct tls_site *site, const X509 *x509, size_t index)
{
    const struct tls_library *l = site->library;
    struct own_certificate *own = &site->own[index];
    char name[256];
    int size = l->X509_NAME_get_text_by_NID(l->X509_get_subject_name(x509),
                                            NID_commonName, name, sizeof name);
    if (size <= 0) {
        return RC_OK;
    }
    take_name(&own->fact, name, (size_t)size);
    int err = sni_add(site->names, name, (size_t)size, own->kind, (int)index);
    return err == RC_ENOMEM ? err : RC_OK;
}

static int add_names(struct tls_site *site, const X509 *x509, size_t index)
{
    const struct tls_library *l = site->library;
    struct own_certificate *own = &site->own[index];
    GENERAL_NAMES *names = l->X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    const OPENSSL_STACK *stack = (const OPENSSL_STACK *)names; /* what it is */
    int count = names != NULL ? l->OPENSSL_sk_num(stack) : 0;
    int err = RC_OK;
    bool any = false;

    for (int i = 0; err == RC_OK && i < count; i++) {
        const GENERAL_NAME *name = l->OPENSSL_sk_value(stack, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        const char *text = (const char *)l->ASN1_STRING_get0_data(name->d.dNSName);
        size_t size = (size_t)l->ASN1_STRING_length(name->d.dNSName);
        any = true;
        take_name(&own->fact, text, size);
        err = sni_add(site->names, text, size, own->kind, (int)index);
        err = err == RC_ENOMEM ? err : RC_OK; /* a name that nobody asks for */
    }
    l->GENERAL_NAMES_free(names);
    return err != RC_OK || any ? err : add_common_name(site, x509, index);
}

static int64_t end_of(const struct tls_library *l, const X509 *x509)
{
    struct tm when = {0};
    return l->ASN1_TIME_to_tm(l->X509_get0_notAfter(x509), &when) == 1
               ? (int64_t)timegm(&when)
               : 0;
}

/* --- making --- */

static int ask_clients(const struct tls_library *l, SSL_CTX *ssl,
                       const struct config_secure *secure, char problem[TLS_PROBLEM_MAX])
{
    l->ERR_clear_error();
    STACK_OF(X509_NAME) *names = l->SSL_load_client_CA_file(secure->client_ca);
    if (names == NULL || l->SSL_CTX_load_verify_file(ssl, secure->client_ca) != 1) {
        return tls_context_file_fault(l, "client_ca", secure->client_ca, problem);
    }
    l->SSL_CTX_set_client_CA_list(ssl, names);
    l->SSL_CTX_set_verify(
        ssl,
        SSL_VERIFY_PEER | (secure->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return RC_OK;
}

/* An SSL_CTX without a certificate. */
static int make_ssl(struct tls_site *site, const struct config_secure *secure,
                    SSL_CTX **out, char problem[TLS_PROBLEM_MAX])
{
    const struct tls_library *l = site->library;
    SSL_CTX *made = tls_context_new_ssl(l);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    *out = made;
    bool set =
        l->SSL_CTX_set_ex_data(made, 0, site) == 1 &&
        l->SSL_CTX_callback_ctrl(made, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                                 (void (*)(void))on_name) == 1 &&
        l->SSL_CTX_ctrl(made, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, site) == 1 &&
        l->SSL_CTX_set_tlsext_ticket_key_evp_cb(made, on_ticket) == 1 &&
        l->SSL_CTX_set_session_id_context(made, site->id, sizeof site->id) == 1 &&
        l->SSL_CTX_ctrl(made, SSL_CTRL_SET_MIN_PROTO_VERSION,
                        secure->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION, NULL) == 1;
    if (!set) {
        return RC_ENOMEM;
    }
    if (site->protocols_size > 0) {
        l->SSL_CTX_set_alpn_select_cb(made, on_protocols, site);
    }
    (void)l->SSL_CTX_set_num_tickets(made, TICKETS_SENT);
    (void)l->SSL_CTX_set_timeout(made, TLS_TICKETS_LIFE_S);
    return secure->client_ca[0] != '\0' ? ask_clients(l, made, secure, problem) : RC_OK;
}

static int load_own(struct tls_site *site, const struct config_secure *secure,
                    size_t index, char problem[TLS_PROBLEM_MAX])
{
    const struct config_certificate *from = &secure->certificates[index];
    struct own_certificate *own = &site->own[index];
    int err = make_ssl(site, secure, &own->ssl, problem);
    site->own_count++;
    if (err == RC_OK) {
        err = tls_context_use(site->library, own->ssl, from->certificate, from->key,
                              problem);
    }
    if (err != RC_OK) {
        return err;
    }
    const X509 *x509 = site->library->SSL_CTX_get0_certificate(own->ssl);
    own->kind = kind_of(site->library, x509);
    own->fact.file = from->certificate;
    own->fact.line = from->line;
    own->fact.ends_s = end_of(site->library, x509);
    return add_names(site, x509, index);
}

/* The set of these certificates, new or not; its index, or SIZE_MAX when memory is out. */
static size_t put_set(struct tls_site *site, const int certificates[SNI_KEY_COUNT])
{
    for (size_t i = 0; i < site->set_count; i++) {
        if (memcmp(site->sets[i].certificates, certificates,
                   sizeof site->sets[i].certificates) == 0) {
            return i;
        }
    }
    struct site_set *grown =
        realloc(site->sets, (site->set_count + 1) * sizeof *site->sets);
    if (grown == NULL) {
        return SIZE_MAX;
    }
    site->sets = grown;
    grown += site->set_count;
    *grown = (struct site_set){0};
    memcpy(grown->certificates, certificates, sizeof grown->certificates);
    return site->set_count++;
}

/* The SSL_CTX of a set: that of its only certificate, or one with all of them. */
static int fill_set(struct tls_site *site, struct site_set *set,
                    const struct config_secure *secure, char problem[TLS_PROBLEM_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < SNI_KEY_COUNT; i++) {
        if (set->certificates[i] != SNI_NONE) {
            set->ssl = site->own[set->certificates[i]].ssl;
            count++;
        }
    }
    if (count == 1) {
        return RC_OK;
    }
    set->ssl = NULL;
    set->owned = true;
    int err = make_ssl(site, secure, &set->ssl, problem);
    for (size_t i = 0; err == RC_OK && i < SNI_KEY_COUNT; i++) {
        if (set->certificates[i] != SNI_NONE) {
            const struct config_certificate *from =
                &secure->certificates[set->certificates[i]];
            err = tls_context_use(site->library, set->ssl, from->certificate, from->key,
                                  problem);
        }
    }
    return err;
}

/* Who asks for no name of ours is shown what is shown for the first certificate's first name. */
static size_t put_default(struct tls_site *site)
{
    int certificates[SNI_KEY_COUNT] = {SNI_NONE, SNI_NONE, SNI_NONE};
    const struct own_certificate *first = &site->own[0];
    const struct sni_entry *entry =
        sni_find(site->names, first->fact.name, strlen(first->fact.name));
    if (entry != NULL && entry->certificates[first->kind] == 0) {
        return put_set(site, entry->certificates);
    }
    certificates[first->kind] = 0;
    return put_set(site, certificates);
}

static int make_sets(struct tls_site *site, const struct config_secure *secure,
                     char problem[TLS_PROBLEM_MAX])
{
    size_t position = 0;
    struct sni_entry *entry = NULL;
    int err = put_default(site) == 0 ? RC_OK : RC_ENOMEM;
    while (err == RC_OK && (entry = sni_next(site->names, &position)) != NULL) {
        entry->set = put_set(site, entry->certificates);
        err = entry->set != SIZE_MAX ? RC_OK : RC_ENOMEM;
    }
    for (size_t i = 0; err == RC_OK && i < site->set_count; i++) {
        err = fill_set(site, &site->sets[i], secure, problem);
    }
    return err;
}

static void offer(struct tls_site *site, const char *protocol)
{
    size_t size = strlen(protocol);
    assert(site->protocols_size + 1 + size <= sizeof site->protocols);
    site->protocols[site->protocols_size] = (unsigned char)size;
    memcpy(site->protocols + site->protocols_size + 1, protocol, size);
    site->protocols_size += (unsigned)(1 + size);
}

/* The functions for on_ticket, once for the process. */
static int share_library(const struct tls_library *l)
{
    const struct tls_library *none = NULL;
    if (atomic_load(&ticket_library) != NULL) {
        return RC_OK;
    }
    struct tls_library *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return RC_ENOMEM;
    }
    *copy = *l;
    if (!atomic_compare_exchange_strong(&ticket_library, &none, copy)) {
        free(copy);
    }
    return RC_OK;
}

/* Sessions are bound to the listener, and to whom it trusts. */
static void put_id(struct tls_site *site, const struct config_listener *listener)
{
    char text[RC_ADDRESS_TEXT_MAX + CONFIG_PATH_MAX + 8];
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&listener->address, address);
    int size = snprintf(text, sizeof text, "%s %d %s", address,
                        listener->secure.client_required, listener->secure.client_ca);
    uint64_t hash = rc_hash(text, (size_t)size, 0);
    memcpy(site->id, &hash, sizeof site->id);
}

static int fill(struct tls_site *site, const struct config_listener *listener,
                char problem[TLS_PROBLEM_MAX], unsigned *line)
{
    const struct config_secure *secure = &listener->secure;
    site->names = sni_create(rc_entropy_u64());
    site->own = calloc(secure->certificate_count, sizeof *site->own);
    site->seal = site->library->EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    site->strict = secure->strict;
    put_id(site, listener);
    if (site->names == NULL || site->own == NULL || site->seal == NULL ||
        share_library(site->library) != RC_OK) {
        return RC_ENOMEM;
    }
    if (secure->http2) {
        offer(site, "h2");
    }
    if (listener->mode == CONFIG_HTTP) {
        offer(site, "http/1.1");
    }
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < secure->certificate_count; i++) {
        *line = secure->certificates[i].line;
        err = load_own(site, secure, i, problem);
    }
    return err == RC_OK ? make_sets(site, secure, problem) : err;
}

int tls_site_create(const struct config_listener *listener, struct tls_tickets *tickets,
                    struct tls_context **out, char problem[TLS_PROBLEM_MAX],
                    unsigned *line)
{
    struct tls_context *context = NULL;
    *line = listener->line;
    int err = tls_context_make(&context, problem);
    if (err != RC_OK) {
        return err;
    }
    struct tls_site *site = calloc(1, sizeof *site);
    if (site == NULL) {
        tls_context_release(context);
        return RC_ENOMEM;
    }
    context->site = site;
    site->library = &context->library;
    site->tickets = tls_tickets_retain(tickets);
    err = fill(site, listener, problem, line);
    if (err != RC_OK) {
        tls_context_release(context);
        return err;
    }
    context->ssl = site->sets[0].ssl;
    *out = context;
    return RC_OK;
}

void tls_site_destroy(struct tls_site *site)
{
    if (site == NULL) {
        return;
    }
    const struct tls_library *l = site->library;
    for (size_t i = 0; i < site->set_count; i++) {
        if (site->sets[i].owned) {
            l->SSL_CTX_free(site->sets[i].ssl);
        }
    }
    for (size_t i = 0; i < site->own_count; i++) {
        l->SSL_CTX_free(site->own[i].ssl);
    }
    free(site->sets);
    free(site->own);
    l->EVP_CIPHER_free(site->seal);
    sni_destroy(site->names);
    tls_tickets_release(site->tickets);
    free(site);
}

size_t tls_site_count(const struct tls_context *context)
{
    if (context == NULL) {
        return 0;
    }
    if (context->site != NULL) {
        return context->site->own_count;
    }
    return context->library.SSL_CTX_get0_certificate(context->ssl) != NULL ? 1 : 0;
}

void tls_site_fact(const struct tls_context *context, size_t index, struct tls_fact *out)
{
    assert(index < tls_site_count(context));
    if (context->site != NULL) {
        *out = context->site->own[index].fact;
        return;
    }
    const struct tls_library *l = &context->library;
    *out = (struct tls_fact){0};
    out->ends_s = end_of(l, l->SSL_CTX_get0_certificate(context->ssl));
}

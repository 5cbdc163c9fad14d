/* tls_library_openssl.h - the functions of libssl and libcrypto that tls_openssl.c calls, under their
 * own names, from libraries that are loaded on first use. */
#ifndef PROXY_TLS_LIBRARY_OPENSSL_H
#define PROXY_TLS_LIBRARY_OPENSSL_H

#include <stddef.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_library {
    const SSL_METHOD *(*TLS_method)(void);
    SSL_CTX *(*SSL_CTX_new)(const SSL_METHOD *);
    void (*SSL_CTX_free)(SSL_CTX *);
    long (*SSL_CTX_ctrl)(SSL_CTX *, int, long, void *);
    uint64_t (*SSL_CTX_set_options)(SSL_CTX *, uint64_t);
    int (*SSL_CTX_set_num_tickets)(SSL_CTX *, size_t);
    void (*SSL_CTX_set_default_passwd_cb)(SSL_CTX *, pem_password_cb *);
    int (*SSL_CTX_use_certificate_chain_file)(SSL_CTX *, const char *);
    int (*SSL_CTX_use_PrivateKey_file)(SSL_CTX *, const char *, int);
    int (*SSL_CTX_check_private_key)(const SSL_CTX *);
    X509 *(*SSL_CTX_get0_certificate)(const SSL_CTX *);
    void (*SSL_CTX_set_alpn_select_cb)(SSL_CTX *, SSL_CTX_alpn_select_cb_func, void *);
    int (*SSL_CTX_set_alpn_protos)(SSL_CTX *, const unsigned char *, unsigned);
    int (*SSL_CTX_load_verify_file)(SSL_CTX *, const char *);
    void (*SSL_CTX_set_verify)(SSL_CTX *, int, SSL_verify_cb);
    SSL *(*SSL_new)(SSL_CTX *);
    void (*SSL_free)(SSL *);
    long (*SSL_ctrl)(SSL *, int, long, void *);
    void (*SSL_set0_rbio)(SSL *, BIO *);
    void (*SSL_set0_wbio)(SSL *, BIO *);
    void (*SSL_set_accept_state)(SSL *);
    void (*SSL_set_connect_state)(SSL *);
    int (*SSL_set1_host)(SSL *, const char *);
    X509_VERIFY_PARAM *(*SSL_get0_param)(SSL *);
    int (*SSL_do_handshake)(SSL *);
    int (*SSL_read)(SSL *, void *, int);
    int (*SSL_write)(SSL *, const void *, int);
    int (*SSL_shutdown)(SSL *);
    int (*SSL_get_error)(const SSL *, int);
    long (*SSL_get_verify_result)(const SSL *);
    void (*SSL_get0_alpn_selected)(const SSL *, const unsigned char **, unsigned *);
    X509 *(*SSL_get_certificate)(const SSL *);
    X509 *(*SSL_get1_peer_certificate)(const SSL *);
    /* of libcrypto */
    void (*X509_free)(X509 *);
    int (*X509_cmp)(const X509 *, const X509 *);
    const ASN1_TIME *(*X509_get0_notAfter)(const X509 *);
    int (*X509_cmp_current_time)(const ASN1_TIME *);
    const char *(*X509_verify_cert_error_string)(long);
    int (*X509_VERIFY_PARAM_set1_ip)(X509_VERIFY_PARAM *, const unsigned char *, size_t);
    unsigned long (*ERR_peek_error)(void);
    const char *(*ERR_reason_error_string)(unsigned long);
    void (*ERR_clear_error)(void);
    BIO *(*BIO_new)(const BIO_METHOD *);
    BIO *(*BIO_new_mem_buf)(const void *, int);
    const BIO_METHOD *(*BIO_s_mem)(void);
    long (*BIO_ctrl)(BIO *, int, long, void *);
};

/* RC_OK, or RC_ENOTFOUND with what is missing in words. */
int tls_library_load(struct tls_library *library, char *problem, size_t size);

#endif

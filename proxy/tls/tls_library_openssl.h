/* tls_library_openssl.h - the functions of libssl and libcrypto that tls_openssl.c calls, under their
 * own names, from libraries that are loaded on first use. */
#ifndef PROXY_TLS_TLS_LIBRARY_OPENSSL_H
#define PROXY_TLS_TLS_LIBRARY_OPENSSL_H

#include <stddef.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
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
    int (*SSL_CTX_set_default_verify_paths)(SSL_CTX *);
    int (*SSL_CTX_set_cipher_list)(SSL_CTX *, const char *);
    int (*SSL_CTX_set_ciphersuites)(SSL_CTX *, const char *);
    long (*SSL_CTX_callback_ctrl)(SSL_CTX *, int, void (*)(void));
    int (*SSL_CTX_set_tlsext_ticket_key_evp_cb)(SSL_CTX *,
                                                int (*)(SSL *, unsigned char *,
                                                        unsigned char *, EVP_CIPHER_CTX *,
                                                        EVP_MAC_CTX *, int));
    int (*SSL_CTX_set_session_id_context)(SSL_CTX *, const unsigned char *, unsigned);
    long (*SSL_CTX_set_timeout)(SSL_CTX *, long);
    int (*SSL_CTX_set_ex_data)(SSL_CTX *, int, void *);
    void *(*SSL_CTX_get_ex_data)(const SSL_CTX *, int);
    STACK_OF(X509_NAME) * (*SSL_load_client_CA_file)(const char *);
    void (*SSL_CTX_set_client_CA_list)(SSL_CTX *, STACK_OF(X509_NAME) *);
    SSL_CTX *(*SSL_get_SSL_CTX)(const SSL *);
    SSL_CTX *(*SSL_set_SSL_CTX)(SSL *, SSL_CTX *);
    const char *(*SSL_get_servername)(const SSL *, int);
    uint64_t (*SSL_set_options)(SSL *, uint64_t);
    uint64_t (*SSL_clear_options)(SSL *, uint64_t);
    SSL_SESSION *(*SSL_get1_session)(SSL *);
    void (*SSL_set_shutdown)(SSL *, int);
    void (*SSL_set_read_ahead)(SSL *, int);
    int (*SSL_set_fd)(SSL *, int);
    int (*SSL_set_alpn_protos)(SSL *, const unsigned char *, unsigned);
    int (*SSL_set_session)(SSL *, SSL_SESSION *);
    void (*SSL_SESSION_free)(SSL_SESSION *);
    int (*SSL_SESSION_is_resumable)(const SSL_SESSION *);
    int (*SSL_session_reused)(const SSL *);
    int (*SSL_version)(const SSL *);
    const char *(*SSL_get_version)(const SSL *);
    int (*SSL_has_pending)(const SSL *);
    int (*SSL_peek)(SSL *, void *, int);
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
    int (*X509_check_host)(X509 *, const char *, size_t, unsigned, char **);
    int (*X509_check_ip_asc)(X509 *, const char *, unsigned);
    X509_NAME *(*X509_get_subject_name)(const X509 *);
    int (*X509_NAME_get_text_by_NID)(const X509_NAME *, int, char *, int);
    void *(*X509_get_ext_d2i)(const X509 *, int, int *, int *);
    EVP_PKEY *(*X509_get0_pubkey)(const X509 *);
    int (*EVP_PKEY_get_base_id)(const EVP_PKEY *);
    int (*OPENSSL_sk_num)(const OPENSSL_STACK *);
    void *(*OPENSSL_sk_value)(const OPENSSL_STACK *, int);
    void (*GENERAL_NAMES_free)(GENERAL_NAMES *);
    const unsigned char *(*ASN1_STRING_get0_data)(const ASN1_STRING *);
    int (*ASN1_STRING_length)(const ASN1_STRING *);
    int (*ASN1_TIME_to_tm)(const ASN1_TIME *, struct tm *);
    EVP_CIPHER *(*EVP_CIPHER_fetch)(OSSL_LIB_CTX *, const char *, const char *);
    void (*EVP_CIPHER_free)(EVP_CIPHER *);
    int (*EVP_EncryptInit_ex)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
                              const unsigned char *, const unsigned char *);
    int (*EVP_DecryptInit_ex)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
                              const unsigned char *, const unsigned char *);
    int (*EVP_MAC_CTX_set_params)(EVP_MAC_CTX *, const OSSL_PARAM *);
    const ASN1_TIME *(*X509_get0_notAfter)(const X509 *);
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

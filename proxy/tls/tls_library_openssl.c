/* tls_library_openssl.c - see tls_library_openssl.h. */
#include "proxy/tls/tls_library_openssl.h"

#include "base/err.h"
#include "base/library.h"

/* POSIX lets a function pointer be stored through a void **; C11 only tolerates it. */
#define SYMBOL(name)                   \
    {                                  \
#name, (void **)&library->name \
    }

/* Certificates, keys and errors. */
static int load_crypto(struct tls_library *library, char *problem, size_t size)
{
    const struct rc_symbol symbols[] = {
        SYMBOL(X509_free),
        SYMBOL(X509_cmp),
        SYMBOL(X509_check_host),
        SYMBOL(X509_check_ip_asc),
        SYMBOL(X509_get_subject_name),
        SYMBOL(X509_NAME_get_text_by_NID),
        SYMBOL(X509_get_ext_d2i),
        SYMBOL(X509_get0_pubkey),
        SYMBOL(EVP_PKEY_get_base_id),
        SYMBOL(OPENSSL_sk_num),
        SYMBOL(OPENSSL_sk_value),
        SYMBOL(GENERAL_NAMES_free),
        SYMBOL(ASN1_STRING_get0_data),
        SYMBOL(ASN1_STRING_length),
        SYMBOL(ASN1_TIME_to_tm),
        SYMBOL(EVP_CIPHER_fetch),
        SYMBOL(EVP_CIPHER_free),
        SYMBOL(EVP_EncryptInit_ex),
        SYMBOL(EVP_DecryptInit_ex),
        SYMBOL(EVP_MAC_CTX_set_params),
        SYMBOL(X509_get0_notAfter),
        SYMBOL(X509_verify_cert_error_string),
        SYMBOL(X509_VERIFY_PARAM_set1_ip),
        SYMBOL(ERR_peek_error),
        SYMBOL(ERR_reason_error_string),
        SYMBOL(ERR_clear_error),
        SYMBOL(BIO_new),
        SYMBOL(BIO_new_mem_buf),
        SYMBOL(BIO_s_mem),
        SYMBOL(BIO_ctrl),
    };
    return rc_library_load("libcrypto.so.3", "libssl3", symbols,
                           sizeof symbols / sizeof symbols[0], problem, size);
}

/* What connections have in common. */
static int load_contexts(struct tls_library *library, char *problem, size_t size)
{
    const struct rc_symbol symbols[] = {
        SYMBOL(TLS_method),
        SYMBOL(SSL_CTX_new),
        SYMBOL(SSL_CTX_free),
        SYMBOL(SSL_CTX_ctrl),
        SYMBOL(SSL_CTX_set_options),
        SYMBOL(SSL_CTX_set_num_tickets),
        SYMBOL(SSL_CTX_set_default_passwd_cb),
        SYMBOL(SSL_CTX_use_certificate_chain_file),
        SYMBOL(SSL_CTX_use_PrivateKey_file),
        SYMBOL(SSL_CTX_check_private_key),
        SYMBOL(SSL_CTX_get0_certificate),
        SYMBOL(SSL_CTX_set_alpn_select_cb),
        SYMBOL(SSL_CTX_set_alpn_protos),
        SYMBOL(SSL_CTX_load_verify_file),
        SYMBOL(SSL_CTX_set_verify),
        SYMBOL(SSL_CTX_set_default_verify_paths),
        SYMBOL(SSL_CTX_set_cipher_list),
        SYMBOL(SSL_CTX_set_ciphersuites),
        SYMBOL(SSL_CTX_callback_ctrl),
        SYMBOL(SSL_CTX_set_tlsext_ticket_key_evp_cb),
        SYMBOL(SSL_CTX_set_session_id_context),
        SYMBOL(SSL_CTX_set_timeout),
        SYMBOL(SSL_CTX_set_ex_data),
        SYMBOL(SSL_CTX_get_ex_data),
        SYMBOL(SSL_load_client_CA_file),
        SYMBOL(SSL_CTX_set_client_CA_list),
    };
    return rc_library_load("libssl.so.3", "libssl3", symbols,
                           sizeof symbols / sizeof symbols[0], problem, size);
}

/* One connection. */
static int load_connections(struct tls_library *library, char *problem, size_t size)
{
    const struct rc_symbol symbols[] = {
        SYMBOL(SSL_get_SSL_CTX),
        SYMBOL(SSL_set_SSL_CTX),
        SYMBOL(SSL_get_servername),
        SYMBOL(SSL_set_options),
        SYMBOL(SSL_clear_options),
        SYMBOL(SSL_get1_session),
        SYMBOL(SSL_set_shutdown),
        SYMBOL(SSL_set_read_ahead),
        SYMBOL(SSL_set_fd),
        SYMBOL(SSL_set_alpn_protos),
        SYMBOL(SSL_set_session),
        SYMBOL(SSL_SESSION_free),
        SYMBOL(SSL_SESSION_is_resumable),
        SYMBOL(SSL_session_reused),
        SYMBOL(SSL_version),
        SYMBOL(SSL_get_version),
        SYMBOL(SSL_has_pending),
        SYMBOL(SSL_peek),
        SYMBOL(SSL_new),
        SYMBOL(SSL_free),
        SYMBOL(SSL_ctrl),
        SYMBOL(SSL_set0_rbio),
        SYMBOL(SSL_set0_wbio),
        SYMBOL(SSL_set_accept_state),
        SYMBOL(SSL_set_connect_state),
        SYMBOL(SSL_set1_host),
        SYMBOL(SSL_get0_param),
        SYMBOL(SSL_do_handshake),
        SYMBOL(SSL_read),
        SYMBOL(SSL_write),
        SYMBOL(SSL_shutdown),
        SYMBOL(SSL_get_error),
        SYMBOL(SSL_get_verify_result),
        SYMBOL(SSL_get0_alpn_selected),
        SYMBOL(SSL_get_certificate),
        SYMBOL(SSL_get1_peer_certificate),
    };
    return rc_library_load("libssl.so.3", "libssl3", symbols,
                           sizeof symbols / sizeof symbols[0], problem, size);
}

int tls_library_load(struct tls_library *library, char *problem, size_t size)
{
    int err = load_crypto(library, problem, size);

    if (err == RC_OK) {
        err = load_contexts(library, problem, size);
    }
    return err != RC_OK ? err : load_connections(library, problem, size);
}

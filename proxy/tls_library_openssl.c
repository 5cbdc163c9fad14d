/* tls_library_openssl.c - see tls_library_openssl.h. */
#include "proxy/tls_library_openssl.h"

#include "base/err.h"
#include "base/library.h"

/* POSIX lets a function pointer be stored through a void **; C11 only tolerates it. */
#define SYMBOL(name)                   \
    {                                  \
#name, (void **)&library->name \
    }

int tls_library_load(struct tls_library *library, char *problem, size_t size)
{
    const struct rc_symbol tls[] = {
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
    const struct rc_symbol crypto[] = {
        SYMBOL(X509_free),
        SYMBOL(X509_cmp),
        SYMBOL(X509_get0_notAfter),
        SYMBOL(X509_cmp_current_time),
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
    int err = rc_library_load("libcrypto.so.3", "libssl3", crypto,
                              sizeof crypto / sizeof crypto[0], problem, size);
    return err != RC_OK ? err
                        : rc_library_load("libssl.so.3", "libssl3", tls,
                                          sizeof tls / sizeof tls[0], problem, size);
}

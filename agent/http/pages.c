#include "agent/http/pages.h"

#include <string.h>

#include "agent/http/endpoints.h"
#include "base/text.h"

static void redirect(struct http_exchange *x)
{
    exchange_header(x, "Location", "/ui/");
    exchange_done(x);
    x->status = 301;
}

static bool is_served(const struct http_api *api)
{
    return http_page_count > 0 && !api->without_page;
}

void pages_redirect(struct http_api *api, struct http_exchange *x)
{
    if (is_served(api)) {
        redirect(x);
    } else {
        x->status = 404;
    }
}

void pages_root(struct http_api *api, struct http_exchange *x)
{
    if (is_served(api)) {
        redirect(x);
        return;
    }
    rc_buffer_text(&x->out, "Consul Agent"); /* its clients look for these words */
    x->status = 200;
    x->content_type = "text/plain; charset=utf-8";
}

static const struct http_page *find(const char *path)
{
    for (size_t i = 0; i < http_page_count; i++) {
        if (strcmp(http_pages[i].path, path) == 0) {
            return &http_pages[i];
        }
    }
    return NULL;
}

/* The page finds its own way in addresses such as /ui/services/web.v2: what is no file gets the
 * start page, but not what looks like a file of this folder. */
static const struct http_page *page_of(const char *path)
{
    const struct http_page *page = find(path);

    if (page == NULL && (strchr(path, '.') == NULL || strchr(path, '/') != NULL)) {
        page = find("index.html");
    }
    return page;
}

/* RFC 9110, 12.5.3, as far as browsers and curl write it. */
static bool takes_gzip(const struct http_exchange *x)
{
    const char *at = x->request.accept_encoding;

    at = at != NULL ? strstr(at, "gzip") : NULL;
    return at != NULL && !rc_text_starts_with(at, "gzip;q=0");
}

void pages_file(struct http_api *api, struct http_exchange *x)
{
    const struct http_page *page = is_served(api) ? page_of(x->argument) : NULL;

    if (page == NULL) {
        x->status = 404;
        return;
    }
    /* Everything from here, nothing inline, in nobody's frame (security.md H2). */
    exchange_header(x, "Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; "
                    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
                    "manifest-src 'self'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'");
    exchange_header(x, "X-Frame-Options", "DENY"); /* for those who know no better */
    exchange_header(x, "X-Content-Type-Options", "nosniff");
    exchange_header(x, "Referrer-Policy", "no-referrer");
    exchange_header(x, "Cache-Control", "no-cache");
    bool is_packed = takes_gzip(x) && page->packed_size > 0;
    const char *etag = is_packed ? page->packed_etag : page->etag;
    exchange_header(x, "ETag", etag);
    if (is_packed) {
        exchange_header(x, "Content-Encoding", "gzip");
    }
    if (x->request.if_none_match != NULL &&
        strstr(x->request.if_none_match, etag) != NULL) {
        x->status = 304;
        return;
    }
    x->status = 200;
    x->content_type = page->content_type;
    x->page = is_packed ? page->packed : page->bytes;
    x->page_size = is_packed ? page->packed_size : page->size;
}

#include "dns/answer/chaos.h"

#include <string.h>

#include "base/err.h"

/* The text under that name, or NULL. */
static const char *text_of(const struct dns_options *options,
                           const struct dns_name *asked)
{
    const struct {
        const char *name;
        const char *text;
    } texts[] = {
        {"version.bind", options->version},
        {"version.server", options->version},
        {"hostname.bind", options->identity},
        {"id.server", options->identity},
    };
    struct dns_name name;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text != NULL && dns_name_from_text(texts[i].name, &name) == RC_OK &&
            dns_name_equals(&name, asked)) {
            return texts[i].text;
        }
    }
    return NULL;
}

void dns_chaos_answer(struct dns_reply *reply)
{
    struct dns_writer *writer = &reply->writer;
    uint16_t type = reply->query->type;

    const char *text = text_of(reply->ground->options, &reply->query->name);
    if (text == NULL) {
        reply->rcode = DNS_RCODE_REFUSED;
        return;
    }
    reply->flags = DNS_FLAG_AA;
    if (type != DNS_TYPE_TXT && type != DNS_TYPE_ANY) {
        return;
    }
    size_t size = strnlen(text, DNS_TEXT_MAX);
    dns_record_open_at(writer, DNS_QUESTION_AT, DNS_TYPE_TXT, 0);
    dns_record_class(writer, DNS_CLASS_CHAOS);
    rc_writer_u8(&writer->bytes, (uint8_t)size);
    rc_writer_bytes(&writer->bytes, text, size);
    (void)dns_record_close(writer, DNS_SECTION_ANSWER);
}

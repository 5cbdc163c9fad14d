/* fuzz_definition.c - any body of a registration: a definition that survives being written and
 * read again, or a refusal in words. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/catalog/definition.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void try_service(const json_t *json, enum definition_style style)
{
    struct service_definition service;
    struct service_definition again;
    struct definition_fault fault = {0};

    if (service_definition_parse(json, style, &service, &fault) != RC_OK) {
        assert(fault.text[0] != '\0');
        return;
    }
    json_t *tree = service_definition_to_json(&service);
    assert(tree != NULL);
    int err = service_definition_parse(tree, DEFINITION_API, &again, &fault);
    assert(err == RC_OK && service_definition_equals(&service, &again));
    service_definition_fini(&again);
    err = service_definition_copy(&service, &again);
    assert(err == RC_OK && service_definition_equals(&service, &again));
    service_definition_fini(&again);
    service_definition_fini(&service);
    json_decref(tree);
}

static void try_check(const json_t *json)
{
    struct check_definition check;
    struct definition_fault fault = {0};

    if (check_definition_parse(json, DEFINITION_FILE, &check, &fault) == RC_OK) {
        assert(check.id != NULL && check.name != NULL);
        check_definition_fini(&check);
    } else {
        assert(fault.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct definition_fault fault = {0};
    json_t *json = NULL;

    if (definition_load_body((const char *)bytes, size, &json, &fault) != RC_OK) {
        assert(strncmp(fault.text, "Request decode failed: ", 23) == 0);
        return 0;
    }
    try_service(json, DEFINITION_API);
    try_service(json, DEFINITION_FILE);
    try_check(json);
    json_decref(json);
    return 0;
}

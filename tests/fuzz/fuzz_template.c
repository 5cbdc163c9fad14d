/* fuzz_template.c - any template, read and rendered with a catalog of which every question is answered: it ends, within its bounds,
 * and gives the same text twice. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_render.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char instances[] =
    "[{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Meta\":{\"rack\":\"b\"}},"
    "\"Service\":{\"ID\":\"a\",\"Service\":\"web\",\"Tags\":[\"v2\",\"primary\"],\"Port\":80,"
    "\"Meta\":{\"w\":\"a'\\n\\\"$\"}},\"Checks\":[{\"CheckID\":\"c\",\"Status\":\"warning\"}]},"
    "{\"Node\":{\"Node\":\"n0\"},\"Service\":{\"ID\":\"b\",\"Service\":\"web\"}}]";

static const struct {
    enum template_query_kind kind;
    const char *body;
} answers[] = {
    {QUERY_SERVICE, instances},
    {QUERY_PASSING, instances},
    {QUERY_SERVICES, "{\"web\":[\"v1\"],\"db\":[]}"},
    {QUERY_NODES, "[{\"Node\":\"n1\",\"Address\":\"fd00::1\"}]"},
    {QUERY_NODE, "{\"Node\":{\"Node\":\"n1\"},\"Services\":{\"a\":{\"ID\":\"a\"}}}"},
    {QUERY_KEY, "[{\"Key\":\"k\",\"Value\":\"eyJhIjpbMSx7ImIiOm51bGx9XX0=\"}]"},
    {QUERY_TREE,
     "[{\"Key\":\"a/b\",\"Value\":\"MQ==\"},{\"Key\":\"a/c/d\",\"Value\":null}]"},
};

struct world {
    json_t *values[QUERY_KIND_COUNT];
};

static json_t *find(void *context, const struct template_query *query)
{
    const struct world *world = context;

    if (query->name.size > 0 && query->name.at[0] == 'l') {
        return NULL; /* later */
    }
    return world->values[query->kind];
}

/* Answers every question once and for all. */
static void fill(struct world *world)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct template_query query = {.kind = answers[i].kind};
        json_t **value = &world->values[answers[i].kind];
        if (*value == NULL &&
            template_query_value(&query, 200, answers[i].body, strlen(answers[i].body),
                                 value) != RC_OK) {
            abort();
        }
    }
}

static void render(const struct template_program *program, struct world *world,
                   struct rc_buffer *out)
{
    static const struct template_bounds bounds = {1 << 16, 1 << 16, 10000};
    const struct template_source source = {.find = find, .context = world};
    struct template_result result;
    int err = template_render(program, &source, &bounds, out, &result);

    assert((err == RC_OK) == (result.error[0] == '\0'));
    assert(out->size <= bounds.output_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct world world;
    struct template_program *program = NULL;
    char error[TEMPLATE_ERROR_MAX];
    const struct template_source_text text = {
        .name = "t", .text = (const char *)bytes, .size = size};
    struct rc_buffer first = {0};
    struct rc_buffer second = {0};

    fill(&world);
    if (template_program_create(&text, &program, error) != RC_OK) {
        assert(error[0] != '\0');
        return 0;
    }
    render(program, &world, &first);
    render(program, &world, &second);
    assert(first.size == second.size &&
           (first.size == 0 || memcmp(first.bytes, second.bytes, first.size) == 0));
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
    template_program_destroy(program);
    return 0;
}

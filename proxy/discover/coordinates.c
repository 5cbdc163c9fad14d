/* coordinates.c - see coordinates.h. */
#include "proxy/discover/coordinates.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

static const double us_per_s = 1e6;
static const double far_s = 3600; /* nothing sane is farther */

static bool is_sane(double value)
{
    return isfinite(value) && value > -far_s && value < far_s;
}

static bool read_coordinate(const json_t *from, struct coordinate *out)
{
    const json_t *vector = json_object_get(from, "Vec");
    struct coordinate made = {
        .dimensions = json_array_size(vector),
        .height = json_number_value(json_object_get(from, "Height")),
        .adjustment = json_number_value(json_object_get(from, "Adjustment")),
    };
    if (made.dimensions == 0 || made.dimensions > COORDINATES_DIMENSIONS_MAX ||
        !is_sane(made.height) || !is_sane(made.adjustment)) {
        return false;
    }
    for (size_t i = 0; i < made.dimensions; i++) {
        made.vector[i] = json_number_value(json_array_get(vector, i));
        if (!is_sane(made.vector[i])) {
            return false;
        }
    }
    *out = made;
    return true;
}

int coordinates_read_self(const char *body, size_t size, char node[CONFIG_NAME_MAX])
{
    json_error_t why;
    json_t *root = json_loadb(body, size, 0, &why);
    const json_t *config = json_object_get(root, "Config");
    const char *name = json_string_value(json_object_get(config, "NodeName"));
    int err = name != NULL && name[0] != '\0' &&
                      rc_text_put(node, CONFIG_NAME_MAX, name) == RC_OK
                  ? RC_OK
                  : RC_EMALFORMED;
    json_decref(root);
    return err;
}

int coordinates_read_nodes(const char *body, size_t size, struct coordinates_node **nodes,
                           size_t *count)
{
    json_error_t why;
    json_t *root = json_loadb(body, size, 0, &why);
    if (!json_is_array(root)) {
        json_decref(root);
        return RC_EMALFORMED;
    }
    size_t most = json_array_size(root);
    most = most > COORDINATES_NODES_MAX ? COORDINATES_NODES_MAX : most;
    struct coordinates_node *made = calloc(most + 1, sizeof *made);
    size_t used = 0;
    for (size_t i = 0; made != NULL && i < most; i++) {
        const json_t *item = json_array_get(root, i);
        const char *name = json_string_value(json_object_get(item, "Node"));
        if (name != NULL &&
            rc_text_put(made[used].node, sizeof made[used].node, name) == RC_OK &&
            read_coordinate(json_object_get(item, "Coord"), &made[used].at)) {
            used++;
        }
    }
    json_decref(root);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    *nodes = made;
    *count = used;
    return RC_OK;
}

uint32_t coordinates_distance_us(const struct coordinate *a, const struct coordinate *b)
{
    double sum = 0;
    if (a->dimensions == 0 || a->dimensions != b->dimensions) {
        return UINT32_MAX;
    }
    for (size_t i = 0; i < a->dimensions; i++) {
        double difference = a->vector[i] - b->vector[i];
        sum += difference * difference;
    }
    double plain = sqrt(sum) + a->height + b->height;
    double adjusted = plain + a->adjustment + b->adjustment;
    double distance_us = (adjusted > 0 ? adjusted : plain) * us_per_s;
    if (!(distance_us >= 0)) {
        return UINT32_MAX;
    }
    return distance_us >= 4e9 ? UINT32_MAX - 1 : (uint32_t)distance_us;
}

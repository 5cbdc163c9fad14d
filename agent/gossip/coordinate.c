/* coordinate.c - guessing round trips between members from those we measured (Vivaldi). */
#include "agent/gossip/coordinate.h"

#include <math.h>

static const double error_max = 1.5;
static const double height_min = 1e-5;
static const double tuning = 0.25; /* cE and cC of the paper */
static const double zero = 1e-6;
static const double gravity_rho = 150.0;
static const double rtt_max_s = 10.0;

struct gossip_coordinate coordinate_origin(void)
{
    return (struct gossip_coordinate){.error = error_max, .height = height_min};
}

/* fmin and fmax would need libm: 450 kB in each process. */
static double lesser(double a, double b)
{
    return b < a ? b : a;
}

static double greater(double a, double b)
{
    return b > a ? b : a;
}

bool coordinate_is_valid(const struct gossip_coordinate *coordinate)
{
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        if (!isfinite(coordinate->vec[i])) {
            return false;
        }
    }
    return isfinite(coordinate->error) && isfinite(coordinate->adjustment) &&
           isfinite(coordinate->height);
}

static double magnitude(const double *vec)
{
    double sum = 0.0;
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        sum += vec[i] * vec[i];
    }
    return sqrt(sum);
}

static double raw_distance(const struct gossip_coordinate *a,
                           const struct gossip_coordinate *b)
{
    double between[COORDINATE_DIMENSIONS];
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        between[i] = a->vec[i] - b->vec[i];
    }
    return magnitude(between) + a->height + b->height;
}

double gossip_coordinate_distance(const struct gossip_coordinate *a,
                                  const struct gossip_coordinate *b)
{
    double raw = raw_distance(a, b);
    double adjusted = raw + a->adjustment + b->adjustment;
    return adjusted > 0.0 ? adjusted : raw;
}

/* The unit vector from `from` to `to`, a random one if they are the same point. Returns the
 * distance. */
static double direction(const double *from, const double *to, struct rc_random *random,
                        double *unit)
{
    double length;

    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        unit[i] = to[i] - from[i];
    }
    length = magnitude(unit);
    if (length > zero) {
        for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
            unit[i] /= length;
        }
        return length;
    }
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        unit[i] = (double)rc_random_below(random, 2000001) / 1e6 - 1.0;
    }
    length = magnitude(unit);
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        unit[i] = length > zero ? unit[i] / length : (i == 0 ? 1.0 : 0.0);
    }
    return 0.0;
}

/* Pushes `c` away from `other` by `force` seconds; a negative force pulls. */
static void apply_force(struct gossip_coordinate *c,
                        const struct gossip_coordinate *other, double force,
                        struct rc_random *random)
{
    double unit[COORDINATE_DIMENSIONS];
    double length = direction(other->vec, c->vec, random, unit);

    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        c->vec[i] += unit[i] * force;
    }
    if (length > zero) {
        c->height =
            greater(height_min, (c->height + other->height) * force / length + c->height);
    }
}

static void move(struct gossip_coordinate *self, const struct gossip_coordinate *theirs,
                 double rtt_s, struct rc_random *random)
{
    double distance = gossip_coordinate_distance(self, theirs);
    double rtt = greater(rtt_s, zero);
    double wrong = fabs(distance - rtt) / rtt;
    double total = greater(self->error + theirs->error, zero);
    double weight = self->error / total;

    self->error = lesser(error_max,
                         tuning * weight * wrong + self->error * (1.0 - tuning * weight));
    apply_force(self, theirs, tuning * weight * (rtt - distance), random);
}

static void adjust(struct coordinate_self *self, const struct gossip_coordinate *theirs,
                   double rtt_s)
{
    double sum = 0.0;

    self->adjustments[self->adjustment_count % COORDINATE_ADJUSTMENTS] =
        rtt_s - raw_distance(&self->coordinate, theirs);
    self->adjustment_count++;
    for (size_t i = 0; i < COORDINATE_ADJUSTMENTS; i++) {
        sum += self->adjustments[i];
    }
    self->coordinate.adjustment = sum / (2.0 * COORDINATE_ADJUSTMENTS);
}

static double median(const struct coordinate_peer *peer)
{
    const double *s = peer->samples;

    if (peer->sample_count == 1) {
        return s[0];
    }
    if (peer->sample_count == 2) {
        return greater(s[0], s[1]);
    }
    return greater(lesser(s[0], s[1]), lesser(greater(s[0], s[1]), s[2]));
}

void coordinate_update(struct coordinate_self *self, struct coordinate_peer *peer,
                       const struct gossip_coordinate *theirs, double rtt_s,
                       struct rc_random *random)
{
    const struct gossip_coordinate origin = coordinate_origin();

    if (!(rtt_s >= 0.0 && rtt_s <= rtt_max_s)) {
        return;
    }
    peer->coordinate = *theirs;
    peer->samples[peer->sample_count % COORDINATE_SAMPLES] = rtt_s;
    peer->sample_count++;
    double rtt = median(peer);
    move(&self->coordinate, theirs, rtt, random);
    adjust(self, theirs, rtt);
    double far = gossip_coordinate_distance(&origin, &self->coordinate) / gravity_rho;
    apply_force(&self->coordinate, &origin, -far * far, random);
    if (!coordinate_is_valid(&self->coordinate)) {
        *self = (struct coordinate_self){.coordinate = coordinate_origin()};
    }
}

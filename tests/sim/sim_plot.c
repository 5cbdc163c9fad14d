/* sim_plot.c - convergence and false failures over time, as an SVG. */
#include <stdlib.h>

#include "base/err.h"
#include "tests/sim/sim_report.h"

enum { WIDTH = 900, HEIGHT = 360, LEFT = 60, RIGHT = 60, TOP = 40, BOTTOM = 40 };

static double x_of(const struct measure *m, size_t second)
{
    double span = m->second_count > 1 ? (double)(m->second_count - 1) : 1.0;
    return LEFT + (double)second * (WIDTH - LEFT - RIGHT) / span;
}

static double y_of(double share)
{
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

/* The share of pairs of running nodes that are right about each other. */
static double right_share(const struct measure_second *second)
{
    double pairs = (double)second->running * (second->running - 1.0);
    double wrong = (double)second->wrong_pairs;

    return pairs > 0 && wrong < pairs ? 1.0 - wrong / pairs : 0.0;
}

static uint64_t most_false(const struct measure *m)
{
    return m->second_count > 0 ? m->seconds[m->second_count - 1].false_failures : 0;
}

static void put_frame(const struct measure *m, const struct play_options *o, FILE *out)
{
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                  "<text x=\"%d\" y=\"20\">%s, %u nodes, profile %s</text>\n",
                  WIDTH, HEIGHT, LEFT, o->scenario->name, o->nodes, o->profile);
    for (int i = 0; i <= 4; i++) {
        double share = i / 4.0;
        (void)fprintf(out,
                      "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
                      "stroke=\"#ddd\"/>\n"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#06c\">"
                      "%d %%</text>\n"
                      "<text x=\"%d\" y=\"%.1f\" fill=\"#c30\">%.0f</text>\n",
                      LEFT, WIDTH - RIGHT, y_of(share), y_of(share), LEFT - 6,
                      y_of(share) + 4, i * 25, WIDTH - RIGHT + 6, y_of(share) + 4,
                      share * (double)most_false(m));
    }
    for (size_t i = 0; i <= 4; i++) {
        size_t second = m->second_count > 0 ? (m->second_count - 1) * i / 4 : 0;
        (void)fprintf(out,
                      "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%zu s</text>\n",
                      x_of(m, second), HEIGHT - BOTTOM + 18, second);
    }
}

static void put_curves(const struct measure *m, FILE *out)
{
    double most = most_false(m) > 0 ? (double)most_false(m) : 1.0;

    (void)fprintf(out, "<polyline fill=\"none\" stroke=\"#06c\" points=\"");
    for (size_t i = 0; i < m->second_count; i++) {
        (void)fprintf(out, "%.1f,%.1f ", x_of(m, i), y_of(right_share(&m->seconds[i])));
    }
    (void)fprintf(out, "\"/>\n<polyline fill=\"none\" stroke=\"#c30\" points=\"");
    for (size_t i = 0; i < m->second_count; i++) {
        (void)fprintf(out, "%.1f,%.1f ", x_of(m, i),
                      y_of((double)m->seconds[i].false_failures / most));
    }
    (void)fprintf(
        out,
        "\"/>\n<text x=\"%d\" y=\"34\" fill=\"#06c\">views that are right</text>\n"
        "<text x=\"%d\" y=\"34\" fill=\"#c30\" text-anchor=\"end\">false failures "
        "so far</text>\n</svg>\n",
        LEFT, WIDTH - RIGHT);
}

int report_plot(const struct report *report, const struct play_options *options,
                const char *path)
{
    FILE *out = fopen(path, "we");

    if (out == NULL) {
        return RC_EIO;
    }
    put_frame(&report->measure, options, out);
    put_curves(&report->measure, out);
    return fclose(out) == 0 ? RC_OK : RC_EIO;
}

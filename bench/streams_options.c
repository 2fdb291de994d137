/* The options of streams; programs give them, so each has its own name and no default but zero. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "streams.h"

static const char usage[] =
    "Usage: streams --target HOST:PORT --certs DIR [--connections N] [--streams N] [--tokens N]\n"
    "            [--pace-us N] [--spread-ms N] [--warm-up-ms N] [--measure-ms N] [--quiet yes]\n"
    "            [--connecting N] [--wait yes] [--at-once N] [--tell-every N]\n"
    "            [--identity URI --pair NAME]\n"
    "Opens N streams on each of N connections and prints what arrived as JSON lines.\n";

typedef struct option {
    const char *name;
    uint64_t *number;
    const char **text;
} option;

static bool read_number(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

bool bench_options_read(bench_options *options, int argc, char *argv[]) {
    const char *quiet = NULL;
    const char *wait = NULL;
    *options = (bench_options){.connections = 1, .streams = 1};
    const option table[] = {
        {.name = "--target", .text = &options->target},
        {.name = "--certs", .text = &options->certs},
        {.name = "--identity", .text = &options->identity},
        {.name = "--pair", .text = &options->pair},
        {.name = "--quiet", .text = &quiet},
        {.name = "--wait", .text = &wait},
        {.name = "--connections", .number = &options->connections},
        {.name = "--connecting", .number = &options->connecting},
        {.name = "--streams", .number = &options->streams},
        {.name = "--at-once", .number = &options->at_once},
        {.name = "--tell-every", .number = &options->tell_every},
        {.name = "--tokens", .number = &options->tokens},
        {.name = "--pace-us", .number = &options->pace_us},
        {.name = "--spread-ms", .number = &options->spread_ms},
        {.name = "--warm-up-ms", .number = &options->warm_up_ms},
        {.name = "--measure-ms", .number = &options->measure_ms},
    };
    for (int i = 1; i < argc; i += 2) {
        bool known = false;
        for (size_t k = 0; k < sizeof table / sizeof table[0] && i + 1 < argc; k++) {
            if (strcmp(argv[i], table[k].name) == 0) {
                known = table[k].text != NULL || read_number(argv[i + 1], table[k].number);
                if (table[k].text != NULL) {
                    *table[k].text = argv[i + 1];
                }
            }
        }
        if (!known) {
            fprintf(stderr, "streams: %s: unknown or without a value\n%s", argv[i], usage);
            return false;
        }
    }
    options->quiet = quiet != NULL;
    options->wait = wait != NULL;
    if (options->target == NULL || options->certs == NULL || options->connections == 0 ||
        options->streams == 0 || options->at_once > options->streams) {
        fputs(usage, stderr);
        return false;
    }
    return true;
}

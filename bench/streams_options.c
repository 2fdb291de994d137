/* The options of load; programs give them, so each has its own name and no default but zero. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char usage[] =
    "Usage: load --target HOST:PORT --certs DIR [--connections N] [--streams N] [--tokens N]\n"
    "            [--pace-us N] [--spread-ms N] [--warm-up-ms N] [--measure-ms N] [--quiet yes]\n"
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

bool load_options_read(load_options *options, int argc, char *argv[]) {
    const char *quiet = NULL;
    *options = (load_options){.connections = 1, .streams = 1};
    const option table[] = {
        {.name = "--target", .text = &options->target},
        {.name = "--certs", .text = &options->certs},
        {.name = "--identity", .text = &options->identity},
        {.name = "--pair", .text = &options->pair},
        {.name = "--quiet", .text = &quiet},
        {.name = "--connections", .number = &options->connections},
        {.name = "--streams", .number = &options->streams},
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
            fprintf(stderr, "load: %s: unknown or without a value\n%s", argv[i], usage);
            return false;
        }
    }
    options->quiet = quiet != NULL;
    if (options->target == NULL || options->certs == NULL || options->connections == 0 ||
        options->streams == 0) {
        fputs(usage, stderr);
        return false;
    }
    return true;
}

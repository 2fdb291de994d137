/* config: the client's settings. */
#ifndef APPS_CLIENT_CONFIG_H
#define APPS_CLIENT_CONFIG_H

#include "common/program.h"

/* What goes to stdout. */
enum rn_client_print { RN_PRINT_LOG, RN_PRINT_TEXT, RN_PRINT_JSON };

enum { RN_CLIENT_STREAMS_MAX = 1000 };

typedef struct rn_client_config {
    const char *target;
    const char *server_name;     /* NULL: the target's host */
    const char *server_identity; /* NULL: none */
    uint64_t connect_timeout_ns;
    uint64_t streams;
    const char *prompt; /* NULL: drawn */
    uint64_t tokens;    /* 0: without end */
    uint64_t seed;
    uint64_t pace_ns;    /* 0: the worker's */
    uint64_t timeout_ns; /* of each stream; 0: none */
    unsigned print;
    const char *output_text; /* NULL: none */
    const char *token_file;  /* NULL: none */
    rn_common common;
} rn_client_config;

const rn_program_spec *rn_client_spec(void);

#endif

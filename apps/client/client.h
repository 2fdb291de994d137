/* client: the program's state; one connection and its streams. */
#ifndef APPS_CLIENT_CLIENT_H
#define APPS_CLIENT_CLIENT_H

#include <stdio.h>

#include "client/config.h"
#include "client/report.h"
#include "client/sequence.h"
#include "common/program.h"
#include "rpcnet/rpcnet.h"

enum {
    RN_CLIENT_PROMPT_MAX = 32, /* of one that is drawn */
    /* Of the connection: what comes although the streams are held becomes lines, which take more
     * room than it did. RN_OUTPUT_BYTES_MAX has it for lines 60 times as long. */
    RN_CLIENT_WINDOW_BYTES = 1 << 20
};

typedef struct rn_client rn_client;

typedef struct rn_client_stream {
    rn_client *client;
    rpcnet_call *call; /* NULL: not started, or over */
    uint64_t number;   /* from 1: the place in client->streams */
    rn_sequence sequence;
    FILE *text; /* NULL: none */
    char connection_id[RN_SWAP_LABEL_SIZE];
    char worker[RN_SWAP_LABEL_SIZE]; /* "": none was connected yet */
    uint64_t stream_id;
    uint64_t last_ns; /* when the last token came, by rn_client_stream_clock; 0: none */
    bool swapping;    /* the first token after a swap is awaited */
    size_t swap;      /* of the report, while `swapping` */
    bool done;        /* Done came */
} rn_client_stream;

struct rn_client {
    rn_program program;
    rn_client_config config;
    rn_output out; /* standard output */
    rn_output err; /* standard error, if the summary goes there */
    rn_report report;
    bool held;              /* the streams: the reader of standard output is slow */
    uint64_t held_since_ns; /* while `held` */
    uint64_t held_ns;       /* in all, before */
    rpcnet_credentials *credentials;
    rpcnet_metadata *metadata; /* of each request; NULL: none */
    rpcnet_channel *channel;
    rn_timer *timer;   /* of connecting; then of the end's steps */
    rn_deferred flush; /* of the outputs, once in a turn */
    char prompt[RN_CLIENT_PROMPT_MAX];
    rn_client_stream *streams;
    uint64_t open; /* streams that are not over */
    bool started;  /* the connection was made */
    bool interrupted;
    bool finishing;
    bool said;      /* while finishing: nothing but the reader is waited for */
    uint64_t taken; /* what the readers had taken when they were looked at last */
    bool output_failed;
    bool text_failed;
    char trouble[RPCNET_ERROR_TEXT_MAX]; /* why the last attempt to connect failed */
};

/* Connects; the streams start when the connection stands. On failure it was said. */
int rn_client_open(rn_client *client);
void rn_client_close(rn_client *client); /* also what is half open */

/* Starts a stream's call; and: it is over (stream.c to ending.c). */
void rn_client_stream_start(rn_client_stream *stream);
void rn_client_stream_over(rn_client_stream *stream, bool failed);

/* ---- writing.c: standard output, and the streams that feed it ---- */

int rn_client_outputs_open(rn_client *client);   /* on failure it was said */
void rn_client_outputs_close(rn_client *client); /* says what was not written */
/* Something was added to the report: writes it at the end of the turn, and holds the streams back
 * if too much waits. */
void rn_client_write(rn_client *client);
void rn_client_flush(rn_client *client); /* now; says what fails */
/* Time that stands still while the streams are held back. */
uint64_t rn_client_stream_clock(const rn_client *client);

/* ---- ending.c ---- */

void rn_client_interrupt(rn_client *client);       /* SIGINT or SIGTERM */
void rn_client_end_step(rn_client *client);        /* the timer, when finishing */
void rn_client_outputs_settled(rn_client *client); /* no reader is waited for */

/* The file for the text takes no more: says why (errno), once, and ends the program. */
void rn_client_text_failed(rn_client *client);

#endif

/* client: the program's state; one connection and its streams. */
#ifndef APPS_CLIENT_CLIENT_H
#define APPS_CLIENT_CLIENT_H

#include "client/config.h"
#include "client/report.h"
#include "client/sequence.h"
#include "common/program.h"
#include "rpcnet/rpcnet.h"

enum { RN_CLIENT_PROMPT_MAX = 32 }; /* of one that is drawn */

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
    uint64_t last_ns; /* when the last token came; 0: none */
    bool swapping;    /* the first token after a swap is awaited */
    size_t swap;      /* of the report, while `swapping` */
    bool done;        /* Done came */
} rn_client_stream;

struct rn_client {
    rn_program program;
    rn_client_config config;
    rn_report report;
    rpcnet_credentials *credentials;
    rpcnet_metadata *metadata; /* of each request; NULL: none */
    rpcnet_channel *channel;
    rn_timer *timer;   /* of connecting; then of the last words */
    rn_deferred flush; /* of stdout, once in a turn */
    char prompt[RN_CLIENT_PROMPT_MAX];
    rn_client_stream *streams;
    uint64_t open; /* streams that are not over */
    bool started;  /* the connection was made */
    bool interrupted;
    bool finishing;
    bool text_failed;
    char trouble[RPCNET_ERROR_TEXT_MAX]; /* why the last attempt to connect failed */
};

/* Connects; the streams start when the connection stands. On failure it was said. */
int rn_client_open(rn_client *client);
void rn_client_close(rn_client *client); /* also what is half open */

/* Starts a stream's call; and: it is over (stream.c to client.c). */
void rn_client_stream_start(rn_client_stream *stream);
void rn_client_stream_over(rn_client_stream *stream, bool failed);
/* The file for the text takes no more: says why (errno), once, and ends the program. */
void rn_client_text_failed(rn_client *client);

#endif

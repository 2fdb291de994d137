/* fake_conn: the functions of quic/conn.h in memory, for tests of the layers above.
 *
 * A link joins a client's and a server's rn_conn. What one writes is delivered to the other's
 * handler by fake_link_run, in chunks of a scripted size; rings, windows, resets and the end of
 * streams behave as the contract says. Nothing is lost and no time passes by itself. A test that
 * wants a peer of its own making sets its own rn_conn_handler on one end. */
#ifndef TESTS_SUPPORT_FAKE_CONN_H
#define TESTS_SUPPORT_FAKE_CONN_H

#include "quic/conn.h"

typedef struct fake_link fake_link;

typedef struct fake_options {
    size_t ring;       /* bytes of a stream's send ring; 0: 256 KiB */
    size_t window;     /* a stream's receive window; 0: 256 KiB */
    size_t chunk;      /* bytes of a delivery at the most; 0: all that there is */
    unsigned seed;     /* with chunk: random sizes from 1 to chunk; 0: always chunk */
    uint64_t bidi_max; /* streams that may be open; 0: 128 */
    uint64_t uni_max;  /* the same for unidirectional ones; 0: 8 */
    rn_budget *budget; /* of both ends; NULL: none. Rings are not counted in it. */
} fake_options;

fake_link *fake_link_new(const fake_options *options); /* NULL: defaults */
/* Connections that are still open are closed first: handlers hear it. */
void fake_link_del(fake_link *link);

rn_conn *fake_link_client(fake_link *link); /* NULL once it is closed */
rn_conn *fake_link_server(fake_link *link);

void fake_link_establish(fake_link *link); /* on both ends */
/* Delivers until nothing moves any more. */
void fake_link_run(fake_link *link);
/* One pass: at most one chunk of each stream. Returns whether something moved. */
bool fake_link_step(fake_link *link);

/* Bytes that `conn` writes stay in its rings until it is let go again. */
void fake_conn_hold(rn_conn *conn, bool hold);
/* What `conn` wrote is delivered, but not acknowledged: its rings fill up. */
void fake_conn_hold_acks(rn_conn *conn, bool hold);
/* The connection is lost for this end; its handler is called inside. */
void fake_conn_lose(rn_conn *conn, enum rn_close_cause cause, const char *text);
void fake_conn_set_now(rn_conn *conn, uint64_t now);
/* rn_stream_reserve and _write: RPCNET_ERR_MEMORY. */
void fake_conn_fail_writes(rn_conn *conn, bool fail);

/* What has been given back, less what came: 0 when every byte's window is returned. */
size_t fake_conn_unconsumed(const rn_conn *conn);
size_t fake_conn_streams(const rn_conn *conn);          /* of both kinds, not closed */
rn_stream *fake_conn_stream(rn_conn *conn, int64_t id); /* NULL: not there */
unsigned fake_stream_urgency(const rn_stream *stream);
void fake_stream_pad(rn_stream *stream, size_t memory); /* its ring holds so much more */
size_t fake_stream_delivered(const rn_stream *stream);  /* bytes that came */
/* The code that `conn` closed with; 0: it did not. */
uint64_t fake_conn_close_code(const rn_conn *conn);
uint64_t fake_link_close_code(const fake_link *link); /* of the first close, kept after it */

#endif

/* wire: the header sections of a call, built and read (gRPC over HTTP/2's and HTTP/3's mapping). */
#ifndef RN_GRPC_WIRE_H
#define RN_GRPC_WIRE_H

#include "grpc/metadata.h"
#include "grpc/status.h"
#include "grpc/timeout.h"
#include "h3/session.h"

/* A section that is being built; lives on the stack. Fields point into it, or at what was added. */
typedef struct rn_wire {
    rn_h3_field fields[RN_H3_FIELDS_MAX];
    size_t count;
    rn_buffer text; /* encoded values of "-bin" metadata */
    char timeout[RN_TIMEOUT_TEXT_MAX];
    char code[2];
    char message[RN_STATUS_ENCODED_MAX];
} rn_wire;

void rn_wire_init(rn_wire *wire);
void rn_wire_fini(rn_wire *wire);

/* Not more than RN_H3_FIELDS_MAX - RN_METADATA_FIELDS_MAX fields beside metadata. */
void rn_wire_add(rn_wire *wire, const char *name, rn_bytes value);
void rn_wire_add_timeout(rn_wire *wire, uint64_t timeout_ns);
void rn_wire_add_status(rn_wire *wire, const rn_status *status);
/* Once per section; NULL: none. RPCNET_ERR_MEMORY. */
int rn_wire_add_metadata(rn_wire *wire, const rn_metadata *metadata);

/* The protocol's own fields of a section that came. `data == NULL`: not there. */
typedef struct rn_wire_head {
    rn_bytes method;
    rn_bytes path;
    rn_bytes authority;
    rn_bytes http_status;
    rn_bytes content_type;
    rn_bytes timeout;
    rn_bytes status;
    rn_bytes message;
} rn_wire_head;

/* Sorts fields: the protocol's into `head`, the others into `metadata`. What rn_metadata_add_wire
 * returns. */
int rn_wire_read(const rn_h3_field *fields, size_t count, rn_wire_head *head,
                 rn_metadata *metadata);
/* "application/grpc", alone or followed by "+proto" or parameters. */
bool rn_wire_is_grpc(rn_bytes content_type);
unsigned rn_wire_http_status(rn_bytes value); /* 0: none, or malformed */

#endif

/* script: what a broken peer sends, written as text, so that a table of attacks can be read.
 *
 *   "u1: 00 F4{} ; r1: F0{"body"} FIN"
 *
 * Steps are separated by ';'. A step begins with the stream that it writes to: u (unidirectional,
 * of the sender), r (request stream) or b (bidirectional, of a server) and a number, then ':'. The
 * step "wait" lets the network carry what was sent. Behind the bytes may stand FIN, RESET:code or
 * STOP:code. Bytes are, with blanks between them:
 *
 *   0a0b...        hexadecimal digits
 *   v123, v0x1f    a QUIC variable-length integer (RFC 9000, section 16)
 *   V123           the same in eight bytes
 *   "text"
 *   *61:100        a hundred bytes 0x61
 *   F1{...}        an HTTP/3 frame of type 0x1; its length is that of the bytes in the braces
 *   Q{a=b|c=d}     a QPACK field section without any reference (RFC 9204, section 4.5); \xx in a
 *                  name or value is the byte xx; more than one Q in a frame: only the first one
 *                  begins the section
 *   M{...}         a gRPC message
 *
 * A mistake in a script fails the test. */
#ifndef TESTS_ABUSE_SCRIPT_H
#define TESTS_ABUSE_SCRIPT_H

#include <stdint.h>

#include "base/buffer.h"

enum script_end { SCRIPT_GO_ON, SCRIPT_FIN, SCRIPT_RESET, SCRIPT_STOP };

typedef struct script_step {
    char kind;       /* 'u', 'r', 'b', or 'w': wait */
    unsigned number; /* from 1 */
    rn_buffer bytes;
    enum script_end end;
    uint64_t code;
} script_step;

/* Reads the step at the cursor; `bytes` must be initialised and is replaced. False: no more. */
bool script_next(const char **cursor, script_step *step);

/* Appends what `text` describes (bytes only) to `out`. */
void script_bytes(const char *text, rn_buffer *out);

#endif

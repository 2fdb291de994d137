/* relay_internal: what the files of a relay share. */
#ifndef APPS_DIRECTOR_DATA_RELAY_INTERNAL_H
#define APPS_DIRECTOR_DATA_RELAY_INTERNAL_H

#include "director/data/data.h"

#define RN_RELAY_NO_MEMORY "out of memory for a message that the client does not take"

/* Sets the callbacks of the client's call. */
void rn_relay_listen(rn_relay *relay);
/* The client waits as long as something of its waits for the worker. */
void rn_relay_hold_client(rn_relay *relay);
void rn_relay_let_client_go_on(rn_relay *relay);
/* Deferred: the worker's call ended without Done. */
void rn_relay_call_lost(void *user);

/* ---- relay_up.c ---- */
void rn_relay_up_init(rn_relay *relay);
void rn_relay_up_reset(rn_relay *relay); /* the worker is left */
/* Begins the worker's call. RPCNET_ERR_LIMIT, RPCNET_ERR_MEMORY, and what sending returns. */
int rn_relay_send_assignment(rn_relay *relay, const rn_assignment_call *call);
/* Sends what waits, as far as there is room now; the worker's on_writable calls for more. */
void rn_relay_send_up(rn_relay *relay);
/* It reads no more, or did so before and has said something since. */
void rn_relay_note_closed(rn_relay *relay);
bool rn_relay_up_waits(const rn_relay *relay); /* something of the client's does */

/* ---- relay_log.c: the lines that docs/connection-swapping.md promises ---- */
/* Looks at the first message for what the log shows of it. */
void rn_log_peek(rn_relay *relay, rn_bytes message);
void rn_log_opened(const rn_relay *relay);
void rn_log_assigning(const rn_relay *relay, const rn_link *link);
void rn_log_lost(const rn_relay *relay, const rn_link *link, const rn_swap_action *action);
void rn_log_flows(const rn_relay *relay, const rn_link *link);
void rn_log_ended(const rn_relay *relay, const rn_swap_action *action);

#endif

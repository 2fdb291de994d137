/* rpcnet/loop.h: the loop that drives channels and servers on a real machine.
 *
 * One thread runs a loop and owns everything that is made from its environment; a process may have
 * several. Making the first one lets the process ignore SIGPIPE.
 *
 *   rpcnet_loop *loop;
 *   rpcnet_loop_new(&loop, "info");
 *   rpcnet_channel_new(&channel, rpcnet_loop_env(loop), ...);
 *   rpcnet_loop_run(loop);       // until a callback calls rpcnet_loop_stop
 *   rpcnet_channel_del(channel);
 *   rpcnet_loop_del(loop);
 */
#ifndef RPCNET_LOOP_H
#define RPCNET_LOOP_H

#include "rpcnet/rpcnet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rpcnet_loop rpcnet_loop;

/* `log_filter`: which log lines go to stderr, in env_logger's syntax ("warn,rpcnet::quic=debug");
 * NULL: "warn". RPCNET_ERR_MEMORY, RPCNET_ERR_LIMIT (filter too long),
 * RPCNET_ERR_DESCRIPTORS, RPCNET_ERR_IO. A line that stderr does not take within 100 ms is lost; a
 * later one says how many were. */
int rpcnet_loop_new(rpcnet_loop **out, const char *log_filter);
/* Not inside a callback. Channels, servers, calls and health services must be deleted before. */
void rpcnet_loop_del(rpcnet_loop *loop);
rpcnet_env *rpcnet_loop_env(rpcnet_loop *loop);
/* Runs callbacks until rpcnet_loop_stop; may be called again. */
void rpcnet_loop_run(rpcnet_loop *loop);
/* Ends rpcnet_loop_run after the present turn; before it: lets it return at once. */
void rpcnet_loop_stop(rpcnet_loop *loop);

#ifdef __cplusplus
}
#endif

#endif

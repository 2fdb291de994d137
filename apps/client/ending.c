/* ending: from the last stream's end, or a signal, to the program's. */
#include "client/client.h"

enum { LAST_WORDS_MS = 10 };

/* After a signal, a reader that takes nothing for so long is not waited for. */
#define READER_PATIENCE_NS (2 * RN_SECOND)

/* Time for what the connection has still to send: cancelled streams first, then its own end. */
static void say_last_words(rn_client *client) {
    rn_env *env = client->program.env;
    env->ops->timer_set(client->timer, rn_env_now(env) + LAST_WORDS_MS * RN_MILLISECOND);
}

static void sum_up(rn_client *client) {
    rpcnet_channel_stats stats = {0};
    rpcnet_channel_get_stats(client->channel, &stats);
    for (uint64_t i = 0; i < client->config.streams && client->started; i++) {
        const rn_sequence *sequence = &client->streams[i].sequence;
        client->report.lost += sequence->lost;
        client->report.duplicated += sequence->duplicated;
        client->report.reordered += sequence->reordered;
    }
    client->report.streams = client->started ? client->config.streams : 0;
    rn_report_summary(&client->report, &stats, client->interrupted);
    rn_client_flush(client);
}

static void finish(rn_client *client) {
    if (client->finishing) {
        return;
    }
    client->finishing = true;
    sum_up(client);
    if (!rn_report_is_clean(&client->report) || client->report.streams_failed > 0) {
        client->program.exit_code = RN_EXIT_RUNTIME;
    }
    say_last_words(client);
}

void rn_client_stream_over(rn_client_stream *stream, bool failed) {
    rn_client *client = stream->client;
    client->report.streams_failed += failed ? 1 : 0;
    client->open--;
    if (client->open == 0) {
        finish(client);
    }
}

/* ---- the readers ---- */

static bool is_all_written(const rn_client *client) {
    return rn_output_waiting(&client->out) == 0 && rn_output_waiting(&client->err) == 0;
}

/* Ends the program when all is written; until then waits, after a signal not without an end. */
static void wait_for_readers(rn_client *client) {
    rn_program *program = &client->program;
    rn_env *env = program->env;
    if (is_all_written(client)) {
        rn_program_exit(program, program->exit_code);
        return;
    }
    client->taken = client->out.taken + client->err.taken;
    env->ops->timer_set(client->timer,
                        client->interrupted ? rn_env_now(env) + READER_PATIENCE_NS : RN_NEVER);
}

void rn_client_outputs_settled(rn_client *client) {
    if (client->said) {
        wait_for_readers(client);
    }
}

void rn_client_end_step(rn_client *client) {
    if (client->channel != NULL) {
        rpcnet_channel_del(client->channel);
        client->channel = NULL;
        say_last_words(client);
    } else if (!client->said) {
        client->said = true;
        wait_for_readers(client);
    } else if (client->out.taken + client->err.taken > client->taken) {
        wait_for_readers(client);
    } else {
        rn_program_exit(&client->program, RN_EXIT_RUNTIME); /* rn_client_outputs_close says why */
    }
}

/* ---- a signal ---- */

static void give_up_connecting(rn_client *client) {
    sum_up(client);
    rn_program_fail_setting(
        &client->program, "target", "interrupted before %s was reached%s%s; no stream was started",
        client->config.target, client->trouble[0] != '\0' ? ": " : "", client->trouble);
}

void rn_client_interrupt(rn_client *client) {
    client->interrupted = true;
    if (!client->started) {
        give_up_connecting(client);
        return;
    }
    if (client->said) {
        wait_for_readers(client);
        return;
    }
    for (uint64_t i = 0; i < client->config.streams; i++) {
        if (client->streams[i].call != NULL) {
            rpcnet_call_cancel(client->streams[i].call);
        }
    }
}

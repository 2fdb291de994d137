/* writing: standard output, and the streams that are held back while its reader is slow. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "client/client.h"

/* ---- the streams ---- */

uint64_t rn_client_stream_clock(const rn_client *client) {
    uint64_t now = client->held ? client->held_since_ns : rpcnet_now(client->program.env);
    return now - client->held_ns;
}

static void hold(rn_client *client, bool held) {
    uint64_t now = rpcnet_now(client->program.env);
    if (client->held == held) {
        return;
    }
    if (held) {
        client->held_since_ns = now;
    } else {
        client->held_ns += now - client->held_since_ns;
    }
    client->held = held;
    for (uint64_t i = 0; i < client->config.streams; i++) {
        if (client->streams[i].call != NULL) {
            rpcnet_call_hold(client->streams[i].call, held);
        }
    }
}

/* ---- the outputs ---- */

static void say_failed(rn_client *client, const char *name, const rn_output *output) {
    if (output->error != 0 && !client->output_failed) {
        client->output_failed = true;
        rn_program_fail(&client->program, "cannot write to standard %s: %s", name,
                        rn_file_error(output->error));
    }
}

static void say_unwritten(rn_client *client, const char *name, const rn_output *output) {
    if (rn_output_waiting(output) > 0) {
        rn_program_fail(&client->program,
                        "cannot write to standard %s: its reader has not taken the last %zu bytes",
                        name, rn_output_waiting(output));
    }
}

void rn_client_flush(rn_client *client) {
    rn_output_flush(&client->out);
    rn_output_flush(&client->err);
    say_failed(client, "output", &client->out);
    say_failed(client, "error", &client->err);
}

static void on_turn_end(void *user) {
    rn_client_flush(user);
}

static void on_settled(void *user) {
    rn_client *client = user;
    rn_client_flush(client);
    hold(client, false);
    rn_client_outputs_settled(client);
}

void rn_client_write(rn_client *client) {
    rn_env_defer(client->program.env, &client->flush);
    if (rn_output_is_full(&client->out)) {
        hold(client, true);
    }
}

/* Two queues in front of one pipe would mix what they write. */
static bool is_same_file(int a, int b) {
    struct stat one;
    struct stat other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

int rn_client_outputs_open(rn_client *client) {
    rn_program *program = &client->program;
    bool is_text = client->config.print == RN_PRINT_TEXT;
    rn_deferred_init(&client->flush, on_turn_end, client);
    is_text = is_text && !is_same_file(STDOUT_FILENO, STDERR_FILENO);
    rn_report_init(&client->report, (enum rn_client_print)client->config.print, &client->out,
                   is_text ? &client->err : &client->out);
    int result = rn_output_init(&client->out, program->loop, STDOUT_FILENO, on_settled, client);
    if (result == RPCNET_OK && is_text) {
        result = rn_output_init(&client->err, program->loop, STDERR_FILENO, on_settled, client);
    }
    return result == RPCNET_OK
               ? result
               : rn_program_fail(program, "cannot open the output: %s", rpcnet_strerror(result));
}

void rn_client_outputs_close(rn_client *client) {
    rn_deferred_cancel(&client->flush);
    rn_client_flush(client);
    say_unwritten(client, "output", &client->out);
    say_unwritten(client, "error", &client->err);
    rn_output_fini(&client->out);
    rn_output_fini(&client->err);
    rn_report_fini(&client->report);
}

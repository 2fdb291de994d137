/* Random runs of a whole stream: director, client and workers that fail, hang, drain, refuse and
 * are killed at any moment. With honest workers the client gets exactly the text of an undisturbed
 * run; with lying ones, still numbers without a gap and one end. */
#include "world.h"

enum { RUNS = 1500, STEPS_MAX = 60000 };

/* ── a worker ── */

static void worker_takes_assignment(world_run *world, world_call *call,
                                    const rn_assignment *assignment) {
    rn_repeated walk = assignment->delivered;
    rn_bytes payload;
    call->hash = 0;
    if (assignment->checkpoint.len == sizeof call->hash) {
        memcpy(&call->hash, assignment->checkpoint.data, sizeof call->hash);
    } else if (!world->liars) {
        assert_int_equal(assignment->delivered_from, 1);
    }
    while (rn_repeated_next(&walk, &payload)) {
        call->hash = model_mix(call->hash, payload);
    }
    walk = assignment->client_messages;
    while (rn_repeated_next(&walk, &payload)) {
        call->client_messages++;
        assert_int_equal(payload.len, 1);
        assert_int_equal(payload.data[0], (uint8_t)call->client_messages);
    }
    assert_int_equal(assignment->previous_worker.len == 0, assignment->swap_reason == 0);
    if (random_chance(&world->random, 15)) {
        assert_int_equal(rn_serving_refuse(&call->serving), RPCNET_OK);
        world_put_worker_frame(&call->up, &(rn_worker_frame){.kind = RN_WORKER_REFUSED,
                                                             .refused = rn_bytes_text("full")});
    } else {
        assert_int_equal(rn_serving_event(&call->serving), RPCNET_OK);
        world_put_worker_frame(&call->up, &(rn_worker_frame){.kind = RN_WORKER_EVENT,
                                                             .event = rn_bytes_text("connected")});
    }
}

static void worker_reads(world_run *world, world_call *call) {
    rn_bytes bytes;
    rn_director_frame frame;
    const char *why = "";
    if (!world_take(&call->down, &bytes)) {
        return;
    }
    assert_int_equal(rn_director_frame_parse(&frame, bytes), RPCNET_OK);
    switch (rn_serving_frame(&call->serving, &frame, &why)) {
    case RN_SERVING_ASSIGNED:
        worker_takes_assignment(world, call, &frame.assignment);
        break;
    case RN_SERVING_CLIENT_MESSAGE:
        call->client_messages++;
        assert_int_equal(frame.client_message.sequence, call->client_messages);
        assert_int_equal(frame.client_message.payload.data[0], (uint8_t)call->client_messages);
        break;
    case RN_SERVING_FAULT:
        /* A liar makes the director acknowledge what rn_serving did not send. */
        if (!world->liars) {
            fail_msg("the director broke the protocol: %s", why);
        }
        break;
    case RN_SERVING_IGNORE:
    case RN_SERVING_HALF_CLOSED:
    case RN_SERVING_ROOM:
    case RN_SERVING_CANCELLED:
        break;
    }
}

static void worker_ends(world_call *call, rn_worker_frame frame) {
    assert_int_equal(rn_serving_end(&call->serving), RPCNET_OK);
    world_put_worker_frame(&call->up, &frame);
}

static void worker_writes_message(world_run *world, world_call *call) {
    uint8_t memory[WORLD_PAYLOAD_MAX];
    uint8_t head[RN_FRAME_PREFIX_MAX];
    uint64_t sequence;
    if (call->serving.next > world->total) {
        worker_ends(call, (rn_worker_frame){.kind = RN_WORKER_DONE});
        return;
    }
    rn_bytes payload = model_message(call->hash, memory);
    int rv = rn_serving_send(&call->serving, payload, &sequence);
    assert_int_equal(rv, rv == RPCNET_OK ? RPCNET_OK : RPCNET_ERR_AGAIN);
    if (rv == RPCNET_OK) {
        world_put(&call->up, head, rn_frame_message_prefix(head, sequence, payload.len), payload);
        call->hash = model_mix(call->hash, payload);
    }
}

/* Any frame at all, with numbers near to what is due. */
static void worker_lies(world_run *world, world_call *call) {
    uint8_t memory[40];
    random_source *random = &world->random;
    rn_bytes bytes = rn_bytes_of(memory, random_below(random, sizeof memory));
    uint64_t sequence = world->stream.journal.next + random_below(random, 4) - 2;
    rn_worker_frame frame = {.kind = (enum rn_worker_frame_kind)random_below(random, 8)};
    random_fill(random, memory, bytes.len);
    switch (frame.kind) {
    case RN_WORKER_MESSAGE:
    case RN_WORKER_CHECKPOINT:
        frame.message = (rn_numbered){sequence, bytes};
        break;
    case RN_WORKER_FAILURE:
        frame.failure = (rn_failure){bytes, random_chance(random, 95), random_chance(random, 50)};
        break;
    case RN_WORKER_DONE:
        if (random_chance(random, 95)) {
            frame.kind = RN_WORKER_NONE; /* else no run would last */
        }
        frame.done = (rn_done){.code = (uint32_t)random_below(random, 30), .message = bytes};
        break;
    default:
        frame.event = bytes;
        break;
    }
    world_put_worker_frame(&call->up, &frame);
}

static void worker_writes(world_run *world, world_call *call) {
    uint64_t dice = random_below(&world->random, 1000);
    if (world->liars && random_chance(&world->random, 5)) {
        worker_lies(world, call);
    } else if (call->serving.state != RN_SERVING_SERVING) {
        return;
    } else if (dice < 4) {
        worker_ends(call, (rn_worker_frame){.kind = RN_WORKER_FAILURE, .failure = {.retry = true}});
    } else if (dice < 10) {
        worker_ends(call, (rn_worker_frame){.kind = RN_WORKER_FAILURE, .failure = {.drain = true}});
    } else if (dice < 60) {
        uint64_t sequence = call->serving.next - 1;
        assert_int_equal(rn_serving_checkpoint(&call->serving, sequence), RPCNET_OK);
        world_put_worker_frame(
            &call->up, &(rn_worker_frame){.kind = RN_WORKER_CHECKPOINT,
                                          .checkpoint = {sequence, rn_bytes_of(&call->hash, 8)}});
    } else {
        worker_writes_message(world, call);
    }
}

/* ── the rest of the world ── */

static void misfortune(world_run *world) {
    world_call *call = world_present(world);
    uint64_t dice = random_below(&world->random, 100);
    rn_bytes none = rn_bytes_of(NULL, 0);
    if (call == NULL || !rn_swap_stream_live(&world->stream)) {
        return;
    }
    if (dice < 30) {
        /* What is in flight is lost, or part of it arrives before the director learns of it. */
        while (random_chance(&world->random, 50) && rn_swap_stream_live(&world->stream) &&
               call == world_present(world)) {
            world_director_reads(world, call);
        }
        call->dead = true;
        world_do(world,
                 rn_swap_stream_lost(&world->stream, world->now, call->pair, RN_SWAP_KILLED, none));
    } else {
        call->frozen = dice < 70;
        world_do(world, rn_swap_stream_lost(&world->stream, world->now, call->pair,
                                            dice < 70   ? RN_SWAP_HUNG
                                            : dice < 85 ? RN_SWAP_STALLED
                                                        : RN_SWAP_LOST,
                                            none));
    }
}

static void client_acts(world_run *world) {
    uint8_t byte = (uint8_t)(world->client_sent + 1);
    if (random_chance(&world->random, 90)) {
        world->room = random_below(&world->random, 600);
    } else if (world->client_sent < 20) {
        world->client_sent++;
        world_do(world, rn_swap_stream_client_message(&world->stream, rn_bytes_of(&byte, 1)));
    } else if (!world->client_closed) {
        world->client_closed = true;
        world_do(world, rn_swap_stream_half_close(&world->stream));
    }
    uint64_t number;
    uint8_t head[RN_FRAME_PREFIX_MAX];
    if (rn_swap_stream_grant(&world->stream, world->room, &number)) {
        world_put(&world_present(world)->down, head, rn_frame_credit(head, number),
                  rn_bytes_of(NULL, 0));
    }
    /* The client has got everything so far: what is left unacknowledged is acknowledged now. */
    world_acknowledge(world, true);
}

static void time_passes(world_run *world) {
    uint64_t next = rn_swap_stream_next_deadline(&world->stream);
    world->now += random_below(&world->random, 5 * RN_MILLISECOND);
    if (world->stream.state == RN_SWAP_WAITING) {
        if (random_chance(&world->random, 30)) {
            world_do(world, world_choose(world)); /* the pool has changed */
            return;
        }
        world->now = next > world->now && next - world->now < RN_SECOND ? next : world->now;
    }
    world_do(world, rn_swap_stream_tick(&world->stream, world->now));
}

static void tidy(world_run *world) {
    for (size_t i = 0; i < WORLD_CALLS; i++) {
        world_call *call = &world->calls[i];
        bool present = call->open && rn_swap_stream_live(&world->stream) &&
                       call->pair.attempt == world->stream.pair.attempt;
        bool finished = call->dead || call->serving.state == RN_SERVING_ENDED;
        bool read = call->dead || call->up.at == call->up.bytes.len;
        if (call->open && !present && finished && read) {
            world_close_call(call);
        }
    }
}

static void step(world_run *world) {
    random_source *random = &world->random;
    uint64_t dice = random_below(random, 1000);
    world_call *call = &world->calls[random_below(random, WORLD_CALLS)];
    if (random_chance(random, 70) && world_present(world) != NULL) {
        call = world_present(world); /* the others get their turn, too, but less often */
    }
    if (dice < 30) {
        client_acts(world);
    } else if (dice < 60) {
        time_passes(world);
    } else if (dice < 64) {
        misfortune(world);
    } else if (dice < 65 && world->total % 8 == 0) {
        world_do(world, rn_swap_stream_give_up(&world->stream));
    } else if (!call->open || call->dead) {
        tidy(world);
    } else if (call->frozen) {
        call->frozen = !random_chance(random, 5);
    } else if (dice < 300) {
        worker_reads(world, call);
    } else if (dice < 600) {
        worker_writes(world, call);
    } else {
        world_director_reads(world, call);
    }
}

static void check_the_end(world_run *world) {
    if (world->end_code == RN_SWAP_CODE_OK && !world->liars) {
        assert_true(world->end_is_done);
        assert_int_equal(world->received, world->total);
    }
    if (world->counters.ended_attempts > 0) {
        assert_int_equal(world->losses, world->config.max_attempts);
    } else if (world->counters.ended_unresumable > 0) {
        assert_true(world->gave_up);
    }
    assert_int_equal(world->counters.relayed, world->received);
    assert_int_equal(world->counters.stale, world->stale);
    assert_int_equal(world->counters.assignments, world->moves);
}

static void run(world_run *world, uint64_t seed, bool liars) {
    unsigned steps = 0;
    *world = (world_run){.random = {seed}, .liars = liars, .room = 300};
    world->now = RN_SECOND;
    world->total = random_below(&world->random, 400);
    world->director_budget.limit = world->worker_budget.limit = SIZE_MAX;
    rn_swap_config_default(&world->config);
    world->config.max_attempts = 2 + (uint32_t)random_below(&world->random, 4);
    world->config.journal_limit = random_chance(&world->random, 80) ? 1 << 20 : 3000;
    world->config.credit_window = 500;
    rn_swap_stream_init(&world->stream, &world->config, &world->counters, &world->director_budget,
                        seed);
    world_do(world, rn_swap_stream_open(&world->stream, world->now, RN_NEVER));
    while (!world->ended) {
        assert_true(steps++ < STEPS_MAX);
        step(world);
        assert_true(world->ended || world->losses < world->config.max_attempts);
        assert_int_equal(world->stream.journal.next, world->received + 1);
    }
    /* Whatever is still in flight changes nothing. */
    for (size_t i = 0; i < WORLD_CALLS; i++) {
        world_call *call = &world->calls[i];
        while (call->open && call->up.at < call->up.bytes.len) {
            world_director_reads(world, call);
        }
        if (call->open) {
            world_close_call(call);
        }
    }
    check_the_end(world);
    rn_swap_stream_fini(&world->stream);
    assert_int_equal(world->director_budget.used, 0);
    assert_int_equal(world->worker_budget.used, 0);
}

static world_run the_world;

/* After a failure: the seed to repeat. */
static int say_last_seed(void **state) {
    (void)state;
    print_message("the last seed was %#llx\n", (unsigned long long)the_world.stream.pair.epoch);
    return 0;
}

static void many_runs(bool liars, uint64_t first_seed, unsigned count, rn_swap_counters *sum) {
    for (uint64_t seed = first_seed; seed < first_seed + count; seed++) {
        run(&the_world, seed, liars);
        const uint64_t *from = (const uint64_t *)&the_world.counters;
        uint64_t *to = (uint64_t *)sum;
        for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
            to[i] += from[i];
        }
    }
    print_message("assignments %llu, refusals %llu, relayed %llu, duplicates %llu, stale %llu, "
                  "faults %llu, checkpoints %llu\n",
                  (unsigned long long)sum->assignments, (unsigned long long)sum->refusals,
                  (unsigned long long)sum->relayed, (unsigned long long)sum->duplicates,
                  (unsigned long long)sum->stale, (unsigned long long)sum->faults,
                  (unsigned long long)sum->checkpoints);
    print_message("ended: done %llu, attempts %llu, unresumable %llu, parked %llu, failed %llu\n",
                  (unsigned long long)sum->ended_done, (unsigned long long)sum->ended_attempts,
                  (unsigned long long)sum->ended_unresumable, (unsigned long long)sum->ended_parked,
                  (unsigned long long)sum->ended_failed);
}

static void honest_workers(void **state) {
    (void)state;
    rn_swap_counters sum = {0};
    many_runs(false, 0x5eed1000, RUNS, &sum);
    assert_int_equal(sum.faults, 0);
    assert_int_equal(sum.duplicates, 0);
    /* The runs are worth something only if most of them get through many swaps. */
    assert_true(sum.ended_done > RUNS * 3 / 4);
    assert_true(sum.assignments > UINT64_C(4) * RUNS);
    assert_true(sum.stale > RUNS && sum.refusals > 0);
    assert_true(sum.ended_attempts > 0 && sum.ended_unresumable > 0);
}

static void lying_workers(void **state) {
    (void)state;
    rn_swap_counters sum = {0};
    many_runs(true, 0x5eed9000, RUNS, &sum);
    assert_true(sum.faults > RUNS && sum.duplicates > 0);
    assert_true(sum.ended_done > 0 && sum.ended_attempts > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(honest_workers, say_last_seed),
        cmocka_unit_test_teardown(lying_workers, say_last_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

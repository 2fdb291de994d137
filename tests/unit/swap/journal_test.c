/* Unit tests of src/swap/journal, requests and records: limits, cuts, giving up, exact accounts,
 * and a random run against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>

#include <cmocka.h>

#include "random.h"
#include "rpcnet/error.h"
#include "swap/frames.h"
#include "swap/journal.h"
#include "swap/requests.h"

enum { LIMIT = 1000, STATE_LIMIT = 100 };

static rn_bytes filled(uint8_t *memory, size_t len, uint64_t with) {
    memset(memory, (int)(with & 0xff), len);
    return rn_bytes_of(memory, len);
}

static void records_keep_to_the_limit(void **state) {
    (void)state;
    uint8_t memory[LIMIT];
    for (size_t len = LIMIT - RN_RECORD_OVERHEAD - 1; len <= LIMIT - RN_RECORD_OVERHEAD + 1;
         len++) {
        rn_budget budget = {.limit = SIZE_MAX};
        rn_records records;
        rn_records_init(&records, 13, LIMIT, &budget);
        bool fits = len <= LIMIT - RN_RECORD_OVERHEAD;
        assert_int_equal(rn_records_append(&records, filled(memory, len, 1)),
                         fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(records.count, fits);
        assert_int_equal(budget.used, rn_records_memory(&records));
        /* What is left is one byte, or nothing, or all: an empty message needs the overhead. */
        assert_int_equal(rn_records_append(&records, rn_bytes_of(NULL, 0)),
                         fits ? RPCNET_ERR_LIMIT : RPCNET_OK);
        rn_records_fini(&records);
        assert_int_equal(budget.used, 0);
    }
    /* Empty messages cost their overhead. */
    rn_records records;
    rn_records_init(&records, 13, LIMIT, NULL);
    for (size_t i = 0; i < LIMIT / RN_RECORD_OVERHEAD; i++) {
        assert_int_equal(rn_records_append(&records, rn_bytes_of(NULL, 0)), RPCNET_OK);
    }
    assert_int_equal(rn_records_append(&records, rn_bytes_of(NULL, 0)), RPCNET_ERR_LIMIT);
    rn_records_fini(&records);
}

static void records_allocate_nothing_once_warm(void **state) {
    (void)state;
    uint8_t memory[50];
    rn_budget budget = {.limit = SIZE_MAX};
    rn_records records;
    rn_records_init(&records, 13, 32768, &budget);
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, i)), RPCNET_OK);
    }
    /* A window of 300 messages that moves on: memory may grow a little, then stays. */
    const uint8_t *data = NULL;
    for (uint64_t i = 300; i < 30000; i++) {
        rn_records_cut(&records, 1);
        assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, i)), RPCNET_OK);
        if (i == 3000) {
            data = records.data;
        }
        assert_true(i <= 3000 || data == records.data);
    }
    assert_true(records.capacity <= 32768 + 16384);
    rn_records_fini(&records);
    rn_records_fini(NULL);
}

/* At its limit, with one message cut and one appended in turn, a queue must not move all its bytes
 * each time: it has room for half as much again. */
static void records_at_the_limit_move_seldom(void **state) {
    (void)state;
    uint8_t memory[84];
    unsigned moves = 0;
    rn_records records;
    rn_records_init(&records, 13, 100000, NULL);
    while (rn_records_append(&records, filled(memory, sizeof memory, 1)) == RPCNET_OK) {
    }
    assert_int_equal(records.count, 1000);
    for (unsigned i = 0; i < 10000; i++) {
        rn_records_cut(&records, 1);
        size_t start = records.start;
        assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, 1)), RPCNET_OK);
        moves += records.start < start;
    }
    assert_true(moves > 0 && moves <= 30);
    assert_true(records.capacity <= 150000);
    rn_records_fini(&records);
}

/* The same while memory is nearly full, but far below the limit: it grows instead. */
static void records_in_full_memory_move_seldom(void **state) {
    (void)state;
    uint8_t memory[84];
    unsigned moves = 0;
    rn_records records;
    rn_records_init(&records, 13, 1 << 20, NULL);
    do {
        assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, 1)), RPCNET_OK);
    } while (records.capacity < 65536 || records.capacity - records.end > sizeof memory + 2);
    for (unsigned i = 0; i < 5000; i++) {
        rn_records_cut(&records, 1);
        size_t start = records.start;
        assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, 1)), RPCNET_OK);
        moves += records.start < start;
    }
    assert_true(moves <= 10);
    assert_true(records.capacity <= 131072);
    rn_records_fini(&records);
}

static void large_empty_records_give_memory_back(void **state) {
    (void)state;
    static uint8_t memory[RN_RECORDS_KEEP];
    rn_budget budget = {.limit = SIZE_MAX};
    rn_records records;
    rn_records_init(&records, 13, 1 << 20, &budget);
    assert_int_equal(rn_records_append(&records, filled(memory, 1000, 1)), RPCNET_OK);
    rn_records_cut(&records, 1);
    assert_true(budget.used > 0); /* small: kept */
    assert_int_equal(rn_records_append(&records, filled(memory, sizeof memory, 1)), RPCNET_OK);
    assert_int_equal(rn_records_append(&records, filled(memory, 10, 1)), RPCNET_OK);
    rn_records_cut(&records, 1);
    assert_true(budget.used > RN_RECORDS_KEEP);
    rn_records_cut(&records, 1);
    assert_int_equal(budget.used, 0);
    assert_true(budget.peak > RN_RECORDS_KEEP);
    rn_records_fini(&records);
}

static void journal_over_its_limit_is_given_up(void **state) {
    (void)state;
    uint8_t memory[LIMIT];
    size_t cost = 84 + RN_RECORD_OVERHEAD;
    for (size_t extra = 0; extra <= 1; extra++) {
        rn_budget budget = {.limit = SIZE_MAX};
        rn_journal journal;
        rn_journal_init(&journal, LIMIT, STATE_LIMIT, &budget);
        for (size_t i = 0; i < LIMIT / cost - 1; i++) {
            assert_int_equal(rn_journal_append(&journal, filled(memory, 84, i)), RPCNET_OK);
        }
        assert_int_equal(rn_journal_append(&journal, filled(memory, 84 + extra, 9)),
                         extra == 0 ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(journal.next, LIMIT / cost + 1);
        assert_int_equal(rn_journal_resumable(&journal), extra == 0);
        assert_int_equal(budget.used, rn_journal_memory(&journal));
        assert_int_equal(budget.used == 0, extra == 1);
        assert_int_equal(rn_journal_append(&journal, rn_bytes_of(NULL, 0)),
                         extra == 0 ? RPCNET_ERR_LIMIT : RPCNET_ERR_STATE);
        assert_int_equal(journal.next, LIMIT / cost + 2);
        assert_false(rn_journal_resumable(&journal));
        rn_journal_fini(&journal);
        assert_int_equal(budget.used, 0);
    }
    rn_journal_fini(NULL);
}

/* While something has to be given up, a long message that makes a journal large is not kept. */
static void long_messages_are_not_kept_when_memory_is_short(void **state) {
    (void)state;
    static const uint8_t memory[RN_JOURNAL_SMALL + 1];
    static const struct {
        size_t over;
        size_t leaving;
        size_t before; /* in the journal already */
        size_t len;
        bool kept;
    } cases[] = {
        {1, 0, 0, RN_JOURNAL_SMALL + 1, false},   {0, 0, 0, RN_JOURNAL_SMALL + 1, true},
        {1, 1, 0, RN_JOURNAL_SMALL + 1, true},    {1, 0, 0, RN_JOURNAL_SMALL - 256, true},
        {1, 0, 60000, RN_JOURNAL_SHORT, true},    {1, 0, 60000, RN_JOURNAL_SHORT + 1, false},
        {1, 0, 1000, RN_JOURNAL_SHORT + 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rn_budget budget = {.limit = SIZE_MAX};
        rn_journal journal;
        rn_journal_init(&journal, (size_t)1 << 20, STATE_LIMIT, &budget);
        assert_int_equal(rn_journal_append(&journal, rn_bytes_of(memory, cases[i].before)),
                         RPCNET_OK);
        budget.limit = budget.used - cases[i].over;
        budget.leaving = cases[i].leaving;
        assert_int_equal(rn_journal_append(&journal, rn_bytes_of(memory, cases[i].len)),
                         cases[i].kept ? RPCNET_OK : RPCNET_ERR_MEMORY);
        assert_int_equal(rn_journal_resumable(&journal), cases[i].kept);
        rn_journal_fini(&journal);
        assert_int_equal(budget.used, 0);
    }
}

static void checkpoint_cuts(void **state) {
    (void)state;
    uint8_t memory[200];
    rn_budget budget = {.limit = SIZE_MAX};
    rn_journal journal;
    rn_bytes value;
    rn_journal_init(&journal, LIMIT, STATE_LIMIT, &budget);
    /* Before any message: it stands for none. */
    assert_int_equal(rn_journal_checkpoint(&journal, 1, rn_bytes_text("x")), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_journal_checkpoint(&journal, 0, rn_bytes_text("start")), RPCNET_OK);
    assert_true(rn_bytes_is(rn_journal_state(&journal), "start"));
    assert_int_equal(journal.first, 1);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(rn_journal_append(&journal, filled(memory, i, i)), RPCNET_OK);
    }
    assert_int_equal(rn_journal_checkpoint(&journal, 6, rn_bytes_text("x")), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_journal_checkpoint(&journal, UINT64_MAX, rn_bytes_text("x")),
                     RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_journal_checkpoint(&journal, 3, rn_bytes_text("three")), RPCNET_OK);
    assert_int_equal(journal.first, 4);
    assert_int_equal(journal.records.cost, 4 + 5 + 2 * RN_RECORD_OVERHEAD);
    rn_repeated walk = rn_journal_delivered(&journal);
    assert_true(rn_repeated_next(&walk, &value) && value.len == 4 && value.data[0] == 4);
    assert_true(rn_repeated_next(&walk, &value) && value.len == 5 && value.data[0] == 5);
    assert_false(rn_repeated_next(&walk, &value));
    /* Back is not allowed; the same again replaces the state. */
    assert_int_equal(rn_journal_checkpoint(&journal, 2, rn_bytes_text("x")), RPCNET_ERR_ARGUMENT);
    assert_int_equal(rn_journal_checkpoint(&journal, 3, rn_bytes_text("3")), RPCNET_OK);
    assert_true(rn_bytes_is(rn_journal_state(&journal), "3"));
    /* The state's limit, and nothing changes over it. */
    assert_int_equal(rn_journal_checkpoint(&journal, 4, filled(memory, STATE_LIMIT + 1, 1)),
                     RPCNET_ERR_LIMIT);
    assert_true(rn_bytes_is(rn_journal_state(&journal), "3"));
    assert_int_equal(journal.first, 4);
    assert_int_equal(rn_journal_checkpoint(&journal, 4, filled(memory, STATE_LIMIT, 1)), RPCNET_OK);
    assert_int_equal(rn_journal_state(&journal).len, STATE_LIMIT);
    assert_int_equal(rn_journal_checkpoint(&journal, 4, filled(memory, STATE_LIMIT - 1, 1)),
                     RPCNET_OK);
    assert_int_equal(budget.used, rn_journal_memory(&journal));
    /* An empty state is a state, and holds no memory. */
    assert_int_equal(rn_journal_checkpoint(&journal, 5, rn_bytes_of(NULL, 0)), RPCNET_OK);
    assert_int_equal(journal.state_capacity, 0);
    assert_int_equal(journal.first, journal.next);
    rn_journal_fini(&journal);
    assert_int_equal(budget.used, 0);
}

static void full_checkpoint_makes_it_resumable_again(void **state) {
    (void)state;
    uint8_t memory[LIMIT];
    rn_journal journal;
    rn_journal_init(&journal, LIMIT, STATE_LIMIT, NULL);
    assert_int_equal(rn_journal_append(&journal, rn_bytes_text("a")), RPCNET_OK);
    assert_int_equal(rn_journal_checkpoint(&journal, 1, rn_bytes_text("one")), RPCNET_OK);
    assert_int_equal(rn_journal_append(&journal, filled(memory, LIMIT, 1)), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_journal_append(&journal, rn_bytes_text("b")), RPCNET_ERR_STATE);
    assert_int_equal(journal.next, 4);
    /* Message 3 would be missing behind these. */
    assert_int_equal(rn_journal_checkpoint(&journal, 1, rn_bytes_text("x")), RPCNET_ERR_STATE);
    assert_int_equal(rn_journal_checkpoint(&journal, 2, rn_bytes_text("x")), RPCNET_ERR_STATE);
    assert_false(rn_journal_resumable(&journal));
    assert_int_equal(rn_journal_checkpoint(&journal, 3, rn_bytes_text("three")), RPCNET_OK);
    assert_true(rn_journal_resumable(&journal));
    assert_int_equal(journal.first, 4);
    assert_int_equal(rn_journal_delivered(&journal).count, 0);
    assert_int_equal(rn_journal_append(&journal, rn_bytes_text("d")), RPCNET_OK);
    assert_int_equal(rn_journal_delivered(&journal).count, 1);
    rn_journal_fini(&journal);
}

static void nothing_delivered_is_nothing_to_lose(void **state) {
    (void)state;
    rn_budget budget = {.limit = SIZE_MAX};
    rn_journal journal;
    rn_journal_init(&journal, LIMIT, STATE_LIMIT, &budget);
    rn_journal_give_up(&journal);
    assert_true(rn_journal_resumable(&journal));
    assert_int_equal(rn_journal_append(&journal, rn_bytes_text("a")), RPCNET_OK);
    rn_journal_give_up(&journal);
    assert_false(rn_journal_resumable(&journal));
    assert_int_equal(budget.used, 0);
    rn_journal_fini(&journal);
}

/* The model keeps every message's length and first byte. */
static void random_journal_against_a_model(void **state) {
    (void)state;
    enum { STEPS = 30000 };
    static size_t lens[STEPS + 2];
    static uint8_t memory[2048];
    random_source random = {0x5eed0003};
    print_message("seed 0x5eed0003\n");
    rn_budget budget = {.limit = SIZE_MAX};
    rn_journal journal;
    rn_journal_init(&journal, 20000, 500, &budget);
    uint64_t first = 1;
    uint64_t next = 1;
    size_t cost = 0;
    bool lost = false;
    for (unsigned step = 0; step < STEPS; step++) {
        if (random_chance(&random, 90)) {
            size_t len = random_below(&random, random_chance(&random, 3) ? 2000 : 90);
            bool fits = cost + len + RN_RECORD_OVERHEAD <= 20000;
            int rv = rn_journal_append(&journal, filled(memory, len, next));
            assert_int_equal(rv, lost ? RPCNET_ERR_STATE : fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
            lost = lost || !fits;
            lens[next++] = len;
            cost = lost ? 0 : cost + len + RN_RECORD_OVERHEAD;
        } else {
            bool end = random_chance(&random, 30);
            uint64_t sequence =
                end ? next - 1 : first - 1 + random_below(&random, next - first + 1);
            size_t len = random_below(&random, 501);
            int rv = rn_journal_checkpoint(&journal, sequence, filled(memory, len, sequence));
            bool taken = !lost || sequence == next - 1;
            assert_int_equal(rv, taken ? RPCNET_OK : RPCNET_ERR_STATE);
            if (taken) {
                for (uint64_t i = first; i <= sequence && !lost; i++) {
                    cost -= lens[i] + RN_RECORD_OVERHEAD;
                }
                lost = false;
                first = sequence + 1;
                assert_int_equal(rn_journal_state(&journal).len, len);
            }
        }
        assert_int_equal(rn_journal_resumable(&journal), !lost);
        assert_int_equal(journal.next, next);
        assert_int_equal(journal.records.cost, cost);
        assert_int_equal(budget.used, rn_journal_memory(&journal));
        if (!lost && step % 16 == 0) {
            rn_repeated walk = rn_journal_delivered(&journal);
            rn_bytes value;
            assert_int_equal(journal.first, first);
            assert_int_equal(walk.count, next - first);
            for (uint64_t i = first; i < next; i++) {
                assert_true(rn_repeated_next(&walk, &value));
                assert_int_equal(value.len, lens[i]);
                assert_true(value.len == 0 || value.data[value.len - 1] == (uint8_t)i);
            }
        }
    }
    rn_journal_fini(&journal);
    assert_int_equal(budget.used, 0);
}

static void requests_over_their_limit_are_given_up(void **state) {
    (void)state;
    uint8_t memory[LIMIT];
    for (size_t len = LIMIT - RN_RECORD_OVERHEAD - 1; len <= LIMIT - RN_RECORD_OVERHEAD + 1;
         len++) {
        rn_budget budget = {.limit = SIZE_MAX};
        rn_requests requests;
        rn_requests_init(&requests, LIMIT, LIMIT, &budget);
        bool fits = len <= LIMIT - RN_RECORD_OVERHEAD;
        assert_int_equal(rn_requests_append(&requests, filled(memory, len, 1)),
                         fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(rn_requests_replayable(&requests), fits);
        assert_int_equal(rn_requests_messages(&requests).count, fits);
        assert_int_equal(budget.used, rn_requests_memory(&requests));
        if (fits) {
            rn_requests_note_assigned(&requests, 1, rn_requests_messages(&requests).run.len);
        }
        assert_int_equal(rn_requests_append(&requests, rn_bytes_text("x")),
                         fits ? RPCNET_ERR_LIMIT : RPCNET_ERR_STATE);
        assert_int_equal(requests.count, fits);
        assert_false(rn_requests_replayable(&requests));
        assert_int_equal(budget.used, 0);
        rn_requests_fini(&requests);
    }
    rn_requests_fini(NULL);
}

static void requests_keep_their_order(void **state) {
    (void)state;
    rn_requests requests;
    rn_bytes value;
    rn_requests_init(&requests, LIMIT, LIMIT, NULL);
    rn_requests_give_up(&requests); /* there is nothing yet */
    assert_true(rn_requests_replayable(&requests));
    assert_int_equal(rn_requests_append(&requests, rn_bytes_text("a")), RPCNET_OK);
    assert_int_equal(rn_requests_append(&requests, rn_bytes_of(NULL, 0)), RPCNET_OK);
    assert_int_equal(rn_requests_append(&requests, rn_bytes_text("c")), RPCNET_OK);
    rn_repeated walk = rn_requests_messages(&requests);
    assert_int_equal(walk.number, RN_ASSIGNMENT_CLIENT_MESSAGES);
    assert_true(rn_repeated_next(&walk, &value) && rn_bytes_is(value, "a"));
    assert_true(rn_repeated_next(&walk, &value) && value.len == 0);
    assert_true(rn_repeated_next(&walk, &value) && rn_bytes_is(value, "c"));
    rn_requests_give_up(&requests);
    assert_false(rn_requests_replayable(&requests));
    rn_requests_fini(&requests);
}

static void next_is(rn_requests *requests, const char *text) {
    rn_bytes value;
    assert_true(rn_requests_next(requests, &value));
    assert_true(rn_bytes_is(value, text));
    rn_requests_note_sent(requests);
}

static void put(rn_requests *requests, const char *text) {
    assert_int_equal(rn_requests_append(requests, rn_bytes_text(text)), RPCNET_OK);
}

/* A worker gets each message once, and the next worker all of them. */
static void requests_wait_for_their_worker(void **state) {
    (void)state;
    rn_requests requests;
    rn_requests_init(&requests, LIMIT, LIMIT, NULL);
    assert_false(rn_requests_waiting(&requests));
    put(&requests, "a");
    put(&requests, "");
    rn_requests_restart(&requests);
    size_t len = rn_requests_messages(&requests).run.len;
    put(&requests, "c"); /* while the Assignment is on its way */
    rn_requests_note_assigned(&requests, 2, len);
    next_is(&requests, "c");
    assert_false(rn_requests_waiting(&requests));
    put(&requests, "d");
    put(&requests, "e");
    next_is(&requests, "d");
    rn_requests_restart(&requests);
    assert_int_equal(rn_requests_messages(&requests).count, 5);
    next_is(&requests, "a");
    next_is(&requests, "");
    rn_requests_drop_waiting(&requests);
    rn_bytes value;
    assert_false(rn_requests_next(&requests, &value));
    assert_int_equal(rn_requests_messages(&requests).count, 5); /* for the next one */
    put(&requests, "f");
    next_is(&requests, "f");
    rn_requests_fini(&requests);
}

/* What is given up keeps what waits, in order, and nothing else. */
static void given_up_requests_keep_what_waits(void **state) {
    (void)state;
    uint8_t memory[LIMIT];
    rn_budget budget = {.limit = SIZE_MAX};
    rn_requests requests;
    rn_requests_init(&requests, LIMIT, LIMIT, &budget);
    put(&requests, "a");
    rn_requests_restart(&requests);
    size_t len = rn_requests_messages(&requests).run.len;
    put(&requests, "b");
    rn_bytes large = filled(memory, LIMIT - 2 * RN_RECORD_OVERHEAD - 1, 1);
    assert_int_equal(rn_requests_append(&requests, large), RPCNET_ERR_LIMIT);
    assert_int_equal(rn_requests_messages(&requests).run.len, 2 * len); /* it may be read on */
    assert_int_equal(rn_requests_queue(&requests, large), RPCNET_OK);
    assert_int_equal(requests.count, 3);
    rn_requests_note_assigned(&requests, 1, len);
    assert_int_equal(requests.records.count, 2);
    next_is(&requests, "b");
    assert_int_equal(requests.records.count, 1);
    rn_requests_note_sent(&requests);
    assert_false(rn_requests_waiting(&requests));
    assert_int_equal(budget.used, 0);
    assert_int_equal(rn_requests_queue(&requests, rn_bytes_text("c")), RPCNET_OK);
    rn_requests_drop_waiting(&requests);
    assert_false(rn_requests_waiting(&requests));
    assert_int_equal(budget.used, 0);
    assert_int_equal(rn_requests_queue(&requests, rn_bytes_text("d")), RPCNET_OK);
    next_is(&requests, "d");
    rn_requests_fini(&requests);
    assert_int_equal(budget.used, 0);
}

/* As much may wait as the queue's limit says, beyond what waited when the store was given up. */
static void the_queue_has_its_limit(void **state) {
    (void)state;
    enum { QUEUE = 3000, WAITED = 2 + 2 * RN_RECORD_OVERHEAD };
    uint8_t memory[QUEUE + WAITED];
    for (size_t len = QUEUE - RN_RECORD_OVERHEAD - 1; len <= QUEUE - RN_RECORD_OVERHEAD + 1;
         len++) {
        rn_requests requests;
        rn_requests_init(&requests, LIMIT, QUEUE, NULL);
        put(&requests, "a");
        put(&requests, "b");
        rn_requests_give_up(&requests);
        rn_requests_give_up(&requests);
        bool fits = len <= QUEUE - RN_RECORD_OVERHEAD;
        assert_int_equal(rn_requests_queue(&requests, filled(memory, len, 1)),
                         fits ? RPCNET_OK : RPCNET_ERR_LIMIT);
        assert_int_equal(requests.count, 2 + fits);
        next_is(&requests, "a");
        next_is(&requests, "b");
        rn_requests_fini(&requests);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_keep_to_the_limit),
        cmocka_unit_test(records_allocate_nothing_once_warm),
        cmocka_unit_test(records_at_the_limit_move_seldom),
        cmocka_unit_test(records_in_full_memory_move_seldom),
        cmocka_unit_test(large_empty_records_give_memory_back),
        cmocka_unit_test(journal_over_its_limit_is_given_up),
        cmocka_unit_test(long_messages_are_not_kept_when_memory_is_short),
        cmocka_unit_test(checkpoint_cuts),
        cmocka_unit_test(full_checkpoint_makes_it_resumable_again),
        cmocka_unit_test(nothing_delivered_is_nothing_to_lose),
        cmocka_unit_test(random_journal_against_a_model),
        cmocka_unit_test(requests_over_their_limit_are_given_up),
        cmocka_unit_test(requests_keep_their_order),
        cmocka_unit_test(requests_wait_for_their_worker),
        cmocka_unit_test(given_up_requests_keep_what_waits),
        cmocka_unit_test(the_queue_has_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

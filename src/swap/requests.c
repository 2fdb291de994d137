/* requests: see the header. */
#include "swap/requests.h"

#include <assert.h>

#include "rpcnet/error.h"
#include "swap/frames.h"

void rn_requests_init(rn_requests *requests, size_t limit, size_t queue_limit, rn_budget *budget) {
    *requests = (rn_requests){.queue_limit = queue_limit};
    rn_records_init(&requests->records, RN_ASSIGNMENT_CLIENT_MESSAGES, limit, budget);
}

void rn_requests_fini(rn_requests *requests) {
    if (requests != NULL) {
        rn_records_fini(&requests->records);
        requests->sent = requests->count;
        requests->sent_bytes = 0;
    }
}

/* What is given up holds what waits, and no more memory than for that. */
static void drop_sent(rn_requests *requests, uint64_t sent) {
    rn_records_cut(&requests->records, (size_t)sent);
    rn_records_shrink(&requests->records);
}

static void give_up(rn_requests *requests) {
    rn_records *records = &requests->records;
    requests->given_up = true;
    drop_sent(requests, requests->sent);
    requests->sent_bytes = 0;
    /* An Assignment that is being read may be of all that was kept. */
    records->limit = records->cost + requests->queue_limit;
}

void rn_requests_give_up(rn_requests *requests) {
    if (!requests->given_up && requests->count > 0) {
        give_up(requests);
    }
}

int rn_requests_append(rn_requests *requests, rn_bytes payload) {
    if (requests->given_up) {
        return RPCNET_ERR_STATE;
    }
    int rv = rn_records_append(&requests->records, payload);
    if (rv == RPCNET_OK) {
        requests->count++;
    } else {
        give_up(requests);
    }
    return rv;
}

int rn_requests_queue(rn_requests *requests, rn_bytes payload) {
    assert(requests->given_up);
    int rv = rn_records_append(&requests->records, payload);
    requests->count += rv == RPCNET_OK;
    return rv;
}

void rn_requests_restart(rn_requests *requests) {
    assert(!requests->given_up);
    requests->sent = 0;
    requests->sent_bytes = 0;
}

void rn_requests_note_assigned(rn_requests *requests, uint64_t messages, size_t len) {
    assert(requests->sent == 0 && messages <= requests->count);
    requests->sent = messages;
    if (requests->given_up) {
        drop_sent(requests, messages);
    } else {
        requests->sent_bytes = len;
    }
}

static rn_repeated waiting(const rn_requests *requests) {
    rn_repeated list = rn_records_list(&requests->records);
    if (requests->sent_bytes > 0) { /* else there may be no memory to point into */
        list.run.data += requests->sent_bytes;
        list.run.len -= requests->sent_bytes;
    }
    list.count = (size_t)(requests->count - requests->sent);
    return list;
}

bool rn_requests_next(const rn_requests *requests, rn_bytes *payload) {
    rn_repeated list = waiting(requests);
    return rn_repeated_next(&list, payload);
}

void rn_requests_note_sent(rn_requests *requests) {
    rn_repeated list = waiting(requests);
    size_t before = list.run.len;
    rn_bytes payload;
    bool any = rn_repeated_next(&list, &payload);
    assert(any);
    (void)any;
    requests->sent++;
    if (requests->given_up) {
        drop_sent(requests, 1);
    } else {
        requests->sent_bytes += before - list.run.len;
    }
}

void rn_requests_drop_waiting(rn_requests *requests) {
    uint64_t waits = requests->count - requests->sent;
    requests->sent = requests->count;
    if (requests->given_up) {
        drop_sent(requests, waits);
    } else {
        requests->sent_bytes = rn_records_list(&requests->records).run.len;
    }
}

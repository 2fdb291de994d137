/* requests: see the header. */
#include "swap/requests.h"

#include "rpcnet/error.h"
#include "swap/frames.h"

void rn_requests_init(rn_requests *requests, size_t limit, rn_budget *budget) {
    *requests = (rn_requests){0};
    rn_records_init(&requests->records, RN_ASSIGNMENT_CLIENT_MESSAGES, limit, budget);
}

void rn_requests_fini(rn_requests *requests) {
    if (requests != NULL) {
        rn_records_fini(&requests->records);
    }
}

int rn_requests_append(rn_requests *requests, rn_bytes payload) {
    int rv = RPCNET_ERR_STATE;
    if (!requests->given_up) {
        rv = rn_records_append(&requests->records, payload);
    }
    requests->count++;
    if (rv != RPCNET_OK) {
        rn_requests_give_up(requests);
    }
    return rv;
}

void rn_requests_give_up(rn_requests *requests) {
    rn_records_release(&requests->records);
    requests->given_up = requests->count > 0;
}

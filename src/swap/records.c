/* records: see the header. Why it is amortised O(1): bytes are moved to the front only when at
 * least half as many bytes in front of them are dead, and each dead byte pays for one move. */
#include "swap/records.h"

#include <assert.h>
#include <stdlib.h>

#include "rpcnet/error.h"

enum {
    CAPACITY_FIRST = 256,
    SMALL_MAX = 64 << 10 /* from here on a queue that was never cut grows by a quarter */
};

void rn_records_init(rn_records *records, uint32_t number, size_t limit, rn_budget *budget) {
    assert(number > 0 && number <= 15);
    *records = (rn_records){.number = number, .limit = limit, .budget = budget};
}

void rn_records_fini(rn_records *records) {
    if (records != NULL) {
        rn_records_release(records);
    }
}

static size_t capacity_max(const rn_records *records) {
    return records->limit + records->limit / 2;
}

/* The live bytes go to new memory. */
static int move_to(rn_records *records, size_t capacity) {
    size_t live = records->end - records->start;
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        return RPCNET_ERR_MEMORY;
    }
    if (live > 0) {
        memcpy(data, records->data + records->start, live);
    }
    free(records->data);
    rn_budget_move(records->budget, records->capacity, capacity);
    records->data = data;
    records->capacity = capacity;
    records->start = 0;
    records->end = live;
    return RPCNET_OK;
}

static int move_to_larger(rn_records *records, size_t size) {
    size_t live = records->end - records->start;
    size_t most = capacity_max(records);
    bool doubles = records->start > 0 || records->capacity < SMALL_MAX;
    size_t more = doubles ? records->capacity : records->capacity / 4;
    size_t capacity = records->capacity + more < most ? records->capacity + more : most;
    if (capacity < CAPACITY_FIRST) {
        capacity = CAPACITY_FIRST < most ? CAPACITY_FIRST : most;
    }
    if (capacity < live + size) {
        capacity = live + size;
    }
    return move_to(records, capacity);
}

static int make_room(rn_records *records, size_t size) {
    size_t live = records->end - records->start;
    if (size <= records->capacity - records->end) {
        return RPCNET_OK;
    }
    if (live + size > records->capacity || records->start < live / 2) {
        return move_to_larger(records, size);
    }
    memmove(records->data, records->data + records->start, live);
    records->start = 0;
    records->end = live;
    return RPCNET_OK;
}

int rn_records_append(rn_records *records, rn_bytes payload) {
    size_t room = records->limit - records->cost;
    if (room < RN_RECORD_OVERHEAD || payload.len > room - RN_RECORD_OVERHEAD ||
        payload.len > RN_WIRE_LENGTH_MAX) {
        return RPCNET_ERR_LIMIT;
    }
    size_t size = rn_wire_head_size(records->number, payload.len) + payload.len;
    int rv = make_room(records, size);
    if (rv != RPCNET_OK) {
        return rv;
    }
    uint8_t *at = rn_wire_put_head(records->data + records->end, records->number, payload.len);
    if (payload.len > 0) {
        memcpy(at, payload.data, payload.len);
    }
    records->end += size;
    records->cost += payload.len + RN_RECORD_OVERHEAD;
    records->count++;
    return RPCNET_OK;
}

void rn_records_cut(rn_records *records, size_t count) {
    assert(count <= records->count);
    rn_repeated walk = rn_records_list(records);
    rn_bytes payload;
    for (size_t i = 0; i < count; i++) {
        rn_repeated_next(&walk, &payload);
        records->cost -= payload.len + RN_RECORD_OVERHEAD;
    }
    records->count -= count;
    records->start = records->end - walk.run.len;
    if (records->count == 0) {
        records->start = records->end = 0;
        if (records->capacity > RN_RECORDS_KEEP) {
            rn_records_release(records);
        }
    }
}

void rn_records_release(rn_records *records) {
    free(records->data);
    rn_budget_move(records->budget, records->capacity, 0);
    records->data = NULL;
    records->capacity = records->start = records->end = records->count = records->cost = 0;
}

void rn_records_shrink(rn_records *records) {
    size_t live = records->end - records->start;
    if (live == 0) {
        rn_records_release(records);
    } else if (records->capacity > CAPACITY_FIRST && live < records->capacity / 2) {
        (void)move_to(records, live > CAPACITY_FIRST ? live : CAPACITY_FIRST);
    }
}

rn_repeated rn_records_list(const rn_records *records) {
    const uint8_t *data = records->data == NULL ? NULL : records->data + records->start;
    return (rn_repeated){.run = rn_bytes_of(data, records->end - records->start),
                         .number = records->number,
                         .count = records->count,
                         .dense = true};
}

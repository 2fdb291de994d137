/* frames: each message is a table of its fields; one reader and one writer walk the tables. In
 * every message of worker.proto the fields are numbered from 1 without a gap, so a field's number
 * is its place in the table. */
#include "swap/frames.h"

#include <assert.h>

#include "rpcnet/error.h"

enum slot_type { U64, U32, BOOL, BYTES, MANY_BYTES, MANY_METADATA };

struct slot {
    enum slot_type type;
    size_t offset;
};

struct layout {
    const struct slot *slots;
    size_t count;
    size_t size; /* of the struct that the slots lie in */
};

#define LAYOUT(table, type)                                                                        \
    { (table), sizeof(table) / sizeof((table)[0]), sizeof(type) }

static const struct slot metadata_slots[] = {{BYTES, 0}, {BYTES, sizeof(rn_bytes)}};
static const struct layout metadata_layout = LAYOUT(metadata_slots, rn_bytes[2]);

#define AT(field) offsetof(rn_assignment, field)
static const struct slot assignment_slots[] = {
    {BYTES, AT(connection_id)},
    {U64, AT(stream_id)},
    {U64, AT(director_epoch)},
    {U32, AT(attempt)},
    {BYTES, AT(method)},
    {U64, AT(deadline_us)},
    {MANY_METADATA, AT(metadata)},
    {MANY_BYTES, AT(client_messages)},
    {BOOL, AT(half_closed)},
    {U64, AT(next_sequence)},
    {BYTES, AT(checkpoint)},
    {U64, AT(delivered_from)},
    {MANY_BYTES, AT(delivered)},
    {BYTES, AT(previous_worker)},
    {U32, AT(swap_reason)},
    {BYTES, AT(swap_message)},
    {U64, AT(credit)},
};
#undef AT
static const struct slot attach_slots[] = {
    {BYTES, offsetof(rn_attach, connection_id)}, {U64, offsetof(rn_attach, stream_id)},
    {U64, offsetof(rn_attach, director_epoch)},  {U32, offsetof(rn_attach, attempt)},
    {U64, offsetof(rn_attach, next_sequence)},   {U64, offsetof(rn_attach, credit)},
};
static const struct slot numbered_slots[] = {
    {U64, offsetof(rn_numbered, sequence)},
    {BYTES, offsetof(rn_numbered, payload)},
};
static const struct slot failure_slots[] = {
    {BYTES, offsetof(rn_failure, message)},
    {BOOL, offsetof(rn_failure, retry)},
    {BOOL, offsetof(rn_failure, drain)},
};
static const struct slot done_slots[] = {
    {U32, offsetof(rn_done, code)},
    {BYTES, offsetof(rn_done, message)},
    {MANY_METADATA, offsetof(rn_done, trailers)},
};
static const struct slot number_slots[] = {{U64, 0}};
static const struct slot bytes_slots[] = {{BYTES, 0}};

#define NUMBERED LAYOUT(numbered_slots, rn_numbered)
#define NUMBER LAYOUT(number_slots, uint64_t)
#define EMPTY                                                                                      \
    { NULL, 0, 0 }

static const struct layout director_layouts[] = {
    [RN_DIRECTOR_NONE] = EMPTY,
    [RN_DIRECTOR_ASSIGNMENT] = LAYOUT(assignment_slots, rn_assignment),
    [RN_DIRECTOR_ATTACH] = LAYOUT(attach_slots, rn_attach),
    [RN_DIRECTOR_CLIENT_MESSAGE] = NUMBERED,
    [RN_DIRECTOR_HALF_CLOSE] = EMPTY,
    [RN_DIRECTOR_ACK] = NUMBER,
    [RN_DIRECTOR_CREDIT] = NUMBER,
    [RN_DIRECTOR_CANCEL] = EMPTY,
    [RN_DIRECTOR_PROBE] = NUMBER,
};
static const struct layout worker_layouts[] = {
    [RN_WORKER_NONE] = EMPTY,
    [RN_WORKER_MESSAGE] = NUMBERED,
    [RN_WORKER_EVENT] = LAYOUT(bytes_slots, rn_bytes),
    [RN_WORKER_CHECKPOINT] = NUMBERED,
    [RN_WORKER_FAILURE] = LAYOUT(failure_slots, rn_failure),
    [RN_WORKER_REFUSED] = LAYOUT(bytes_slots, rn_bytes),
    [RN_WORKER_DONE] = LAYOUT(done_slots, rn_done),
    [RN_WORKER_PROBE_REPLY] = NUMBER,
};

static void *slot_in(void *message, const struct slot *slot) {
    return (char *)message + slot->offset;
}

static const void *slot_of(const void *message, const struct slot *slot) {
    return (const char *)message + slot->offset;
}

static int parse_metadata(rn_bytes body, rn_bytes pair[2]) {
    rn_wire_field field;
    pair[0] = pair[1] = (rn_bytes){0};
    while (body.len > 0) {
        int rv = rn_wire_next(&body, &field);
        if (rv != RPCNET_OK) {
            return rv;
        }
        if (field.number <= metadata_layout.count) {
            if (field.type != RN_WIRE_BYTES) {
                return RPCNET_ERR_PARSE;
            }
            pair[field.number - 1] = field.bytes;
        }
    }
    return RPCNET_OK;
}

/* `start` is where the field's tag lies. */
static void add_occurrence(rn_repeated *values, const rn_wire_field *field, const uint8_t *start) {
    const uint8_t *end = field->bytes.data + field->bytes.len;
    if (values->count == 0) {
        *values =
            (rn_repeated){.run = rn_bytes_of(start, 0), .number = field->number, .dense = true};
    } else if (values->run.data + values->run.len != start) {
        values->dense = false;
    }
    values->run.len = (size_t)(end - values->run.data);
    values->count++;
}

static int parse_slot(void *out, enum slot_type type, const rn_wire_field *field,
                      const uint8_t *start) {
    rn_bytes pair[2];
    if (field->type != (type < BYTES ? RN_WIRE_VARINT : RN_WIRE_BYTES)) {
        return RPCNET_ERR_PARSE;
    }
    switch (type) {
    case U64:
        *(uint64_t *)out = field->value;
        return RPCNET_OK;
    case U32:
        *(uint32_t *)out = (uint32_t)field->value;
        return RPCNET_OK;
    case BOOL:
        *(bool *)out = field->value != 0;
        return RPCNET_OK;
    case BYTES:
        *(rn_bytes *)out = field->bytes;
        return RPCNET_OK;
    case MANY_METADATA:
        if (parse_metadata(field->bytes, pair) != RPCNET_OK) {
            return RPCNET_ERR_PARSE;
        }
        add_occurrence(out, field, start);
        return RPCNET_OK;
    case MANY_BYTES:
        add_occurrence(out, field, start);
        return RPCNET_OK;
    }
    return RPCNET_ERR_PARSE;
}

static int parse_message(void *out, const struct layout *layout, rn_bytes body) {
    rn_wire_field field;
    memset(out, 0, layout->size);
    while (body.len > 0) {
        const uint8_t *start = body.data;
        int rv = rn_wire_next(&body, &field);
        if (rv != RPCNET_OK) {
            return rv;
        }
        if (field.number <= layout->count) {
            const struct slot *slot = &layout->slots[field.number - 1];
            rv = parse_slot(slot_in(out, slot), slot->type, &field, start);
            if (rv != RPCNET_OK) {
                return rv;
            }
        }
    }
    return RPCNET_OK;
}

/* Both frames are a oneof of messages; *kind is the number of the one that came last. */
static int parse_frame(void *member, uint32_t *kind, const struct layout *layouts, uint32_t last,
                       rn_bytes bytes) {
    rn_wire_field field;
    *kind = 0;
    while (bytes.len > 0) {
        int rv = rn_wire_next(&bytes, &field);
        if (rv != RPCNET_OK) {
            return rv;
        }
        if (field.number > last) {
            continue;
        }
        if (field.type != RN_WIRE_BYTES) {
            return RPCNET_ERR_PARSE;
        }
        rv = parse_message(member, &layouts[field.number], field.bytes);
        if (rv != RPCNET_OK) {
            return rv;
        }
        *kind = field.number;
    }
    return RPCNET_OK;
}

int rn_director_frame_parse(rn_director_frame *out, rn_bytes bytes) {
    uint32_t kind;
    int rv = parse_frame(&out->assignment, &kind, director_layouts, RN_DIRECTOR_PROBE, bytes);
    out->kind = (enum rn_director_frame_kind)kind;
    return rv;
}

int rn_worker_frame_parse(rn_worker_frame *out, rn_bytes bytes) {
    uint32_t kind;
    int rv = parse_frame(&out->message, &kind, worker_layouts, RN_WORKER_PROBE_REPLY, bytes);
    out->kind = (enum rn_worker_frame_kind)kind;
    return rv;
}

static size_t slot_size(const void *value, enum slot_type type, uint32_t number) {
    switch (type) {
    case U64:
        return rn_wire_number_size(number, *(const uint64_t *)value);
    case U32:
        return rn_wire_number_size(number, *(const uint32_t *)value);
    case BOOL:
        return rn_wire_number_size(number, *(const bool *)value);
    case BYTES:
        return rn_wire_bytes_size(number, ((const rn_bytes *)value)->len);
    case MANY_BYTES:
    case MANY_METADATA:
        break;
    }
    return rn_wire_repeated_size(number, value);
}

static uint8_t *put_slot(uint8_t *out, const void *value, enum slot_type type, uint32_t number) {
    switch (type) {
    case U64:
        return rn_wire_put_number(out, number, *(const uint64_t *)value);
    case U32:
        return rn_wire_put_number(out, number, *(const uint32_t *)value);
    case BOOL:
        return rn_wire_put_number(out, number, *(const bool *)value);
    case BYTES:
        return rn_wire_put_bytes(out, number, *(const rn_bytes *)value);
    case MANY_BYTES:
    case MANY_METADATA:
        break;
    }
    return rn_wire_put_repeated(out, number, value);
}

static size_t message_size(const void *message, const struct layout *layout) {
    size_t size = 0;
    for (size_t i = 0; i < layout->count; i++) {
        const struct slot *slot = &layout->slots[i];
        size += slot_size(slot_of(message, slot), slot->type, (uint32_t)(i + 1));
    }
    return size;
}

static size_t frame_size(const void *member, uint32_t kind, const struct layout *layouts) {
    if (kind == 0) {
        return 0;
    }
    size_t size = message_size(member, &layouts[kind]);
    return rn_wire_head_size(kind, size) + size;
}

static uint8_t *put_slots(uint8_t *out, const void *message, const struct layout *layout) {
    for (size_t i = 0; i < layout->count; i++) {
        const struct slot *slot = &layout->slots[i];
        out = put_slot(out, slot_of(message, slot), slot->type, (uint32_t)(i + 1));
    }
    return out;
}

static uint8_t *put_frame(uint8_t *out, const void *member, uint32_t kind,
                          const struct layout *layouts) {
    if (kind == 0) {
        return out;
    }
    out = rn_wire_put_head(out, kind, message_size(member, &layouts[kind]));
    return put_slots(out, member, &layouts[kind]);
}

static int append_frame(rn_buffer *out, const void *member, uint32_t kind,
                        const struct layout *layouts) {
    size_t size = frame_size(member, kind, layouts);
    int rv = size <= RN_WIRE_LENGTH_MAX ? rn_buffer_reserve(out, size) : RPCNET_ERR_LIMIT;
    if (rv == RPCNET_OK && size > 0) {
        put_frame(out->data + out->len, member, kind, layouts);
        out->len += size;
    }
    return rv;
}

size_t rn_director_frame_size(const rn_director_frame *frame) {
    return frame_size(&frame->assignment, frame->kind, director_layouts);
}

uint8_t *rn_director_frame_write(uint8_t *out, const rn_director_frame *frame) {
    return put_frame(out, &frame->assignment, frame->kind, director_layouts);
}

int rn_director_frame_append(rn_buffer *out, const rn_director_frame *frame) {
    return append_frame(out, &frame->assignment, frame->kind, director_layouts);
}

static rn_assignment without_bulk(const rn_assignment *assignment) {
    rn_assignment rest = *assignment;
    rest.checkpoint = (rn_bytes){0};
    rest.metadata = rest.client_messages = rest.delivered = (rn_repeated){0};
    return rest;
}

static size_t checkpoint_head_size(const rn_assignment *assignment) {
    size_t len = assignment->checkpoint.len;
    return len > 0 ? rn_wire_head_size(RN_ASSIGNMENT_CHECKPOINT, len) : 0;
}

size_t rn_frame_assignment_head_size(const rn_assignment *assignment) {
    const struct layout *layout = &director_layouts[RN_DIRECTOR_ASSIGNMENT];
    rn_assignment rest = without_bulk(assignment);
    return rn_wire_head_size(RN_DIRECTOR_ASSIGNMENT, message_size(assignment, layout)) +
           message_size(&rest, layout) + checkpoint_head_size(assignment);
}

uint8_t *rn_frame_write_assignment_head(uint8_t *out, const rn_assignment *assignment) {
    const struct layout *layout = &director_layouts[RN_DIRECTOR_ASSIGNMENT];
    rn_assignment rest = without_bulk(assignment);
    out = rn_wire_put_head(out, RN_DIRECTOR_ASSIGNMENT, message_size(assignment, layout));
    out = put_slots(out, &rest, layout);
    /* Last, since its bytes follow. */
    return checkpoint_head_size(assignment) > 0
               ? rn_wire_put_head(out, RN_ASSIGNMENT_CHECKPOINT, assignment->checkpoint.len)
               : out;
}

size_t rn_worker_frame_size(const rn_worker_frame *frame) {
    return frame_size(&frame->message, frame->kind, worker_layouts);
}

uint8_t *rn_worker_frame_write(uint8_t *out, const rn_worker_frame *frame) {
    return put_frame(out, &frame->message, frame->kind, worker_layouts);
}

int rn_worker_frame_append(rn_buffer *out, const rn_worker_frame *frame) {
    return append_frame(out, &frame->message, frame->kind, worker_layouts);
}

/* A member that ends in `payload_len` bytes of field `payload_number`, without these bytes.
 * sequence 0 is proto3's default and not written. */
static size_t put_prefix(uint8_t *out, uint32_t kind, uint64_t sequence, uint32_t payload_number,
                         size_t payload_len) {
    assert(payload_len <= RN_FRAME_PAYLOAD_MAX);
    uint8_t *at = rn_wire_put_head(out, kind,
                                   rn_wire_number_size(1, sequence) +
                                       rn_wire_bytes_size(payload_number, payload_len));
    at = rn_wire_put_number(at, 1, sequence);
    if (payload_len > 0) {
        at = rn_wire_put_head(at, payload_number, payload_len);
    }
    return (size_t)(at - out);
}

size_t rn_frame_message_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                               size_t payload_len) {
    return put_prefix(out, RN_WORKER_MESSAGE, sequence, 2, payload_len);
}

size_t rn_frame_event_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], size_t payload_len) {
    return put_prefix(out, RN_WORKER_EVENT, 0, 1, payload_len);
}

size_t rn_frame_checkpoint_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                                  size_t state_len) {
    return put_prefix(out, RN_WORKER_CHECKPOINT, sequence, 2, state_len);
}

size_t rn_frame_client_message_prefix(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence,
                                      size_t payload_len) {
    return put_prefix(out, RN_DIRECTOR_CLIENT_MESSAGE, sequence, 2, payload_len);
}

size_t rn_frame_ack(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t sequence) {
    return put_prefix(out, RN_DIRECTOR_ACK, sequence, 2, 0);
}

size_t rn_frame_credit(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t total) {
    return put_prefix(out, RN_DIRECTOR_CREDIT, total, 2, 0);
}

size_t rn_frame_probe(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t n) {
    return put_prefix(out, RN_DIRECTOR_PROBE, n, 2, 0);
}

size_t rn_frame_probe_reply(uint8_t out[RN_FRAME_PREFIX_MAX], uint64_t n) {
    return put_prefix(out, RN_WORKER_PROBE_REPLY, n, 2, 0);
}

size_t rn_frame_half_close(uint8_t out[RN_FRAME_PREFIX_MAX]) {
    return put_prefix(out, RN_DIRECTOR_HALF_CLOSE, 0, 2, 0);
}

size_t rn_frame_cancel(uint8_t out[RN_FRAME_PREFIX_MAX]) {
    return put_prefix(out, RN_DIRECTOR_CANCEL, 0, 2, 0);
}

bool rn_metadata_next(rn_repeated *walk, rn_bytes *key, rn_bytes *value) {
    rn_bytes body;
    rn_bytes pair[2];
    if (!rn_repeated_next(walk, &body)) {
        return false;
    }
    int rv = parse_metadata(body, pair);
    assert(rv == RPCNET_OK); /* checked when the list was read */
    (void)rv;
    *key = pair[0];
    *value = pair[1];
    return true;
}

int rn_metadata_append(rn_buffer *run, uint32_t number, rn_bytes key, rn_bytes value) {
    if (key.len > RN_FRAME_PAYLOAD_MAX / 2 || value.len > RN_FRAME_PAYLOAD_MAX / 2) {
        return RPCNET_ERR_LIMIT;
    }
    size_t body = rn_wire_bytes_size(1, key.len) + rn_wire_bytes_size(2, value.len);
    size_t size = rn_wire_head_size(number, body) + body;
    int rv = rn_buffer_reserve(run, size);
    if (rv != RPCNET_OK) {
        return rv;
    }
    uint8_t *at = rn_wire_put_head(run->data + run->len, number, body);
    at = rn_wire_put_bytes(at, 1, key);
    rn_wire_put_bytes(at, 2, value);
    run->len += size;
    return RPCNET_OK;
}

rn_repeated rn_metadata_list(rn_bytes run, uint32_t number, size_t count) {
    return (rn_repeated){.run = run, .number = number, .count = count, .dense = true};
}

/* Differential tests of src/swap/frames against protobuf-c: what one writes the other reads alike,
 * and bytes that were damaged at random are accepted or refused by both. Where frames.h says that
 * it is stricter, an independent walk over protobuf-c's descriptors tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random.h"
#include "rpcnet/error.h"
#include "rpcnet/v1/worker.pb-c.h"
#include "support/lax.h"
#include "swap/frames.h"

enum { ROUNDS = 4000, MUTATIONS = 24, TEXT_MAX = 40, MANY_MAX = 5, FRAME_MAX = 4096 };

#define SEED UINT64_C(0x5eed0001)

typedef Rpcnet__V1__DirectorFrame pb_director;
typedef Rpcnet__V1__WorkerFrame pb_worker;

/* ── the same values? ── */

/* protobuf-c ends a string with a NUL of its own; the peer's may hold others. */
static void same_text(rn_bytes ours, const char *theirs) {
    assert_memory_equal(ours.len > 0 ? (const char *)ours.data : "", theirs, ours.len);
    assert_int_equal(theirs[ours.len], '\0');
}

static void same_bytes(rn_bytes ours, ProtobufCBinaryData theirs) {
    assert_int_equal(ours.len, theirs.len);
    if (ours.len > 0) {
        assert_memory_equal(ours.data, theirs.data, ours.len);
    }
}

static void same_number(uint64_t ours, uint64_t theirs) {
    assert_true(ours == theirs);
}

static void same_many(rn_repeated ours, size_t count, const ProtobufCBinaryData *theirs) {
    rn_bytes value;
    assert_int_equal(ours.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(rn_repeated_next(&ours, &value));
        same_bytes(value, theirs[i]);
    }
    assert_false(rn_repeated_next(&ours, &value));
}

static void same_metadata(rn_repeated ours, size_t count, Rpcnet__V1__Metadata *const *theirs) {
    rn_bytes key;
    rn_bytes value;
    assert_int_equal(ours.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(rn_metadata_next(&ours, &key, &value));
        same_text(key, theirs[i]->key);
        same_bytes(value, theirs[i]->value);
    }
    assert_false(rn_metadata_next(&ours, &key, &value));
}

static void same_assignment(const rn_assignment *ours, const Rpcnet__V1__Assignment *theirs) {
    same_text(ours->connection_id, theirs->connection_id);
    same_number(ours->stream_id, theirs->stream_id);
    same_number(ours->director_epoch, theirs->director_epoch);
    same_number(ours->attempt, theirs->attempt);
    same_text(ours->method, theirs->method);
    same_number(ours->deadline_us, theirs->deadline_us);
    same_metadata(ours->metadata, theirs->n_metadata, theirs->metadata);
    same_many(ours->client_messages, theirs->n_client_messages, theirs->client_messages);
    same_number(ours->half_closed, theirs->half_closed != 0);
    same_number(ours->next_sequence, theirs->next_sequence);
    same_bytes(ours->checkpoint, theirs->checkpoint);
    same_number(ours->delivered_from, theirs->delivered_from);
    same_many(ours->delivered, theirs->n_delivered, theirs->delivered);
    same_text(ours->previous_worker, theirs->previous_worker);
    same_number(ours->swap_reason, theirs->swap_reason);
    same_text(ours->swap_message, theirs->swap_message);
    same_number(ours->credit, theirs->credit);
}

static void same_director(const rn_director_frame *ours, const pb_director *theirs) {
    assert_int_equal((int)ours->kind, (int)theirs->frame_case);
    switch (ours->kind) {
    case RN_DIRECTOR_ASSIGNMENT:
        same_assignment(&ours->assignment, theirs->assignment);
        break;
    case RN_DIRECTOR_ATTACH:
        same_text(ours->attach.connection_id, theirs->attach->connection_id);
        same_number(ours->attach.stream_id, theirs->attach->stream_id);
        same_number(ours->attach.director_epoch, theirs->attach->director_epoch);
        same_number(ours->attach.attempt, theirs->attach->attempt);
        same_number(ours->attach.next_sequence, theirs->attach->next_sequence);
        same_number(ours->attach.credit, theirs->attach->credit);
        break;
    case RN_DIRECTOR_CLIENT_MESSAGE:
        same_number(ours->client_message.sequence, theirs->client_message->sequence);
        same_bytes(ours->client_message.payload, theirs->client_message->payload);
        break;
    case RN_DIRECTOR_ACK:
        same_number(ours->ack, theirs->ack->sequence);
        break;
    case RN_DIRECTOR_CREDIT:
        same_number(ours->credit, theirs->credit->total);
        break;
    case RN_DIRECTOR_PROBE:
        same_number(ours->probe, theirs->probe->n);
        break;
    case RN_DIRECTOR_NONE:
    case RN_DIRECTOR_HALF_CLOSE:
    case RN_DIRECTOR_CANCEL:
        break;
    }
}

static void same_worker(const rn_worker_frame *ours, const pb_worker *theirs) {
    assert_int_equal((int)ours->kind, (int)theirs->frame_case);
    switch (ours->kind) {
    case RN_WORKER_MESSAGE:
        same_number(ours->message.sequence, theirs->message->sequence);
        same_bytes(ours->message.payload, theirs->message->payload);
        break;
    case RN_WORKER_EVENT:
        same_bytes(ours->event, theirs->event->payload);
        break;
    case RN_WORKER_CHECKPOINT:
        same_number(ours->checkpoint.sequence, theirs->checkpoint->sequence);
        same_bytes(ours->checkpoint.payload, theirs->checkpoint->state);
        break;
    case RN_WORKER_FAILURE:
        same_text(ours->failure.message, theirs->failure->message);
        same_number(ours->failure.retry, theirs->failure->retry != 0);
        same_number(ours->failure.drain, theirs->failure->drain != 0);
        break;
    case RN_WORKER_REFUSED:
        same_text(ours->refused, theirs->refused->reason);
        break;
    case RN_WORKER_DONE:
        same_number(ours->done.code, theirs->done->code);
        same_text(ours->done.message, theirs->done->message);
        same_metadata(ours->done.trailers, theirs->done->n_trailers, theirs->done->trailers);
        break;
    case RN_WORKER_PROBE_REPLY:
        same_number(ours->probe_reply, theirs->probe_reply->n);
        break;
    case RN_WORKER_NONE:
        break;
    }
}

/* ── random messages, made with protobuf-c's descriptors ── */

static uint64_t some_number(random_source *random) {
    return random_chance(random, 25) ? 0 : random_next(random) >> random_below(random, 64);
}

static void *zeroed(size_t size) {
    void *memory = calloc(1, size);
    assert_non_null(memory);
    return memory;
}

static char *some_text(random_source *random) {
    size_t len = random_below(random, TEXT_MAX);
    char *text = zeroed(len + 1);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('!' + random_below(random, 90));
    }
    return text;
}

static ProtobufCBinaryData some_bytes(random_source *random) {
    ProtobufCBinaryData bytes = {.len = random_below(random, random_chance(random, 10) ? 300 : 20)};
    if (bytes.len > 0) {
        bytes.data = zeroed(bytes.len);
        random_fill(random, bytes.data, bytes.len);
    }
    return bytes;
}

static ProtobufCMessage *some_message(random_source *random,
                                      const ProtobufCMessageDescriptor *descriptor);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static void fill_value(random_source *random, const ProtobufCFieldDescriptor *field, void *value) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)value = some_number(random);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)value = (uint32_t)some_number(random);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)value = (protobuf_c_boolean)random_below(random, 2);
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)value = some_text(random);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)value = some_bytes(random);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)value = some_message(random, field->descriptor);
        break;
    default:
        fail_msg("worker.proto has a field of a type that this test does not know");
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as worker.proto */
static ProtobufCMessage *some_message(random_source *random,
                                      const ProtobufCMessageDescriptor *descriptor) {
    ProtobufCMessage *message = zeroed(descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        char *at = (char *)message + field->offset;
        size_t size =
            field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            fill_value(random, field, at);
            continue;
        }
        size_t count = random_below(random, MANY_MAX);
        *(size_t *)((char *)message + field->quantifier_offset) = count;
        if (count > 0) {
            char *array = zeroed(count * size);
            *(void **)at = array;
            for (size_t k = 0; k < count; k++) {
                fill_value(random, field, array + k * size);
            }
        }
    }
    return message;
}

/* A frame is a oneof: one member, or none now and then. */
static ProtobufCMessage *some_frame(random_source *random,
                                    const ProtobufCMessageDescriptor *descriptor) {
    ProtobufCMessage *frame = zeroed(descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, frame);
    if (!random_chance(random, 2)) {
        const ProtobufCFieldDescriptor *field =
            &descriptor->fields[random_below(random, descriptor->n_fields)];
        *(uint32_t *)((char *)frame + field->quantifier_offset) = field->id;
        fill_value(random, field, (char *)frame + field->offset);
    }
    return frame;
}

/* ── both readers on the same bytes ── */

struct tally {
    unsigned accepted;
    unsigned refused;
    unsigned stricter;
};

static void compare(bool director, const uint8_t *data, size_t len, struct tally *tally) {
    /* A copy of the exact size, so that a sanitizer sees every step beyond it. */
    uint8_t *bytes = malloc(len + (len == 0));
    assert_non_null(bytes);
    if (len > 0) {
        memcpy(bytes, data, len);
    }
    rn_director_frame ours_director;
    rn_worker_frame ours_worker;
    pb_director *theirs_director = NULL;
    pb_worker *theirs_worker = NULL;
    int rv;
    if (director) {
        rv = rn_director_frame_parse(&ours_director, rn_bytes_of(bytes, len));
        theirs_director = rpcnet__v1__director_frame__unpack(NULL, len, bytes);
    } else {
        rv = rn_worker_frame_parse(&ours_worker, rn_bytes_of(bytes, len));
        theirs_worker = rpcnet__v1__worker_frame__unpack(NULL, len, bytes);
    }
    bool theirs = theirs_director != NULL || theirs_worker != NULL;
    assert_true(rv == RPCNET_OK || rv == RPCNET_ERR_PARSE);
    if (lax_is_read_otherwise(bytes, bytes + len,
                              director ? &rpcnet__v1__director_frame__descriptor
                                       : &rpcnet__v1__worker_frame__descriptor)) {
        tally->stricter++;
    } else {
        if ((rv == RPCNET_OK) != theirs) {
            print_message("the bytes:");
            for (size_t i = 0; i < len; i++) {
                print_message(" %02x", bytes[i]);
            }
            print_message("\n");
        }
        assert_int_equal(rv == RPCNET_OK, theirs);
        tally->accepted += theirs;
        tally->refused += !theirs;
        if (theirs_director != NULL) {
            same_director(&ours_director, theirs_director);
        } else if (theirs_worker != NULL) {
            same_worker(&ours_worker, theirs_worker);
        }
    }
    if (theirs_director != NULL) {
        rpcnet__v1__director_frame__free_unpacked(theirs_director, NULL);
    }
    if (theirs_worker != NULL) {
        rpcnet__v1__worker_frame__free_unpacked(theirs_worker, NULL);
    }
    free(bytes);
}

/* What we read and write again is byte for byte what protobuf-c has written. */
static void write_again(bool director, const uint8_t *data, size_t len) {
    static uint8_t out[FRAME_MAX];
    rn_buffer buffer;
    rn_director_frame director_frame;
    rn_worker_frame worker_frame;
    size_t size;
    rn_buffer_init(&buffer, FRAME_MAX);
    if (director) {
        assert_int_equal(rn_director_frame_parse(&director_frame, rn_bytes_of(data, len)),
                         RPCNET_OK);
        size = rn_director_frame_size(&director_frame);
        assert_int_equal(size, len);
        assert_ptr_equal(rn_director_frame_write(out, &director_frame), out + size);
        assert_int_equal(rn_director_frame_append(&buffer, &director_frame), RPCNET_OK);
    } else {
        assert_int_equal(rn_worker_frame_parse(&worker_frame, rn_bytes_of(data, len)), RPCNET_OK);
        size = rn_worker_frame_size(&worker_frame);
        assert_int_equal(size, len);
        assert_ptr_equal(rn_worker_frame_write(out, &worker_frame), out + size);
        assert_int_equal(rn_worker_frame_append(&buffer, &worker_frame), RPCNET_OK);
    }
    assert_memory_equal(out, data, len);
    assert_int_equal(buffer.len, len);
    if (len > 0) {
        assert_memory_equal(buffer.data, data, len);
    }
    rn_buffer_fini(&buffer);
}

static size_t mutate(random_source *random, uint8_t *bytes, size_t len) {
    static const uint8_t odd[] = {0x00, 0x01, 0x07, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff, 0x10};
    unsigned times = 1 + (unsigned)random_below(random, 3);
    while (times-- > 0 && len > 0) {
        size_t at = random_below(random, len);
        switch (random_below(random, 6)) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
            break;
        case 1:
            bytes[at] = odd[random_below(random, sizeof odd)];
            break;
        case 2:
            len = at;
            break;
        case 3:
            memmove(bytes + at, bytes + at + 1, len - at - 1);
            len--;
            break;
        case 4: /* overlong varints come from runs of such bytes */
            for (size_t i = at; i < len && i < at + 12 && random_chance(random, 80); i++) {
                bytes[i] = 0x80 | (uint8_t)random_next(random);
            }
            break;
        default: /* a piece again: repeated and unknown fields, members that come twice */
            if (len * 2 < FRAME_MAX) {
                size_t piece = 1 + random_below(random, len - at);
                memmove(bytes + at + piece, bytes + at, len - at);
                len += piece;
            }
            break;
        }
    }
    return len;
}

static void differ(bool director) {
    const ProtobufCMessageDescriptor *descriptor =
        director ? &rpcnet__v1__director_frame__descriptor : &rpcnet__v1__worker_frame__descriptor;
    random_source random = {SEED + director};
    struct tally tally = {0};
    static uint8_t bytes[FRAME_MAX];
    static uint8_t changed[FRAME_MAX];
    print_message("seed %#llx\n", (unsigned long long)SEED);
    for (unsigned round = 0; round < ROUNDS; round++) {
        ProtobufCMessage *frame = some_frame(&random, descriptor);
        size_t len = protobuf_c_message_get_packed_size(frame);
        assert_true(len <= FRAME_MAX / 2);
        protobuf_c_message_pack(frame, bytes);
        protobuf_c_message_free_unpacked(frame, NULL);
        compare(director, bytes, len, &tally);
        write_again(director, bytes, len);
        for (unsigned i = 0; i < MUTATIONS; i++) {
            memcpy(changed, bytes, len);
            compare(director, changed, mutate(&random, changed, len), &tally);
        }
    }
    print_message("accepted %u, refused %u, stricter %u\n", tally.accepted, tally.refused,
                  tally.stricter);
    /* The mutations are worth something only if both outcomes are frequent. */
    assert_true(tally.accepted > ROUNDS * 4 && tally.refused > ROUNDS * 4);
}

static void director_frames_as_protobuf_c(void **state) {
    (void)state;
    differ(true);
}

static void worker_frames_as_protobuf_c(void **state) {
    (void)state;
    differ(false);
}

/* Two frames one behind the other: the last member wins, as in protobuf-c. */
static void last_member_wins(void **state) {
    (void)state;
    random_source random = {SEED + 2};
    struct tally tally = {0};
    uint8_t bytes[2 * FRAME_MAX];
    for (unsigned round = 0; round < 500; round++) {
        size_t len = 0;
        for (unsigned i = 0; i < 2; i++) {
            ProtobufCMessage *frame = some_frame(&random, &rpcnet__v1__director_frame__descriptor);
            len += protobuf_c_message_pack(frame, bytes + len);
            protobuf_c_message_free_unpacked(frame, NULL);
        }
        compare(true, bytes, len, &tally);
    }
    assert_int_equal(tally.accepted, 500);
}

static void stricter_than_protobuf_c(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[16];
        size_t len;
        int ours;
    } cases[] = {
        {{0x80, 0x00, 0x00}, 3, RPCNET_ERR_PARSE},             /* field number 0 in a padded tag */
        {{0x22, 0x02, 0x12, 0x00}, 4, RPCNET_ERR_PARSE},       /* as bytes */
        {{0x22, 0x05, 0x15, 1, 0, 0, 0}, 7, RPCNET_ERR_PARSE}, /* as fixed32 */
        {{0x22, 0x09, 0x11, 1, 0, 0, 0, 0, 0, 0, 0}, 11, RPCNET_ERR_PARSE}, /* as fixed64 */
        /* Only bits beyond 64 are set. */
        {{0x22, 0x0b, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02},
         13,
         RPCNET_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rn_worker_frame ours;
        pb_worker *theirs = rpcnet__v1__worker_frame__unpack(NULL, cases[i].len, cases[i].bytes);
        assert_non_null(theirs);
        int rv = rn_worker_frame_parse(&ours, rn_bytes_of(cases[i].bytes, cases[i].len));
        assert_int_equal(rv, cases[i].ours);
        if (rv == RPCNET_OK) {
            assert_int_equal(ours.failure.retry, false);
            assert_int_equal(theirs->failure->retry, true);
        }
        rpcnet__v1__worker_frame__free_unpacked(theirs, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(director_frames_as_protobuf_c),
        cmocka_unit_test(worker_frames_as_protobuf_c),
        cmocka_unit_test(last_member_wins),
        cmocka_unit_test(stricter_than_protobuf_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wire: see wire.h. */
#include "grpc/wire.h"

#include <assert.h>
#include <strings.h>

#include "grpc/base64.h"
#include "rpcnet/error.h"

void rn_wire_init(rn_wire *wire) {
    wire->count = 0;
    rn_buffer_init(&wire->text, (size_t)2 * RN_METADATA_BYTES_MAX);
}

void rn_wire_fini(rn_wire *wire) {
    rn_buffer_fini(&wire->text);
}

static void add(rn_wire *wire, rn_bytes name, rn_bytes value) {
    assert(wire->count < RN_H3_FIELDS_MAX);
    wire->fields[wire->count++] = (rn_h3_field){.name = name, .value = value};
}

void rn_wire_add(rn_wire *wire, const char *name, rn_bytes value) {
    add(wire, rn_bytes_text(name), value);
}

void rn_wire_add_timeout(rn_wire *wire, uint64_t timeout_ns) {
    size_t len = rn_timeout_format(wire->timeout, timeout_ns);
    rn_wire_add(wire, "grpc-timeout", rn_bytes_of(wire->timeout, len));
}

void rn_wire_add_status(rn_wire *wire, const rn_status *status) {
    unsigned code = (unsigned)status->code;
    size_t len = 0;
    assert(code <= RPCNET_GRPC_UNAUTHENTICATED);
    if (code >= 10) {
        wire->code[len++] = '1';
    }
    wire->code[len++] = (char)('0' + code % 10);
    rn_wire_add(wire, "grpc-status", rn_bytes_of(wire->code, len));
    if (status->message.len > 0) {
        len = rn_status_encode_message(wire->message, status->message);
        rn_wire_add(wire, "grpc-message", rn_bytes_of(wire->message, len));
    }
}

int rn_wire_add_metadata(rn_wire *wire, const rn_metadata *metadata) {
    size_t count = metadata != NULL ? rn_metadata_count(metadata) : 0;
    size_t encoded = 0;
    for (size_t i = 0; i < count; i++) {
        encoded += rn_base64_encoded_len(rn_metadata_at(metadata, i).value.len);
    }
    if (encoded > 0) {
        /* At once, because fields point into it. */
        int rv = rn_buffer_reserve(&wire->text, encoded);
        if (rv != RPCNET_OK) {
            return rv;
        }
    }
    for (size_t i = 0; i < count; i++) {
        rn_metadata_field field = rn_metadata_at(metadata, i);
        if (rn_metadata_is_binary(field.name)) {
            size_t start = wire->text.len;
            int rv = rn_base64_encode(&wire->text, field.value);
            if (rv != RPCNET_OK) {
                return rv;
            }
            size_t len = wire->text.len - start;
            field.value = rn_bytes_of(len > 0 ? wire->text.data + start : NULL, len);
        }
        add(wire, field.name, field.value);
    }
    return RPCNET_OK;
}

static rn_bytes *known_field(rn_wire_head *head, rn_bytes name) {
    const struct {
        const char *name;
        rn_bytes *value;
    } known[] = {
        {":method", &head->method},
        {":path", &head->path},
        {":authority", &head->authority},
        {":status", &head->http_status},
        {"content-type", &head->content_type},
        {"grpc-timeout", &head->timeout},
        {"grpc-status", &head->status},
        {"grpc-message", &head->message},
        {"host", &head->authority},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (rn_bytes_is(name, known[i].name)) {
            return known[i].value;
        }
    }
    return NULL;
}

int rn_wire_read(const rn_h3_field *fields, size_t count, rn_wire_head *head,
                 rn_metadata *metadata) {
    memset(head, 0, sizeof *head);
    for (size_t i = 0; i < count; i++) {
        rn_bytes *known = known_field(head, fields[i].name);
        if (known == NULL) {
            int rv = rn_metadata_add_wire(metadata, fields[i].name, fields[i].value);
            if (rv != RPCNET_OK) {
                return rv;
            }
        } else if (known->data == NULL) {
            *known = fields[i].value;
        }
    }
    return RPCNET_OK;
}

bool rn_wire_is_grpc(rn_bytes content_type) {
    static const char grpc[] = "application/grpc";
    size_t len = sizeof grpc - 1;
    if (content_type.len < len || strncasecmp((const char *)content_type.data, grpc, len) != 0) {
        return false;
    }
    rn_bytes rest = rn_bytes_of(content_type.data + len, content_type.len - len);
    if (rest.len >= 6 && strncasecmp((const char *)rest.data, "+proto", 6) == 0) {
        rest = rn_bytes_of(rest.data + 6, rest.len - 6);
    }
    return rest.len == 0 || rest.data[0] == ';' || rest.data[0] == ' ';
}

unsigned rn_wire_http_status(rn_bytes value) {
    unsigned status = 0;
    if (value.len != 3) {
        return 0;
    }
    for (size_t i = 0; i < 3; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return 0;
        }
        status = status * 10 + (unsigned)(value.data[i] - '0');
    }
    return status;
}

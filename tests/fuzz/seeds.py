#!/usr/bin/env python3
"""Writes the corpora's first inputs, tests/fuzz/corpus/<target>/seed-<what>.

Each is something that a program means: a stream of messages, a life of a stream. What the fuzzer
has found beside them is not touched.
"""
import hashlib
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def write(target, what, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{what}").write_bytes(data if isinstance(data, bytes) else data.encode())


# ---- encodings ----

def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A protobuf field: a number, text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(**fields):
    return b"".join(field(int(name[1:]), value) for name, value in fields.items())


def quic(value):
    for size, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def frame(kind, payload):
    """An HTTP/3 frame."""
    return quic(kind) + quic(len(payload)) + payload


def grpc(payload, flag=0):
    data = payload.encode() if isinstance(payload, str) else payload
    return bytes([flag]) + len(data).to_bytes(4, "big") + data


def piece(data):
    """fuzz_piece of fuzz.h."""
    data = data.encode() if isinstance(data, str) else data
    head = bytes([len(data)]) if len(data) < 255 else b"\xff" + len(data).to_bytes(2, "big")
    return head + data


# ---- the targets ----

def address():
    for what, text in {
        "ipv4": "127.0.0.1:61000", "ipv6": "[::1]:61000", "scope": "[fe80::1%2]:1",
        "name": "director.example:61001", "interface": "[fe80::1%eth0]:1", "short": "1.2.3:4",
        "port": "127.0.0.1:65536", "mapped": "[::ffff:10.0.0.1]:80", "duration": "250ms",
        "hour": "1h", "zero": "0", "size": "256KiB", "bytes": "100B", "large": "16777216GiB",
        "number": "18446744073709551615", "over": "18446744073709551616",
    }.items():
        write("address", what, text)


def framing():
    write("framing", "three", b"\x10\x05" + grpc("hello") + grpc("") + grpc("world" * 30))
    write("framing", "compressed", b"\x10\x01" + grpc("a") + grpc("b", 1))
    write("framing", "malformed", b"\x10\x01" + grpc("a") + grpc("b", 2))
    write("framing", "large", b"\x01\x02" + grpc("x" * 64) + grpc("x" * 65))
    write("framing", "cut", b"\xff\x07" + grpc("x" * 5000)[:3000])
    write("framing", "huge", b"\xff\x07\x00\xff\xff\xff\xffxyz")


def timeout():
    for text in ("1S", "99999999H", "100000000n", "5m", "0n", "7u", "12M", "1", "S", "-1S", "1 S"):
        write("timeout", text.replace(" ", "_"), text)


def status():
    write("status", "code", "14")
    write("status", "large", "4294967297")
    write("status", "plain", "no worker took the stream within 30000 ms")
    write("status", "escaped", "100%25 %E2%80%A6 %zz %")
    write("status", "utf8", "\u2026 \U0001f600 end ")
    write("status", "long", "x" * 1022 + "\u2026\u2026")


def metadata():
    write("metadata", "plain", "x-request: 17\nauthorization: Bearer abc\nx-empty:\nX-Bad: 1\n")
    write("metadata", "binary", "a-bin: AAEC\na-bin: AAECAw==, AQ ,Ag==\nb-bin: AAE=\nc-bin: A\n")
    write("metadata", "reserved", ":path: /a\ngrpc-timeout: 1S\ngrpc-status-details-bin: CAU\nte: x\n")
    write("metadata", "added", "+x-a: 1\n+x-b-bin:\x00\x01\xff\n+x-a: \n+grpc-x: 1\n+: 1\n")
    write("metadata", "many", "".join(f"x-{i}: {i}\n" for i in range(100)))


def log_filter():
    for what, text in {
        "level": "info\nhello\nworld\n",
        "targets": "warn,connection_swap::director=debug,rpcnet=off\na\nb\nc\nd\ne\nf\n",
        "text": "trace/worker\nworker-a\nb\nthe worker\nworker\n",
        "invalid": "a=b=c,=info,nonsense=loud,,\nx\n",
        "escapes": "trace\n\x1b[2J\n\u202etxt\n\x7f\n\u2028\n",
        "long": "trace\n" + "\u2026" * 800 + "\n" + "x" * 2100,
        "many": ",".join(f"t{i}=info" for i in range(70)) + "\nx\n",
    }.items():
        write("log_filter", what, text)
    write("log_filter", "bytes", b"trace\n\xff\xfe\xe2\x80\n\xc0\xaf\n")


def settings():
    for what, text in {
        "director": "0--user-addr=0.0.0.0:61000\n--mgmt-addr\n127.0.0.1:7\n--probe-interval=25ms\n"
                    "$CONNECTION_SWAP_MEMORY_MAX=2GiB\n$RUST_LOG=warn\n",
        "older": "0$CONNECTION_SWAP_DIRECTOR_ADDR=127.0.0.1:5000\n",
        "worker": "1--label=worker-b\n--fail-after=0\n--streams-max=12\n"
                  "$CONNECTION_SWAP_WORKER_ADDR=10.0.0.1:5000\n"
                  "$CONNECTION_SWAP_DIRECTOR_TARGET=10.0.0.2:65535\n",
        "client": "2--streams=3\n--print=json\n--tokens\n5\n--no-allow-core-dumps\nhello\n",
        "wrong": "2--stream=3\n",
        "help": "1--help\n", "version": "0-V\n", "ends": "2--\n--streams=1\n",
        "ranges": "0--max-attempts=0\n", "units": "0--park-timeout=15\n",
        "flag": "2--allow-core-dumps=maybe\n",
    }.items():
        write("settings", what, text)
    write("settings", "escapes", b"1--label=\xff\x1b[2J\n")


def secrets():
    token = "abc.DEF-123_~+/=="
    digest = hashlib.sha256(token.encode()).hexdigest()
    write("secrets", "tokens", f"Bearer {token}\n".replace("Bearer", "# Bearer")
          + f"{digest} batch jobs\n{'0' * 64}\n")
    write("secrets", "field", f"Bearer {token}\n")
    write("secrets", "spaces", f"bearer   {token}\n")
    write("secrets", "first", f"{digest}\n{digest.upper()}\t name \r\n")
    write("secrets", "bad", f"{digest[:-1]}g\n")
    write("secrets", "secret", "ab" * 32 + "\n")
    write("secrets", "changed", "ab" * 32 + "\n" + "cd" * 32 + "\n")
    write("secrets", "three", ("ab" * 32 + " ") * 3)


def json():
    write("json", "plain", "\x50the quick brown fox")
    write("json", "quotes", "\x20say \"hi\" \\ back\n\ttab")
    write("json", "unicode", "\x70\u2026 \U0001f600 \u202e \u2028 \x7f \x85")
    write("json", "bytes", b"\x30\xff\xfe\xe2\x80 \xf4\x90\x80\x80 \xed\xa0\x80")
    write("json", "word", "\x00worker-a")


def h3_books():
    headers = frame(1, b"\x00\x00\xd1\xd7")
    control = quic(0) + frame(4, quic(6) + quic(16384)) + frame(7, quic(4)) + frame(0x21, b"abc")
    write("h3_books", "request", b"\x06" + headers + frame(0, b"x" * 300) + frame(0x2F, b"skip"))
    write("h3_books", "control", b"\x07" + control)
    write("h3_books", "priority", b"\x05" + quic(0) + frame(0xF0700, b"\x00u=1") + frame(0xD, b"\x05"))
    write("h3_books", "goaway", b"\x03" + quic(0) + frame(7, b"\x04\x05"))
    write("h3_books", "large", b"\x02" + quic(1) + quic(16385) + b"x" * 20)
    write("h3_books", "empty", b"\x08" + frame(1, b"") + frame(0, b"") + frame(1, b"a"))
    write("h3_books", "qpack", b"\x09" + quic(2) + b"\x3f\xe1\x1f")
    write("h3_books", "long", b"\x02" + quic(0) + b"\xc0\x00\x00\x00\x00\x01\x00\x00" + b"x" * 500)


def worker_frames():
    return {
        "message": message(_1=message(_1=1, _2="It was")),
        "event": message(_2=message(_1="connected")),
        "checkpoint": message(_3=message(_1=1, _2=b"\x01\x02state")),
        "failure": message(_4=message(_1="out of memory", _2=1)),
        "drain": message(_4=message(_1="drain", _2=1, _3=1)),
        "refused": message(_5=message(_1="recovering")),
        "done": message(_6=message(_1=0, _2="ok", _3=message(_1="x-a", _2="1"))),
        "reply": message(_7=message(_1=9)),
    }


def worker_frame():
    """A byte for the limits; steps as in worker_frame.c."""
    for what, data in worker_frames().items():
        write("worker_frame", what, b"\x00\x00" + piece(data))
    say = b"".join(b"\x02\x00" + piece(word) for word in ("It ", "was ", "a ", "dark "))
    checkpoint = b"\x04\xff" + piece("state")
    lost, again = b"\x08\x02" + piece(""), b"\x02\xfe" + piece("a ") + say
    write("worker_frame", "moved", b"\x00" + b"\x03" + piece("connected") + say + checkpoint + say
          + lost + again + b"\x10\x01" + b"\x0f\x00\x00\x20\x00" + b"\x05\x00" + piece("end"))
    write("worker_frame", "refused", b"\x00" + (b"\x07" + piece("recovering")) * 7 + b"\x0e\x00\x40\x00"
          + b"\x11\x00" + say)
    write("worker_frame", "small", b"\x7f" + b"\x0b\x00" + piece("prompt") + b"\x0c\x00" + say * 20
          + lost + b"\x0d\x02" + b"\x0e\x00\xff\xff")
    write("worker_frame", "attempts", b"\x20" + (b"\x06\x01" + piece("it is the prompt")) * 4)
    write("worker_frame", "stale", b"\x00" + say + b"\x01\x00" + piece(worker_frames()["message"]))
    write("worker_frame", "client", b"\x02" + (b"\x0b\x00" + piece("x" * 120)) * 4 + b"\x0d\x00")


def director_frame():
    assignment = message(_1="0a0b", _2=4, _3=7, _4=1, _5="/chat.Chat/Complete", _6=1000,
                         _7=message(_1="x-a", _2="1"), _8="prompt", _9=1, _10=3, _11=b"state",
                         _12=1, _17=1000)
    assignment += field(13, "It ") + field(13, "was ") + message(_14="worker-a", _15=2, _16="killed")
    frames = {
        "assignment": message(_1=assignment),
        "attach": message(_2=message(_1="0a0b", _2=4, _3=7, _4=1, _5=3, _6=100)),
        "client": message(_3=message(_1=2, _2="more")),
        "half-close": message(_4=b""),
        "ack": message(_5=message(_1=3)),
        "credit": message(_6=message(_1=2000)),
        "cancel": message(_7=b""),
        "probe": message(_8=message(_1=5)),
    }
    for what, data in frames.items():
        write("director_frame", what, b"\x00\x00" + piece(data))
    send = b"".join(b"\x07" + piece(word) for word in ("a ", "dark ", "night "))
    write("director_frame", "served", b"\x00\x00" + piece(frames["assignment"]) + send + b"\x02\xfe"
          + b"\x09\xff" + b"\x03\x05" + send + b"\x08" + b"\x04\x00" + piece("more") + b"\x05\x00"
          + b"\x0b")
    write("director_frame", "limits", b"\x03" + b"\x01\x00\x01\x03\xe8" + send * 9 + b"\x02\xff" + send)
    write("director_frame", "refused", b"\x00" + b"\x01\x04\x01\x00\x10" + b"\x0a" + send)
    write("director_frame", "cancelled", b"\x00" + b"\x01\x04\x01\x10\x10" + send + b"\x06\x00" + send)
    write("director_frame", "ahead", b"\x00" + b"\x01\x04\x01\x10\x10" + send + b"\x02\x05" + send)


# Steps of peer.h and, behind them, of calls.h.
(OPEN_UNI, OPEN_BIDI, CONTROL, RAW, FRAME, LYING_FRAME, HEADERS, MESSAGE, LARGE, FIN, RESET, STOP,
 HOLD, CLOSE, PEER_STEPS) = range(15)
(SEND, SEND_HEADERS, FINISH, CANCEL, EXPIRE, CONSUME, DELETE, RUN, STEP, GOAWAY) = range(14, 24)
REQUEST, RESPONSE, TRAILERS, INFORMATIONAL, NOTHING = range(5)
R0, R1, R2, UNI = 128, 129, 130, 192 # streams of the other side
DATA_TYPE, PUSH_TYPE, GOAWAY_TYPE, RESERVED_TYPE, PRIORITY_TYPE = 0, 5, 7, 11, 12


def headers(stream, template, *fields):
    """Fields: (number of the name in peer.c, or the name itself, value)."""
    out = bytes([HEADERS, stream, template, len(fields)])
    for name, value in fields:
        out += bytes([name]) if isinstance(name, int) else b"\xff" + piece(name)
        out += piece(value)
    return out


def say(stream, text, flag=0):
    return bytes([MESSAGE, stream, flag]) + piece(text)


def peer_seeds(run):
    """What clients say, and what servers say. `run`: the step that lets the connection carry it."""
    request = headers(1, REQUEST)
    client = {
        "echo": bytes([CONTROL, OPEN_BIDI]) + request + say(1, "hello") + run + say(1, "again")
                + bytes([FIN, 1]) + run,
        "metadata": bytes([CONTROL, OPEN_BIDI])
                    + headers(1, REQUEST, (2, "1S"), (10, "AAEC"), ("x-a", "1")) + run,
        "reset": bytes([CONTROL, OPEN_BIDI]) + request + run + bytes([RESET, 1, 12]) + run,
        "stop": bytes([CONTROL, OPEN_BIDI]) + request + run + bytes([STOP, 1, 12]) + run,
        "stop-control": bytes([CONTROL, STOP, UNI, 0]) + run,
        "qpack": bytes([CONTROL, OPEN_UNI]) + piece(b"\x02\x3f\xe1\x1f") + bytes([OPEN_UNI])
                 + piece(b"\x03\x80") + run,
        "goaway": bytes([CONTROL, FRAME, 0, GOAWAY_TYPE]) + piece(b"\x00") + run,
        "priority": bytes([CONTROL, OPEN_BIDI]) + request + bytes([FRAME, 0, PRIORITY_TYPE])
                    + piece(b"\x00u=1") + run,
        "reserved": bytes([CONTROL, OPEN_BIDI, FRAME, 1, RESERVED_TYPE]) + piece("abc") + request
                    + bytes([FRAME, 1, RESERVED_TYPE]) + piece("") + say(1, "x") + run,
        "lying": bytes([CONTROL, OPEN_BIDI]) + request + bytes([LYING_FRAME, 1, DATA_TYPE, 0, 9])
                 + piece(b"\0\0\0\0\x09ab") + run + bytes([FIN, 1]) + run,
        "trailers": bytes([CONTROL, OPEN_BIDI]) + request + say(1, "x") + headers(1, NOTHING, ("a", "b"))
                    + run,
        "large": bytes([CONTROL, OPEN_BIDI, HOLD]) + request + bytes([LARGE, 1, 200]) + run * 3,
        "two": bytes([CONTROL, OPEN_BIDI, OPEN_BIDI]) + request + headers(2, REQUEST) + say(2, "b")
               + say(1, "a") + run + bytes([FIN, 2, FIN, 1]) + run + bytes([CLOSE, 0]) + run,
        "compressed": bytes([CONTROL, OPEN_BIDI]) + request + say(1, "x", 1) + run,
    }
    server = {
        "echo": bytes([CONTROL]) + headers(R1, RESPONSE) + say(R1, "hello") + run
                + headers(R1, TRAILERS) + bytes([FIN, R1]) + run,
        "status": bytes([CONTROL]) + headers(R0, RESPONSE, (0, "14"), (1, "no %25 worker"))
                  + bytes([FIN, R0]) + run,
        "informational": bytes([CONTROL]) + headers(R0, INFORMATIONAL) + headers(R0, RESPONSE) + run,
        "http": bytes([CONTROL]) + headers(R0, NOTHING, (4, "503")) + bytes([FIN, R0]) + run,
        "goaway": bytes([CONTROL, FRAME, 0, GOAWAY_TYPE]) + piece(b"\x04") + run,
        "push": bytes([CONTROL, FRAME, R0, PUSH_TYPE]) + piece(b"\x00\x00\x00") + run,
        "pushed": bytes([CONTROL, OPEN_UNI]) + piece(b"\x01\x00") + run,
        "bidi": bytes([CONTROL, OPEN_BIDI]) + headers(1, REQUEST) + run,
        "reset": bytes([CONTROL]) + headers(R2, RESPONSE) + say(R2, "x") + run + bytes([RESET, R2, 11])
                 + run,
        "stop": bytes([CONTROL, STOP, R1, 0]) + headers(R1, RESPONSE, (0, "0")) + bytes([FIN, R1]) + run,
        "cut": bytes([CONTROL]) + headers(R1, RESPONSE) + bytes([LYING_FRAME, R1, DATA_TYPE, 0, 9])
               + piece(b"\0\0\0\0\x09ab") + bytes([FIN, R1]) + run,
        "binary": bytes([CONTROL]) + headers(R1, RESPONSE, (10, "AAEC, AQ"), (10, "A")) + run,
    }
    return client, server


def calls():
    client, server = peer_seeds(bytes([RUN]))
    for what, data in client.items():
        write("call_server", what, b"\x00" + data)
        write("call_server", f"{what}-small", b"\x0f" + data)
    for what, data in server.items():
        write("call_client", what, b"\x00" + data)
        write("call_client", f"{what}-small", b"\x1f" + data)
    open_call = client["echo"].removesuffix(bytes([FIN, 1, RUN]))
    for step in range(SEND, GOAWAY + 1):
        act = bytes([step, 0, 40])
        write("call_server", f"act-{step}", b"\x11" + open_call + act * 3 + bytes([RUN, FIN, 1, RUN]))
        write("call_client", f"act-{step}", b"\x11" + server["echo"][:20] + act * 3 + bytes([RUN]))


TIME, NETWORK, REBIND = range(14, 17)  # of arena.h


def arena():
    client, server = peer_seeds(bytes([TIME, 20]))
    for what, data in client.items():
        write("h3_server", what, data)
    for what, data in server.items():
        write("h3_client", what, data)
    write("h3_server", "loss", bytes([NETWORK, 15]) + client["two"] + bytes([REBIND, TIME, 100]))
    write("h3_client", "loss", bytes([NETWORK, 79]) + server["echo"] + bytes([TIME, 200]))


def tokens():
    for what, how, flip in (("good", 0, 0), ("address", 1, 0), ("key", 2, 0), ("late", 4, 0),
                            ("id", 8, 0), ("changed", 0, 1)):
        write("tokens", what, bytes([how, 0, 5, flip, 0]) + bytes([0xB7]) + b"x" * 60)
    write("tokens", "cut", bytes([0, 0, 0, 0, 1, 0xB8]) + b"x" * 90)
    write("tokens", "regular", bytes([0, 0, 0, 0, 0, 0x36]) + b"x" * 45)


def quic_frames():
    """Steps of quic_frames.c: 0 bytes, 1 a frame of integers, 2 later, 3 elsewhere, 4 number."""
    def ints(kind, *values, rest=b""):
        out = bytes([1, kind, len(values)])
        for value in values:
            out += bytes([value]) if value < 255 else b"\xff" + (value << 2).to_bytes(8, "big")
        return out + piece(rest)

    h3_request = frame(1, b"\x00\x00\xd1\xd7") + frame(0, grpc("hi"))
    frames = {
        "stream": ints(0x0A, 0, 3, rest=b"\x01\x01\x00") + ints(0x0F, 4, 0, len(h3_request), rest=h3_request),
        "gap": ints(0x0E, 0, 60, 2, rest=b"ab") + ints(0x0E, 0, 0, 60, rest=b"x" * 60),
        "ack": ints(0x02, 3, 0, 0, 1) + ints(0x03, 9, 0, 0, 1, 1, 1, 1),
        "ack-unsent": ints(0x02, 1 << 20, 0, 0, 0),
        "reset": ints(0x04, 0, 12, 0) + ints(0x05, 0, 12),
        "limits": ints(0x10, 1 << 30) + ints(0x11, 0, 1 << 30) + ints(0x12, 100) + ints(0x13, 100),
        "blocked": ints(0x14, 5) + ints(0x15, 0, 5) + ints(0x16, 128) + ints(0x17, 8),
        "ids": ints(0x18, 5, 0, 8, rest=b"12345678" + b"t" * 16) + ints(0x19, 0) + ints(0x19, 1),
        "path": ints(0x1A, rest=b"12345678") + ints(0x1B, rest=b"12345678") + bytes([3])
                + piece(b"\x1a12345678"),
        "moved": bytes([3]) + piece(b"\x01") + bytes([2, 20, 3]) + piece(b"\x01"),
        "close": ints(0x1C, 10, 6, 2, rest=b"ab") + bytes([2, 10]),
        "app-close": ints(0x1D, 5, 2, rest=b"ab"),
        "done": ints(0x1E) + ints(0x07, 4, rest=b"abcd") + ints(0x06, 0, 4, rest=b"\x01\x00\x00\x00"),
        "unknown": ints(0x30, 3, rest=b"abc") + ints(0x40, 9),
        "many": bytes([0]) + piece(b"\x01" * 400) + bytes([4, 200, 0]) + piece(b"\x00" * 900),
    }
    for what, data in frames.items():
        write("quic_frames", what, b"\x00" + data)
        write("quic_frames", f"{what}-client", b"\x01" + data)


def datagrams():
    (connect, deliver, change, cut, again, drop, elsewhere, join, raw, long, short, retry, later,
     close, write_step) = range(15)
    first = bytes([connect, 0])
    go = bytes([deliver, 0])
    shake = first + go * 10
    for what, data in {
        "handshake": shake + bytes([write_step, 0, 9]) + go * 6 + bytes([close, 0]) + go * 3,
        "changed": first + bytes([change, 0, 0, 30, 1]) + go * 3 + bytes([later, 20]) + go * 8,
        "header": first + bytes([change, 0, 0, 1, 7]) + go + bytes([later, 60]) + go * 5,
        "cut": first + bytes([cut, 0, 2, 0, later, 60]) + go * 8,
        "again": first + bytes([again, 0]) * 3 + go * 10,
        "elsewhere": first + bytes([elsewhere, 0, 1]) + bytes([later, 100]) * 3 + go * 8,
        "moved": shake + bytes([write_step, 0, 200, elsewhere, 0, 3]) + go * 4 + bytes([later, 100]) * 4,
        "join": first + first + bytes([join, 0, 1]) + go * 10,
        "raw": bytes([raw, 1, 0]) + piece(b"\x40" + b"x" * 60) + bytes([raw, 0, 0]) + piece("hello"),
        "version": bytes([long, 1, 0x40, 2]) + b"\xff" + piece("12345678") + piece("abcd") + piece("")
                   + piece(""),
        "initial": bytes([long, 2, 0x43, 0]) + b"\xff" + piece("12345678") + piece("abcd") + piece("")
                   + piece(b"\x44\x88" + b"x" * 40),
        "token": bytes([long, 2, 0x43, 0]) + b"\xff" + piece("12345678") + piece("abcd")
                 + piece(b"\xb7" + b"t" * 50) + piece(b"\x44\x50" + b"x" * 40),
        "reset": shake + bytes([close, 0]) + go * 4 + bytes([later, 200]) * 3
                 + bytes([short, 0, 0x41, 0]) + piece(b"x" * 50),
        "forged-retry": first + bytes([retry, 0]) + piece("newnewnewnewid16") + piece("token") + go * 8,
        "four": first * 4 + go * 30,
    }.items():
        write("datagrams", what, b"\x00" + data)
        write("datagrams", f"{what}-retry", b"\x01" + data)
    write("datagrams", "limits", b"\x06" + first * 4 + go * 30)
    write("datagrams", "own-token", b"\x01" + bytes([connect]) + piece(b"\x36" + b"t" * 40) + go * 10)


def bad_worker():
    """Steps of bad_worker.c. Calls 0 to 2 are two streams and the probes, in some order."""
    (raw_bytes, say_step, event, checkpoint, done, failure, refused, reply, finish, cancel, mute, pause,
     later, report_bytes, report, register, drain, restart, ask, hang_up) = range(20)
    wait = bytes([later, 30])
    both = lambda make: b"".join(make(call) for call in (0, 1, 2))
    words = both(lambda call: bytes([say_step, call, 0]) + piece("dark ")) * 3
    for what, data in {
        "speaks": words + wait + bytes([ask, 0]) + wait + both(lambda call: bytes([done, call, 0]) + piece("ok")),
        "gap": words + both(lambda call: bytes([say_step, call, 5]) + piece("x")) + wait,
        "again": words + both(lambda call: bytes([say_step, call, 255]) + piece("x")) + wait,
        "checkpoints": words + both(lambda call: bytes([checkpoint, call, 255]) + piece("state")) + wait
                       + both(lambda call: bytes([failure, call, 1]) + piece("oops")) + wait,
        "fails": both(lambda call: bytes([event, call]) + piece("connected")) + wait
                 + both(lambda call: bytes([failure, call, 1]) + piece("oops \x1b[2J")) + wait * 3,
        "drains": words + both(lambda call: bytes([failure, call, 3]) + piece("drain")) + bytes([report, 1]) + wait,
        "refuses": both(lambda call: bytes([refused, call]) + piece("recovering")) + bytes([report, 2]) + wait * 4,
        "hangs": words + bytes([mute]) + wait * 5 + bytes([mute]) + wait * 4,
        "paused": words + bytes([pause]) + wait * 5 + bytes([pause]) + wait * 4,
        "restarts": words + bytes([restart]) + wait * 3 + words,
        "ends": words + both(lambda call: bytes([finish, call, 0])) + wait,
        "cancels": words + both(lambda call: bytes([cancel, call])) + wait,
        "bogus": both(lambda call: bytes([reply, call, 200])) + wait + both(lambda call: bytes([raw_bytes, call]) + piece(b"\xff\xff")) + wait,
        "bytes": b"".join(both(lambda call, data=data: bytes([raw_bytes, call]) + piece(data))
                          for data in worker_frames().values()) + wait,
        "report": bytes([report_bytes]) + piece(b"\xff") + wait + bytes([register])
                  + piece(message(_1="worker-b", _2="10.0.0.3:61000", _3="10.0.0.3:63001", _4=1)) + wait,
        "label": bytes([register]) + piece(message(_1="worker-a", _2="10.0.0.4:62001", _3="10.0.0.4:63001", _4=1)) + wait,
        "usurper": bytes([register]) + piece(message(_1="worker-b", _2="10.0.0.4:62001", _3="10.0.0.4:63001", _4=9))
                   + wait * 4,
        "elsewhere": bytes([register]) + piece(message(_1="worker-b", _2="0.0.0.0:1", _3="h:0", _4=2)) + wait
                     + bytes([register]) + piece(b"\x0a\xff") + wait,
        "drained": words + bytes([drain]) + wait * 6,
        "hung-up": words + bytes([hang_up, 0, hang_up, 3]) + wait + words,
    }.items():
        write("bad_worker", what, b"\x00" + data)
    _, server = peer_seeds(bytes([TIME, 20]))
    for what, data in server.items():
        write("bad_worker", f"h3-{what}", b"\x01" + data)


def main():
    for make in (address, arena, bad_worker, calls, datagrams, director_frame, framing,
                 h3_books, json, log_filter, metadata, quic_frames, secrets,
                 settings, status, timeout, tokens, worker_frame):
        make()


if __name__ == "__main__":
    main()

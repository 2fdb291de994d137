"""Datagrams that belong to nothing, of all kinds, for one port of a QUIC server."""

import os

SHORT_ID = 16  # bytes of the connection ids of our servers
MINIMUM = 1200  # of a datagram with a client's first packet
RETRY_MAGIC = b"\xb7"  # first byte of a Retry token of ours
NEW_TOKEN_MAGIC = b"\x36"


def varint(value):
    """RFC 9000, section 16."""
    for size, top in ((1, 0x00), (2, 0x40), (4, 0x80), (8, 0xC0)):
        if value < 1 << (8 * size - 2):
            out = bytearray(value.to_bytes(size, "big"))
            out[0] |= top
            return bytes(out)
    raise ValueError(value)


class Garbage:
    """An endless mixture. `random` decides all; `kept`: datagrams that really went to the port."""

    def __init__(self, random, kept):
        self._random = random
        self._kept = kept
        self.kinds = [
            self.noise,
            self.truncated,
            self.bit_flipped,
            self.replayed,
            self.wrong_key,
            self.unknown_id,
            self.initial,
            self.initial_with_token,
            self.initial_malformed,
            self.wrong_version,
            self.version_negotiation,
            self.retry,
            self.long_of_no_connection,
            self.like_a_reset,
            self.oversized,
            self.coalesced,
            self.tiny,
        ]

    def next(self):
        return self._random.choice(self.kinds)()

    def _bytes(self, low, high=None):
        return self._random.randbytes(low if high is None else self._random.randint(low, high))

    def _live(self):
        """A datagram that was real, or noise while there is none."""
        return self._random.choice(self._kept) if self._kept else self._bytes(50, 1200)

    def _long(self, kind, version=1, destination=None, source=None):
        destination = self._bytes(8, 20) if destination is None else destination
        source = self._bytes(0, 20) if source is None else source
        return (bytes([0xC0 | kind << 4 | self._random.randrange(16)])
                + version.to_bytes(4, "big") + bytes([len(destination)]) + destination
                + bytes([len(source)]) + source)

    def _padded(self, head):
        return head + self._bytes(max(0, MINIMUM - len(head)), MINIMUM + 200)

    # The kinds.

    def noise(self):
        return self._bytes(1, 1500)

    def truncated(self):
        live = self._live()
        return live[:self._random.randint(1, len(live))]

    def bit_flipped(self):
        live = bytearray(self._live())
        for _ in range(self._random.randint(1, 4)):
            live[self._random.randrange(len(live))] ^= 1 << self._random.randrange(8)
        return bytes(live)

    def replayed(self):
        return self._live()

    def wrong_key(self):
        """The id of a live connection, and what nobody has sealed."""
        live = self._live()
        return live[:1 + SHORT_ID] + self._bytes(20, 1200)

    def unknown_id(self):
        return bytes([0x40 | self._random.randrange(64)]) + self._bytes(SHORT_ID + 20, 1200)

    def initial(self):
        body = self._bytes(MINIMUM, MINIMUM + 100)
        return self._long(0) + varint(0) + varint(len(body)) + body

    def initial_with_token(self):
        magic = self._random.choice((RETRY_MAGIC, NEW_TOKEN_MAGIC, b""))
        token = magic + self._bytes(0, 120)
        body = self._bytes(MINIMUM, MINIMUM + 100)
        return self._long(0) + varint(len(token)) + token + varint(len(body)) + body

    def initial_malformed(self):
        length = self._random.choice((0, 1, 100, 5000, (1 << 62) - 1))
        return self._padded(self._long(0) + varint(length))

    def wrong_version(self):
        version = self._random.choice((0x0A0A0A0A, 0x6B3343CF, 0xFF00001D, 2,
                                       self._random.getrandbits(32)))
        head = self._long(self._random.randrange(4), version, self._bytes(0, 255),
                          self._bytes(0, 255))
        return self._padded(head) if self._random.random() < 0.5 else head

    def version_negotiation(self):
        return self._long(0, version=0) + self._bytes(4 * self._random.randrange(8))

    def retry(self):
        return self._long(3) + self._bytes(0, 300)

    def long_of_no_connection(self):
        """0-RTT and Handshake packets, of our own ids or others."""
        own = self._live()[1:1 + SHORT_ID]
        head = self._long(self._random.choice((1, 2)), destination=own)
        return head + varint(self._random.randrange(2000)) + self._bytes(0, 1300)

    def like_a_reset(self):
        return bytes([0x40 | self._random.randrange(64)]) + self._bytes(42)

    def oversized(self):
        return self._bytes(self._random.choice((1501, 4096, 9000, 65507)))

    def coalesced(self):
        body = self._bytes(20, 300)
        first = self._long(0) + varint(0) + varint(len(body)) + body
        return self._padded(first + self._long(2) + varint(50))

    def tiny(self):
        return self._bytes(0, 25)


def seed():
    """The seed of this run; RN_SIM_SEED gives one again."""
    return int(os.environ.get("RN_SIM_SEED", "1"))

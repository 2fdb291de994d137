"""A director that lies to its worker: each lie ends its own call and nothing else. Beside all of them
a stream of an honest director goes on at the same worker."""

import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position
from cluster import CALM, CERTS, PATIENT, ClusterTest, main
from metrics_test import address_of, metrics

PROBE = os.environ["RN_PROBE_CALL"]
SERVE = "/rpcnet.v1.Worker/Serve"
GENERATE = "/connection_swap.Inference/Generate"
NUMBER_MAX = (1 << 64) - 1
SEQUENCE_MAX = (1 << 63) - 1
TOKENS = 3


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field of a protobuf message: a number, text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def assignment(attempt=1, method=GENERATE, following=1, delivered_from=1, delivered=(),
               credit=1 << 20, half_closed=True, requests=1):
    request = field(1, "the river") + field(2, TOKENS) + field(4, 1)
    return field(1, field(1, "conn-9") + field(2, 1) + field(3, 1) + field(4, attempt) +
                 field(5, method) + field(8, request) * requests + field(9, int(half_closed)) +
                 field(10, following) + field(12, delivered_from) +
                 b"".join(field(13, message) for message in delivered) + field(17, credit))


def numbered(kind, sequence, payload=b"x"):
    return field(kind, field(1, sequence) + field(2, payload))


def ack(sequence):
    return field(5, field(1, sequence))


def credit(total):
    return field(6, field(1, total))


def probe(number):
    return field(8, field(1, number))


def attach():
    return field(2, field(1, "conn-9") + field(2, 1) + field(3, 1) + field(4, 1) + field(5, 1))


HALF_CLOSE = field(4, b"")
CANCEL = field(7, b"")
OUT_OF_ORDER = "the assignment's numbers are out of order"
NOT_HELD = "the assignment does not hold what was delivered"
NO_METHOD = "the assignment has no proper method"
NO_ASSIGNMENT = "the call does not begin with an assignment"

# name: (frames, what the worker says of it). It never sends without credit, so with a credit of 0
# nothing was sent.
FAULTS = {
    "an Ack of what was not sent": ((assignment(credit=0), ack(1)),
                                    "an acknowledgement of what was not sent"),
    "an Ack far beyond what was sent": ((assignment(), ack(1000)),
                                        "an acknowledgement of what was not sent"),
    "an Ack of the greatest number": ((assignment(), ack(NUMBER_MAX)),
                                      "an acknowledgement of what was not sent"),
    "an Ack first": ((ack(1),), NO_ASSIGNMENT),
    "Credit first": ((credit(NUMBER_MAX),), NO_ASSIGNMENT),
    "Cancel first": ((CANCEL,), NO_ASSIGNMENT),
    "HalfClose first": ((HALF_CLOSE,), NO_ASSIGNMENT),
    "a message first": ((numbered(3, 1),), NO_ASSIGNMENT),
    "Attach first": ((attach(),), NO_ASSIGNMENT),
    "an unknown frame first": ((field(99, b""),), NO_ASSIGNMENT),
    "no frame at all": ((b"\xff" * 11,), "a malformed frame from director"),
    "half a frame": ((assignment()[:-4],), "a malformed frame from director"),
    "a broken frame later": ((assignment(credit=0), b"\x2a\x7f\x08"),
                             "a malformed frame from director"),
    "two assignments": ((assignment(credit=0), assignment()), "a second assignment on one call"),
    "Attach later": ((assignment(credit=0), attach()), "a second assignment on one call"),
    "a probe on a stream's call": ((assignment(credit=0), probe(1)), "a probe on a stream's call"),
    "two half closes": ((assignment(credit=0, half_closed=False), HALF_CLOSE, HALF_CLOSE),
                        "a second half close"),
    "a half close too many": ((assignment(credit=0), HALF_CLOSE), "a second half close"),
    "a message behind the half close": ((assignment(credit=0), numbered(3, 2)),
                                        "a client's message after the half close"),
    "a message that was there": ((assignment(credit=0, half_closed=False), numbered(3, 1)),
                                 "a client's message out of order"),
    "a message too early": ((assignment(credit=0, half_closed=False), numbered(3, 3)),
                            "a client's message out of order"),
    "a message of the greatest number": ((assignment(credit=0, half_closed=False),
                                          numbered(3, NUMBER_MAX)),
                                         "a client's message out of order"),
    "an assignment without attempt": ((assignment(attempt=0),),
                                      "the assignment has no attempt number"),
    "no method": ((assignment(method=""),), NO_METHOD),
    "a method without slash": ((assignment(method="a.B/C"),), NO_METHOD),
    "a method without end": ((assignment(method="/" + "a" * 2000),), NO_METHOD),
    "next_sequence 0": ((assignment(following=0, delivered_from=0),), OUT_OF_ORDER),
    "next_sequence below delivered_from": ((assignment(following=1, delivered_from=2),),
                                           OUT_OF_ORDER),
    "next_sequence without end": ((assignment(following=NUMBER_MAX, delivered_from=NUMBER_MAX),),
                                  OUT_OF_ORDER),
    "next_sequence above the limit": ((assignment(following=SEQUENCE_MAX + 1,
                                                  delivered_from=SEQUENCE_MAX + 1),),
                                      OUT_OF_ORDER),
    "less than what was delivered": ((assignment(following=3, delivered=(b"x",)),), NOT_HELD),
    "more than what was delivered": ((assignment(following=1, delivered=(b"x",)),), NOT_HELD),
}

# name: (frames, the code of Done). No fault of the protocol.
ANSWERED = {
    "nothing wrong": ((assignment(),), 0),
    "all the credit that there is": ((assignment(credit=NUMBER_MAX),), 0),
    "credit grows to the end": ((assignment(credit=1), credit(NUMBER_MAX), credit(NUMBER_MAX)), 0),
    "credit that shrinks": ((assignment(), credit(1), credit(0)), 0),
    "an Ack of the past": ((assignment(), ack(0)), 0),
    "unknown frames later": ((assignment(), field(99, b"later"), b""), 0),
    "what was delivered is not of the request": (
        (assignment(following=2, delivered=(b"\xff\xff",)),), 15),
    "a checkpoint that is none": ((assignment(following=9, delivered_from=9),), 15),
    "more than one request": ((assignment(requests=2),), 3),
    "an unknown method": ((assignment(method="/no.Such/Method"),), 12),
}


class BadDirector(ClusterTest):
    def lie(self, frames):
        """Calls Serve with a director's certificate; returns the end of the call and the answers."""
        command = [PROBE, "--target", self.worker.user, "--ca", CERTS / "ca.crt", "--identity",
                   "rpcnet://role/worker/worker-a", "--cert", CERTS / "director.crt", "--key",
                   CERTS / "director.key", "--path", SERVE]
        for frame in frames:
            command += ["--message", frame.hex()]
        ended = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                               timeout=90, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        lines = ended.stdout.splitlines()
        end = re.fullmatch(r"code=(\S+) loss=(\S+) text=(.*)", lines[-1])
        return end.groups()[:2], [bytes.fromhex(line.split()[1]) if " " in line else b""
                                  for line in lines[:-1]]

    def test_lies(self):
        director = self.cluster.start_director(*PATIENT, "--metrics-addr", "127.0.0.1:0")
        self.worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "5ms",
                                                "--metrics-addr", "127.0.0.1:0")
        beside = self.cluster.start_client("--prompt", "beside", "--tokens", "0")
        beside.wait_tokens(5)
        for name, (frames, says) in FAULTS.items():
            with self.subTest(name=name):
                said = self.worker.said()
                end, _ = self.lie(frames)
                self.assertEqual(end, ("CANCELLED", "none"))
                self.worker.wait_for(rf"WARN .* {says}$", said)
        for name, (frames, code) in ANSWERED.items():
            with self.subTest(name=name):
                end, answers = self.lie(frames)
                self.assertEqual(end, ("OK", "none"))
                self.assertEqual(answers[-1][0], 6 << 3 | 2, answers)
                said_code = answers[-1][3] if answers[-1][2:3] == b"\x08" else 0
                self.assertEqual(said_code, code, answers)
        # A probe channel carries only probes.
        for frames in ((probe(1), assignment()), (probe(7), ack(1)), (probe(NUMBER_MAX), CANCEL)):
            end, answers = self.lie(frames)
            self.assertEqual(end, ("INVALID_ARGUMENT", "none"))
            self.assertEqual(len(answers), 1)
        beside.wait_tokens(5)
        self.assertEqual(metrics(address_of(self.worker))["rpcnet_worker_protocol_faults_total"],
                         len(FAULTS) + 3)
        self.assertEqual(metrics(address_of(self.worker))["rpcnet_worker_streams_open"], 1)
        self.assertEqual(metrics(address_of(director))["rpcnet_director_worker_faults_total"], 0)
        beside.signal(signal.SIGINT)
        self.assertEqual(beside.wait(), 0)
        summary = beside.summary()
        for key in ("lost", "duplicated", "reordered", "swap_count", "streams_failed"):
            self.assertEqual(summary[key], 0, key)
        self.assertEqual(self.reference("--prompt", "beside", "--tokens", str(summary["tokens"])),
                         [beside.text()])
        self.cluster.end()


if __name__ == "__main__":
    main()

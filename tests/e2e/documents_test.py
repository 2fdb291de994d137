"""The four terminals of the documents, literally, and the lines that a successful run shows.

The programs take the place of `cargo run`. A worker fails after a second, so that nobody waits, and
the director does not judge it by its silence on a busy machine; with RPCNET_TEST_ALL=1 all is as
in the documents, and it takes the 15 seconds that they name."""

import os
import re
import shlex
import signal
import unittest

from cluster import CERTS, SOURCE, ClusterTest, DocumentedPorts, main

ALL = os.environ.get("RPCNET_TEST_ALL") == "1"
FAIL_AFTER = "15s" if ALL else "1s"
BESIDES = {} if ALL else {
    "director": {"CONNECTION_SWAP_PROBE_INTERVAL": "10s", "CONNECTION_SWAP_HANG_TIMEOUT": "60s",
                 "CONNECTION_SWAP_STALL_MIN": "3600s"},
    "worker": {"CONNECTION_SWAP_WORKER_FAIL_AFTER": FAIL_AFTER},
}

# docs/environment.md: two ports for each server.
TWO_PORTS = r"""
CONNECTION_SWAP_DIRECTOR_USER_ADDR=127.0.0.1:61000 \
CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:61001 \
RUST_LOG=info \
    director

CONNECTION_SWAP_WORKER_USER_ADDR=127.0.0.1:62001 \
CONNECTION_SWAP_WORKER_MGMT_ADDR=127.0.0.1:63001 \
CONNECTION_SWAP_WORKER_LABEL=worker-a \
CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:61001 \
RUST_LOG=info \
    worker

CONNECTION_SWAP_WORKER_USER_ADDR=127.0.0.1:62002 \
CONNECTION_SWAP_WORKER_MGMT_ADDR=127.0.0.1:63002 \
CONNECTION_SWAP_WORKER_LABEL=worker-b \
CONNECTION_SWAP_DIRECTOR_MGMT_ADDR=127.0.0.1:61001 \
RUST_LOG=info \
    worker

CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:61000 \
RUST_LOG=info \
    client
"""

# docs/connection-swapping.md: the older names with one port.
ONE_PORT = r"""
CONNECTION_SWAP_DIRECTOR_ADDR=127.0.0.1:61000 \
RUST_LOG=info \
director

CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:61000 \
CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:62001 \
CONNECTION_SWAP_WORKER_LABEL=worker-a \
RUST_LOG=info \
worker

CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:61000 \
CONNECTION_SWAP_WORKER_ADDR=127.0.0.1:62002 \
CONNECTION_SWAP_WORKER_LABEL=worker-b \
RUST_LOG=info \
worker

CONNECTION_SWAP_DIRECTOR_TARGET=127.0.0.1:61000 \
RUST_LOG=info \
client
"""

ADDRESSES = {"worker-a": ("127.0.0.1:62001", "127.0.0.1:63001"),
             "worker-b": ("127.0.0.1:62002", "127.0.0.1:63002")}
TIME = r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "
STREAM = r"stream\.id=1 connection\.id=conn-1 "


def client_lines(first, second):
    info = TIME + r"INFO connection_swap::client_app\] "
    return [
        info + r"prompt=prompt-\w+ issuing streaming request to director$",
        info + r"stream opened, waiting for frames$",
        info + rf"connection\.id=conn-1 worker={first} stream\.id=1 worker assigned to stream$",
        info + rf"connection\.id=conn-1 worker={first} stream\.id=1 sequence=1 received token$",
        info + r"stream ended; requesting another worker "
               rf"err=StreamError\(\"{first} simulated failure\"\)$",
        info + rf"connection\.id=conn-1 worker={second} stream\.id=1 worker assigned to stream$",
    ]


def director_lines(first, second):
    info = TIME + r"INFO connection_swap::director\] " + STREAM
    warn = TIME + r"WARN connection_swap::director\] " + STREAM

    def worker(label):
        return rf"worker\.addr={ADDRESSES[label][0]} worker\.label={label} "

    return [
        info + r"prompt=prompt-\w+ client opened stream$",
        info + worker(first) + r"assigning stream to worker$",
        info + worker(first) + r".*connecting to worker$",
        warn + worker(first) + r"worker stream ended with error$",
        info + r"asking client to retry on next worker$",
        info + worker(second) + r"assigning stream to worker$",
    ]


def worker_lines(label):
    info = TIME + r"INFO worker\] "
    ours = rf"worker={label} " + STREAM
    return [
        info + rf"worker={label} .*registered with director$",
        info + r".*stream handler invoked; waiting for assignment$",
        info + ours + r"prompt=prompt-\w+ accepted handoff from director$",
        info + ours + r"seq=1 sending token$",
        TIME + r"WARN worker\] " + ours + rf"simulating failure after {FAIL_AFTER}$",
    ]


class Documents(ClusterTest):
    def setUp(self):
        ports = DocumentedPorts()
        ports.__enter__()
        self.addCleanup(ports.__exit__)
        super().setUp()  # its processes are ended before

    def terminals(self, text):
        """Starts the programs of a document's terminals."""
        # Certificates are found where a user has them: in a folder above.
        (self.cluster.folder / "certs").symlink_to(CERTS)
        here = self.cluster.folder / "examples" / "connection_swap"
        here.mkdir(parents=True)
        started = []
        for terminal in text.strip().split("\n\n"):
            words = shlex.split(terminal.replace("\\\n", " "))
            environment = dict(word.split("=", 1) for word in words[:-1])
            environment.update(BESIDES.get(words[-1], {}))
            process = self.cluster.run(words[-1], environment=environment, certs=False, cwd=here)
            if words[-1] != "client":
                process.wait_for("listening$")
            started.append(process)
        return started

    def assert_lines(self, process, patterns):
        """All in this order, others may stand between them."""
        position = 0
        for pattern in patterns:
            compiled = re.compile(pattern)
            while position < len(process.err.lines) and not compiled.search(
                    process.err.lines[position]):
                position += 1
            self.assertLess(position, len(process.err.lines),
                            f"{process.name} did not log {pattern!r} (in this order)")
            position += 1

    def run_document(self, text):
        director, a, b, client = self.terminals(text)
        self.assertRegex(director.err.text(),
                         r"user\.addr=127\.0\.0\.1:61000 mgmt\.addr=127\.0\.0\.1:61001 listening")
        for label, process in (("worker-a", a), ("worker-b", b)):
            user, mgmt = ADDRESSES[label]
            self.assertIn(f"worker={label} user.addr={user} mgmt.addr={mgmt} listening",
                          process.err.text())
        first = client.wait_for(r"worker=(\S+) stream\.id=1 worker assigned to stream$").group(1)
        second = "worker-b" if first == "worker-a" else "worker-a"
        client.wait_for(rf"worker={second} stream\.id=1 worker assigned to stream$")
        token = client.wait_for(rf"^\[token\] connection=conn-1 worker={second} stream=1 "
                                r"seq=(\d+) ?\S", output=client.out)
        self.assertGreater(int(token.group(1)), 1)
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 0)

        self.assertRegex(client.out.lines[0],
                         rf"^\[connected\] connection=conn-1 worker={first} stream=1$")
        self.assertRegex(client.out.lines[1],
                         rf"^\[token\] connection=conn-1 worker={first} stream=1 seq=1 ")
        self.assertTrue(client.find(rf"^\[connected\] connection=conn-1 worker={second} stream=1$",
                                    output=client.out))
        self.assertTrue(client.find(rf"^\[swap\] stream=1 {first} → {second} reason=failure ",
                                    output=client.out))
        self.assertTrue(client.find(r"^\[summary\] tokens=\d+ lost=0 duplicated=0 reordered=0 "
                                    r"swaps=\d+ connections=1 handshakes=1 ",
                                    output=client.out))
        self.assert_lines(client, client_lines(first, second))
        self.assert_lines(director, director_lines(first, second))
        self.assert_lines(a if first == "worker-a" else b, worker_lines(first))
        for process in (a, b, director):
            process.signal(signal.SIGTERM)
            self.assertEqual(process.wait(), 0)
        for process in (director, a, b, client):
            self.assertIsNone(process.find(r"deprecated|wins over"), process.name)

    def test_environment_document(self):
        self.run_document(TWO_PORTS)

    def test_connection_swapping_document(self):
        self.run_document(ONE_PORT)


    def test_nothing_is_set(self):
        """Director, one worker and a client need no settings but the certificates."""
        director = self.cluster.run("director")
        director.wait_for(r"user\.addr=127\.0\.0\.1:61000 mgmt\.addr=127\.0\.0\.1:61001 "
                          r"listening$")
        worker = self.cluster.run("worker")
        worker.wait_for(r"worker=worker-a user\.addr=127\.0\.0\.1:62001 "
                        r"mgmt\.addr=127\.0\.0\.1:63001 listening$")
        client = self.cluster.run("client", "--tokens", "5")
        self.assertEqual(client.wait(), 0)


class OlderNames(ClusterTest):
    def test_the_newer_name_wins(self):
        """With one warning."""
        director = self.cluster.run("director", environment={
            "CONNECTION_SWAP_DIRECTOR_ADDR": "127.0.0.1:1",
            "CONNECTION_SWAP_DIRECTOR_USER_ADDR": "127.0.0.1:0",
            "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR": "127.0.0.1:0"})
        director.wait_for("listening$")
        warnings = [line for line in director.err.lines if "CONNECTION_SWAP_DIRECTOR_ADDR" in line]
        self.assertEqual(len(warnings), 1)
        self.assertRegex(warnings[0], r"WARN connection_swap::director\] CONNECTION_SWAP_DIRECTOR_"
                                      r"USER_ADDR: wins over the older "
                                      r"CONNECTION_SWAP_DIRECTOR_ADDR$")


class Text(unittest.TestCase):
    def test_every_fence_is_closed(self):
        """And what opens one is not taken for the end of another."""
        pages = [page for folder in (".", "docs") for page in (SOURCE / folder).rglob("*.md")
                 if folder == "docs" or page.parent == SOURCE]
        self.assertGreater(len(pages), 10)
        for page in pages:
            opened = None
            for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
                match = re.match(r" *```(.*)$", line)
                if match and opened is None:
                    opened = number
                elif match:
                    self.assertFalse(match.group(1), f"{page}:{number}: {opened} is still open")
                    opened = None
            self.assertIsNone(opened, f"{page}:{opened}: this block has no end")


if __name__ == "__main__":
    main()

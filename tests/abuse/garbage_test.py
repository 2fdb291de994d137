"""Garbage at every port, beside a live stream: counters move, memory does not grow, and the stream
does not notice."""

import os
import pathlib
import random
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position
from cluster import CALM, PATIENT, ClusterTest, main
from garbage import Garbage, seed
from metrics_test import address_of as metrics_address
from metrics_test import metrics
from tap import Tap, address_of, send

ALL = os.environ.get("RPCNET_TEST_ALL") == "1"
DATAGRAMS = 100_000 if ALL else 5_000  # to each port
BACK = DATAGRAMS // 10  # towards those who have connected
BURST = 40  # what a socket's buffer surely takes
GROWTH_MAX = 8 << 20  # of a program's memory, from the first half to the second
METRICS = ("--metrics-addr", "127.0.0.1:0")
REQUEST = ("--prompt", "the river", "--seed", "7")


class Port:
    """One port under fire."""

    def __init__(self, name, process, address, tap):
        self.name = name
        self.process = process
        self.address = address_of(address)
        self.tap = tap
        program = "worker" if name.startswith("worker") else "director"
        self.dropped = f'rpcnet_{program}_datagrams_dropped_total{{port="{name.split()[-1]}"}}'
        self.garbage = Garbage(random.Random(f"{seed()} {name}"), tap.kept)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def values(self):
        return metrics(self.process.metrics_at)

    def shoot(self, count):
        """Sends; between two bursts the program shows that it still answers."""
        for first in range(0, count, BURST):
            for _ in range(min(BURST, count - first)):
                send(self.socket, self.garbage.next(), self.address)
            self.values()

    def replay_on(self):
        """Everything that is kept, from the very address that it came from."""
        kept = list(self.tap.kept)
        for first in range(0, len(kept), BURST):
            for datagram in kept[first:first + BURST]:
                self.tap.send_on(datagram)
            self.values()


class GarbageTest(ClusterTest):
    def start(self):
        """A director and a worker with a tap before each of their ports."""
        self.taps = {name: Tap() for name in ("user", "mgmt", "worker user", "worker mgmt")}
        for tap in self.taps.values():
            self.addCleanup(tap.close)
        director = self.cluster.start_director(*PATIENT, *METRICS)
        director.metrics_at = metrics_address(director)
        self.taps["user"].target = director.user
        self.taps["mgmt"].target = director.mgmt
        start = director.said()
        worker = self.cluster.start_worker(
            "worker-a", *CALM, "--token-interval", "5ms", *METRICS,
            "--director-mgmt-addr", self.taps["mgmt"].address,
            "--advertise-addr", self.taps["worker user"].address,
            "--advertise-mgmt-addr", self.taps["worker mgmt"].address, registered=False)
        worker.metrics_at = metrics_address(worker)
        self.taps["worker user"].target = worker.user
        self.taps["worker mgmt"].target = worker.mgmt
        self.cluster.wait_reports("worker-a", start)
        return director, worker

    def ports(self, director, worker):
        ports = [Port("user", director, director.user, self.taps["user"]),
                 Port("mgmt", director, director.mgmt, self.taps["mgmt"]),
                 Port("worker user", worker, worker.user, self.taps["worker user"]),
                 Port("worker mgmt", worker, worker.mgmt, self.taps["worker mgmt"])]
        for port in ports:
            self.addCleanup(port.socket.close)
        return ports

    def shoot_back(self, port, count):
        """At those who have connected: clients, links, health checks."""
        garbage = Garbage(random.Random(f"{seed()} back {port.name}"), port.tap.kept_back)
        for first in range(0, count, BURST):
            for _ in range(min(BURST, count - first)):
                port.tap.send_back(garbage.next())
            port.values()

    def test_beside_a_stream(self):
        director, worker = self.start()
        ports = self.ports(director, worker)
        client = self.cluster.start_client(*REQUEST, "--tokens", "0",
                                           target=self.taps["user"].address)
        client.wait_tokens(20)
        memory = {}
        for half in range(2):
            for port in ports:
                before = port.values()
                port.shoot(DATAGRAMS // 2)
                port.replay_on()
                self.shoot_back(port, BACK // 2)
                self.assert_counted(port, before)
                client.wait_tokens(5)
            memory[half] = [p.values()["process_resident_memory_bytes"] for p in ports]
        if "RN_SANITIZED" not in os.environ:
            for port, first, second in zip(ports, *memory.values()):
                self.assertLess(second - first, GROWTH_MAX, port.name)
        client.wait_tokens(20)
        client.signal(signal.SIGINT)
        self.assert_undisturbed(client, director, worker)
        self.cluster.end()

    def assert_counted(self, port, before):
        after = port.values()
        dropped = after[port.dropped] - before[port.dropped]
        self.assertGreater(dropped, DATAGRAMS / 2 / 4, port.name)

    def assert_undisturbed(self, client, director, worker):
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        for key, value in {"lost": 0, "duplicated": 0, "reordered": 0, "connections": 1,
                           "handshakes": 1, "swap_count": 0, "streams_failed": 0}.items():
            self.assertEqual(summary[key], value, key)
        self.assertEqual(self.reference(*REQUEST, "--tokens", str(summary["tokens"])),
                         [client.text()])
        values = metrics(director.metrics_at)
        self.assertEqual(values["rpcnet_director_worker_faults_total"], 0)
        self.assertEqual(values['rpcnet_director_handshakes_completed_total{port="user"}'], 1)
        self.assertEqual(values['rpcnet_director_handshakes_completed_total{port="mgmt"}'], 1)
        self.assertEqual(values['rpcnet_director_workers{state="ready"}'], 1)
        self.assertEqual(metrics(worker.metrics_at)["rpcnet_worker_registrations_total"], 1)


if __name__ == "__main__":
    main()

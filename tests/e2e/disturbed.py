"""What the tests of disturbed streams share: a director that shows its counters, and what has to be
true of every stream, whatever has happened to its workers."""

import collections
import os
import pathlib
import re
import signal
import sys
import time

from cluster import CERTS, PROGRAMS, WAIT_S, ClusterTest, Client
from metrics_test import address_of, metrics

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

PROGRAMS["chat_client"] = os.environ["RN_CHAT_CLIENT"]

# As gRPC's messages have them (connection_swap.SwapReason).
REASONS = ("none", "failure", "killed", "hung", "stalled", "drain", "lost")

SANITIZED = "RN_SANITIZED" in os.environ
ALL = os.environ.get("RPCNET_TEST_ALL") == "1"


class DisturbedTest(ClusterTest):
    """A test whose director shows its counters."""

    def start_director(self, *options):
        director = self.cluster.start_director("--metrics-addr", "127.0.0.1:0", *options)
        self.metrics_at = address_of(director)
        return director

    def metrics(self):
        """The director's, without their prefix."""
        return {name.replace("rpcnet_director_", "", 1): value
                for name, value in metrics(self.metrics_at).items()}

    def wait_metrics(self, look, what):
        """Reads them again and again, each time a turn of the director, until look(them) is true;
        returns what it says."""
        deadline = time.monotonic() + WAIT_S
        while True:
            found = look(self.metrics())
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"the metrics did not show {what} within {WAIT_S} s")

    def swaps_by_reason(self):
        """{reason: swaps} of the director, without those that are 0."""
        counted = self.metrics()
        by_reason = {reason: int(counted[f'swaps_total{{reason="{reason}"}}'])
                     for reason in REASONS[1:]}
        return {reason: count for reason, count in by_reason.items() if count}

    def assert_beginning(self, text, of):
        """A stream that was cut: what has come is how the undisturbed one begins."""
        self.assertGreater(len(text), 0)
        self.assertEqual(text, of[:len(text)])

    def print_suspicions(self):
        counted = self.metrics()
        print(f"{self.id()}: {counted['suspicions_total']:.0f} suspicions, "
              f"{counted['false_suspicions_total']:.0f} of them false; "
              f"swaps: {self.swaps_by_reason()}", flush=True)

    def assert_same_connection(self, client, workers):
        """All three know the client's one connection by one name (of a test with one client). A
        worker that was started again, or never chosen, may not have heard of it."""
        served = {e["worker"] for e in client.events() if e["event"] == "connected"}
        mine = [p for p in self.cluster.processes if getattr(p, "label", None) in served]
        for process in [self.cluster.director, client, *workers, *mine]:
            ids = set(re.findall(r"connection\.id=(\S+)", process.err.text()))
            self.assertLessEqual(ids, {"conn-1"}, process.name)
        said = {p.label for p in mine if "connection.id=conn-1" in p.err.text()}
        self.assertEqual(said, served)
        self.assertIn("connection.id=conn-1", self.cluster.director.err.text())
        self.assertIn("connection.id=conn-1", client.err.text())

    def assert_survived(self, client, texts, reasons, tokens=None, workers=()):
        """The client has got it all, once and in order, over its one connection, and it is what an
        undisturbed run says. `reasons`: {reason: swaps} that the director has counted."""
        summary = self.assert_clean(client, tokens, streams=len(texts))
        for n, text in enumerate(texts, 1):
            self.assertEqual(client.text(n), text, f"stream {n}")
        seen = dict(collections.Counter(swap["reason"] for swap in summary["swaps"]))
        self.assertEqual(self.swaps_by_reason(), seen)
        self.assertEqual(self.swaps_counted(), summary["swap_count"])
        if reasons is not None:
            self.assertEqual(seen, reasons)
        self.assert_same_connection(client, workers)
        self.print_suspicions()
        return summary

    def interrupt(self, *clients):
        """Ends clients whose streams have no end."""
        for client in clients:
            client.signal(signal.SIGINT)
        for client in clients:
            self.assertEqual(client.wait(), 0)

    def start_chat(self, *turns, how="turns", fill=None):
        """A client of the method Chat; turns: (tokens, text), the last text `fill` bytes long."""
        options = []
        for tokens, text in turns:
            options += ["--turn", str(tokens), text]
        if fill is not None:
            options += ["--fill", str(fill)]
        return self.cluster.run("chat_client", "--target", self.cluster.director.user, "--ca",
                                CERTS / "ca.crt", "--how", how, *options, kind=Client, text=None,
                                stdin=True)

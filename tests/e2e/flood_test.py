"""One account for memory: what clients can make the director hold stays within
CONNECTION_SWAP_MEMORY_MAX, whoever holds much pays for it, and a small stream beside goes on."""

import os
import pathlib
import re

from cluster import CALM, CERTS, PATIENT, PROGRAMS, Client, main
from disturbed import SANITIZED, DisturbedTest

PROGRAMS["flood_client"] = os.environ["RN_FLOOD_CLIENT"]

# A client that is gone is noticed soon, and a stream without a worker waits long.
PARKED = ("--idle-timeout", "2s", "--park-timeout", "1h")

MIB = 1 << 20
MESSAGE = 4 * MIB
CALLS = 120
# Beside the account: what an allocator keeps, a connection and its calls cost, and one step of one
# message that passed the limit.
SLACK = 16 * MIB
USED_UP = "the memory for streams is used up"


def resident(process, field):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE).group(1)) << 10


class Flood(DisturbedTest):
    def flood(self, calls, announced, sent):
        return self.cluster.run("flood_client", "--target", self.cluster.director.user, "--ca",
                                CERTS / "ca.crt", "--calls", str(calls), "--announced",
                                str(announced), "--sent", str(sent), kind=Client, text=None)

    def start(self, memory):
        self.director = self.start_director(*PATIENT, *PARKED, "--memory-max", str(memory))
        self.worker = self.cluster.start_worker("worker-a", *CALM)
        return self.cluster.start_client("--prompt", "the river", "--pace", "5ms")

    def assert_within(self, before, memory):
        grown = resident(self.director, "VmHWM") - before
        print(f"{self.id()}: the director grew by {grown >> 10} KiB at most, of "
              f"{(memory + SLACK) >> 10}", flush=True)
        if not SANITIZED:  # there freed memory stays for a while
            self.assertLessEqual(grown, memory + SLACK)
        counted = self.metrics()
        self.assertLessEqual(counted["memory_used_bytes"], memory)
        # A message may pass the limit by one step, which doubles what came of it.
        self.assertLessEqual(counted["memory_peak_bytes"], memory + MESSAGE)
        return counted

    def test_messages_that_never_come_whole(self):
        for memory in (MIB, 16 * MIB):
            with self.subTest(memory=memory):
                live = self.start(memory)
                live.wait_tokens(20)
                before = resident(self.director, "VmRSS")
                attacker = self.flood(CALLS, MESSAGE, MESSAGE - 1)
                attacker.wait_until(
                    lambda: any(e["event"] in ("sent", "over") for e in attacker.events()),
                    "end of the flood")
                counted = self.assert_within(before, memory)
                ended = [e for e in attacker.events() if e["event"] == "status"]
                self.assertGreaterEqual(len(ended), CALLS - memory // MESSAGE)
                self.assertEqual({e["code"] for e in ended}, {"RESOURCE_EXHAUSTED"})
                self.assertGreater(counted["streams_shed_total"] + counted["others_shed_total"], 0)
                # The stream beside noticed nothing, and can still be moved.
                live.wait_tokens(100)
                self.assertEqual(counted["journals_given_up_total"], 0)
                self.assertEqual(counted["requests_given_up_total"], 0)
                self.interrupt(live)
                summary = live.summary()
                self.assertEqual([summary[key] for key in ("lost", "duplicated", "reordered",
                                                           "connections", "swap_count")],
                                 [0, 0, 0, 1, 0])
                attacker.kill()
                self.cluster.end()
                self.assertIn(USED_UP, self.director.err.text())

    def test_requests_that_nobody_serves(self):
        """They are whole, and kept for the worker that may come."""
        memory = 16 * MIB
        self.director = self.start_director(*PATIENT, *PARKED, "--memory-max", str(memory))
        before = resident(self.director, "VmRSS")
        attacker = self.flood(CALLS, MESSAGE - 1000, MESSAGE - 1000)
        attacker.wait_until(
            lambda: any(e["event"] in ("sent", "over") for e in attacker.events()),
            "end of the flood")
        self.assert_within(before, memory)
        ended = [e for e in attacker.events() if e["event"] == "status"]
        self.assertGreaterEqual(len(ended), CALLS - memory // MESSAGE)
        # UNAVAILABLE: the request was given up while no worker had it.
        self.assertLessEqual({e["code"] for e in ended}, {"RESOURCE_EXHAUSTED", "UNAVAILABLE"})
        # A worker that comes now serves a stream that comes now, if there is room.
        attacker.kill()
        self.cluster.start_worker("worker-a", *CALM)
        self.director.wait_for("stream ended$", self.director.said())
        self.assert_clean(self.cluster.start_client("--tokens", "10", "--pace", "1ms"), 10)
        self.cluster.end()

    def test_large_requests_move_together(self):
        """Their memory is nearly the limit; a move takes no more of it."""
        memory = 16 * MIB
        self.director = self.start_director(*PATIENT, "--memory-max", str(memory))
        first = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "20ms")
        chats = [self.start_chat((120, "the river "), fill=3 * MIB // 2) for _ in range(8)]
        for chat in chats:
            chat.wait_event("token", sequence=5)
        self.assertGreater(self.metrics()["memory_used_bytes"], memory * 2 // 3)
        first.kill()
        self.cluster.start_worker("worker-b", *CALM, "--token-interval", "1ms")
        for chat in chats:
            self.assertEqual(chat.wait(), 0)
            self.assertEqual([e["sequence"] for e in chat.events() if e["event"] == "token"],
                             list(range(1, 121)))
        counted = self.metrics()
        self.assertLessEqual(counted["memory_peak_bytes"], memory)
        self.assertEqual([counted[name] for name in (
            "streams_shed_total", "requests_given_up_total", "journals_given_up_total",
            "messages_starved_total")], [0, 0, 0, 0])
        self.assertEqual(self.swaps_by_reason(), {"killed": 8})
        self.cluster.end()


if __name__ == "__main__":
    main()

"""The next worker is lost, too: before its first frame, right after it, or it refuses."""

import re
import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

TOKENS = 300
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
PACE = ("--token-interval", "10ms")
# Workers that are stopped are not to be missed meanwhile.
QUIET = ("--health-interval", "1m")


class SwapOnSwap(DisturbedTest):
    def start(self, *options):
        """worker-a serves; worker-b and worker-c are there."""
        self.start_director(*PATIENT_WITH_THE_LIVING, *QUIET)
        self.workers = {"worker-a": self.cluster.start_worker("worker-a", *CALM, *PACE, *options)}
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(10)
        for x in "bc":
            self.workers[f"worker-{x}"] = self.cluster.start_worker(f"worker-{x}", *CALM, *PACE,
                                                                    *options)
        return client

    def kill(self, label):
        self.workers[label].signal(signal.SIGKILL)
        self.workers[label].wait()

    def test_between_assignment_and_first_frame(self):
        """The one that gets it is stopped, so it has not taken the stream when it is killed."""
        expected = self.reference(*REQUEST)
        client = self.start()
        director = self.cluster.director
        said = director.said()
        for label in ("worker-b", "worker-c"):
            self.workers[label].signal(signal.SIGSTOP)
        self.kill("worker-a")
        second = director.wait_for(r"worker\.label=(worker-[bc]) .*connecting to worker$",
                                   said).group(1)
        third = "worker-c" if second == "worker-b" else "worker-b"
        self.workers[third].signal(signal.SIGCONT)
        self.kill(second)
        summary = self.assert_survived(client, expected, {"killed": 1}, TOKENS,
                                       self.workers.values())
        # To the client it is one swap: from the worker that it knew.
        self.assertEqual([(s["from"], s["to"], s["message"]) for s in summary["swaps"]],
                         [("worker-a", third, "worker-a was killed")])
        self.assertEqual(self.metrics()['assignments_lost_total{reason="killed"}'], 2)
        self.cluster.end()

    def test_right_after_the_first_frame(self):
        """Each next worker dies as soon as it has taken the stream; the first comes back."""
        expected = self.reference(*REQUEST)
        client = self.start()
        director = self.cluster.director
        victim = "worker-a"
        victims = []
        for _ in range(2):
            said = director.said()
            self.kill(victim)
            victims.append(victim)
            moved = director.wait_for(rf"worker\.label=(\S+) from={victim} reason=killed "
                                      r"swaps\.total=\d+ stream moved$", said)
            victim = moved.group(1)
        summary = self.assert_survived(client, expected, {"killed": 2}, TOKENS,
                                       self.workers.values())
        self.assertEqual([s["from"] for s in summary["swaps"]], victims)
        self.cluster.end()

    def test_two_die_at_once(self):
        """The director learns of both in its own time; the stream ends up with the third."""
        expected = self.reference(*REQUEST)
        client = self.start()
        survivor = "worker-c"
        for label in ("worker-a", "worker-b"):
            self.workers[label].signal(signal.SIGKILL)
        for label in ("worker-a", "worker-b"):
            self.workers[label].wait()
        summary = self.assert_survived(client, expected, {"killed": 1}, TOKENS,
                                       self.workers.values())
        self.assertEqual([s["to"] for s in summary["swaps"]], [survivor])
        self.cluster.end()

    def test_refused(self):
        """The next one is full and says so; the one after it takes the stream."""
        expected = self.reference(*REQUEST)
        client = self.start("--streams-max", "1")
        director = self.cluster.director
        # Somebody else's stream fills one of them; the other one leaves for a while.
        other = self.cluster.start_client("--tokens", "0")
        other.wait_tokens(1)
        full = other.serving()
        third = "worker-c" if full == "worker-b" else "worker-b"
        said = director.said()
        self.workers[third].signal(signal.SIGTERM)
        self.assertEqual(self.workers[third].wait(), 0)
        self.kill("worker-a")
        director.wait_for(rf"stream\.id=1 connection\.id=conn-1 .*worker\.label={full} "
                          r"err=\"full\" worker refused stream$", said)
        self.workers[third] = self.cluster.again(self.workers[third])
        summary = self.assert_clean(client, TOKENS)
        self.assertEqual(client.text(), expected[0])
        self.assertEqual([(s["from"], s["to"], s["reason"]) for s in summary["swaps"]],
                         [("worker-a", third, "killed")])
        self.assertEqual(self.swaps_by_reason(), {"killed": 1})
        self.assertGreaterEqual(self.metrics()["assignments_refused_total"], 1)
        ids = set(re.findall(r"connection\.id=(\S+)", client.err.text()))
        self.assertEqual(ids, {"conn-1"})
        self.print_suspicions()
        self.interrupt(other)
        self.cluster.end()


if __name__ == "__main__":
    main()

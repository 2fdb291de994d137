"""Many simulated failures in one stream: it moves each time, over one connection, and its text is
that of a run that never moved."""

import re

from cluster import PATIENT, main
from disturbed import DisturbedTest

SWAPS = 20
TOKENS = 500  # of 10 ms: a worker makes no more than about 16 between two failures
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
FAILING = ("--fail-after", "150ms", "--recover-after", "50ms", "--token-interval", "10ms")


class Failures(DisturbedTest):
    def test_twenty_failures_in_one_stream(self):
        expected = self.reference(*REQUEST)[0]
        director = self.start_director(*PATIENT)
        workers = [self.cluster.start_worker(f"worker-{x}", *FAILING) for x in "ab"]
        client = self.cluster.start_client(*REQUEST)
        summary = self.assert_survived(client, [expected], None, TOKENS, workers)
        self.assertGreaterEqual(summary["swap_count"], SWAPS)
        for swap in summary["swaps"]:
            self.assertEqual(swap["reason"], "failure")
            self.assertEqual(swap["message"], f"{swap['from']} simulated failure")
            self.assertGreater(swap["sequence"], 1)
        moves = [e["worker"] for e in client.events() if e["event"] == "connected"]
        self.assertEqual(len(moves), summary["swap_count"] + 1)
        self.assertEqual([s["from"] for s in summary["swaps"]], moves[:-1])
        self.assertEqual([s["to"] for s in summary["swaps"]], moves[1:])
        self.assertEqual(set(moves), {"worker-a", "worker-b"})

        # One connection, known to all by the same name; its first stream.
        places = {(e["connection"], e["stream"]) for e in client.events()
                  if e["event"] in ("connected", "token", "done")}
        self.assertEqual(places, {("conn-1", 1)})
        for process in (director, client, *workers):
            ids = set(re.findall(r"connection\.id=(\S+)", process.err.text()))
            self.assertEqual(ids, {"conn-1"}, process.name)
        self.assertEqual(sum("client opened stream" in line for line in director.err.lines), 1)
        self.cluster.end()


if __name__ == "__main__":
    main()

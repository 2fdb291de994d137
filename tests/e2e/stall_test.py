"""The worker lives, but one of its streams does not move: that one is moved, the others stay."""

import os
import re

from cluster import CALM, CERTS, PROGRAMS, Client, main
from disturbed import DisturbedTest

PROGRAMS["flood_client"] = os.environ["RN_FLOOD_CLIENT"]

STREAMS = 3
TOKENS = 200
STALL_AFTER = 20
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
# A hanging process does not count here. A healthy stream is never silent for so long, not even on a
# busy machine.
ATTENTIVE = ("--probe-interval", "1s", "--hang-timeout", "60s", "--stall-min", "3s")


class Stall(DisturbedTest):
    def test_one_stream_stalls(self):
        expected = self.reference(*REQUEST, streams=STREAMS)
        director = self.start_director(*ATTENTIVE, "--preferred-worker", "worker-a")
        first = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms",
                                          "--stall-after", str(STALL_AFTER))
        second = self.cluster.start_worker("worker-b", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client(*REQUEST, "--streams", str(STREAMS))
        stream = first.wait_for(r"stream\.id=(\d+) connection\.id=conn-1 simulating a stall after "
                                rf"{STALL_AFTER} tokens$").group(1)
        director.wait_for(rf"stream\.id={stream} connection\.id=conn-1 .*from=worker-a "
                          r"reason=stalled swaps\.total=1 stream moved$")
        first.wait_for(rf"stream\.id={stream} connection\.id=conn-1 "
                       r"(stream cancelled by director|code=\w+ director ended the call)$")
        summary = self.assert_survived(client, expected, {"stalled": 1}, TOKENS, [first, second])
        swap = summary["swaps"][0]
        self.assertEqual((swap["stream"], swap["from"], swap["to"], swap["sequence"],
                          swap["message"]),
                         (int(stream), "worker-a", "worker-b", STALL_AFTER + 1,
                          "worker-a stopped making progress"))
        # The worker itself was never suspected, and the others stayed with it.
        counted = self.metrics()
        self.assertEqual((counted["suspicions_total"], counted["false_suspicions_total"]), (0, 0))
        served = set(re.findall(r"stream\.id=(\d+) .*stream complete$", first.err.text(), re.M))
        self.assertEqual(served, {str(n) for n in range(1, STREAMS + 1)} - {stream})
        self.cluster.end()

    def test_a_request_that_does_not_come(self):
        """The headers of calls, half a message of each: it is their client that is slow. (Its end is
        noticed by its silence, soon.)"""
        self.start_director(*ATTENTIVE, "--assign-timeout", "200ms", "--idle-timeout", "2s")
        workers = [self.cluster.start_worker(f"worker-{x}", *CALM, "--token-interval", "10ms")
                   for x in "ab"]
        slow = self.cluster.run("flood_client", "--target", self.cluster.director.user, "--ca",
                                CERTS / "ca.crt", "--path", "/connection_swap.Inference/Generate",
                                "--calls", "4", "--announced", "100", "--sent", "50",
                                kind=Client, text=None)
        slow.wait_event("sent")
        for worker in workers:
            worker.wait_for("waiting for assignment$")
        # A second of tokens: five times the timeout.
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(100)
        counted = self.metrics()
        self.assertEqual(counted['assignments_lost_total{reason="stalled"}'], 0)
        self.assertEqual([e for e in slow.events() if e["event"] == "status"], [])
        self.interrupt(client)
        slow.kill()
        self.cluster.end()


if __name__ == "__main__":
    main()

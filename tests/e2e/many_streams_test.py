"""Twenty streams on one connection while workers are killed."""

import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

STREAMS = 20
TOKENS = 150
KILLS = 3
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))


class ManyStreams(DisturbedTest):
    def wait_for_all(self, client, more):
        """Each stream gets that many more tokens: the workers have made progress everywhere."""
        start = len(client.events())

        def look():
            counts = {}
            for event in client.events()[start:]:
                if event["event"] == "token":
                    counts[event["stream"]] = counts.get(event["stream"], 0) + 1
            return len(counts) == STREAMS and min(counts.values()) >= more

        client.wait_until(look, f"{more} more tokens of each stream")

    def test_workers_are_killed(self):
        expected = self.reference(*REQUEST, streams=STREAMS)
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM,
                                                            "--token-interval", "20ms")
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST, "--streams", str(STREAMS))
        for n in range(KILLS):
            self.wait_for_all(client, 10)
            victim = f"worker-{'ab'[n % 2]}"
            said = director.said()
            workers[victim].signal(signal.SIGKILL)
            workers[victim].wait()
            director.wait_for(rf"from={victim} reason=killed swaps\.total=\d+ stream moved$", said)
            workers[victim] = self.cluster.again(workers[victim])
        summary = self.assert_survived(client, expected, None, TOKENS, workers.values())
        # The first victim served half of them; each kill moves those of its victim.
        self.assertGreaterEqual(summary["swap_count"], STREAMS // 2)
        self.assertEqual({s["reason"] for s in summary["swaps"]}, {"killed"})
        self.cluster.end()


if __name__ == "__main__":
    main()

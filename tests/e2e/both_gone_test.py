"""No worker is left: the streams wait. One returns, and they go on; none returns, and they end."""

import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

STREAMS = 3
TOKENS = 200
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
PACE = ("--token-interval", "10ms")


class BothGone(DisturbedTest):
    def start(self, *options, streams=STREAMS):
        self.start_director(*PATIENT_WITH_THE_LIVING, *options)
        workers = [self.cluster.start_worker(f"worker-{x}", *CALM, *PACE) for x in "ab"]
        client = self.cluster.start_client(*REQUEST, "--streams", str(streams))
        client.wait_tokens(20 * streams)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        for worker in workers:
            worker.wait()
        return workers, client

    def wait_all_gone(self):
        for x in "ab":
            self.cluster.director.wait_for(
                rf"worker\.label=worker-{x} (worker is dead|worker left)$")

    def test_one_returns(self):
        expected = self.reference(*REQUEST, streams=STREAMS)
        workers, client = self.start("--park-timeout", "3600s")
        self.wait_all_gone()
        back = self.cluster.again(workers[1])
        self.assert_survived(client, expected, {"killed": STREAMS}, TOKENS, [*workers, back])
        self.assertEqual({e["worker"] for e in client.events() if e["event"] == "done"},
                         {"worker-b"})
        self.assertEqual(self.metrics()['streams_ended_total{end="done"}'], STREAMS)
        self.cluster.end()

    def test_none_returns(self):
        expected = self.reference(*REQUEST, streams=STREAMS)
        workers, client = self.start("--park-timeout", "2s")
        self.assertEqual(client.wait(), 1)
        self.assertEqual(sum("code=UNAVAILABLE err=\"no worker took the stream within 2000 ms\" stream "
                             "failed" in line for line in client.err.lines), STREAMS)
        summary = client.summary()
        self.assertEqual((summary["streams_failed"], summary["lost"], summary["duplicated"],
                          summary["reordered"], summary["connections"], summary["handshakes"]),
                         (STREAMS, 0, 0, 0, 1, 1))
        for n in range(1, STREAMS + 1):
            self.assert_beginning(client.text(n), expected[n - 1])
        self.assert_same_connection(client, workers)
        counted = self.metrics()
        self.assertEqual(counted['streams_ended_total{end="parked"}'], STREAMS)
        self.assertEqual(counted["streams_open"], 0)
        self.assertEqual(self.swaps_by_reason(), {})
        self.print_suspicions()
        self.cluster.end()


if __name__ == "__main__":
    main()

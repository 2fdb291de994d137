"""A request that kills each worker is stopped; what is no fault of a request does not count."""

import signal

from cluster import CALM, PATIENT, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

TOKENS = 400
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
PACE = ("--token-interval", "10ms")
POISON = "hemlock"


class Poison(DisturbedTest):
    def test_it_kills_three_workers_and_no_more(self):
        expected = self.reference(*REQUEST)
        self.start_director(*PATIENT_WITH_THE_LIVING)
        first = self.cluster.start_worker("worker-a", *CALM, *PACE, "--die-on-prompt", POISON)
        good = self.cluster.start_client(*REQUEST)
        good.wait_tokens(10)
        others = [self.cluster.start_worker(f"worker-{x}", *CALM, *PACE, "--die-on-prompt", POISON)
                  for x in "bcd"]
        for worker in others:
            worker.killed = True  # it is meant to die
        bad = self.cluster.start_client("--prompt", POISON, "--tokens", "10")
        self.assertEqual(bad.wait(), 1)
        self.assertTrue(bad.find(r"code=UNAVAILABLE err=\"3 workers in a row were lost without "
                                 r"progress, the last one: worker-[bcd] was killed\" stream failed$"))
        for worker in others:
            self.assertEqual(worker.wait(), -signal.SIGABRT)
            self.assertTrue(worker.find("dying of the prompt, as told$"))
        summary = bad.summary()
        self.assertEqual((summary["tokens"], summary["streams_failed"], summary["connections"],
                          summary["handshakes"]), (0, 1, 1, 1))
        # Somebody else's stream has not noticed.
        summary = self.assert_clean(good, TOKENS)
        self.assertEqual((good.text(), summary["swap_count"]), (expected[0], 0))
        counted = self.metrics()
        self.assertEqual(counted['streams_ended_total{end="attempts"}'], 1)
        self.assertEqual(counted['assignments_lost_total{reason="killed"}'], 3)
        # No worker had taken it, so it has never moved.
        self.assertEqual(self.swaps_by_reason(), {})
        self.assertIsNone(first.code)
        self.print_suspicions()
        self.cluster.end()

    def test_refusals_do_not_count(self):
        """One loss would end the stream; three workers refuse it, again and again."""
        request = ("--prompt", "the river", "--seed", "7", "--tokens", "20")
        expected = self.reference(*request)
        director = self.start_director(*PATIENT, "--max-attempts", "1", "--park-timeout", "3600s")
        full = [self.cluster.start_worker(f"worker-{x}", *CALM, *PACE, "--streams-max", "1")
                for x in "ab"]
        others = [self.cluster.start_client("--tokens", "0") for _ in full]
        for other in others:
            other.wait_tokens(1)
        client = self.cluster.start_client(*request)
        for worker in full * 2:
            start = worker.said()
            worker.wait_for(r"connection\.id=conn-\d+ reason=full refused handoff$", start)
        director.wait_for(r"connection\.id=conn-\d+ .*err=\"full\" worker refused stream$")
        self.cluster.start_worker("worker-c", *CALM, *PACE)
        summary = self.assert_clean(client, 20)
        self.assertEqual((client.text(), summary["swap_count"]), (expected[0], 0))
        self.assertEqual(client.serving(), "worker-c")
        counted = self.metrics()
        self.assertGreaterEqual(counted["assignments_refused_total"], 4)
        self.assertEqual(counted['streams_ended_total{end="attempts"}'], 0)
        self.assertEqual(self.swaps_by_reason(), {})
        self.print_suspicions()
        self.interrupt(*others)
        self.cluster.end()

    def test_drains_do_not_count(self):
        """One loss would end the stream; it is handed back twice."""
        expected = self.reference(*REQUEST)
        self.start_director(*PATIENT, "--max-attempts", "1")
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE)
                   for x in "abc"}
        client = self.cluster.start_client(*REQUEST)
        for _ in range(2):
            client.wait_tokens(5)
            serving = client.serving()
            workers[serving].signal(signal.SIGTERM)
            self.assertEqual(workers[serving].wait(), 0)
            client.wait_until(lambda gone=serving: client.serving() != gone, "another worker")
        self.assert_survived(client, expected, {"drain": 2}, TOKENS, workers.values())
        self.cluster.end()

    def test_a_failure_counts(self):
        """The same with a worker that says that it has failed."""
        self.start_director(*PATIENT, "--max-attempts", "1")
        self.cluster.start_worker("worker-a", "--fail-after", "300ms", *PACE)
        self.cluster.start_worker("worker-b", "--fail-after", "300ms", *PACE)
        client = self.cluster.start_client("--tokens", "0")
        self.assertEqual(client.wait(), 1)
        self.assertTrue(client.find(r"code=UNAVAILABLE err=\"1 workers? .*simulated failure\" stream "
                                    r"failed$"))
        self.assertEqual(self.metrics()['streams_ended_total{end="attempts"}'], 1)
        self.print_suspicions()
        self.cluster.end()


if __name__ == "__main__":
    main()

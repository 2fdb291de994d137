"""SIGTERM at the serving worker: it hands its streams back and ends well."""

import signal

from cluster import CALM, PATIENT, main
from disturbed import DisturbedTest

TOKENS = 200
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))


class Drain(DisturbedTest):
    def test_serving_worker_drains(self):
        expected = self.reference(*REQUEST)
        self.start_director(*PATIENT)
        workers = {f"worker-{x}": self.cluster.start_worker(
            f"worker-{x}", *CALM, "--token-interval", "10ms", "--drain-timeout", "60s")
            for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(20)
        first = client.serving()
        workers[first].signal(signal.SIGTERM)
        self.assertEqual(workers[first].wait(), 0)
        self.assertTrue(workers[first].find(rf"worker={first} streams=1 draining; handing streams "
                                            r"back$"))
        self.assertTrue(workers[first].find(rf"worker={first} drained$"))
        second = client.wait_event("connected", worker="worker-b" if first == "worker-a"
                                   else "worker-a")["worker"]
        client.wait_tokens(20)
        # And back again, when the first has returned.
        workers[first] = self.cluster.again(workers[first])
        workers[second].signal(signal.SIGTERM)
        self.assertEqual(workers[second].wait(), 0)
        summary = self.assert_survived(client, expected, {"drain": 2}, TOKENS, workers.values())
        self.assertEqual([(s["from"], s["to"], s["reason"], s["message"])
                          for s in summary["swaps"]],
                         [(first, second, "drain", f"{first} is draining"),
                          (second, first, "drain", f"{second} is draining")])
        self.cluster.end()

    def test_no_stream_for_a_worker_that_drains(self):
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        director.wait_for(r"worker\.label=worker-a worker left$")
        client = self.cluster.start_client("--tokens", "10", "--pace", "1us")
        director.wait_for(r"client opened stream$")
        self.cluster.start_worker("worker-b", *CALM)
        self.assert_clean(client, 10)
        self.assertEqual(client.serving(), "worker-b")
        self.cluster.end()

    def test_director_waits_for_its_streams(self):
        director = self.cluster.start_director(*PATIENT, "--drain-timeout", "3600s")
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(10)
        director.signal(signal.SIGTERM)
        director.wait_for(r"streams=1 draining$")
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        self.assertEqual((summary["tokens"], summary["lost"], summary["handshakes"]),
                         (TOKENS, 0, 1))
        self.assertEqual(director.wait(), 0)
        self.cluster.end()


if __name__ == "__main__":
    main()

"""SIGTERM at the serving worker: it hands its streams back and ends well."""

import os
import signal

from cluster import CALM, CERTS, PATIENT, PROGRAMS, main
from disturbed import DisturbedTest

PROGRAMS["probe_call"] = os.environ["RN_PROBE_CALL"]

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

    def open_silently(self, target, *options):
        """A Generate whose request never comes."""
        return self.cluster.run("probe_call", "--target", target, "--ca", CERTS / "ca.crt", "--path",
                                "/connection_swap.Inference/Generate", "--half-close", "no",
                                *options)

    def test_drain_before_the_request(self):
        """A stream whose request has not come is not waited for."""
        director = self.cluster.start_director(*PATIENT, "--idle-timeout", "2s",
                                               "--keep-alive", "500ms")
        first = self.cluster.start_worker("worker-a", *CALM, "--drain-timeout", "3600s", "--log",
                                          "trace")
        silent = self.open_silently(director.user, "--name", "localhost")
        direct = self.open_silently(first.user, "--identity", "rpcnet://role/worker/worker-a",
                                    "--cert", CERTS / "client.crt", "--key", CERTS / "client.key")
        director.wait_for(r"worker\.label=worker-a assigning stream to worker$")
        first.wait_for(r"streams=2 result=0 report$")
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)
        self.assertTrue(first.find(r"connection\.id=conn-1 reason=draining refused handoff$"))
        self.assertTrue(first.find(r"worker=worker-a drained$"))
        self.assertEqual(direct.wait(), 0)
        self.assertRegex(direct.out.text(), r"code=UNAVAILABLE .*text=worker-a is draining")
        self.assertTrue(director.find(r'err="draining" worker refused stream$'))
        self.cluster.start_worker("worker-b", *CALM)
        director.wait_for(r"worker\.label=worker-b assigning stream to worker$")
        self.assertIsNone(silent.code)
        silent.kill()
        director.wait_for(r"connection\.id=conn-1 code=UNAVAILABLE .*stream ended$")
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

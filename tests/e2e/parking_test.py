"""Streams wait while there is no worker for them."""

import signal

from cluster import CALM, PATIENT, ClusterTest, main

REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", "50", "--pace", "1us")


class Parking(ClusterTest):
    def test_a_stream_waits_for_the_first_worker(self):
        expected = self.reference(*REQUEST)[0]
        director = self.cluster.start_director(*PATIENT, "--park-timeout", "3600s")
        client = self.cluster.start_client(*REQUEST)
        director.wait_for(r"client opened stream$")
        client.wait_for(r"stream opened, waiting for frames$")
        self.cluster.start_worker("worker-a", *CALM)
        summary = self.assert_clean(client, 50)
        self.assertEqual(client.text(), expected)
        self.assertEqual(summary["swap_count"], 0)
        self.cluster.end()

    def test_a_stream_waits_for_the_next_worker(self):
        """Its only worker drains in the middle."""
        request = ("--prompt", "the river", "--seed", "7", "--tokens", "100")
        expected = self.reference(*request)[0]
        director = self.cluster.start_director(*PATIENT, "--park-timeout", "3600s")
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client(*request)
        client.wait_tokens(10)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        director.wait_for(r"asking client to retry on next worker$")
        self.cluster.start_worker("worker-b", *CALM, "--token-interval", "10ms")
        summary = self.assert_clean(client, 100)
        self.assertEqual(client.text(), expected)
        self.assertEqual([(s["from"], s["to"], s["reason"]) for s in summary["swaps"]],
                         [("worker-a", "worker-b", "drain")])
        self.cluster.end()

    def test_a_stream_does_not_wait_for_ever(self):
        director = self.cluster.start_director(*PATIENT, "--park-timeout", "300ms")
        client = self.cluster.start_client(*REQUEST)
        self.assertEqual(client.wait(), 1)
        self.assertTrue(client.find(r"ERROR connection_swap::client_app\] .*code=UNAVAILABLE "
                                    r"err=\S.* stream failed$"))
        self.assertTrue(director.find(r"code=UNAVAILABLE messages=0 err=\"\S.*\" stream ended$"))
        summary = client.summary()
        self.assertEqual((summary["tokens"], summary["streams_failed"]), (0, 1))
        # The director goes on.
        self.cluster.start_worker("worker-a", *CALM)
        self.assert_clean(self.cluster.start_client(*REQUEST), 50)
        self.cluster.end()

    def test_a_deadline_ends_a_waiting_stream(self):
        self.cluster.start_director(*PATIENT, "--park-timeout", "3600s")
        client = self.cluster.start_client(*REQUEST, "--timeout", "300ms")
        self.assertEqual(client.wait(), 1)
        self.assertTrue(client.find(r"code=DEADLINE_EXCEEDED err=.* stream failed$"))
        self.cluster.end()


if __name__ == "__main__":
    main()

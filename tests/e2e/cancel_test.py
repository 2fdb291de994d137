"""Ctrl-C at the client ends its streams at the worker, too."""

import signal

from cluster import CALM, PATIENT, ClusterTest, main


class Cancel(ClusterTest):
    def start(self):
        self.cluster.start_director(*PATIENT)
        return self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")

    def test_interrupt(self):
        worker = self.start()
        client = self.cluster.start_client("--tokens", "0")
        client.wait_tokens(20)
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        self.assertTrue(summary["interrupted"])
        self.assertEqual((summary["lost"], summary["duplicated"], summary["reordered"]), (0, 0, 0))
        self.assertTrue(client.find(r"code=CANCELLED stream finished$"))
        worker.wait_for(r"worker=worker-a stream\.id=1 connection\.id=conn-1 "
                        r"(stream cancelled by director|code=CANCELLED director ended the call)$")
        self.assert_clean(self.cluster.start_client("--tokens", "10"), 10)
        self.cluster.end()

    def test_deadline(self):
        worker = self.start()
        client = self.cluster.start_client("--tokens", "0", "--timeout", "3s")
        self.assertEqual(client.wait(), 1)
        self.assertTrue(client.find(r"code=DEADLINE_EXCEEDED err=.* stream failed$"))
        worker.wait_for(r"stream\.id=1 connection\.id=conn-1 "
                        r"(stream cancelled by director|code=\w+ director ended the call)$")
        self.cluster.end()

    def test_a_second_signal_ends_at_once(self):
        self.start()
        client = self.cluster.start_client("--tokens", "0")
        client.wait_tokens(5)
        director = self.cluster.director
        director.signal(signal.SIGTERM)
        director.wait_for(r"streams=1 draining$")
        director.signal(signal.SIGTERM)
        self.assertEqual(director.wait(), 1)
        self.assertTrue(director.find(r"signal=15 ending at once$"))
        self.assertEqual(client.wait(), 1)


if __name__ == "__main__":
    main()

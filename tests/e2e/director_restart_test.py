"""The director is killed and started again: the workers come back by themselves."""

import signal

from cluster import CALM, PATIENT, WAIT_S, ClusterTest, main

REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", "100")


class DirectorRestart(ClusterTest):
    def restart(self):
        self.cluster.director.signal(signal.SIGKILL)
        self.cluster.director.wait()
        return self.cluster.director_again()

    def test_workers_come_back(self):
        expected = self.reference(*REQUEST)[0]
        self.cluster.start_director(*PATIENT)
        workers = [self.cluster.start_worker(f"worker-{x}", *CALM, "--token-interval", "10ms")
                   for x in "ab"]
        orphan = self.cluster.start_client("--tokens", "0")
        orphan.wait_tokens(10)
        for n in range(2):
            said = [worker.said() for worker in workers]
            director = self.restart()
            for worker, start in zip(workers, said):
                worker.wait_for(r"registered with director$", start)
                self.cluster.wait_reports(worker.label)
            if n == 0:
                # Nobody reads its stream any more: it ends, long before its connection does.
                served = next(w for w in workers if w.label == orphan.serving())
                served.wait_for(r"INFO worker\] worker=worker-\w stream\.id=1 connection\.id=conn-1 "
                                r"its director is gone; stream dropped$")
                self.assertIsNone(served.find(r"director ended the call$"))
            client = self.cluster.start_client(*REQUEST)
            self.assert_clean(client, 100)
            self.assertEqual(client.text(), expected)
            if n == 0:
                # Its stream was not of this director; it must not look finished.
                self.assertEqual(orphan.wait(2 * WAIT_S), 1)
                self.assertTrue(orphan.find(r"stream failed$"))
                self.assertEqual(orphan.summary()["streams_failed"], 1)
        self.assertEqual(sum("worker registered" in line for line in director.err.lines), 2)
        for worker in workers:
            self.assertIsNone(worker.code)
        self.cluster.end()

    def test_workers_that_started_first(self):
        """Nobody listens when the worker starts; it waits."""
        director = self.cluster.start_director(*PATIENT)
        director.signal(signal.SIGKILL)
        director.wait()
        worker = self.cluster.start_worker("worker-a", *CALM, registered=False)
        worker.wait_for(r"WARN worker\] worker=worker-a director=\S+ err=.* cannot reach director; "
                        r"trying again; is the director running\?$")
        self.cluster.director_again()
        worker.wait_for(r"registered with director$")
        self.cluster.wait_reports("worker-a")
        self.assert_clean(self.cluster.start_client(*REQUEST, "--pace", "1us"), 100)
        self.cluster.end()

    def test_goodbye(self):
        """SIGTERM: the director tells its workers, who stay."""
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        director.signal(signal.SIGTERM)
        self.assertEqual(director.wait(), 0)
        self.assertTrue(director.find(r"swaps\.total=0 director stopped$"))
        worker.wait_for(r"reason=\"the director shuts down\" director shuts down$")
        said = worker.said()
        self.cluster.director_again()
        worker.wait_for(r"registered with director$", said)
        self.cluster.end()


if __name__ == "__main__":
    main()

"""One label, two workers."""

import re
import signal

from cluster import CALM, PATIENT, ClusterTest, main


class Label(ClusterTest):
    def test_a_label_from_elsewhere_is_refused_while_its_worker_lives(self):
        director = self.cluster.start_director(*PATIENT)
        first = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client("--tokens", "200")
        client.wait_tokens(10)
        second = self.cluster.start_worker("worker-a", *CALM, registered=False)
        self.assertEqual(second.wait(), 1)
        self.assertTrue(second.find(r"ERROR worker\] worker=worker-a director=\S+ err=a live worker "
                                    r"at another address has this label registration refused: the "
                                    r"label is taken$"))
        director.wait_for(r"WARN connection_swap::director\] "
                          rf"worker\.addr={re.escape(second.user)} worker\.label=worker-a "
                          r"label is taken by a live worker$")
        summary = self.assert_clean(client, 200)
        self.assertEqual(summary["swap_count"], 0)
        self.assertIsNone(first.code)
        self.cluster.end()

    def test_the_same_address_replaces(self):
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        worker.signal(signal.SIGKILL)
        worker.wait()
        said = director.said()
        self.cluster.again(worker, registered=False)
        director.wait_for(rf"worker\.addr={re.escape(worker.user)} worker\.label=worker-a "
                          r"mgmt\.addr=\S+ registration=2 worker registered$", said)
        self.cluster.wait_reports("worker-a", said)
        self.assert_clean(self.cluster.start_client("--tokens", "10", "--pace", "1us"), 10)
        self.cluster.end()

    def test_a_label_of_the_dead_is_free(self):
        director = self.cluster.start_director(*PATIENT, "--health-interval", "100ms")
        worker = self.cluster.start_worker("worker-a", *CALM)
        worker.signal(signal.SIGKILL)
        worker.wait()
        director.wait_for(r"worker\.label=worker-a worker is dead$")
        self.cluster.start_worker("worker-a", *CALM)
        self.assert_clean(self.cluster.start_client("--tokens", "10", "--pace", "1us"), 10)
        self.cluster.end()


if __name__ == "__main__":
    main()

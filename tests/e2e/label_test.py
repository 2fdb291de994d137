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
        taken = [line for line in second.err.lines if "the label is taken" in line]
        self.assertEqual(len(taken), 1, taken)
        self.assertRegex(taken[0], r"WARN worker\] worker=worker-a director=\S+ err=\"a live worker "
                                   r"at another address has this label\" the label is taken; trying "
                                   r"again for 3 s$")
        self.assertRegex(second.err.lines[-1],
                         r"^worker: --label: the director at \S+ does not take another worker-a: a "
                         r"live worker at another address has this label; give each worker a label "
                         r"of its own$")
        director.wait_for(r"WARN connection_swap::director\] "
                          rf"worker\.addr={re.escape(second.user)} worker\.label=worker-a "
                          r"label is taken by a live worker$")
        summary = self.assert_clean(client, 200)
        self.assertEqual(summary["swap_count"], 0)
        self.assertIsNone(first.code)
        self.cluster.end()

    def test_why_it_ends_does_not_need_the_log(self):
        self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        second = self.cluster.run("worker", "--user-addr", "127.0.0.1:0", "--mgmt-addr",
                                  "127.0.0.1:0", "--director-mgmt-addr", self.cluster.director.mgmt,
                                  environment={"RUST_LOG": "off",
                                               "CONNECTION_SWAP_WORKER_LABEL": "worker-a"})
        self.assertEqual(second.wait(), 1)
        self.assertEqual(len(second.err.lines), 1)
        self.assertRegex(second.err.lines[0], r"^worker: CONNECTION_SWAP_WORKER_LABEL: the director "
                                              r"at \S+ does not take another worker-a: ")
        self.cluster.end()

    def test_a_worker_that_died_a_moment_ago_is_replaced(self):
        """At another address, before the director knows of the death."""
        self.cluster.start_director(*PATIENT, "--health-interval", "60s")
        worker = self.cluster.start_worker("worker-a", *CALM)
        worker.signal(signal.SIGKILL)
        worker.wait()
        self.cluster.start_worker("worker-a", *CALM)
        self.assert_clean(self.cluster.start_client("--tokens", "10", "--pace", "1us"), 10)
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

"""Streams that wait for the director's connection to their worker: as many as may be, and no more."""

import socket

from cluster import CALM, PATIENT, main
from disturbed import DisturbedTest

WAITING_MAX = 3
REQUEST = ("--prompt", "the river", "--seed", "7")


class Waiting(DisturbedTest):
    def setUp(self):
        super().setUp()
        # Takes datagrams and never answers: a connection to it is neither made nor refused.
        self.hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.hole.close)
        self.hole.bind(("127.0.0.1", 0))

    def wait_assigned(self, count):
        self.wait_metrics(lambda now: now["assignments_total"] >= count, f"{count} assignments")
        return self.metrics()["waiting_refused_total"]

    def test_as_many_as_may_be(self):
        """One below the limit, at it, one above."""
        self.start_director(*PATIENT, "--waiting-max", str(WAITING_MAX), "--assign-timeout",
                            "3600s", "--park-timeout", "3600s", "--handshake-timeout", "3600s")
        self.cluster.start_worker("worker-a", *CALM, "--advertise-addr",
                                  "127.0.0.1:%d" % self.hole.getsockname()[1])
        waiting = []
        for count in range(1, WAITING_MAX + 1):
            waiting.append(self.cluster.start_client(*REQUEST, "--tokens", "0"))
            self.assertEqual(self.wait_assigned(count), 0, count)
        more = self.cluster.start_client(*REQUEST, "--tokens", "10")
        self.wait_metrics(lambda now: now["waiting_refused_total"] >= 1, "a refusal")
        self.assertEqual(self.metrics()["streams_open"], WAITING_MAX + 1)
        # It goes to another worker.
        self.cluster.start_worker("worker-b", *CALM)
        self.assert_clean(more, 10)
        self.assertEqual(more.serving(), "worker-b")
        for client in waiting:
            client.kill()
        self.cluster.director.kill()


if __name__ == "__main__":
    main()

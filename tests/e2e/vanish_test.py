"""A client that is killed says nothing: after its idle timeout its calls are cancelled."""

import re
import signal

from cluster import CALM, PATIENT, main
from disturbed import DisturbedTest

STREAMS = 3
SHORT = ("--idle-timeout", "2s", "--keep-alive", "500ms")
# What the probe channel to a worker keeps: one small chunk of a send ring (src/quic/send_ring.h).
PROBES = 504
ENDED = (r"connection\.id=conn-1 "
         r"(stream cancelled by director|code=\w+ director ended the call)$")


class Vanish(DisturbedTest):
    def wait_forgotten(self, streams, memory=PROBES):
        """The director has no stream and no connection of a client any more, and in the end no
        memory but that."""
        director = self.cluster.director

        def look():
            return sum(bool(re.search(r"code=UNAVAILABLE .* err=\"the client's connection has ended\" "
                                      r"stream ended$", line))
                       for line in director.err.lines) == streams

        director.wait_until(look, f"{streams} streams without a client")
        counted = self.metrics()
        self.assertEqual(counted['streams_ended_total{end="cancelled"}'], streams)
        self.assertEqual(counted["streams_open"], 0)
        self.assertEqual(counted['connections_open{port="user"}'], 0)
        # The calls that were reset at the worker hold theirs until it has acknowledged that.
        self.wait_metrics(lambda now: now["memory_used_bytes"] == memory, f"{memory} bytes in use")
        self.print_suspicions()

    def test_killed(self):
        self.start_director(*PATIENT, *SHORT)
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client("--tokens", "0", "--streams", str(STREAMS))
        client.wait_tokens(10 * STREAMS)
        said = worker.said()
        client.signal(signal.SIGKILL)
        for n in range(1, STREAMS + 1):
            worker.wait_for(rf"stream\.id={n} {ENDED}", said)
        self.wait_forgotten(STREAMS)
        # Its worker serves on.
        self.assert_clean(self.cluster.start_client("--tokens", "10"), 10)
        self.cluster.end()

    def test_stopped_for_too_long(self):
        """The same when the process is there but does not answer; later it learns of its end."""
        self.start_director(*PATIENT, *SHORT)
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        client = self.cluster.start_client("--tokens", "0")
        client.wait_tokens(10)
        said = worker.said()
        client.signal(signal.SIGSTOP)
        worker.wait_for(rf"stream\.id=1 {ENDED}", said)
        self.wait_forgotten(1)
        client.signal(signal.SIGCONT)
        self.assertEqual(client.wait(), 1)
        self.assertTrue(client.find(r"stream failed$"))
        summary = client.summary()
        self.assertEqual((summary["streams_failed"], summary["lost"], summary["duplicated"],
                          summary["reordered"]), (1, 0, 0, 0))
        self.cluster.end()

    def test_while_its_stream_waits(self):
        """No worker is there, so no call has to be cancelled."""
        director = self.start_director(*PATIENT, *SHORT, "--park-timeout", "3600s")
        client = self.cluster.start_client("--tokens", "0")
        director.wait_for(r"client opened stream$")
        client.signal(signal.SIGKILL)
        self.wait_forgotten(1, memory=0)
        self.cluster.end()


if __name__ == "__main__":
    main()

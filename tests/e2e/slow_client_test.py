"""A client that reads nothing: the tokens stop, not the director's memory grow."""

import re
import signal

from cluster import CALM, PATIENT, main
from disturbed import SANITIZED, DisturbedTest
from metrics_test import METRICS, address_of, metrics

TOKENS = 40000  # more than all windows and rings hold
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
RING = 256 << 10
JOURNAL = 1 << 20
SLACK = 2 << 20
# A client that does not answer for so long is not gone.
FOREVER = ("--idle-timeout", "1h")
FLAT_OUT = (*METRICS, "--token-interval", "0")
STILL_TURNS = 100


class SlowClient(DisturbedTest):
    def resident(self):
        return self.metrics()["process_resident_memory_bytes"]

    def wait_standstill(self, least, workers):
        """Waits until at least so many messages were relayed and no more come: while director and
        workers took so many turns, none of them sent anything. Returns how many were relayed."""
        still = []  # the same sample, again and again

        def look(now):
            sample = (now["messages_relayed_total"],
                      *(metrics(address_of(worker))["rpcnet_worker_tokens_sent_total"]
                        for worker in workers))
            if still and still[-1] != sample:
                still.clear()
            still.append(sample)
            return len(still) > STILL_TURNS and sample[0] >= least and sample[0]

        return self.wait_metrics(look, f"a standstill after {least:.0f} messages or more")

    def assert_bounded(self, before, streams=1):
        grown = self.resident() - before
        bound = streams * (RING + JOURNAL) + SLACK
        print(f"{self.id()}: the director grew by {grown / 1024:.0f} KiB of {bound / 1024:.0f}",
              flush=True)
        if not SANITIZED:  # there freed memory stays for a while
            self.assertLessEqual(grown, bound)
        self.assertLessEqual(self.metrics()["memory_used_bytes"], streams * JOURNAL)

    def test_a_stopped_client_goes_on_later(self):
        expected = self.reference(*REQUEST)
        self.start_director(*PATIENT, *FOREVER)
        worker = self.cluster.start_worker("worker-a", *CALM, *FLAT_OUT)
        before = self.resident()
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(100)
        client.signal(signal.SIGSTOP)
        relayed = self.wait_standstill(100, [worker])
        self.assertLess(relayed, TOKENS)
        self.assert_bounded(before)
        client.signal(signal.SIGCONT)
        self.assert_survived(client, expected, {}, TOKENS, [worker])
        self.cluster.end()

    def test_its_worker_is_killed_meanwhile(self):
        """The stream moves although nothing of it can be sent."""
        expected = self.reference(*REQUEST)
        director = self.start_director("--hang-timeout", "60s", "--stall-min", "3600s",
                                       "--probe-interval", "1s", *FOREVER)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *FLAT_OUT)
                   for x in "ab"}
        before = self.resident()
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(100)
        client.signal(signal.SIGSTOP)
        relayed = self.wait_standstill(100, workers.values())
        serving = re.findall(r"worker\.label=(\S+) connecting|worker\.label=(\S+) attempt=",
                             director.err.text())[-1]
        victim = next(label for label in serving if label)
        workers[victim].signal(signal.SIGKILL)
        director.wait_for(rf"from={victim} reason=killed swaps\.total=1 stream moved$")
        self.wait_standstill(relayed, [w for label, w in workers.items() if label != victim])
        self.assert_bounded(before)
        client.signal(signal.SIGCONT)
        self.assert_survived(client, expected, {"killed": 1}, TOKENS, workers.values())
        self.cluster.end()

    def test_deaf_clients(self):
        """They answer, but never take what has come."""
        streams = 8
        self.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM, *FLAT_OUT)
        before = self.resident()
        deaf = [self.start_chat((1 << 40, "the river"), how="deaf") for _ in range(streams)]
        for client in deaf:
            client.wait_event("token")
        self.wait_standstill(100 * streams, [worker])
        self.assert_bounded(before, streams)
        # Another client does not notice.
        self.assert_clean(self.cluster.start_client(*REQUEST), TOKENS)
        self.assertEqual(self.swaps_by_reason(), {})
        self.print_suspicions()
        for client in deaf:
            client.kill()
        self.cluster.director.kill()


if __name__ == "__main__":
    main()

"""A client that reads nothing, or that nobody reads: the tokens stop, not the director's memory grow."""

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


class StandstillTest(DisturbedTest):
    """What both share."""

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


class SlowClient(StandstillTest):
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


class UnreadClient(StandstillTest):
    """A client whose standard output is a pipe that nobody reads: its streams wait, and it does not."""

    UNWRITTEN = (r"^client: cannot write to standard output: its reader has not taken the last "
                 r"[1-9]\d* bytes$")

    def start(self, *options):
        self.start_director(*PATIENT, *options)
        self.worker = self.cluster.start_worker("worker-a", *CALM, *FLAT_OUT)
        self.before = self.resident()

    def start_unread(self, tokens, *options):
        return self.cluster.start_client("--prompt", "the river", "--seed", "7", "--tokens",
                                         str(tokens), *options, unread=True)

    def start_held(self, tokens, *options):
        """As much has come as comes while nobody reads."""
        client = self.start_unread(tokens, *options)
        relayed = self.wait_standstill(100, [self.worker])
        self.assertIsNone(client.code)
        return client, relayed

    def test_goes_on_when_it_is_read(self):
        tokens = 60000  # what it reads itself lies in one more window
        expected = self.reference("--prompt", "the river", "--seed", "7", "--tokens", str(tokens))
        self.start("--idle-timeout", "3s", "--keep-alive", "500ms")
        client, relayed = self.start_held(tokens)
        self.assertLess(relayed, tokens)
        self.assert_bounded(self.before)
        # Another one is served meanwhile, for more than twice the idle timeout.
        beside = self.cluster.start_client("--tokens", "70", "--pace", "100ms")
        self.assert_clean(beside, 70)
        # The others wait in the director.
        self.assertLess(client.err.text().count("received token"), relayed / 2)
        client.out.read()
        self.assert_clean(client, tokens)
        self.assertEqual(client.text(), expected[0])
        self.assertEqual(self.swaps_by_reason(), {})
        self.cluster.end()

    def test_its_end_waits_for_the_reader(self):
        """All has come, and nothing but the output is left."""
        self.start()
        client = self.start_unread(1000)
        client.wait_for(r"code=OK stream finished$")
        self.wait_metrics(lambda now: now['connections_open{port="user"}'] == 0, "the end of the connection")
        self.assertIsNone(client.code)
        client.out.read()
        self.assert_clean(client, 1000)

    def test_its_deadline_is_kept(self):
        self.start()
        client = self.start_unread(0, "--timeout", "1s")
        client.wait_for(r"code=DEADLINE_EXCEEDED .* stream failed$")
        client.out.read()
        self.assertEqual(client.wait(), 1)
        self.assertEqual(client.summary()["streams_failed"], 1)
        self.assertEqual(client.summary()["lost"], 0)

    def wait_code(self, client):
        """Its exit code, although its output has not been read."""
        client.wait_until(lambda: client.code is not None, "end")
        return client.code

    def test_a_signal_ends_it(self):
        self.start()
        client, _ = self.start_held(0)
        client.signal(signal.SIGINT)
        self.cluster.director.wait_for(r"code=CANCELLED .* stream ended$")
        self.assertEqual(self.wait_code(client), 1)
        client.wait_for(self.UNWRITTEN)

    def test_a_second_signal_ends_it_at_once(self):
        """Also when nothing but the output is left."""
        self.start()
        held, _ = self.start_held(0)
        over = self.start_unread(1000)
        over.wait_for(r"code=OK stream finished$")
        for client in (held, over):
            client.signal(signal.SIGINT)
            client.signal(signal.SIGTERM)
            self.assertEqual(self.wait_code(client), 1)
            client.wait_for(r"signal=15 ending at once$")
            client.wait_for(self.UNWRITTEN)

    def test_what_has_come_before_a_signal_is_written(self):
        self.start()
        client, _ = self.start_held(0)
        client.signal(signal.SIGSTOP)  # so that the reader is there in time
        client.signal(signal.SIGINT)
        client.out.read()
        client.signal(signal.SIGCONT)
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        self.assertTrue(summary["interrupted"])
        numbers = [e["sequence"] for e in client.events() if e["event"] == "token"]
        self.assertEqual(numbers, list(range(1, summary["tokens"] + 1)))

    def test_the_reader_goes_away(self):
        self.start()
        client, _ = self.start_held(0)
        client.out.drop()
        self.assertEqual(client.wait(), 1)
        client.wait_for(r"^client: cannot write to standard output: Broken pipe$")


if __name__ == "__main__":
    main()

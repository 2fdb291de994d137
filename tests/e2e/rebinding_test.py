"""The client's address changes in mid-stream, as behind a NAT: the connection stays."""

import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, WAIT_S, main
from disturbed import DisturbedTest
from udp_relay import Relay

STREAMS = 2
TOKENS = 300
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
REBINDINGS = 4
ANSWERS = 10  # datagrams at the new address: the director has moved there


class Rebinding(DisturbedTest):
    def test_in_mid_stream(self):
        expected = self.reference(*REQUEST, streams=STREAMS)
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM,
                                                            "--token-interval", "10ms")
                   for x in "ab"}
        with Relay(director.user) as relay:
            client = self.cluster.start_client(*REQUEST, "--streams", str(STREAMS),
                                               target=relay.address)
            addresses = set()
            for n in range(REBINDINGS):
                client.wait_tokens(10 * STREAMS)
                addresses.add(relay.upstream())
                relay.rebind(forget=False)
                self.assertTrue(relay.wait_answers(ANSWERS, WAIT_S), "no answer at the new port")
                if n == REBINDINGS // 2:
                    # And a swap on top of it.
                    victim = client.serving()
                    said = director.said()
                    workers[victim].signal(signal.SIGKILL)
                    director.wait_for(rf"from={victim} reason=killed .*stream moved$", said)
            summary = self.assert_survived(client, expected, None, TOKENS, workers.values())
            addresses.add(relay.upstream())
        self.assertEqual(len(addresses), REBINDINGS + 1)
        self.assertGreaterEqual(summary["swap_count"], 1)
        self.assertEqual({s["reason"] for s in summary["swaps"]}, {"killed"})
        self.assert_one_connection()
        self.cluster.end()

    def assert_one_connection(self):
        counted = self.metrics()
        self.assertEqual(counted['handshakes_completed_total{port="user"}'], 1)
        self.assertEqual(counted['connections_accepted_total{port="user"}'], 1)

    def test_the_old_address_is_dead(self):
        """The director learns of the new one by what the client says from there, be it an
        acknowledgement that was due or its keep-alive."""
        expected = self.reference(*REQUEST)
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")
        with Relay(director.user) as relay:
            client = self.cluster.start_client(*REQUEST, target=relay.address)
            client.wait_tokens(10)
            relay.rebind(forget=True)
            self.assert_survived(client, expected, {}, TOKENS, [worker])
            self.assertTrue(relay.wait_answers(1, 0))
        self.assert_one_connection()
        self.cluster.end()


if __name__ == "__main__":
    main()

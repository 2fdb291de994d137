"""What a worker says after it has lost a stream is not heard: one that hung and comes back, and one
whose words were held up on the way."""

import signal

from cluster import CALM, main
from disturbed import DisturbedTest
from udp_relay import Relay

TOKENS = 300
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
# Silence of the process counts here, two seconds of it; a stream alone that does not move is another
# matter.
ATTENTIVE = ("--probe-interval", "500ms", "--hang-timeout", "2s", "--stall-min", "3600s",
             "--health-interval", "1m")
PACE = ("--token-interval", "10ms")
RESET = (r"stream\.id=1 connection\.id=conn-1 "
         r"(stream cancelled by director|code=\w+ director ended the call)$")


class LateFrames(DisturbedTest):
    def test_stopped_and_continued(self):
        expected = self.reference(*REQUEST)
        director = self.start_director(*ATTENTIVE)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE)
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(20)
        hung = client.serving()
        said = director.said()
        workers[hung].signal(signal.SIGSTOP)
        director.wait_for(rf"from={hung} reason=hung swaps\.total=\d+ stream moved$", said)
        client.wait_tokens(20)
        of_hung = workers[hung].said()
        workers[hung].signal(signal.SIGCONT)
        workers[hung].wait_for(RESET, of_hung)
        director.wait_for(rf"worker\.label={hung} .*worker was suspected wrongly$", said)
        self.assert_survived(client, expected, {"hung": 1}, TOKENS, workers.values())
        counted = self.metrics()
        self.assertGreaterEqual(counted["suspicions_total"], 1)
        self.assertGreaterEqual(counted["false_suspicions_total"], 1)
        self.cluster.end()

    def test_held_up_on_the_way(self):
        """The worker goes on working, the director hears nothing of it until much later."""
        expected = self.reference(*REQUEST)
        director = self.start_director(*ATTENTIVE, "--preferred-worker", "worker-a")
        with Relay() as relay:
            first = self.cluster.start_worker("worker-a", *CALM, *PACE, "--advertise-addr",
                                              relay.address)
            relay.serve(first.user)
            second = self.cluster.start_worker("worker-b", *CALM, *PACE)
            client = self.cluster.start_client(*REQUEST)
            client.wait_event("connected", worker="worker-a")
            client.wait_tokens(20)
            said = director.said()
            before = first.said()
            relay.hold()
            director.wait_for(r"from=worker-a reason=hung swaps\.total=1 stream moved$", said)
            client.wait_tokens(20)
            # It has said much that is still on the way, more than the client has by now.
            last = client.events()[-1]["sequence"]
            first.wait_for(rf"seq={last} sending token$", before)
            self.assertIsNone(first.find(RESET, before))
            relay.release()
            first.wait_for(RESET, before)
            director.wait_for(r"worker\.label=worker-a .*worker was suspected wrongly$", said)
            self.assertGreater(relay.released, 0)
            self.assert_survived(client, expected, {"hung": 1}, TOKENS, [first, second])
            self.cluster.end()


if __name__ == "__main__":
    main()

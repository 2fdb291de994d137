"""The serving worker hangs (SIGSTOP): its streams move, and what it says later is not heard."""

import signal

from cluster import CALM, main
from disturbed import DisturbedTest

TOKENS = 300
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
# Silence of the process counts here, two seconds of it; a stream alone that does not move is another
# matter.
ATTENTIVE = ("--probe-interval", "500ms", "--hang-timeout", "2s", "--stall-min", "3600s")


class Hang(DisturbedTest):
    def test_serving_worker_hangs_and_comes_back(self):
        expected = self.reference(*REQUEST)[0]
        director = self.start_director(*ATTENTIVE)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM,
                                                            "--token-interval", "10ms")
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(20)
        hung = client.serving()
        said = director.said()
        workers[hung].signal(signal.SIGSTOP)
        director.wait_for(rf"from={hung} reason=hung swaps\.total=\d+ stream moved$", said)
        client.wait_tokens(20)
        said = director.said()
        workers[hung].signal(signal.SIGCONT)
        # It says at once what it had still to say; then it is one of us again.
        director.wait_for(rf"worker\.label={hung} (worker answers again|mgmt\.addr=\S+ "
                          r"registration=\d+ worker registered)$", said)
        client.wait_tokens(20)
        summary = self.assert_survived(client, [expected], None, TOKENS, workers.values())
        self.assertIn((hung, "hung"), [(s["from"], s["reason"]) for s in summary["swaps"]])
        self.assertIn(f"{hung} stopped answering", [s["message"] for s in summary["swaps"]])
        self.cluster.end()

    def test_a_hung_worker_that_dies(self):
        expected = self.reference(*REQUEST)[0]
        director = self.start_director(*ATTENTIVE)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM,
                                                            "--token-interval", "10ms")
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(20)
        hung = client.serving()
        said = director.said()
        workers[hung].signal(signal.SIGSTOP)
        director.wait_for(rf"from={hung} reason=hung swaps\.total=\d+ stream moved$", said)
        workers[hung].signal(signal.SIGKILL)
        workers[hung].wait()
        director.wait_for(rf"worker\.label={hung} (worker is dead|worker left)$", said)
        workers[hung] = self.cluster.again(workers[hung])
        self.assert_survived(client, [expected], None, TOKENS, workers.values())
        self.cluster.end()

    def test_with_the_defaults(self):
        """As soon as they say; a busy machine may move the stream more often."""
        expected = self.reference(*REQUEST)[0]
        self.start_director()
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM,
                                                            "--token-interval", "10ms")
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        for _ in range(3):
            client.wait_tokens(20)
            hung = client.serving()
            workers[hung].signal(signal.SIGSTOP)
            client.wait_tokens(20)
            workers[hung].signal(signal.SIGCONT)
        summary = self.assert_survived(client, [expected], None, TOKENS, workers.values())
        self.assertGreaterEqual(summary["swap_count"], 1)
        self.cluster.end()


if __name__ == "__main__":
    main()

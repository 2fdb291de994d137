"""SIGTERM at the director: nobody new, open streams may finish until the deadline, exit code 0."""

import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

TOKENS = 300
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
PACE = ("--token-interval", "10ms")


class DirectorDrain(DisturbedTest):
    def test_streams_finish(self):
        """Also one whose worker is killed meanwhile. Who comes now is not served."""
        expected = self.reference(*REQUEST)
        director = self.start_director(*PATIENT_WITH_THE_LIVING, "--drain-timeout", "1h")
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE)
                   for x in "ab"}
        chat = self.start_chat((10, "the river"), (10, "and then"), how="by-hand")
        chat.wait_event("turn", turn=1)
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(10)
        director.signal(signal.SIGTERM)
        director.wait_for(r"streams=2 draining$")
        late = self.cluster.run("client", "--target", director.user, "--connect-timeout", "2s")
        victim = client.serving()
        workers[victim].signal(signal.SIGKILL)
        director.wait_for(rf"from={victim} reason=killed swaps\.total=\d+ stream moved$")
        summary = self.assert_clean(client, TOKENS)
        self.assertEqual(client.text(), expected[0])
        self.assertEqual([(s["from"], s["reason"]) for s in summary["swaps"]],
                         [(victim, "killed")])
        self.assertEqual(late.wait(), 1)
        self.assertIsNone(director.code)
        self.print_suspicions()
        # It is told that nobody takes new calls, and goes on with its own.
        chat.say("go on")
        chat.wait_event("goaway")
        chat.wait_event("turn", turn=2)
        chat.say("that was all")
        status = chat.wait_event("status")
        self.assertEqual((chat.wait(), status["code"], status["handshakes"]), (0, "OK", 1))
        self.assertEqual(director.wait(), 0)
        self.assertTrue(director.find(r"director stopped$"))
        self.cluster.end()

    def test_the_deadline_cuts(self):
        # Longer than what comes in two seconds.
        expected = self.reference(*REQUEST[:4], "--tokens", "2000", streams=2)
        director = self.start_director(*PATIENT_WITH_THE_LIVING, "--drain-timeout", "2s")
        worker = self.cluster.start_worker("worker-a", *CALM, *PACE)
        endless = self.cluster.start_client(*REQUEST[:4], "--tokens", "0", "--streams", "2")
        endless.wait_tokens(20)
        short = self.cluster.start_client("--tokens", "20")
        short.wait_tokens(1)
        self.print_suspicions()
        director.signal(signal.SIGTERM)
        director.wait_for(r"streams=\d draining$")
        self.assert_clean(short, 20)
        self.assertEqual(endless.wait(), 1)
        self.assertEqual(sum("code=UNAVAILABLE" in line and line.endswith("stream failed")
                             for line in endless.err.lines), 2)
        summary = endless.summary()
        self.assertEqual((summary["streams_failed"], summary["lost"], summary["duplicated"],
                          summary["reordered"], summary["handshakes"]), (2, 0, 0, 0, 1))
        for n in (1, 2):
            self.assert_beginning(endless.text(n), expected[n - 1])
        self.assertEqual(director.wait(), 0)
        self.assertEqual(sum('err="the director ends, and its drain timeout is over"' in line
                             for line in director.err.lines), 2)
        worker.wait_for(r"reason=\"the director shuts down\" director shuts down$")
        self.cluster.end()

    def test_nothing_to_wait_for(self):
        director = self.start_director(*PATIENT_WITH_THE_LIVING, "--drain-timeout", "1h")
        self.cluster.start_worker("worker-a", *CALM)
        self.assert_clean(self.cluster.start_client("--tokens", "10", "--pace", "1us"), 10)
        director.signal(signal.SIGTERM)
        self.assertEqual(director.wait(), 0)
        self.assertTrue(director.find(r"streams=0 draining$"))
        self.cluster.end()


if __name__ == "__main__":
    main()

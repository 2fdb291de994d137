"""What the lines of the log say, where others have a word in it."""

import os
import subprocess

from cluster import CALM, CERTS, PATIENT, ClusterTest, main


class Log(ClusterTest):
    def setUp(self):
        super().setUp()
        self.director = self.cluster.start_director(*PATIENT)
        self.worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "10ms")

    def test_a_prompt_cannot_pass_for_more_keys(self):
        client = self.cluster.start_client("--tokens", "1", "--prompt", 'x code=OK "y\\\n')
        self.assert_clean(client, 1)
        shown = r'prompt="x code=OK \\"y\\\\\\x0a" '
        client.wait_for(shown + "issuing streaming request to director$")
        self.director.wait_for(shown + "client opened stream$")
        self.worker.wait_for(shown + "accepted handoff from director$")
        self.cluster.end()

    def test_a_prompt_that_is_not_there(self):
        """No request yet, and a request whose prompt is empty."""
        call = [os.environ["RN_PROBE_CALL"], "--target", self.director.user, "--ca",
                str(CERTS / "ca.crt"), "--name", "localhost", "--path",
                "/connection_swap.Inference/Generate"]
        for message, shown in (((), "-"), (("--message", "1001"), '""')):
            start = self.director.said()
            subprocess.run([*call, *message], check=False, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
            self.director.wait_for(rf" prompt={shown} client opened stream$", start)

    def test_the_end_has_its_own_reason(self):
        client = self.cluster.start_client("--tokens", "0", "--timeout", "300ms")
        self.assertEqual(client.wait(), 1)
        self.director.wait_for(r'code=DEADLINE_EXCEEDED messages=\d+ err="the deadline has passed" '
                               r"stream ended$")
        self.assertIsNone(self.director.find("cancelled by the client"))
        self.cluster.end()


if __name__ == "__main__":
    main()

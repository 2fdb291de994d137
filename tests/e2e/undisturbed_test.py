"""A stream that nothing disturbs: the text depends on prompt and seed alone."""

import socket

from cluster import CALM, PATIENT, ClusterTest, main

TOKENS = 300


class Undisturbed(ClusterTest):
    def text_of(self, *options):
        client = self.cluster.start_client("--tokens", str(TOKENS), "--pace", "1us", *options)
        summary = self.assert_clean(client, TOKENS)
        self.assertEqual(summary["swap_count"], 0)
        self.assertEqual(summary["swaps"], [])
        return client.text()

    def test_prompt_and_seed_decide_the_text(self):
        self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        self.cluster.start_worker("worker-b", *CALM)
        request = ("--prompt", "the river", "--seed", "7")
        texts = [self.text_of(*request) for _ in range(4)]  # both workers get some
        self.assertGreater(len(texts[0].split()), TOKENS // 2)
        self.assertEqual(texts, [texts[0]] * 4)
        self.assertNotEqual(self.text_of("--prompt", "the river", "--seed", "8"), texts[0])
        self.assertNotEqual(self.text_of("--prompt", "a river", "--seed", "7"), texts[0])
        self.assertEqual(self.swaps_counted(), 0)
        self.cluster.end()

    def test_flat_out(self):
        """Workers that end their streams while much of them is still on the way."""
        streams, tokens = 16, 3000
        self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "0")
        for _ in range(8):
            client = self.cluster.start_client("--tokens", str(tokens), "--streams", str(streams),
                                               environment={"RUST_LOG": "warn"})
            summary = self.assert_clean(client, tokens, streams=streams)
            self.assertEqual(summary["swaps"], [])
        self.assertEqual(self.swaps_counted(), 0)
        self.cluster.end()

    def test_streams_differ_in_their_seeds(self):
        self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        client = self.cluster.start_client("--tokens", "50", "--pace", "1us", "--streams", "3",
                                           "--prompt", "the river", "--seed", "7")
        self.assert_clean(client, 50, streams=3)
        for n in (1, 2, 3):
            alone = self.reference("--tokens", "50", "--prompt", "the river", "--seed", str(6 + n))
            self.assertEqual(client.text(n), alone[0])
        self.cluster.end()

    def test_text_alone_on_standard_output(self):
        self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        request = ("--tokens", "50", "--pace", "1us", "--prompt", "the river", "--seed", "7")
        expected = self.reference(*request)[0]
        client = self.cluster.run("client", "--target", self.cluster.director.user, "--print",
                                  "text", *request)
        self.assertEqual(client.wait(), 0)
        self.assertEqual(client.out.text().encode(), expected.rstrip(b"\n"))
        self.assertTrue(client.find(r"^\[summary\] tokens=50 lost=0 duplicated=0 reordered=0 "))
        self.cluster.end()

    def test_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        self.cluster.start_director(*PATIENT, user="[::1]:0", mgmt="[::1]:0")
        self.cluster.start_worker("worker-a", *CALM, user="[::1]:0", mgmt="[::1]:0")
        self.assertRegex(self.cluster.director.user, r"^\[::1\]:[1-9]\d*$")
        self.text_of("--prompt", "the river")
        self.cluster.end()

    def test_host_names_and_wildcards(self):
        """Names are resolved; a worker that listens everywhere is reached where it calls from."""
        self.cluster.start_director(*PATIENT, user="localhost:0", mgmt="localhost:0")
        worker = self.cluster.start_worker("worker-a", *CALM, user="0.0.0.0:0", mgmt="0.0.0.0:0")
        port = worker.user.rpartition(":")[2]
        self.assertEqual(worker.user, f"0.0.0.0:{port}")
        self.cluster.director.wait_for(rf"worker\.addr=127\.0\.0\.1:{port} .* worker registered$")
        port = self.cluster.director.user.rpartition(":")[2]
        client = self.cluster.start_client("--tokens", "5", target=f"localhost:{port}")
        self.assert_clean(client, 5)
        self.cluster.end()

    def test_advertised_address(self):
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM, "--advertise-addr", "localhost")
        port = worker.user.rpartition(":")[2]
        director.wait_for(rf"worker\.addr=localhost:{port} .*mgmt\.addr=localhost:\d+ .* "
                          r"worker registered$")
        self.text_of("--prompt", "the river")
        self.cluster.end()


if __name__ == "__main__":
    main()

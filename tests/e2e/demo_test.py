"""examples/connection_swap/run_demo.sh with the programs of this build."""

import os
import re
import signal
import socket

from cluster import CERTS, SOURCE, ClusterTest, DocumentedPorts, Process, main

SCRIPT = SOURCE / "examples" / "connection_swap" / "run_demo.sh"
BUILD = os.environ["RN_BUILD_DIR"]
PORTS = (61000, 61001, 62001, 63001, 62002, 63002)
WAIT_S = 150


class Demo(ClusterTest):
    def setUp(self):
        ports = DocumentedPorts()
        ports.__enter__()
        self.addCleanup(ports.__exit__)
        super().setUp()  # its processes are ended before

    def start(self, *options):
        demo = Process(self.cluster.folder, "run_demo",
                       [SCRIPT, "--build-dir", BUILD, *options],
                       environment={"CONNECTION_SWAP_CERTS_DIR": str(CERTS),
                                    # Of no consequence to the demo.
                                    "CONNECTION_SWAP_WORKER_FAIL_AFTER": "nonsense"},
                       cwd="/")
        self.cluster.processes.append(demo)
        return demo

    def assert_ports_free(self):
        for port in PORTS:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", port))

    def test_fast(self):
        demo = self.start("--fast")
        self.assertEqual(demo.wait(WAIT_S), 0)
        text = demo.out.text()
        self.assertRegex(text, r"(?m)^client   \| \[connected\] connection=conn-1 worker=worker-a ")
        self.assertRegex(text, r"(?m)^client   \| \[connected\] connection=conn-1 worker=worker-b ")
        self.assertRegex(text, r"(?m)^--- kill -9 of worker-[ab], which serves the stream$")
        self.assertRegex(text, r"(?m)^director \| .* reason=killed swaps\.total=\d+ stream moved$")
        self.assertRegex(text, r"(?m)^worker-[ab] \| .* simulating failure after 1500ms$")
        self.assertEqual(len(re.findall(r"(?m)^  ok ", text)), 6)
        self.assertNotIn("\x1b", text)
        self.assert_ports_free()

    def test_interrupted(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            demo = self.start("--fast")
            demo.wait_for(r"^client   \| \[token\] ", output=demo.out)
            demo.signal(number)
            self.assertEqual(demo.wait(), code)
            self.assert_ports_free()

    def test_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 63002))
            demo = self.start()
            self.assertEqual(demo.wait(), 1)
        self.assertEqual(len(demo.err.lines), 1)
        self.assertRegex(demo.err.lines[0], r"^run_demo: port 63002/udp \(MGMT of worker-b\) is in "
                                            r"use: ")

    def test_usage(self):
        self.assertEqual(self.start("--help").wait(), 0)
        wrong = self.start("--slow")
        self.assertEqual(wrong.wait(), 2)
        self.assertRegex(wrong.err.lines[0], r"^run_demo: unknown argument: --slow$")


if __name__ == "__main__":
    main()

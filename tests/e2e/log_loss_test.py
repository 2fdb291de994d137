"""Log lines that find no place: a disk that is full, a pipe that nobody reads or whose reader is gone.
The programs serve on, count what is lost, and say so when they can write again."""

import fcntl
import os
import re
import resource
import signal
import subprocess
import time

from cluster import (CALM, CERTS, F_SETPIPE_SZ, PATIENT, PROGRAMS, WAIT_S, ClusterTest,
                     clean_environment, main)
from metrics_test import metrics

REQUEST = ("--prompt", "the river", "--seed", "7")
PORTS = ("--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0")
LOST = r"WARN rpcnet::log\] lines=(\d+) log lines were lost$"


class LogLoss(ClusterTest):
    """The director under test writes its log where the test wants."""

    def start(self, stderr, *options):
        process = subprocess.Popen(
            [PROGRAMS["director"], *PORTS, "--metrics-addr", "127.0.0.1:0", *PATIENT, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            env=clean_environment({"CONNECTION_SWAP_CERTS_DIR": str(CERTS)}))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def take_addresses(self, text):
        self.user, self.mgmt = re.search(r"user\.addr=(\S+) mgmt\.addr=(\S+) listening",
                                         text).groups()
        host, port = re.search(r"metrics\.addr=(\S+):(\d+) listening", text).groups()
        self.metrics_at = (host, int(port))

    def lost(self):
        return metrics(self.metrics_at)["rpcnet_log_lines_lost_total"]

    def start_worker(self, **more):
        worker = self.cluster.run("worker", *PORTS, "--director-mgmt-addr", self.mgmt, *CALM,
                                  "--token-interval", "5ms", **more)
        worker.wait_for(r"registered with director$")
        return worker

    def run_client(self, *options, tokens=5):
        """A client whose stream is as it should be."""
        client = self.cluster.start_client(*REQUEST, "--tokens", str(tokens), *options,
                                           target=self.user)
        return self.assert_clean(client, tokens)

    def run_until_lost(self, count):
        """Clients come and go until so many lines of the director are lost."""
        deadline = time.monotonic() + WAIT_S
        while self.lost() < count:
            self.assertLess(time.monotonic(), deadline)
            self.run_client()

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)

    def read_until(self, pipe, *patterns):
        """What the pipe gives until it has all the patterns."""
        text = ""
        while not all(re.search(pattern, text, re.M) for pattern in patterns):
            piece = os.read(pipe, 4096)
            self.assertNotEqual(piece, b"", text)
            text += piece.decode("utf-8", "replace")
        return text

    def test_file_at_its_limit(self):
        """As a full disk: the last line is cut, and the next one begins a new line."""
        path = self.cluster.folder / "director.log"
        with open(path, "wb") as log:
            director = self.start(log)
        deadline = time.monotonic() + WAIT_S
        while "mgmt.addr" not in path.read_text() or "metrics.addr" not in path.read_text():
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(director.poll(), path.read_text())
        self.take_addresses(path.read_text())
        self.start_worker()
        self.run_client()
        before = resource.prlimit(director.pid, resource.RLIMIT_FSIZE)
        limit = path.stat().st_size + 30
        resource.prlimit(director.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
        self.run_until_lost(5)
        self.assertEqual(path.stat().st_size, limit)
        resource.prlimit(director.pid, resource.RLIMIT_FSIZE, before)
        self.run_client()
        self.end(director)
        lines = path.read_text().splitlines()
        told = [line for line in lines if re.search(LOST, line)]
        self.assertEqual(len(told), 1)
        self.assertGreaterEqual(int(re.search(LOST, told[0]).group(1)), 5)
        broken = [line for line in lines if not re.match(r"\[\S+Z [A-Z]+ \S+\] ", line)]
        self.assertLessEqual(len(broken), 1)  # the one that was cut
        self.assertIn("stream ended", lines[-1] + "".join(lines[-20:]))

    def test_pipe_that_nobody_reads(self):
        ours, theirs = os.pipe()
        fcntl.fcntl(theirs, F_SETPIPE_SZ, 4096)  # soon full
        self.addCleanup(os.close, ours)
        director = self.start(theirs)
        os.close(theirs)
        self.take_addresses(self.read_until(ours, r"user\.addr=.* listening$",
                                            r"metrics\.addr=.* listening$"))
        self.start_worker()
        beside = self.cluster.start_client(*REQUEST, "--tokens", "0", target=self.user)
        beside.wait_tokens(5)
        # Nobody reads from here on; a program that waits for a reader would serve nobody.
        self.run_until_lost(20)
        beside.wait_tokens(50)
        # Somebody reads again: there is room, and the next line says what is missing before it.
        os.read(ours, 4096)
        self.run_client()
        told = self.read_until(ours, LOST)
        self.assertGreaterEqual(int(re.search(LOST, told, re.M).group(1)), 20)
        # Now its reader goes away for good.
        with open(os.devnull, "rb") as nobody:
            os.dup2(nobody.fileno(), ours)
        self.run_until_lost(self.lost() + 10)
        beside.wait_tokens(50)
        beside.signal(signal.SIGINT)
        self.assertEqual(beside.wait(), 0)
        summary = beside.summary()
        for key, value in {"lost": 0, "duplicated": 0, "reordered": 0, "connections": 1,
                           "handshakes": 1, "swap_count": 0}.items():
            self.assertEqual(summary[key], value, key)
        self.end(director)

    def test_full_device(self):
        """/dev/full says what a full disk says."""
        with open("/dev/full", "wb") as full:
            director = self.cluster.start_director(*PATIENT)
            self.user = director.user
            worker = subprocess.Popen(
                [PROGRAMS["worker"], *PORTS, "--director-mgmt-addr", director.mgmt, *CALM],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=full,
                env=clean_environment({"CONNECTION_SWAP_CERTS_DIR": str(CERTS)}))
            self.addCleanup(worker.wait)
            self.addCleanup(worker.kill)
            self.cluster.wait_reports("worker-a")
            self.run_client()
            text = self.cluster.folder / "quiet"
            client = subprocess.run(
                [PROGRAMS["client"], "--target", director.user, *REQUEST, "--tokens", "5", "--print",
                 "json", "--output-text", text],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=full, timeout=WAIT_S,
                check=False, env=clean_environment({"CONNECTION_SWAP_CERTS_DIR": str(CERTS)}))
            self.assertEqual(client.returncode, 0)
            self.assertIn(b'"tokens":5,"lost":0,', client.stdout.splitlines()[-1])
            self.assertEqual([text.read_bytes()], self.reference(*REQUEST, "--tokens", "5"))
            worker.send_signal(signal.SIGTERM)
            self.assertEqual(worker.wait(WAIT_S), 0)

    def test_outputs_of_the_client(self):
        """They are what it is for, so it says what is wrong and ends."""
        director = self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        for tokens in ("5", "0"):
            client = self.cluster.run("client", "--target", director.user, *REQUEST, "--tokens",
                                      tokens, "--pace", "1us", "--output-text", "/dev/full")
            self.assertEqual(client.wait(), 1)
            self.assertRegex(client.err.text(), r"(?m)^client: --output-text: cannot write /dev/full: "
                                                r"No space left on device$")
        for form in ("json", "text", "log"):
            with open("/dev/full", "wb") as full:
                ended = subprocess.run(
                    [PROGRAMS["client"], "--target", director.user, *REQUEST, "--tokens", "0",
                     "--print", form, "--log", "error"],
                    stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=WAIT_S,
                    check=False, env=clean_environment({"CONNECTION_SWAP_CERTS_DIR": str(CERTS)}))
            self.assertEqual(ended.returncode, 1)
            self.assertIn(b"client: cannot write to standard output: No space left on device\n",
                          ended.stderr)
        self.cluster.end()


if __name__ == "__main__":
    main()

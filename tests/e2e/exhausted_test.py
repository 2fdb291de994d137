"""File descriptors are out: a plain word at the start; later an error in the log, service for those
who are there, and all as before when there are descriptors again."""

import os
import resource
import signal
import socket
import subprocess

from cluster import CALM, PATIENT_WITH_THE_LIVING, PROGRAMS, ClusterTest, Process, main
from metrics_test import address_of, metrics

SAYS = r"too many open files; raise the limit of descriptors \(ulimit -n\)"
REQUEST = ("--prompt", "the river", "--seed", "7")
FEWER_THAN_ARE_OPEN = 3


class Exhausted(ClusterTest):
    def take_descriptors(self, process):
        """Nothing more can be opened; returns the limit as it was."""
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE,
                         (FEWER_THAN_ARE_OPEN, before[1]))
        return before

    def give_back(self, process, limits):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)

    def test_at_the_start(self):
        """From nearly none to enough: one line that says what to do, or it runs."""
        ports = ("--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0")
        director = self.cluster.start_director()
        programs = {
            "director": (*ports, "--metrics-addr", "127.0.0.1:0"),
            "worker": (*ports, "--director-mgmt-addr", director.mgmt, "--metrics-addr",
                       "127.0.0.1:0"),
            "client": ("--target", director.user, "--connect-timeout", "60s", "--tokens", "1",
                       "--output-text", self.cluster.folder / "short-text"),
        }
        running = {"director": r"user\.addr=.* listening$", "worker": r"user\.addr=.* listening$",
                   "client": r"stream opened, waiting for frames$"}
        for program, options in programs.items():
            ran = False
            for limit in range(4, 40):
                process = self.cluster.add(Process(
                    self.cluster.folder, f"{program}-{limit}",
                    ["prlimit", f"--nofile={limit}:{limit}", PROGRAMS[program], *options],
                    environment={"CONNECTION_SWAP_CERTS_DIR": os.environ["RN_TEST_CERTS"]}))
                ran = process.wait_until(
                    lambda p=process, r=running[program]: p.find(r) or p.code is not None,
                    "start or end")
                if process.code is None:
                    process.kill()
                    break
                self.assertEqual(process.wait(), 1, process.tail())
                # prlimit itself, or the dynamic linker, did not get as far as the program.
                if process.find("error while loading shared libraries|^prlimit: "):
                    continue
                errors = [line for line in process.err.lines if " INFO " not in line]
                self.assertEqual(len(errors), 1, process.tail())
                self.assertRegex(errors[0], rf"^{program}: .*{SAYS}$")
            self.assertTrue(ran, program)
            self.assertGreater(limit, 8)

    def test_director(self):
        director = self.cluster.start_director(*PATIENT_WITH_THE_LIVING, "--metrics-addr",
                                               "127.0.0.1:0")
        at = address_of(director)
        first = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "5ms")
        client = self.cluster.start_client(*REQUEST, "--tokens", "0")
        client.wait_event("connected", worker="worker-a")
        metrics(at)  # whatever is opened for the first page is open
        limits = self.take_descriptors(director)

        # A worker that comes cannot be reached; the log says it once, not at each attempt.
        start = director.said()
        second = self.cluster.start_worker("worker-b", *CALM, "--token-interval", "5ms",
                                           registered=False)
        director.wait_for(rf"ERROR rpcnet::loop\] times=\d+ cannot open a socket: {SAYS}$", start)
        # Files cannot be read anew.
        start = director.said()
        director.signal(signal.SIGHUP)
        director.wait_for(rf"ERROR .*{SAYS}\" not reloaded; all stays as it was$", start)
        # A page has to wait; nobody spins meanwhile.
        waiting = socket.create_connection(at, timeout=60)
        waiting.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        client.wait_tokens(50)
        before = self.cpu_ticks(director)
        client.wait_tokens(200)
        self.assertLess(self.cpu_ticks(director) - before, os.sysconf("SC_CLK_TCK") // 2)
        # Clients need no descriptor of the director.
        self.assert_clean(self.cluster.start_client(*REQUEST, "--tokens", "5"), 5)

        # The stream has nobody to go to until there are descriptors again.
        start = director.said()
        first.signal(signal.SIGKILL)
        director.wait_for(r"worker\.label=worker-a worker is dead$", start)

        self.give_back(director, limits)
        client.wait_event("connected", worker="worker-b")
        client.wait_tokens(20)
        answer = b""
        while piece := waiting.recv(65536):
            answer += piece
        waiting.close()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:100])
        self.assertGreater(metrics(at)["rpcnet_descriptors_out_total"], 0)
        start = director.said()
        director.signal(signal.SIGHUP)
        director.wait_for(r"certificates and tokens were read anew$", start)
        self.assertLess(sum("cannot open" in line for line in director.err.lines), 20)
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        for key, value in {"lost": 0, "duplicated": 0, "reordered": 0, "connections": 1,
                           "handshakes": 1}.items():
            self.assertEqual(summary[key], value, key)
        self.assertIsNone(second.code)

    @staticmethod
    def cpu_ticks(process):
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
            values = stat.read().rsplit(")", 1)[1].split()
        return int(values[11]) + int(values[12])

    def test_worker(self):
        """It serves on, and finds a new director when it can open a socket again."""
        director = self.cluster.start_director(*PATIENT_WITH_THE_LIVING)
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "5ms")
        client = self.cluster.start_client(*REQUEST, "--tokens", "0")
        client.wait_tokens(5)
        limits = self.take_descriptors(worker)
        client.wait_tokens(50)
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 0)
        self.assertEqual(client.summary()["swap_count"], 0)
        director.kill()
        start = worker.said()
        self.cluster.director_again()
        worker.wait_for(rf"ERROR rpcnet::loop\] times=\d+ cannot open a socket: {SAYS}$", start)
        self.give_back(worker, limits)
        self.cluster.wait_reports("worker-a")
        self.assert_clean(self.cluster.start_client(*REQUEST, "--tokens", "5"), 5)
        self.cluster.end()

    def test_too_many_files_for_the_text(self):
        """More streams than files: said before any stream is started."""
        self.assertEqual(subprocess.run(
            ["prlimit", "--version"], stdout=subprocess.DEVNULL, check=False).returncode, 0)
        director = self.cluster.start_director()
        client = self.cluster.add(Process(
            self.cluster.folder, "many",
            ["prlimit", "--nofile=64:64", PROGRAMS["client"], "--target", director.user,
             "--streams", "100", "--tokens", "1", "--output-text", self.cluster.folder / "many"],
            environment={"CONNECTION_SWAP_CERTS_DIR": os.environ["RN_TEST_CERTS"]}))
        self.assertEqual(client.wait(), 1)
        self.assertRegex(client.err.text(), rf"^client: --output-text: cannot write \S+: {SAYS}$")
        self.assertIsNone(director.find("client opened stream"))


if __name__ == "__main__":
    main()

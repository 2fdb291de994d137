"""Settings: what is wrong is said in one clear line, with the exit code 2 (usage) or 1."""

import pathlib
import re
import signal
import socket
import sys

from cluster import CERTS, PROGRAMS as PATHS, WAIT_S, ClusterTest, Process, main

PROGRAMS = ("director", "worker", "client")
# Makes a program end before it does anything, should it take a wrong value.
HARMLESS = {"director": ("--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0"),
            "worker": ("--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0"),
            "client": ("--target", "127.0.0.1:9", "--connect-timeout", "1ms")}


class Options(ClusterTest):
    def complaint(self, code, program, *options, environment=None, harmless=True, **more):
        """The one line that a program says before it ends with that code."""
        if harmless:
            given = " ".join(str(option) for option in options)
            rest = HARMLESS[program]
            pairs = [rest[i:i + 2] for i in range(0, len(rest), 2) if rest[i] not in given]
            options = (*options, *(word for two in pairs for word in two))
        process = self.cluster.run(program, *options, environment=environment, **more)
        self.assertEqual(process.wait(), code)
        self.assertEqual(process.out.lines, [])
        plain = [line for line in process.err.lines if not line.startswith("[")]
        self.assertEqual(len(plain), 1, plain)
        if code == 2:
            self.assertEqual(process.err.lines, plain)
        self.assertTrue(plain[0].startswith(program + ": "), plain[0])
        return plain[0]

    def test_wrong_values_of_options(self):
        for program, option, value, says in (
            ("director", "user-addr", "nonsense", "nonsense"),
            ("director", "user-addr", "127.0.0.1", "127.0.0.1"),
            ("director", "mgmt-addr", "127.0.0.1:65536", "65536"),
            ("director", "max-attempts", "0", "0"),
            ("director", "max-attempts", "many", "many"),
            ("director", "hang-timeout", "250", "250"),
            ("director", "journal-max", "1 MiB", "1 MiB"),
            ("director", "journal-max", "99999999999999999999", "9999"),
            ("worker", "user-addr", ":1:2", ":1:2"),
            ("worker", "label", "a b", "letters"),
            ("worker", "label", "", "label"),
            ("worker", "label", "x" * 64, "63"),
            ("worker", "fail-after", "soon", "soon"),
            ("worker", "fail-after", "-1s", "-1s"),
            ("worker", "advertise-addr", "a:b:c", "host"),
            ("client", "target", "there", "there"),
            ("client", "target", "there:0", "expected port at least 1"),
            ("worker", "director-mgmt-addr", "there:0", "expected port at least 1"),
            ("client", "streams", "0", "0"),
            ("client", "streams", "1001", "1000"),
            ("client", "tokens", "-1", "-1"),
            ("client", "print", "xml", "text"),
            ("client", "pace", "1", "1"),
        ):
            with self.subTest(program=program, option=option, value=value):
                line = self.complaint(2, program, f"--{option}={value}")
                self.assertIn(f"--{option}: ", line)
                self.assertIn(says, line)

    def test_wrong_values_of_variables(self):
        for program, variable, value in (
            ("director", "CONNECTION_SWAP_DIRECTOR_USER_ADDR", "127.0.0.1"),
            ("director", "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR", "x:y"),
            ("director", "CONNECTION_SWAP_DIRECTOR_ADDR", "nonsense"),
            ("director", "CONNECTION_SWAP_DIRECTOR_ADDR", "127.0.0.1:65535"),
            ("director", "CONNECTION_SWAP_MAX_ATTEMPTS", "-3"),
            ("worker", "CONNECTION_SWAP_WORKER_USER_ADDR", "127.0.0.1:port"),
            ("worker", "CONNECTION_SWAP_WORKER_ADDR", "127.0.0.1:65000"),
            ("worker", "CONNECTION_SWAP_WORKER_LABEL", "worker/a"),
            ("director", "CONNECTION_SWAP_PREFERRED_WORKER", "worker/a"),
            ("director", "CONNECTION_SWAP_PREFERRED_WORKER", "-a"),
            ("worker", "CONNECTION_SWAP_WORKER_FAIL_AFTER", "15"),
            ("worker", "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR", "127.0.0.1"),
            ("worker", "CONNECTION_SWAP_DIRECTOR_TARGET", "127.0.0.1:65535"),
            ("client", "CONNECTION_SWAP_DIRECTOR_TARGET", "127.0.0.1"),
            ("client", "CONNECTION_SWAP_CLIENT_TOKENS", "1e3"),
        ):
            with self.subTest(program=program, variable=variable, value=value):
                line = self.complaint(2, program, environment={variable: value}, harmless=False)
                self.assertTrue(line.startswith(f"{program}: {variable}: "), line)

    def test_wrong_arguments(self):
        for program in PROGRAMS:
            self.assertIn("unknown option '--colour'", self.complaint(2, program, "--colour"))
            self.assertIn("did you mean '--certs-dir'?",
                          self.complaint(2, program, "--cert-dir=x"))
            self.assertIn("unexpected argument 'x'", self.complaint(2, program, "x"))
            self.assertIn("--help: takes no value", self.complaint(2, program, "--help=1"))
            self.assertIn("'-v'", self.complaint(2, program, "-v"))
            self.assertIn("--ca: ", self.complaint(2, program, "--ca"))
            self.assertIn("--key, too", self.complaint(2, program, "--cert", CERTS / "ca.crt"))
        # What a terminal would obey does not get there.
        self.assertNotIn("\x1b", self.complaint(2, "client", "--colour\x1b[2J"))

    def test_help_and_version(self):
        for program in PROGRAMS:
            for option in ("--help", "-h", "--version", "-V"):
                process = self.cluster.run(program, option, certs=False)
                self.assertEqual(process.wait(), 0)
                self.assertEqual(process.err.lines, [])
                if option in ("--version", "-V"):
                    self.assertRegex(process.out.text(), rf"^{program} \S+$")
                else:
                    text = process.out.text()
                    self.assertIn("--certs-dir", text)
                    self.assertIn("CONNECTION_SWAP_CERTS_DIR", text)
                    self.assertIn("RUST_LOG", text)

    def test_help_wins_over_the_environment(self):
        process = self.cluster.run("worker", "--help",
                                   environment={"CONNECTION_SWAP_WORKER_FAIL_AFTER": "soon"})
        self.assertEqual(process.wait(), 0)

    def test_port_in_use(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for program in ("director", "worker"):
                for option, variable in (("user-addr", "USER_ADDR"), ("mgmt-addr", "MGMT_ADDR")):
                    line = self.complaint(1, program, f"--{option}", address)
                    self.assertIn(f"{program}: --{option}: cannot listen on {address}: Address "
                                  "already in use (os error 98)", line)
                    self.assertIn(f"CONNECTION_SWAP_{program.upper()}_{variable}", line)

    def test_address_of_another_machine(self):
        line = self.complaint(1, "director", "--user-addr", "192.0.2.1:0")
        self.assertIn("--user-addr: cannot listen on 192.0.2.1:0: Cannot assign requested address",
                      line)

    def test_certificates_that_cannot_be_used(self):
        garbage = self.cluster.folder / "garbage.pem"
        garbage.write_text("no certificate\n")
        empty = self.cluster.folder / "empty"
        empty.mkdir()
        for program in PROGRAMS:
            missing = self.cluster.folder / "missing.crt"
            line = self.complaint(1, program, "--cert", missing, "--key", garbage)
            self.assertIn(f"--cert: cannot read {missing}: No such file", line)
            line = self.complaint(1, program, "--cert", garbage, "--key", CERTS / "server.key")
            self.assertIn(str(garbage), line)
            line = self.complaint(1, program, "--ca", garbage)
            self.assertIn(str(garbage), line)
            line = self.complaint(1, program, "--certs-dir", empty)
            self.assertIn(str(empty / "ca.crt"), line)
            self.assertIn(f"run scripts/make-certs.sh --dir {empty}", line)
        # A key that belongs to another certificate.
        self.complaint(1, "director", "--cert", CERTS / "director.crt", "--key",
                       CERTS / "server.key")
        line = self.complaint(1, "worker", "--label", "worker-zero")
        self.assertIn(f"run scripts/make-certs.sh --dir {CERTS} --worker worker-zero", line)
        line = self.complaint(1, "director", "--secret-file", garbage)
        self.assertIn(f"{garbage} is no cluster secret", line)
        self.assertIn(f"make one with scripts/make-certs.sh --dir {CERTS}", line)
        line = self.complaint(1, "director", "--user-cert", missing, "--user-key", missing)
        self.assertIn("--user-cert: cannot read", line)

    def test_one_pair_for_all(self):
        """As it was once done: the programs tell why it does not do any more."""
        for name, role in (("server", "bears no role"),
                           ("director", "bears the role rpcnet://role/director")):
            shared = {"CONNECTION_SWAP_CERT": str(CERTS / f"{name}.crt"),
                      "CONNECTION_SWAP_KEY": str(CERTS / f"{name}.key")}
            for program, needed in (("director", "rpcnet://role/director"),
                                    ("worker", "rpcnet://role/worker/worker-a")):
                if name == program:
                    continue
                line = self.complaint(1, program, environment=shared)
                self.assertIn("CONNECTION_SWAP_CERT: ", line)
                self.assertIn(f"{role}, but {needed} is needed", line)
                self.assertIn("every program of the cluster has a certificate of its own", line)
                self.assertIn("scripts/make-certs.sh", line)

    def test_client_without_a_director(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            line = self.complaint(1, "client", "--target", address, "--connect-timeout", "300ms")
            self.assertIn(f"client: --target: cannot reach a director at {address} within 300ms",
                          line)
            self.assertIn("is it running?", line)
        # Nobody has the port now.
        line = self.complaint(1, "client", "--target", address, "--connect-timeout", "300ms")
        self.assertIn(f"cannot reach a director at {address} within 300ms", line)

    def test_the_kernel_refuses_sockets(self):
        for program, option in (("client", "--target"), ("director", "--mgmt-addr"),
                                ("worker", "--user-addr")):
            process = self.cluster.add(Process(
                self.cluster.folder, program + "-caged",
                [sys.executable, pathlib.Path(__file__).with_name("without_sockets.py"),
                 PATHS[program], option, "127.0.0.1:61000", "--certs-dir", CERTS]))
            if process.wait() == 77:
                self.skipTest("no seccomp here")
            self.assertEqual(process.code, 1)
            self.assertRegex(process.err.lines[-1],
                             rf"^{program}: {option}: cannot (connect to|listen on) "
                             r"127\.0\.0\.1:61000: Operation not permitted \(os error 1\); a local "
                             r"security policy blocks the QUIC socket")

    def test_client_is_interrupted_while_it_connects(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            client = self.cluster.start_client(target=address)
            silent.settimeout(WAIT_S)
            silent.recv(2048)  # its first packet: it is connecting
            client.signal(signal.SIGINT)
            self.assertEqual(client.wait(), 1)
        self.assertEqual(len(client.err.lines), 1)
        self.assertIn(f"client: --target: interrupted before {address} was reached",
                      client.err.lines[0])
        summary = client.summary()
        self.assertTrue(summary["interrupted"])
        self.assertEqual((summary["streams"], summary["streams_failed"], summary["tokens"]),
                         (0, 0, 0))

    def test_client_cannot_write(self):
        line = self.complaint(1, "client", "--output-text", "/nonexistent/text")
        self.assertIn("--output-text: cannot write /nonexistent/text: No such file", line)

    def test_log_filter(self):
        self.cluster.start_director()
        worker = self.cluster.start_worker("worker-a", "--log", "warn,worker=debug")
        self.assertTrue(worker.find(r" INFO worker\] "))
        client = self.cluster.start_client("--tokens", "3", environment={"RUST_LOG": "warn"})
        self.assertEqual(client.wait(), 0)
        self.assertEqual(client.err.lines, [])
        client = self.cluster.start_client("--tokens", "3", environment={"RUST_LOG": "a=b=c"})
        self.assertEqual(client.wait(), 0)
        self.assertTrue(client.find(r"WARN connection_swap::client_app\] invalid directive"))

    def test_settings_table(self):
        """What the documentation is made from names every option of the help."""
        for program in PROGRAMS:
            table = self.cluster.run(program, "--help-markdown")
            usage = self.cluster.run(program, "--help")
            self.assertEqual((table.wait(), usage.wait()), (0, 0))
            options = set(re.findall(r"^\s*(--[a-z-]+)", usage.out.text(), re.MULTILINE))
            options -= {"--help", "--version"}
            self.assertGreater(len(options), 5)
            for option in options:
                self.assertIn(option, table.out.text())


if __name__ == "__main__":
    main()

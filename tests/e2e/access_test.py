"""Who may do what: each port, each call, each certificate; tokens, limits, renewal, what a process
keeps to itself."""

import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from cluster import CALM, CERTS, PATIENT, PROGRAMS, SOURCE, ClusterTest, Process, main

PROBE = os.environ["RN_PROBE_CALL"]
PROBE_SERVER = os.environ["RN_PROBE_SERVER"]

REQUEST = ("--tokens", "5", "--pace", "1us")
SERVE = "/rpcnet.v1.Worker/Serve"
GENERATE = "/connection_swap.Inference/Generate"
REGISTER = "/connection_swap.DirectorRegistry/Register"
REPORT = "/connection_swap.DirectorRegistry/Report"
HEALTH = "/grpc.health.v1.Health/Check"
DIRECTOR_ROLE = "rpcnet://role/director"
USER_NAME = ("--name", "localhost")
TOKEN = "correct-horse/battery+staple=="


def worker_role(label):
    return f"rpcnet://role/worker/{label}"


def pair(name, folder=CERTS):
    return ("--cert", folder / f"{name}.crt", "--key", folder / f"{name}.key")


def make_certs(folder, *options):
    subprocess.run([SOURCE / "scripts" / "make-certs.sh", "--dir", folder, *options], check=True,
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return folder


def certtool(*arguments):
    subprocess.run(["certtool", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sign(folder, name, authority, lines, validity="expiration_days = 30"):
    """A key and a certificate after the template's lines, signed by authority.crt and .key."""
    template = folder / f"{name}.template"
    template.write_text("\n".join((f'cn = "{name}"', *lines, validity, "signing_key", "")))
    certtool("--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile",
             folder / f"{name}.key")
    certtool("--generate-certificate", "--load-privkey", folder / f"{name}.key",
             "--load-ca-certificate", f"{authority}.crt", "--load-ca-privkey", f"{authority}.key",
             "--template", template, "--outfile", folder / f"{name}.crt")


def field(number, value):
    """A field of a protobuf message: text or number."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    raw = value.encode()
    return bytes([number << 3 | 2, len(raw)]) + raw


def registration(label):
    return (field(1, label) + field(2, "127.0.0.1:9") + field(3, "127.0.0.1:9") + field(4, 1)).hex()


def prompt():
    return (field(1, "hello") + field(2, 3)).hex()


class AccessTest(ClusterTest):
    def probe(self, target, path, whom, *options, ca=CERTS / "ca.crt", message=None):
        """Calls; returns the code, how the connection was lost, the message, and the answers."""
        command = [PROBE, "--target", target, "--ca", ca, "--path", path, *whom, *options]
        if message is not None:
            command += ["--message", message]
        ended = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                               timeout=90, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        last = re.fullmatch(r"code=(\S+) loss=(\S+) text=(.*)", ended.stdout.splitlines()[-1])
        self.assertIsNotNone(last, ended.stdout)
        answers = [line for line in ended.stdout.splitlines() if line.startswith("message ")]
        return (*last.groups(), answers)

    def assert_code(self, code, *arguments, **more):
        result = self.probe(*arguments, **more)
        self.assertEqual(result[:2], (code, "none"), result)
        return result

    def assert_refused(self, *arguments, **more):
        """The connection itself is not to be had."""
        result = self.probe(*arguments, **more)
        self.assertEqual(result[:2], ("UNAVAILABLE", "refused"), result)
        self.assertEqual(result[3], [])

    def strangers(self):
        return make_certs(self.cluster.folder / "strangers")

    def assert_failed(self, client, pattern):
        self.assertEqual(client.wait(), 1)
        self.assertRegex(client.err.text(), pattern)


class Roles(AccessTest):
    def test_only_a_director_calls_serve(self):
        self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        whom = ("--identity", worker_role("worker-a"))
        for name in ("worker-a", "worker-b", "client"):
            *_, text, answers = self.assert_code("PERMISSION_DENIED", worker.user, SERVE, whom,
                                                 *pair(name))
            self.assertEqual((text, answers), ("only a director may call Serve", []))
        # A director's certificate opens it: the call ends because it says nothing.
        code, loss, *_ = self.probe(worker.user, SERVE, whom, *pair("director"))
        self.assertNotIn(code, ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE"))
        self.assertEqual(loss, "none")
        self.cluster.end()

    def test_only_directors_and_clients_generate_directly(self):
        self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        whom = ("--identity", worker_role("worker-a"))
        for name in ("client", "director"):
            answers = self.assert_code("OK", worker.user, GENERATE, whom, *pair(name),
                                       message=prompt())[3]
            self.assertEqual(len(answers), 5)  # Connected, three tokens, Done
        for name in ("worker-a", "worker-b"):
            *_, text, answers = self.assert_code("PERMISSION_DENIED", worker.user, GENERATE, whom,
                                                 *pair(name), message=prompt())
            self.assertEqual((text, answers), (
                "only a director or a client of the cluster may call a worker", []))
            worker.wait_for(rf"WARN .* identity={worker_role(name)} only a director or a client")
        self.cluster.end()

    def test_the_cluster_may_ask_for_health(self):
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        for name in ("worker-a", "worker-b", "director", "client"):
            # A worker may ask for its own, not for another one's.
            code = "OK" if name != "worker-b" else "PERMISSION_DENIED"
            self.assert_code(code, worker.mgmt, HEALTH, ("--identity", worker_role("worker-a")),
                             *pair(name), message="")
            self.assert_code("OK", director.mgmt, HEALTH, ("--identity", DIRECTOR_ROLE),
                             *pair(name), message="")
        self.cluster.end()

    def test_a_client_of_the_cluster_cannot_serve(self):
        """Its certificate is for clients of TLS: nobody takes it for a worker or a director."""
        director = self.cluster.start_director(*PATIENT)
        for program, label in (("director", ()), ("worker", ("--label", "client"))):
            other = self.cluster.run(program, *label, *pair("client"), "--user-addr",
                                     "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0")
            self.assertEqual(other.wait(), 1)
            self.assertRegex(other.err.text(), r"bears the role rpcnet://role/client, but ")
        self.assertIsNone(director.find("worker registered"))
        self.cluster.end()

    def test_only_a_worker_registers_and_only_itself(self):
        director = self.cluster.start_director(*PATIENT)
        whom = ("--identity", DIRECTOR_ROLE)
        for name, label in (("worker-b", "worker-a"), ("worker-b", "worker-"), ("worker-b", ""),
                            ("worker-b", "worker-bb"), ("director", "worker-a"),
                            ("director", "director"), ("client", "worker-a"),
                            ("client", "client")):
            with self.subTest(name=name, label=label):
                self.assert_code("PERMISSION_DENIED", director.mgmt, REGISTER, whom, *pair(name),
                                 message=registration(label))
        for name in ("director", "client"):
            self.assert_code("PERMISSION_DENIED", director.mgmt, REPORT, whom, *pair(name))
        self.assertIsNone(director.find("worker registered"))
        self.assert_code("OK", director.mgmt, REGISTER, whom, *pair("worker-b"),
                         message=registration("worker-b"))
        director.wait_for(r"worker\.label=worker-b .*worker registered$")
        self.cluster.end()

    def test_a_report_for_another_workers_registration(self):
        """A worker cannot speak for another one, though it may know its registration's number."""
        director = self.cluster.start_director(*PATIENT)
        whom = ("--identity", DIRECTOR_ROLE)
        self.assert_code("OK", director.mgmt, REGISTER, whom, *pair("worker-b"),
                         message=registration("worker-b"))
        number = int(director.wait_for(r"registration=(\d+) worker registered$").group(1))
        self.assertLess(number, 128)
        report = field(1, number).hex()
        self.assert_code("FAILED_PRECONDITION", director.mgmt, REPORT, whom, *pair("worker-a"),
                         message=report)
        self.assertIsNone(director.find(r"worker reports$"))
        self.assert_code("OK", director.mgmt, REPORT, whom, *pair("worker-b"), message=report)
        director.wait_for(r"worker\.label=worker-b .*worker reports$")
        self.cluster.end()

    def test_what_is_not_served(self):
        """Each port serves its own plane."""
        director = self.cluster.start_director(*PATIENT, "--park-timeout", "0")
        worker = self.cluster.start_worker("worker-a", *CALM)
        self.assert_code("UNIMPLEMENTED", director.mgmt, GENERATE, ("--identity", DIRECTOR_ROLE),
                         *pair("worker-a"), message=prompt())
        self.assert_code("UNIMPLEMENTED", director.mgmt, SERVE, ("--identity", DIRECTOR_ROLE),
                         *pair("director"))
        self.assert_code("UNIMPLEMENTED", worker.mgmt, SERVE,
                         ("--identity", worker_role("worker-a")), *pair("director"))
        self.assert_code("UNIMPLEMENTED", worker.user, REGISTER,
                         ("--identity", worker_role("worker-a")), *pair("worker-b"),
                         message=registration("worker-b"))
        # Whatever is asked on the USER port is a stream for workers, who know no such method.
        self.assert_code("UNIMPLEMENTED", director.user, REGISTER, USER_NAME,
                         message=registration("worker-b"))
        self.assertIsNone(director.find(r"worker\.label=worker-b "))
        self.cluster.end()

    def test_certificates_at_each_port_of_the_cluster(self):
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        folder = self.cluster.folder
        strangers = self.strangers()
        sign(folder, "expired", CERTS / "ca", (f'uri = "{worker_role("worker-b")}"',
                                               "tls_www_client", "tls_www_server"),
             'activation_date = "2020-01-01 00:00:00"\nexpiration_date = "2020-02-01 00:00:00"')
        sign(folder, "server-only", CERTS / "ca", (f'uri = "{worker_role("worker-b")}"',
                                                   "tls_www_server"))
        sign(folder, "imposter", strangers / "ca", (f'uri = "{DIRECTOR_ROLE}"', "tls_www_client"))
        ports = ((director.mgmt, ("--identity", DIRECTOR_ROLE)),
                 (worker.user, ("--identity", worker_role("worker-a"))),
                 (worker.mgmt, ("--identity", worker_role("worker-a"))))
        shown = {
            "none": (),
            "of another authority": pair("director", strangers),
            "another authority's director": pair("imposter", folder),
            "the public one, which is for servers": pair("server"),
            "expired": pair("expired", folder),
            "not for clients": pair("server-only", folder),
        }
        for address, whom in ports:
            for what, certificate in shown.items():
                with self.subTest(what=what, whom=whom, address=address):
                    self.assert_refused(address, HEALTH, whom, *certificate, message="")
        self.cluster.end()

    def test_a_certificate_without_a_role(self):
        """Even of the cluster's own authority and for clients, it may do nothing."""
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        folder = self.cluster.folder
        sign(folder, "nobody", CERTS / "ca", ("tls_www_client",))
        sign(folder, "worker-like", CERTS / "ca", ('uri = "rpcnet://role/workers/worker-b"',
                                                   "tls_www_client"))
        sign(folder, "director-like", CERTS / "ca", (f'uri = "{DIRECTOR_ROLE}/more"',
                                                     "tls_www_client"))
        for name in ("nobody", "worker-like", "director-like"):
            for address, path, role, message in (
                    (worker.user, SERVE, worker_role("worker-a"), None),
                    (director.mgmt, REGISTER, DIRECTOR_ROLE, registration("worker-b")),
                    (director.mgmt, REPORT, DIRECTOR_ROLE, None)):
                with self.subTest(name=name, path=path):
                    self.assert_code("PERMISSION_DENIED", address, path, ("--identity", role),
                                     *pair(name, folder), message=message)
        for address, path in ((worker.user, GENERATE), (worker.mgmt, HEALTH)):
            self.assert_code("PERMISSION_DENIED", address, path,
                             ("--identity", worker_role("worker-a")), *pair("nobody", folder),
                             message=prompt())
        self.cluster.end()

    def test_a_worker_cannot_pose_as_a_director(self):
        """Something with a worker's certificate, where a worker expects its director."""
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        for address, role in ((worker.user, DIRECTOR_ROLE), (worker.mgmt, DIRECTOR_ROLE),
                              (worker.user, worker_role("worker-b")),
                              (director.mgmt, worker_role("worker-a")),
                              (director.user, DIRECTOR_ROLE)):
            with self.subTest(address=address, role=role):
                self.assert_refused(address, HEALTH, ("--identity", role), *pair("worker-b"),
                                    message="")
        self.cluster.end()


class Clients(AccessTest):
    def client_authority(self):
        folder = self.cluster.folder / "clients"
        folder.mkdir()
        (folder / "ca.template").write_text('cn = "clients"\nca\ncert_signing_key\n'
                                            "expiration_days = 30\n")
        certtool("--generate-privkey", "--key-type", "ecdsa", "--outfile", folder / "ca.key")
        certtool("--generate-self-signed", "--load-privkey", folder / "ca.key", "--template",
                 folder / "ca.template", "--outfile", folder / "ca.crt")
        sign(folder, "someone", folder / "ca", ("tls_www_client",))
        sign(folder, "schemer", folder / "ca", (f'uri = "{DIRECTOR_ROLE}"', "tls_www_client"))
        return folder

    def test_client_authority(self):
        clients = self.client_authority()
        director = self.cluster.start_director(*PATIENT, "--client-ca", clients / "ca.crt")
        worker = self.cluster.start_worker("worker-a", *CALM)
        self.assert_clean(self.cluster.start_client(*REQUEST, *pair("someone", clients)), 5)
        self.assert_code("OK", director.user, GENERATE, USER_NAME, *pair("someone", clients),
                         message=prompt())
        # Those of the cluster are not clients, and those of clients are not of the cluster.
        for certificate in ((), pair("director"), pair("worker-a"), pair("server")):
            self.assert_refused(director.user, GENERATE, USER_NAME, *certificate,
                                message=prompt())
        self.assert_failed(self.cluster.start_client(*REQUEST), r"code=UNAVAILABLE err=.*"
                           r"Certificate is required")
        for name in ("someone", "schemer"):
            self.assert_refused(director.mgmt, HEALTH, ("--identity", DIRECTOR_ROLE),
                                *pair(name, clients), message="")
            self.assert_refused(worker.user, SERVE, ("--identity", worker_role("worker-a")),
                                *pair(name, clients))
        self.cluster.end()

    def test_client_authority_of_the_cluster(self):
        """It works, but not without a warning; it may hide among others."""
        says = r" WARN .*client-ca is an authority of the cluster: "
        clients = self.client_authority()
        director = self.cluster.start_director(*PATIENT, "--client-ca", clients / "ca.crt")
        self.assertIsNone(director.find(says))
        with open(clients / "ca.crt", "ab") as file:
            file.write((CERTS / "ca.crt").read_bytes())
        start = director.said()
        director.signal(signal.SIGHUP)
        director.wait_for(says, start)
        director = self.cluster.start_director(*PATIENT, "--client-ca", CERTS / "ca.crt")
        self.assertTrue(director.find(says))

    def test_client_authority_that_cannot_be_read(self):
        director = self.cluster.run("director", "--client-ca", "/nonexistent/ca.crt")
        self.assertEqual(director.wait(), 1)
        self.assertIn("director: --client-ca: cannot read /nonexistent/ca.crt: No such file",
                      director.err.text())

    def test_without_client_authority_anybody_may_call(self):
        director = self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        for certificate in ((), pair("worker-a"), pair("director", self.strangers())):
            self.assert_code("OK", director.user, GENERATE, USER_NAME, *certificate,
                             message=prompt())
        self.cluster.end()


class Tokens(AccessTest):
    def write_tokens(self, *tokens):
        path = self.cluster.folder / "tokens"
        lines = [f"{hashlib.sha256(token.encode()).hexdigest()} client {i}"
                 for i, token in enumerate(tokens)]
        path.write_text("\n".join(("# who may call", "", *lines, "")))
        return path

    def write_token(self, token, name="token"):
        path = self.cluster.folder / name
        path.write_text(token + "\n")
        return path

    def refused(self, director, *metadata):
        options = [word for value in metadata for word in ("--metadata", value)]
        return self.assert_code("UNAUTHENTICATED", director.user, GENERATE, USER_NAME, *options,
                                message=prompt())[2]

    def test_right_wrong_and_missing(self):
        tokens = self.write_tokens("another", TOKEN, "a third")
        director = self.cluster.start_director(*PATIENT, "--client-tokens", tokens, "--log", "trace")
        worker = self.cluster.start_worker("worker-a", *CALM, "--log", "trace")
        good = self.write_token(TOKEN)
        client = self.cluster.start_client(*REQUEST, "--token-file", good, "--log", "trace")
        self.assert_clean(client, 5)
        self.assert_clean(self.cluster.start_client(
            *REQUEST, environment={"CONNECTION_SWAP_CLIENT_TOKEN_FILE": str(good)}), 5)
        self.assert_code("OK", director.user, GENERATE, USER_NAME, "--metadata",
                         f"authorization=bearer {TOKEN}", message=prompt())

        self.assertIn("a bearer token is needed", self.refused(director))
        for value in (f"Bearer x{TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}",
                      "Bearer " + hashlib.sha256(TOKEN.encode()).hexdigest()):
            self.assertEqual(self.refused(director, "authorization=" + value),
                             "the bearer token is not known")
        for value in (TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN} {TOKEN}"):
            self.assertIn("holds no bearer token",
                          self.refused(director, "authorization=" + value))
        self.assertIn("needed", self.refused(director, f"x-authorization=Bearer {TOKEN}"))
        wrong = self.cluster.start_client(*REQUEST, "--token-file",
                                          self.write_token("wrong-one", "wrong"))
        self.assert_failed(wrong, r"code=UNAUTHENTICATED err=\"the bearer token is not known\"")
        without = self.cluster.start_client(*REQUEST)
        self.assert_failed(without, r"code=UNAUTHENTICATED err=\"a bearer token is needed")

        # No log shows a token or a part of it, and it has not gone on to the worker.
        for process in (director, worker, client, wrong):
            for part in (TOKEN, TOKEN[:12], "battery", "wrong-one"):
                self.assertNotIn(part, process.err.text() + process.out.text(), process.name)
        self.assertTrue(director.find(r"client refused: the bearer token is not known$"))
        self.assertTrue(director.find(r"token=client 1 client known$"))
        self.cluster.end()

    def test_no_token_goes_to_a_worker(self):
        """The Assignment holds the client's metadata but for what the client is known by."""
        for options in ((), ("--client-tokens", self.write_tokens(TOKEN))):
            with self.subTest(options=options):
                worker = self.cluster.add(Process(
                    self.cluster.folder, "probe", [PROBE_SERVER, CERTS / "worker-a.crt",
                                                   CERTS / "worker-a.key", CERTS / "ca.crt"]))
                address = worker.wait_for(r"^listening (\S+)$", output=worker.out).group(1)
                director = self.cluster.start_director(*PATIENT, *options)
                real = self.cluster.start_worker("worker-a", *CALM, "--advertise-addr", address)
                client = self.cluster.add(Process(
                    self.cluster.folder, "asking",
                    [PROBE, "--target", director.user, "--ca", CERTS / "ca.crt", "--path",
                     GENERATE, *USER_NAME, "--message", prompt(), "--metadata", "x-kept=as it is",
                     "--metadata", f"authorization=Bearer {TOKEN}"]))
                kept = b"x-kept".hex()
                shown = worker.wait_for(rf"^message (\S*{kept}\S*)$", output=worker.out).group(1)
                self.assertIn(b"as it is".hex(), shown)
                said = bytes.fromhex("".join(line.split()[1] for line in worker.out.lines
                                             if line.startswith("message ")))
                for part in (b"authorization", b"Bearer", TOKEN[:12].encode()):
                    self.assertNotIn(part, said)
                for process in (client, worker, real, director):
                    process.kill()

    def test_token_and_certificate(self):
        """Both may be asked for; each alone is not enough."""
        clients = Clients.client_authority(self)
        director = self.cluster.start_director(*PATIENT, "--client-ca", clients / "ca.crt",
                                               "--client-tokens", self.write_tokens(TOKEN))
        self.cluster.start_worker("worker-a", *CALM)
        token = ("--metadata", f"authorization=Bearer {TOKEN}")
        shown = pair("someone", clients)
        self.assert_code("OK", director.user, GENERATE, USER_NAME, *shown, *token,
                         message=prompt())
        self.assert_code("UNAUTHENTICATED", director.user, GENERATE, USER_NAME, *shown,
                         message=prompt())
        self.assert_refused(director.user, GENERATE, USER_NAME, *token, message=prompt())
        self.cluster.end()

    def test_files_that_cannot_be_used(self):
        path = self.cluster.folder / "tokens"
        for text, says in (("", "there is no token in it"), (f"{TOKEN}\n", "line 1: expected 64"),
                           ("# x\n" + "0" * 63 + "\n", "line 2: expected 64")):
            path.write_text(text)
            director = self.cluster.run("director", "--client-tokens", path, "--user-addr",
                                        "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0")
            self.assertEqual(director.wait(), 1)
            self.assertIn(f"director: --client-tokens: cannot use {path}: {says}",
                          director.err.text())
            self.assertNotIn(TOKEN, director.err.text())
        for text in ("two words", ""):
            client = self.cluster.start_client("--token-file", self.write_token(text),
                                               target="127.0.0.1:9")
            self.assert_failed(client, r"client: --token-file: cannot use \S+: expected one token")
            self.assertNotIn("words", client.err.text())
        client = self.cluster.start_client("--token-file", "/nonexistent/token",
                                           target="127.0.0.1:9")
        self.assert_failed(client, r"cannot use /nonexistent/token: No such file")

    def test_reloaded(self):
        tokens = self.write_tokens(TOKEN)
        director = self.cluster.start_director(*PATIENT, "--client-tokens", tokens)
        self.cluster.start_worker("worker-a", *CALM)
        old = self.write_token(TOKEN, "old")
        new = self.write_token("the-next-one", "new")
        long = self.cluster.start_client("--tokens", "0", "--token-file", old)
        long.wait_tokens(3)
        self.write_tokens("the-next-one")
        start = director.said()
        director.signal(signal.SIGHUP)
        director.wait_for(r"certificates and tokens were read anew$", start)
        self.assert_clean(self.cluster.start_client(*REQUEST, "--token-file", new), 5)
        self.assert_failed(self.cluster.start_client(*REQUEST, "--token-file", old),
                           r"code=UNAUTHENTICATED")
        # A broken file changes nothing.
        tokens.write_text("nonsense\n")
        start = director.said()
        director.signal(signal.SIGHUP)
        director.wait_for(r"ERROR .*err=\"--client-tokens: cannot use \S+: line 1: .* not reloaded; "
                          r"all stays as it was$", start)
        self.assert_clean(self.cluster.start_client(*REQUEST, "--token-file", new), 5)
        long.wait_tokens(3)  # what was open goes on
        long.signal(signal.SIGINT)
        self.assertEqual(long.wait(), 0)
        self.cluster.end()


class Limits(AccessTest):
    def test_connections_per_address(self):
        self.cluster.start_director(*PATIENT, "--connections-per-address", "3")
        self.cluster.start_worker("worker-a", *CALM)
        held = []
        for _ in range(3):
            client = self.cluster.start_client("--tokens", "0", "--pace", "100ms")
            client.wait_tokens(1)
            held.append(client)
        over = self.cluster.start_client(*REQUEST, "--connect-timeout", "1s")
        self.assertEqual(over.wait(), 1)
        self.assertRegex(over.err.text(), r"client: --target: ")
        self.assertEqual([e["event"] for e in over.events()], [])
        for client in held:
            client.wait_tokens(1)
        held[0].signal(signal.SIGINT)
        self.assertEqual(held[0].wait(), 0)
        self.assert_clean(self.cluster.start_client(*REQUEST), 5)
        for client in held[1:]:
            client.signal(signal.SIGINT)
            self.assertEqual(client.wait(), 0)
        self.cluster.end()

    def test_streams_per_address(self):
        self.cluster.start_director(*PATIENT, "--streams-per-address", "3")
        self.cluster.start_worker("worker-a", *CALM)
        held = self.cluster.start_client("--tokens", "0", "--pace", "100ms", "--streams", "2")
        held.wait_tokens(4)
        third = self.cluster.start_client(*REQUEST)
        self.assert_clean(third, 5)
        over = self.cluster.start_client("--tokens", "50", "--pace", "100ms", "--streams", "2")
        self.assert_failed(over, r"code=RESOURCE_EXHAUSTED err=\"too many calls from this address\"")
        self.assertEqual(over.summary()["streams_failed"], 1)
        held.wait_tokens(4)
        held.signal(signal.SIGINT)
        self.assertEqual(held.wait(), 0)
        self.cluster.end()

    def test_message_size(self):
        limit = 2048
        director = self.cluster.start_director(*PATIENT, "--message-max", str(limit))
        self.cluster.start_worker("worker-a", *CALM)

        def request(size):
            head = field(2, 3)
            text = b"x" * (size - len(head) - 3)
            return (head + bytes([1 << 3 | 2, len(text) & 0x7F | 0x80, len(text) >> 7]) + text).hex()

        for size, code in ((limit - 1, "OK"), (limit, "OK"), (limit + 1, "RESOURCE_EXHAUSTED")):
            self.assertEqual(len(request(size)), 2 * size)
            self.assert_code(code, director.user, GENERATE, USER_NAME, message=request(size))
        self.cluster.end()

    def test_header_size(self):
        """The client learns the limit from the server and keeps it, or is cut off."""
        director = self.cluster.start_director(*PATIENT, "--headers-max", "2KiB")
        self.cluster.start_worker("worker-a", *CALM)
        self.assert_code("OK", director.user, GENERATE, USER_NAME, "--metadata", "x=" + "y" * 1500,
                         message=prompt())
        code, loss, *_ = self.probe(director.user, GENERATE, USER_NAME, "--metadata",
                                    "x=" + "y" * 2048, message=prompt())
        self.assertNotEqual(code, "OK")
        self.assertEqual(loss, "none")
        self.cluster.end()


class Renewal(AccessTest):
    """SIGHUP, and certificates that are about to end."""

    def own_certs(self, *options):
        folder = self.cluster.folder / "certs"
        make_certs(folder, *options)
        return folder

    def hang_up(self, process, pattern=r"certificates and tokens were read anew$"):
        start = process.said()
        process.signal(signal.SIGHUP)
        return process.wait_for(pattern, start)

    def test_certificates_are_swapped_under_a_live_stream(self):
        certs = self.own_certs()
        mine = {"environment": {"CONNECTION_SWAP_CERTS_DIR": str(certs)}}
        inside = ("--certs-dir", certs)
        director = self.cluster.start_director(*PATIENT, *inside)
        worker = self.cluster.start_worker("worker-a", *CALM, *inside)
        stream = self.cluster.start_client("--tokens", "0", **mine)
        stream.wait_tokens(3)
        old = self.cluster.folder / "old"
        shutil.copytree(certs, old)

        make_certs(certs, "--force")
        # The secret is for the next start; the authority, pairs and tokens are for now.
        self.hang_up(director)
        self.hang_up(worker)
        stream.wait_tokens(3)
        self.assert_clean(self.cluster.start_client(*REQUEST, **mine), 5)
        self.assert_refused(director.user, GENERATE, USER_NAME, ca=old / "ca.crt",
                            message=prompt())
        role = ("--identity", DIRECTOR_ROLE)
        self.assert_refused(director.mgmt, HEALTH, role, *pair("worker-b", old),
                            ca=certs / "ca.crt", message="")
        self.assert_code("OK", director.mgmt, HEALTH, role, *pair("worker-b", certs),
                         ca=certs / "ca.crt", message="")
        whom = ("--identity", worker_role("worker-a"))
        for address in (worker.user, worker.mgmt):
            self.assert_refused(address, HEALTH, whom, *pair("director", old),
                                ca=certs / "ca.crt", message="")
        # A worker that comes now and the director know one another by the new certificates only.
        self.cluster.start_worker("worker-b", *CALM, *inside)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        stream.wait_event("connected", worker="worker-b")
        stream.wait_tokens(3)
        stream.signal(signal.SIGINT)
        self.assertEqual(stream.wait(), 0)
        summary = stream.summary()
        self.assertEqual((summary["lost"], summary["duplicated"], summary["connections"]),
                         (0, 0, 1))
        self.cluster.end()

    def test_links_made_again_use_the_new_certificates(self):
        """The director's and the worker's own connections, when they are made anew."""
        certs = self.own_certs()
        inside = ("--certs-dir", certs)
        director = self.cluster.start_director(*PATIENT, *inside)
        worker = self.cluster.start_worker("worker-a", *CALM, *inside)
        make_certs(certs, "--force")
        self.hang_up(director)
        self.hang_up(worker)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        again = self.cluster.again(worker)
        mine = {"environment": {"CONNECTION_SWAP_CERTS_DIR": str(certs)}}
        self.assert_clean(self.cluster.start_client(*REQUEST, **mine), 5)

        # Now the worker has to come back by itself, to a director that knows no other authority.
        make_certs(certs, "--force")
        self.hang_up(again)
        director.signal(signal.SIGTERM)
        self.assertEqual(director.wait(), 0)
        self.cluster.director_again()
        self.cluster.wait_reports("worker-a")
        self.assert_clean(self.cluster.start_client(*REQUEST, **mine), 5)
        self.cluster.end()

    def test_bad_files_change_nothing(self):
        certs = self.own_certs()
        mine = {"environment": {"CONNECTION_SWAP_CERTS_DIR": str(certs)}}
        inside = ("--certs-dir", certs)
        director = self.cluster.start_director(*PATIENT, *inside)
        worker = self.cluster.start_worker("worker-a", *CALM, *inside)
        stream = self.cluster.start_client("--tokens", "0", **mine)
        stream.wait_tokens(3)
        bad = r" ERROR .*err=.*%s.* not reloaded; all stays as it was$"
        good = {name: (certs / name).read_bytes() for name in ("director.key", "server.crt",
                                                               "worker-a.crt", "ca.crt")}
        (certs / "director.key").write_text("garbage\n")
        self.hang_up(director, bad % r"director\.key")
        (certs / "director.key").unlink()
        self.hang_up(director, bad % r"director\.key: No such file")
        (certs / "director.key").write_bytes(good["director.key"])
        # The first pair is good, the second is not: neither is taken.
        make_certs(certs, "--force")
        (certs / "server.crt").write_bytes(good["server.crt"])
        self.hang_up(director, bad % r"server\.crt")
        (certs / "worker-a.crt").write_bytes((certs / "worker-b.crt").read_bytes())
        (certs / "worker-a.key").write_bytes((certs / "worker-b.key").read_bytes())
        self.hang_up(worker, bad % r"worker-a\.crt bears the role rpcnet://role/worker/worker-b")
        (certs / "ca.crt").write_bytes(good["ca.crt"])
        for address in (director.mgmt, worker.mgmt):
            role = DIRECTOR_ROLE if address == director.mgmt else worker_role("worker-a")
            # Still those of the start, which the authority of the start has signed.
            code, loss, *_ = self.probe(address, HEALTH, ("--identity", role),
                                        ca=certs / "ca.crt", message="")
            self.assertEqual((code, loss), ("UNAVAILABLE", "refused"))
        self.assert_clean(self.cluster.start_client(*REQUEST, **mine), 5)
        stream.wait_tokens(3)
        stream.signal(signal.SIGINT)
        self.assertEqual(stream.wait(), 0)
        self.cluster.end()

    def test_what_is_no_file_changes_nothing(self):
        """A FIFO without a writer, a device without end: nobody waits, and nobody reads on."""
        certs = self.own_certs()
        tokens = self.cluster.folder / "tokens"
        tokens.write_text(hashlib.sha256(b"mine").hexdigest() + "\n")
        token = self.cluster.folder / "token"
        token.write_text("mine\n")
        mine = {"environment": {"CONNECTION_SWAP_CERTS_DIR": str(certs)}}
        inside = ("--certs-dir", certs)
        director = self.cluster.start_director(*PATIENT, *inside, "--client-tokens", tokens)
        worker = self.cluster.start_worker("worker-a", *CALM, *inside)
        stream = self.cluster.start_client("--tokens", "0", "--token-file", token, **mine)
        stream.wait_tokens(3)
        for process, path in ((director, certs / "director.key"), (director, certs / "server.crt"),
                              (director, certs / "ca.crt"), (director, tokens),
                              (worker, certs / "worker-a.key"), (worker, certs / "worker-a.crt")):
            kept = path.with_suffix(".kept")
            path.rename(kept)
            for put in (os.mkfifo, lambda at: at.symlink_to("/dev/zero")):
                put(path)
                self.hang_up(process, rf" ERROR .*err=.*{re.escape(str(path))}: is no regular "
                                      r"file.* not reloaded; all stays as it was$")
                stream.wait_tokens(3)
                path.unlink()
            kept.rename(path)
        # What was there before still holds, and good files are taken again.
        self.assert_clean(self.cluster.start_client(*REQUEST, "--token-file", token, **mine), 5)
        self.hang_up(director)
        self.hang_up(worker)
        stream.wait_tokens(3)
        stream.signal(signal.SIGINT)
        self.assertEqual(stream.wait(), 0)
        summary = stream.summary()
        self.assertEqual((summary["lost"], summary["duplicated"], summary["connections"]),
                         (0, 0, 1))
        self.cluster.end()

    def test_no_start_with_what_is_no_file(self):
        fifo = self.cluster.folder / "fifo"
        os.mkfifo(fifo)
        for path in (fifo, "/dev/zero"):
            for program, *options in (
                    ("director", "--ca", path), ("director", "--client-tokens", path),
                    ("director", "--secret-file", path), ("worker", "--ca", path),
                    ("worker", "--secret-file", path),
                    ("director", "--cert", path, "--key", CERTS / "director.key"),
                    ("director", "--cert", CERTS / "director.crt", "--key", path),
                    ("client", "--ca", path), ("client", "--token-file", path)):
                process = self.cluster.run(program, *options)
                self.assertEqual(process.wait(), 1, options)
                self.assertRegex(process.err.text(), rf"^{program}: .*{path}: is no regular file")
        large = self.cluster.folder / "large.crt"
        large.write_bytes((CERTS / "ca.crt").read_bytes())
        os.truncate(large, 1 << 40)
        process = self.cluster.run("client", "--ca", large)
        self.assertEqual(process.wait(), 1)
        self.assertRegex(process.err.text(), rf"{large}: File too large$")

    def test_warning_before_the_end(self):
        certs = self.own_certs()
        template = ("tls_www_server", 'dns_name = "localhost"', 'ip_address = "127.0.0.1"')
        role = (f'uri = "{DIRECTOR_ROLE}"', "tls_www_server", "tls_www_client")
        sign(certs, "director", certs / "ca", role, "expiration_days = 13")
        sign(certs, "server", certs / "ca", template, "expiration_days = 15")
        director = self.cluster.start_director(*PATIENT, "--certs-dir", certs)
        soon = (r"WARN .*certificate=%s days=%s the certificate expires soon; renew it and send "
                r"SIGHUP$")
        director.wait_for(soon % ("cert", "1[23]"))
        self.assertIsNone(director.find(r"certificate=user-cert"))

        sign(certs, "director", certs / "ca", role, "expiration_days = 30")
        sign(certs, "server", certs / "ca", template, "expiration_days = 2")
        start = director.said()
        self.hang_up(director)
        director.wait_for(soon % ("user-cert", "[12]"), start)
        self.assertIsNone(director.find(r"certificate=cert ", start))

        sign(certs, "server", certs / "ca", template,
             'activation_date = "2020-01-01 00:00:00"\nexpiration_date = "2020-02-01 00:00:00"')
        start = director.said()
        self.hang_up(director)
        director.wait_for(r"WARN .*certificate=user-cert the certificate has expired; renew it",
                          start)
        sign(certs, "worker-a", certs / "ca", (f'uri = "{worker_role("worker-a")}"',
                                               "tls_www_server", "tls_www_client"),
             "expiration_days = 3")
        worker = self.cluster.start_worker("worker-a", *CALM, "--certs-dir", certs)
        self.assertTrue(worker.find(soon % ("cert", "[23]")))
        self.cluster.end()

    def test_secret_of_two_lines(self):
        """Programs that know the new and the old secret, those that know one, together."""
        certs = self.own_certs()
        old = certs / "old.secret"
        shutil.copy(certs / "cluster.secret", old)
        make_certs(certs, "--new-secret")
        self.assertEqual((certs / "cluster.secret").read_text().splitlines()[1:],
                         old.read_text().splitlines())
        self.cluster.start_director(*PATIENT, "--certs-dir", certs)
        self.cluster.start_worker("worker-a", *CALM, "--certs-dir", certs, "--secret-file", old)
        self.assert_clean(self.cluster.start_client(
            *REQUEST, environment={"CONNECTION_SWAP_CERTS_DIR": str(certs)}), 5)
        self.cluster.end()


class Secrecy(AccessTest):
    """What a process keeps to itself."""

    def start_all(self, *options):
        director = self.cluster.start_director(*PATIENT, *options)
        worker = self.cluster.start_worker("worker-a", *CALM, *options)
        client = self.cluster.start_client("--tokens", "0", *options)
        client.wait_tokens(1)
        return director, worker, client

    @staticmethod
    def core_limit(process):
        limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
        return re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits).groups()

    def test_no_core_dumps(self):
        for process in self.start_all("--no-allow-core-dumps"):
            self.assertEqual(self.core_limit(process), ("0", "0"))
            process.kill()

    def test_core_dumps_allowed(self):
        ours = resource.getrlimit(resource.RLIMIT_CORE)
        expected = tuple("unlimited" if v == resource.RLIM_INFINITY else str(v) for v in ours)
        for process in self.start_all("--allow-core-dumps"):
            self.assertEqual(self.core_limit(process), expected)
            process.kill()

    def test_no_debuggers(self):
        """Another process of the same user, which is nobody special, cannot look inside."""
        user = os.getuid()
        become = []
        if user == 0:
            user = 65534
            become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            reach = subprocess.run([*become, "test", "-x", PROGRAMS["client"]], check=False)
            if reach.returncode != 0:
                self.skipTest("the programs are where only root can reach them")
        self.cluster.folder.chmod(0o755)
        authority = self.cluster.folder / "ca.crt"
        authority.write_bytes((CERTS / "ca.crt").read_bytes())
        authority.chmod(0o644)
        for option, owner in (("--no-allow-core-dumps", 0), ("--allow-core-dumps", user)):
            # Nobody answers at that port, and the client tries again and again.
            process = self.cluster.add(Process(
                self.cluster.folder, "client" + option,
                [*become, PROGRAMS["client"], "--target", "127.0.0.1:9", "--ca", authority,
                 "--connect-timeout", "60s", "--log", "debug", option], cwd="/"))
            process.wait_for("cannot connect; trying again")
            self.assertEqual(os.stat(f"/proc/{process.pid}/environ").st_uid, owner)
            look = subprocess.run([*become, "cat", f"/proc/{process.pid}/environ"], check=False,
                                  stdin=subprocess.DEVNULL, capture_output=True)
            self.assertEqual(look.returncode == 0, owner == user, look.stderr)
            process.kill()


if __name__ == "__main__":
    main()

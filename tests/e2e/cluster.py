"""Real programs on this machine: starts directors, workers and clients, waits for what they say,
and ends them all, whatever happens.

Nothing here sleeps: output lines and ends of processes are events, and a test waits for the one it
needs. The limit of each wait is generous, because it only tells how long a failing test takes.

The environment names what is tested: RN_DIRECTOR, RN_WORKER and RN_CLIENT are the programs,
RN_TEST_CERTS is a folder that scripts/make-certs.sh has filled, RN_SOURCE_DIR is the project.
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

WAIT_S = 60  # for one event
F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ, from Python 3.10 on
PIPE_BYTES = 1 << 20
UNREAD_PIPE_BYTES = 4096
SHOWN_LINES = 40  # of each process, when a test has failed
PORTS_WAIT_S = 20  # for ports that a killed process has had

CERTS = pathlib.Path(os.environ["RN_TEST_CERTS"])
SOURCE = pathlib.Path(os.environ["RN_SOURCE_DIR"])
PROGRAMS = {name: os.environ["RN_" + name.upper()] for name in ("director", "worker", "client")}

# What no program may ever say.
CRASH = re.compile(r"Sanitizer|runtime error: |Assertion .* failed")

# Lines that tell little when a test has failed.
TOKEN = re.compile(r'(sending|received) token$|^\[token\]|^{"event":"token"')

# The kernel's: a child of a harness that was killed itself dies, too.
SETPRIV = shutil.which("setpriv")

# Judging a worker by its silence is no business of tests that are not about it: on a busy machine
# everybody is silent now and then.
PATIENT = ("--probe-interval", "10s", "--hang-timeout", "60s", "--stall-min", "3600s")
# The same, but a dead process is noticed within a second.
PATIENT_WITH_THE_LIVING = ("--probe-interval", "1s", "--hang-timeout", "60s", "--stall-min", "3600s")
# Workers that never simulate a failure.
CALM = ("--fail-after", "0")


def clean_environment(extra=None):
    """Our environment without anything that would configure the programs."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CONNECTION_SWAP_") and name != "RUST_LOG"
    }
    if "RN_SANITIZED" in os.environ:
        # LeakSanitizer looks into the process as a debugger does.
        environment["CONNECTION_SWAP_ALLOW_CORE_DUMPS"] = "true"
    environment.update(extra or {})
    return environment


def make_pipe(size):
    """Of that size before anybody writes. Returns a file to read from, and a descriptor."""
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, F_SETPIPE_SZ, size)
    except PermissionError:
        pass  # more of them than an ordinary user may have
    return open(reader, "rb"), writer


class Output:
    """Lines of one stream of a process, as they come; `unread`: not before read()."""

    def __init__(self, pipe, path, changed, unread=False):
        self.lines = []
        self.ended = False
        self._changed = changed
        self._pipe = pipe
        self._path = path
        self._thread = None
        if not unread:
            self.read()

    def read(self):
        """Begins to read, if it has not begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    def drop(self):
        """Instead of reading: there is no reader any more."""
        self._thread = threading.current_thread()
        self._pipe.close()
        self.ended = True

    def _read(self):
        with open(self._path, "ab") as log, self._pipe:
            for raw in self._pipe:
                log.write(raw)
                with self._changed:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def text(self):
        return "\n".join(self.lines)


class Process:
    """A program that runs. Its standard output is `out`, its log `err`. `unread`: nobody reads its
    standard output before out.read()."""

    def __init__(self, folder, name, command, environment=None, cwd=None, stdin=False,
                 unread=False):
        self.name = name
        self.command = [str(word) for word in command]
        self.changed = threading.Condition()
        self.code = None  # of the end; negative: the signal
        self.killed = False  # by us
        guard = [SETPRIV, "--pdeathsig", "KILL"] if SETPRIV else []
        # A log line waits 100 ms for its reader; we may be kept from reading for longer.
        out, out_writer = make_pipe(UNREAD_PIPE_BYTES if unread else PIPE_BYTES)
        err, err_writer = make_pipe(PIPE_BYTES)
        self._popen = subprocess.Popen(
            guard + self.command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=out_writer,
            stderr=err_writer,
            env=clean_environment(environment),
            cwd=cwd,
            start_new_session=True,
        )
        os.close(out_writer)
        os.close(err_writer)
        self.pid = self._popen.pid
        self.out = Output(out, folder / (name + ".out"), self.changed, unread)
        self.err = Output(err, folder / (name + ".err"), self.changed)
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._reaper.start()

    def _reap(self):
        code = self._popen.wait()
        with self.changed:
            self.code = code
            self.changed.notify_all()

    def over(self):
        """Has it ended, and is all that it said known?"""
        return self.code is not None and self.out.ended and self.err.ended

    def wait_until(self, look, what, timeout=WAIT_S):
        """The first true result of look(), which is called after each event of this process."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                was_over = self.over()
                result = look()
                if result:
                    return result
                if was_over:
                    raise AssertionError(f"{self.name} ended with {self.code}; no {what}")
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    raise AssertionError(f"{self.name}: no {what} within {timeout} s")

    def find(self, pattern, start=0, output=None):
        """The match of the first line from `start` on, or None."""
        compiled = re.compile(pattern)
        for line in (output or self.err).lines[start:]:
            match = compiled.search(line)
            if match:
                return match
        return None

    def wait_for(self, pattern, start=0, output=None, timeout=WAIT_S):
        """Waits for a line of its log (or the given output) and returns the match."""
        lines = (output or self.err).lines
        compiled = re.compile(pattern)
        position = start

        def look():
            nonlocal position
            while position < len(lines):
                match = compiled.search(lines[position])
                position += 1
                if match:
                    return match
            return None

        return self.wait_until(look, f"line like {pattern!r}", timeout)

    def said(self):
        """How many lines its log has: where a later wait_for may start."""
        return len(self.err.lines)

    def wait(self, timeout=WAIT_S):
        """Waits for its end; returns the exit code, or minus the signal."""

        def ended():
            return self.over()

        self.wait_until(ended, "end", timeout)
        return self.code

    def signal(self, number):
        """Sends a signal to the process."""
        with self.changed:
            if self.code is not None:
                return
            self.killed = self.killed or number == signal.SIGKILL
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass  # it has just ended

    def say(self, line):
        """Writes a line to its standard input."""
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def kill(self):
        """Ends it and whatever it has started, at once."""
        self.killed = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._reaper.join()
        self.out.read()
        if self._popen.stdin:
            self._popen.stdin.close()

    def crash(self):
        """What it should never have said or done, or None."""
        for line in self.err.lines + self.out.lines:
            if CRASH.search(line):
                return f"{self.name} said: {line}"
        if self.code is not None and self.code < 0 and not self.killed:
            return f"{self.name} was ended by signal {-self.code}"
        return None

    def tail(self):
        """Its last words, for a report."""
        lines = [f"--- {self.name}: {' '.join(self.command)} (exit: {self.code})"]
        for kind, output in (("out", self.out), ("err", self.err)):
            telling = [line for line in output.lines if not TOKEN.search(line)]
            telling = telling[-SHOWN_LINES:]
            if output.lines and telling[-1:] != output.lines[-1:]:
                telling += ["...", output.lines[-1]]
            lines.append(f"{kind}| {len(output.lines)} lines; without tokens:")
            lines.extend(f"{kind}| {line}" for line in telling)
        return "\n".join(lines)


class Server(Process):
    """A director or worker: two ports."""

    user = None
    mgmt = None

    def wait_listening(self):
        match = self.wait_for(r"user\.addr=(\S+) mgmt\.addr=(\S+) listening$")
        self.user, self.mgmt = match.groups()
        return self


class Client(Process):
    """A client with --print json: its standard output are events."""

    def __init__(self, *arguments, text, **options):
        self._events = []
        self.text_path = text
        super().__init__(*arguments, **options)

    def events(self):
        """All events until now."""
        while len(self._events) < len(self.out.lines):
            self._events.append(json.loads(self.out.lines[len(self._events)]))
        return self._events

    def wait_event(self, kind, start=0, timeout=WAIT_S, **values):
        """The first event from `start` on of that kind and with those values."""
        position = start

        def look():
            nonlocal position
            events = self.events()
            while position < len(events):
                event = events[position]
                position += 1
                if event["event"] == kind and all(event.get(k) == v for k, v in values.items()):
                    return event
            return None

        return self.wait_until(look, f"event {kind} {values}", timeout)

    def wait_tokens(self, more, timeout=WAIT_S):
        """Waits until that many more tokens have come."""
        start = len(self.events())

        def look():
            return sum(e["event"] == "token" for e in self.events()[start:]) >= more

        self.wait_until(look, f"{more} more tokens", timeout)

    def serving(self):
        """The worker that was connected last."""
        return [e["worker"] for e in self.events() if e["event"] == "connected"][-1]

    def summary(self):
        """The last event, of a client that has ended."""
        last = self.events()[-1] if self.events() else {}
        if last.get("event") != "summary":
            raise AssertionError(f"{self.name} gave no summary")
        return last

    def text(self, stream=1):
        """The text of the n-th stream."""
        path = str(self.text_path) + ("" if stream == 1 else f".{stream}")
        return pathlib.Path(path).read_bytes()


class Cluster:
    """Processes that belong together, and their folder."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rpcnet-e2e-"))
        self.processes = []
        self.director = None
        self._names = {}

    def _name(self, name):
        self._names[name] = self._names.get(name, 0) + 1
        count = self._names[name]
        return name if count == 1 else f"{name}.{count}"

    def add(self, process):
        """A process that is ended with the others."""
        self.processes.append(process)
        return process

    def run(self, program, *options, kind=Process, environment=None, name=None, certs=True,
            cwd=None, prefix=(), **more):
        """Starts a program; `prefix`: a command that becomes it."""
        extra = {"CONNECTION_SWAP_CERTS_DIR": str(CERTS)} if certs else {}
        extra.update(environment or {})
        command = [*prefix, PROGRAMS[program], *options]
        name = self._name(name or program)
        return self.add(
            kind(self.folder, name, command, environment=extra, cwd=cwd or self.folder, **more)
        )

    def _serve(self, program, user, mgmt, options, name):
        """Starts a server; a fixed port that is still another's is tried again."""
        deadline = time.monotonic() + PORTS_WAIT_S
        while True:
            server = self.run(program, "--user-addr", user, "--mgmt-addr", mgmt, *options,
                              kind=Server, name=name)
            try:
                server.wait_listening()
            except AssertionError:
                in_use = server.code == 1 and server.find("Address already in use")
                if not in_use or time.monotonic() > deadline:
                    raise
                continue
            server.options = options
            return server

    def start_director(self, *options, user="127.0.0.1:0", mgmt="127.0.0.1:0"):
        self.director = self._serve("director", user, mgmt, options, "director")
        return self.director

    def start_worker(self, label, *options, user="127.0.0.1:0", mgmt="127.0.0.1:0",
                     registered=True):
        """Starts a worker; `registered`: waits until the director gives it streams."""
        start = self.director.said() if registered else 0
        worker = self._serve(
            "worker", user, mgmt,
            ("--label", label, "--director-mgmt-addr", self.director.mgmt, *options), label)
        worker.label = label
        worker.own_options = options
        if registered:
            self.wait_reports(label, start)
        return worker

    def wait_reports(self, label, start=0):
        """Waits until the director has the worker in its pool."""
        self.director.wait_for(
            rf"worker\.label={label} draining=false recovering=false worker reports$", start)

    def again(self, worker, **more):
        """Starts a worker that has ended, at the same addresses."""
        return self.start_worker(worker.label, *worker.own_options, user=worker.user,
                                 mgmt=worker.mgmt, **more)

    def director_again(self):
        """Starts the director that has ended, at the same addresses."""
        old = self.director
        return self.start_director(*old.options, user=old.user, mgmt=old.mgmt)

    def start_client(self, *options, target=None, **more):
        """Starts a client whose events and text can be read."""
        name = self._name("text")
        text = self.folder / name
        return self.run("client", "--target", target or self.director.user, "--print", "json",
                        "--output-text", text, "--connect-timeout", f"{WAIT_S}s", *options,
                        kind=Client, text=text, **more)

    def end(self):
        """Ends workers and directors as an operator does; all must end well."""
        servers = [p for p in self.processes if isinstance(p, Server) and not p.over()]
        servers.sort(key=lambda p: p.name.startswith("director"))
        for server in servers:
            server.signal(signal.SIGTERM)
            code = server.wait()
            if code != 0:
                raise AssertionError(f"{server.name} ended with {code} after SIGTERM")

    def close(self):
        """Kills what is left; complains of crashes."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            try:
                process.wait()
            except AssertionError:
                pass  # somebody else holds its pipes; its lines are enough
        if os.environ.get("RPCNET_TEST_KEEP") == "1":
            print(f"kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        crashes = [crash for crash in (p.crash() for p in self.processes) if crash]
        if crashes:
            raise AssertionError("; ".join(crashes))

    def tails(self):
        return "\n".join(process.tail() for process in self.processes)


class ClusterTest(unittest.TestCase):
    """A test with a cluster of its own."""

    maxDiff = 2000

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and hasattr(self, "cluster"):
            print(f"\n=== {self.id()}\n{self.cluster.tails()}", flush=True)
        return result

    def reference(self, *options, streams=1):
        """The texts of such a request when nothing ever disturbs it."""
        cluster = Cluster()
        try:
            cluster.start_director(*PATIENT)
            cluster.start_worker("worker-a", *CALM)
            client = cluster.start_client(*options, "--pace", "1us", "--streams", str(streams))
            if client.wait() != 0:
                raise AssertionError("the undisturbed run failed\n" + cluster.tails())
            return [client.text(n) for n in range(1, streams + 1)]
        finally:
            cluster.close()

    def assert_clean(self, client, tokens=None, streams=1):
        """The client has ended well, over one connection."""
        self.assertEqual(client.wait(), 0)
        summary = client.summary()
        for key, value in {
            "lost": 0,
            "duplicated": 0,
            "reordered": 0,
            "connections": 1,
            "handshakes": 1,
            "streams": streams,
            "streams_failed": 0,
            "interrupted": False,
        }.items():
            self.assertEqual(summary[key], value, key)
        if tokens is not None:
            self.assertEqual(summary["tokens"], tokens * streams)
        numbers = {}
        for event in client.events():
            if event["event"] == "token":
                numbers.setdefault(event["stream"], []).append(event["sequence"])
        self.assertEqual(len(numbers), streams)
        for sequence in numbers.values():
            self.assertEqual(sequence, list(range(1, len(sequence) + 1)))
        return summary

    def swaps_counted(self):
        """The director's counter."""
        counts = [0]
        for line in self.cluster.director.err.lines:
            match = re.search(r"swaps\.total=(\d+) stream moved$", line)
            if match:
                counts.append(int(match.group(1)))
        self.assertEqual(counts, list(range(len(counts))))
        return counts[-1]


class DocumentedPorts:
    """The ports of the documents, for one test of this machine at a time."""

    def __enter__(self):
        path = os.path.join(tempfile.gettempdir(), "rpcnet-documented-ports.lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        os.close(self._file)


def on_termination(_number, _frame):
    raise KeyboardInterrupt


def main():
    # As Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, on_termination)
    unittest.main(verbosity=2)

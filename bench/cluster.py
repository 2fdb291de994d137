"""What bench/swap, bench/relay and bench/load share: building, starting a director with its workers
and loads, waiting for what they say, reading what they have used, and printing rows."""
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BENCH = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(BENCH)
CERTIFIED = ["worker-a", "worker-b", "worker-c"]
WAIT_S = 30
SPOILED = 0.25  # of a core: with so much used by other programs a measurement is repeated
TRIES = 4


class Trouble(Exception):
    """Something did not happen; the message says what."""


def build(folder):
    """Configures and builds the programs; a no-op when they are up to date."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    commands = [
        ["cmake", "-S", BENCH, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"],
        ["cmake", "--build", folder, "--target", "director", "worker", "client", "streams",
         "stamping_worker", "malloc_count"]]
    for command in commands:
        done = subprocess.run(command, check=False, **quiet)
        if done.returncode != 0:
            raise Trouble("%s failed:\n%s" % (" ".join(command), done.stdout[-4000:]))


class Process:
    """A program whose output (stdout or stderr) is read line by line, with the time of reading."""

    def __init__(self, command, read, environment=None):
        self.command = command
        self.lines = []  # (CLOCK_MONOTONIC ns, text)
        self.news = threading.Condition()
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environment,
            stdout=subprocess.PIPE if read == "stdout" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if read == "stderr" else None)
        self.pipe = self.popen.stdout or self.popen.stderr
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        rest = b""
        while True:
            data = os.read(self.pipe.fileno(), 1 << 20)
            now = time.monotonic_ns()
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            with self.news:
                self.lines += [(now, line.decode(errors="replace")) for line in lines]
                self.news.notify_all()

    @property
    def pid(self):
        return self.popen.pid

    def mark(self):
        return len(self.lines)

    def wait_line(self, pattern, start=0, timeout=WAIT_S, count=1):
        """The count-th line from `start` on that matches: (ns, match, index behind it)."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        at = start
        with self.news:
            while True:
                while at < len(self.lines):
                    ns, text = self.lines[at]
                    at += 1
                    match = wanted.search(text)
                    if match:
                        count -= 1
                        if count == 0:
                            return ns, match, at
                if self.popen.poll() is not None and not self.thread.is_alive():
                    raise Trouble("%s ended (%d) before it said %r; last words: %s" % (
                        os.path.basename(self.command[0]), self.popen.returncode, pattern,
                        [text for _, text in self.lines[-3:]]))
                if not self.news.wait(max(0.0, min(0.2, deadline - time.monotonic()))) and \
                        time.monotonic() >= deadline:
                    raise Trouble("%s did not say %r; last words: %s" % (
                        os.path.basename(self.command[0]), pattern,
                        [text for _, text in self.lines[-3:]]))

    def send(self, number):
        self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=15):
        if self.popen.poll() is None:
            self.popen.send_signal(number)
            self.popen.send_signal(signal.SIGCONT)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.thread.join(timeout)
        return self.popen.returncode


class Load(Process):
    """The client with many streams (bench/streams.c); its swaps and summary as dictionaries."""

    def __init__(self, cluster, target, connections, streams, pace_us, **more):
        command = [cluster.program("streams"), "--target", target, "--certs", cluster.certs,
                   "--connections", str(connections), "--streams", str(streams),
                   "--pace-us", str(pace_us)]
        for name, value in more.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        super().__init__(command, "stdout")

    def wait(self, event, start=0, timeout=WAIT_S, count=1):
        ns, match, at = self.wait_line(r'^(\{"event":"%s".*)' % event, start, timeout, count)
        return ns, json.loads(match.group(1)), at

    def swaps(self, start=0):
        with self.news:
            lines = self.lines[start:]
        return [json.loads(text) for _, text in lines if text.startswith('{"event":"swap"')]

    def summary(self, timeout=WAIT_S):
        if self.popen.poll() is None and "--measure-ms" not in self.command:
            self.send(signal.SIGTERM)
        try:
            result = self.wait("summary", 0, timeout)[1]
        finally:
            self.stop()
        if result["lost"] or result["failed"]:
            raise Trouble("streams were harmed: %s" % result)
        return result


class Cluster:
    """A director and workers on ports of the kernel's choice, in a folder of their own."""

    def __init__(self, build_folder, director_options=(), wrap=(), environment=None):
        self.build = build_folder
        self.folder = tempfile.mkdtemp(prefix="rpcnet-bench-")
        self.certs = os.path.join(self.folder, "certs")
        self.workers = {}
        self.loads = []
        self.director = None
        try:
            self._certificates()
            self.environment = dict(os.environ, CONNECTION_SWAP_CERTS_DIR=self.certs)
            self.environment.pop("RUST_LOG", None)
            self._start_director(list(wrap) + [self.program("director")], list(director_options),
                                 dict(self.environment, **(environment or {})))
        except BaseException:
            self.close()
            raise

    def _start_director(self, command, options, environment):
        self.director = Process(
            command + ["--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0"] + options,
            "stderr", environment)
        line = self.director.wait_line(r"user\.addr=(\S+) .*mgmt\.addr=(\S+) .*listening")[1]
        self.user, self.mgmt = line.group(1), line.group(2)

    def _certificates(self):
        command = [os.path.join(PROJECT, "scripts", "make-certs.sh"), "--dir", self.certs]
        for label in CERTIFIED:
            command += ["--worker", label]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def program(self, name):
        places = {"streams": "streams", "stamping_worker": "stamping_worker"}
        return os.path.join(self.build, places.get(name, "rpcnet/apps/%s/%s" % (name, name)))

    def start_worker(self, label, options=(), program="worker"):
        """Starts one and waits until the director gives it streams."""
        start = self.director.mark()
        worker = self.launch_worker(label, options, program)
        self.director.wait_line(r"worker\.label=%s .*draining=false" % label, start)
        return worker

    def launch_worker(self, label, options=(), program="worker"):
        worker = Process(
            [self.program(program), "--label", label, "--user-addr", "127.0.0.1:0", "--mgmt-addr",
             "127.0.0.1:0", "--director-mgmt-addr", self.mgmt, "--fail-after", "0", "--streams-max",
             "0", "--log", "warn"] + list(options),
            "stderr", self.environment)
        self.workers[label] = worker
        return worker

    def load(self, connections, streams, pace_us, **more):
        load = Load(self, more.pop("target", self.user), connections, streams, pace_us, **more)
        self.loads.append(load)
        return load

    def close(self):
        for process in self.loads + list(self.workers.values()) + [self.director]:
            if process is not None:
                process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port(kind):
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class QuietCluster(Cluster):
    """Its director writes no line for each stream; what it does is read from its metrics page. It
    cannot say which ports it got, so they are chosen here; when another program was faster, the
    director ends at once."""

    def _start_director(self, command, options, environment):
        self.user, self.mgmt = ("127.0.0.1:%d" % free_port(socket.SOCK_DGRAM) for _ in range(2))
        self.page = "127.0.0.1:%d" % free_port(socket.SOCK_STREAM)
        self.director = Process(
            command + ["--log", "error", "--user-addr", self.user, "--mgmt-addr", self.mgmt,
                       "--metrics-addr", self.page] + options, "stderr", environment)
        self.wait_metrics(lambda page: True, "a metrics page")

    def metrics(self):
        """Name with labels, as the page has it, to value; None while nobody answers."""
        try:
            with urllib.request.urlopen("http://%s/metrics" % self.page, timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def wait_metrics(self, look, what, timeout=WAIT_S):
        deadline = time.monotonic() + timeout
        while True:
            page = self.metrics()
            if page is not None and look(page):
                return page
            if self.director.popen.poll() is not None or time.monotonic() > deadline:
                raise Trouble("the director did not show %s; last words: %s" % (
                    what, self.director.lines[-3:]))
            time.sleep(0.05)

    def start_worker(self, label, options=(), program="worker"):
        worker = self.launch_worker(label, options, program)
        self.wait_ready(len(self.workers))
        return worker

    def wait_ready(self, workers):
        self.wait_metrics(
            lambda page: page['rpcnet_director_workers{state="ready"}'] >= workers,
            "%d workers that are ready" % workers)


def rss_kib(pid):
    """Resident memory of a process."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def descriptors(pid):
    """How many a process has open."""
    return len(os.listdir("/proc/%d/fd" % pid))


def socket_drops(address):
    """Datagrams that the kernel threw away at a bound UDP socket of 127.0.0.1."""
    port = ":%04X" % int(address.rsplit(":", 1)[1])
    with open("/proc/net/udp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1].endswith(port):
                return int(fields[-1])
    raise Trouble("nobody has the port of %s" % address)


def cpu_ns(pid):
    """CPU time of a process so far in ns: all, and the kernel's share of it by clock ticks."""
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as file:
        total = int(file.read().split()[0])
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return total, int(fields[12]) * 1000000000 // os.sysconf("SC_CLK_TCK")


def busy_ns():
    """CPU time of the whole machine so far."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) * 1000000000 // os.sysconf("SC_CLK_TCK")


class Others:
    """What programs that are not ours have used, in cores, while `with` lasted; ours must have
    ended by then, or they count too."""

    def _ours(self):
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def __enter__(self):
        self.at, self.busy, self.ours = time.monotonic(), busy_ns(), self._ours()
        return self

    def __exit__(self, *_):
        used = (busy_ns() - self.busy) / 1e9 - (self._ours() - self.ours)
        self.share = max(0.0, used / (time.monotonic() - self.at))


def wait_calm(limit=0.15, timeout=120):
    """Waits until other programs use less than `limit` of a core, but not for ever."""
    deadline = time.monotonic() + timeout
    while True:
        begin, at = busy_ns(), time.monotonic_ns()
        time.sleep(1)
        share = (busy_ns() - begin) / (time.monotonic_ns() - at)
        if share < limit or time.monotonic() > deadline:
            return


def record(cluster, seconds):
    """Where the director's time goes in the next seconds: a function that returns the lines."""
    data = os.path.join(cluster.folder, "perf.data")
    subprocess.run(["perf", "record", "-q", "-F", "2000", "-e", "cpu-clock", "-p",
                    str(cluster.director.pid), "-o", data, "--", "sleep", str(seconds)],
                   check=True)

    def report():
        for keys in ("dso", "dso,symbol"):
            said = subprocess.run(["perf", "report", "-i", data, "--stdio", "-s", keys,
                                   "--percent-limit", "0.7"],
                                  capture_output=True, text=True, check=True).stdout
            for line in said.splitlines():
                if line.strip() and not line.startswith("#"):
                    yield line.rstrip()

    return report


def quantile(values, part):
    """The smallest value that `part` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(part * 1000) * len(ordered) // 1000) - 1)]


def undisturbed(measure):
    """What `measure` returns, and the share of a core that others used meanwhile: of the first run
    that was not spoiled, else of the last. All that `measure` starts it must also end."""
    for _ in range(TRIES):
        wait_calm(timeout=30)
        with Others() as others:
            result = measure()
        if others.share <= SPOILED:
            break
    return result, others.share


class Table:
    """Rows as they come: for people in columns, for programs one JSON object per line."""

    def __init__(self, as_json):
        self.as_json = as_json
        self.missed = 0
        if not as_json:
            print("%-52s %10s %-9s %9s  %s" % ("row", "ours", "unit", "goal", "met"))

    def row(self, name, ours, unit, goal=None):
        met = None if goal is None else ours <= goal
        self.missed += met is False
        ours = round(ours, 3)
        if self.as_json:
            print(json.dumps({"row": name, "ours": ours, "unit": unit, "goal": goal, "met": met}),
                  flush=True)
        else:
            print("%-52s %10s %-9s %9s  %s" % (
                name, "%g" % ours, unit, "-" if goal is None else "%g" % goal,
                {None: "-", True: "yes", False: "NO"}[met]), flush=True)

    def note(self, text):
        print("# " + text, file=sys.stderr, flush=True)

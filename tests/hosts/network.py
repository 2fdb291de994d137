"""Machines of our own: network namespaces with links between them, good ones (veth) and bad ones
(impair). All of it is inside the namespaces that tests/hosts/run has made, and goes with them.

    client ──── director ──── worker-a        the director is 10.77.0.1 for everybody
                    └──────── worker-b
"""

import ctypes
import json
import os
import pathlib
import subprocess
import threading

from cluster import Process

NAMES = pathlib.Path("/run/netns")
LEAVES = {"client": 1, "worker-a": 2, "worker-b": 3}
DIRECTOR = "10.77.0.1"
NAT = "10.77.9.0"  # what the addresses of a client become that a NAT has rebound
UPLINK = "uplink"  # the leaves' devices; the director's bear the name of the leaf
CLONE_NEWNET = 0x40000000


def ip(*words):
    """The command ip; an error of it is one of the test."""
    done = subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(words)}: {done.stdout.strip()}")


def address(leaf):
    """That of the client or a worker."""
    return f"10.77.{LEAVES[leaf]}.2"


class Relay(Process):
    """A bad line. Way "ab" is that from the leaf to the director, "ba" the other one."""

    def ask(self, line):
        said = len(self.out.lines)
        self.say(line)
        answer = self.wait_for("^", said, self.out).string
        if not answer.startswith("ok"):
            raise AssertionError(f"{self.name}: {line}: {answer}")
        return answer[3:]

    def set(self, way, **values):
        for name, value in values.items():
            self.ask(f"set {way} {name.replace('_', '-')} {value}")

    def wait_more(self, way, counter, count):
        """Waits until so many more packets had that fate."""
        self.ask(f"wait {way} {counter} {count}")

    def stats(self):
        return json.loads(self.ask("stats"))


class Network:
    """The machines of one scenario. Links are made later, by their leaf."""

    count = 0

    def __init__(self, seed):
        Network.count += 1
        self._prefix = f"rpcnet-{os.getpid()}-{Network.count}-"
        self._seed = seed
        self._relays = {}
        self._names = []
        try:
            for host in ("director", *LEAVES):
                ip("netns", "add", self.name(host))
                self._names.append(self.name(host))
                ip("-n", self.name(host), "link", "set", "dev", "lo", "up")
            ip("-n", self.name("director"), "address", "add", DIRECTOR + "/32", "dev", "lo")
        except AssertionError:
            self.close()
            raise

    def close(self):
        for name in self._names:
            ip("netns", "delete", name)
        self._names = []

    def name(self, host):
        return self._prefix + host

    def enter(self, host):
        """What a command is put behind to run there."""
        return ("nsenter", f"--net={NAMES / self.name(host)}")

    def inside(self, host, fn):
        """fn() of a thread that is there: its sockets are those of that machine."""
        result = []

        def run():
            netns = os.open(NAMES / self.name(host), os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(netns, CLONE_NEWNET) != 0:
                    result.append(OSError(ctypes.get_errno(), "setns"))
                    return
                result.append(fn())
            except Exception as error:  # pylint: disable=broad-except
                result.append(error)
            finally:
                os.close(netns)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def link(self, leaf):
        """Connects a leaf by a good line."""
        ip("link", "add", "name", UPLINK, "netns", self.name(leaf), "type", "veth",
           "peer", "name", leaf, "netns", self.name("director"))
        self._settle(leaf)

    def bad_link(self, cluster, leaf):
        """Connects a leaf by a line that can be made bad; returns it."""
        relay = cluster.add(Relay(
            cluster.folder, f"line-{leaf}",
            [os.environ["RN_IMPAIR"], str(self._seed + LEAVES[leaf]), NAT,
             f"{NAMES / self.name(leaf)}:{UPLINK}", f"{NAMES / self.name('director')}:{leaf}"],
            stdin=True))
        relay.wait_for("^ready$", output=relay.out)
        self._settle(leaf)
        return relay

    def _settle(self, leaf):
        outer = f"10.77.{LEAVES[leaf]}.1"
        ip("-n", self.name("director"), "address", "add", outer, "peer", address(leaf), "dev", leaf)
        ip("-n", self.name("director"), "link", "set", "dev", leaf, "up")
        if leaf == "client":
            ip("-n", self.name("director"), "route", "add", NAT + "/24", "dev", leaf)
        ip("-n", self.name(leaf), "address", "add", address(leaf), "peer", outer, "dev", UPLINK)
        self.up(leaf)

    def down(self, leaf):
        """Its interface is down, and the routes over it are gone."""
        ip("-n", self.name(leaf), "link", "set", "dev", UPLINK, "down")

    def up(self, leaf):
        ip("-n", self.name(leaf), "link", "set", "dev", UPLINK, "up")
        ip("-n", self.name(leaf), "route", "add", "default", "dev", UPLINK)

    def unlink(self, leaf):
        """There is no interface any more, on either side."""
        ip("-n", self.name(leaf), "link", "delete", "dev", UPLINK)

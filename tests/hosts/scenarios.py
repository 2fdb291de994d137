"""The scenarios of tests/hosts/run. In each of them every token comes once and in order, the text
is that of the undisturbed run, and the client has one connection with one handshake; and swaps are
those that had to be, for the right reason."""

import collections
import os
import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, Cluster
from disturbed import DisturbedTest, address_of
from network import DIRECTOR, Network, address

# Silence of a process counts here, two seconds of it.
ATTENTIVE = ("--probe-interval", "200ms", "--hang-timeout", "2s", "--stall-min", "3600s")
WORKERS = ("worker-a", "worker-b")
SEED = int(os.environ.get("RPCNET_TEST_SEED", "1"))
TUN = "/dev/net/tun"

Result = collections.namedtuple("Result", "tokens swaps")


def request(tokens):
    return ("--prompt", "the river", "--seed", "7", "--tokens", str(tokens))


SCENARIOS = {}  # by name, in their order


def scenario(short=False, tun=True):
    """`short`: part of the selection that runs with every change; `tun`: it has bad lines."""
    def register(method):
        method.short, method.tun = short, tun
        SCENARIOS[method.__name__] = method
        return method
    return register


def why_no_tun():
    """Why there can be no bad lines here, or None."""
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
        return None
    except OSError as error:
        return f"{TUN}: {error.strerror}"


class HostCluster(Cluster):
    """Programs, each on its machine."""

    def __init__(self, network):
        super().__init__()
        self._network = network

    def run(self, program, *options, name=None, **more):
        host = name if program == "worker" else program
        return super().run(program, *options, name=name, prefix=self._network.enter(host), **more)


class Scenarios(DisturbedTest):
    """Their names are those of the table."""

    texts = {}
    result = None  # for the table

    def setUp(self):
        if SCENARIOS[self._testMethodName].tun and why_no_tun():
            self.skipTest(why_no_tun())
        self.network = Network(SEED)
        self.addCleanup(self.network.close)
        self.cluster = HostCluster(self.network)
        self.addCleanup(self.cluster.close)
        self.lines = {}
        self.workers = {}

    def expected(self, tokens, streams):
        """The undisturbed texts, made once."""
        key = (tokens, streams)
        if key not in self.texts:
            self.texts[key] = self.reference(*request(tokens), streams=streams)
        return self.texts[key]

    def metrics(self):
        return self.network.inside("director", super().metrics)

    def begin(self, *options, bad=(), interval="10ms"):
        """Links, director and workers; `bad`: whose lines can be made bad."""
        for leaf in ("client", *WORKERS):
            if leaf in bad:
                self.lines[leaf] = self.network.bad_link(self.cluster, leaf)
            else:
                self.network.link(leaf)
        director = self.cluster.start_director("--metrics-addr", "127.0.0.1:0", *options,
                                               user=DIRECTOR + ":0", mgmt=DIRECTOR + ":0")
        self.metrics_at = address_of(director)
        for label in WORKERS:
            self.workers[label] = self.cluster.start_worker(
                label, *CALM, "--token-interval", interval,
                user=address(label) + ":0", mgmt=address(label) + ":0")

    def start_client(self, tokens, streams=1):
        self.tokens, self.streams = tokens, streams
        self.client = self.cluster.start_client(*request(tokens), "--streams", str(streams),
                                                "--server-name", "localhost")
        return self.client

    def assert_all(self, reasons):
        """The stream is whole at its end; reasons: {reason: swaps}."""
        expected = self.expected(self.tokens, self.streams)
        summary = self.assert_survived(self.client, expected, reasons, self.tokens,
                                       self.workers.values())
        counted = self.metrics()
        self.assertEqual(counted['handshakes_completed_total{port="user"}'], 1)
        self.assertEqual(counted['connections_accepted_total{port="user"}'], 1)
        self.result = Result(summary["tokens"], reasons)
        for line in self.lines.values():
            print(f"{line.name}: {line.stats()}", flush=True)

    def end(self):
        for line in self.lines.values():
            line.ask("clear both")
        self.cluster.end()

    def on_the_way(self, counters, tokens=300, streams=2, interval="10ms", **values):
        """The line of the client is bad in that way, from the first packet on; nothing moves.
        `counters`: what must have happened in both directions."""
        self.begin(*PATIENT_WITH_THE_LIVING, bad=("client",), interval=interval)
        line = self.lines["client"]
        line.set("both", **values)
        self.start_client(tokens, streams)
        self.assert_all({})
        stats = line.stats()
        for way in ("ab", "ba"):
            for counter in counters:
                self.assertGreater(stats[way][counter], 0, (way, counter))
        self.end()

    @scenario(short=True)
    def loss(self):
        """5 % of all packets, both ways."""
        self.on_the_way(("lost",), loss=0.05)

    @scenario(short=True)
    def delay_and_reordering(self):
        """30 to 70 ms; one in twenty 20 ms later."""
        self.on_the_way(("reordered",), delay_ms=30, jitter_ms=40, reorder=0.05, reorder_ms=20)

    @scenario()
    def duplicates(self):
        """5 % come twice."""
        self.on_the_way(("duplicated",), duplicate=0.05)

    @scenario()
    def corruption(self):
        """1 % have wrong bits, with a checksum that is right."""
        self.on_the_way(("corrupted",), corrupt=0.01, streams=4)

    @scenario()
    def rate(self):
        """1 Mbit/s with a queue of 32 KiB; the workers could fill more."""
        self.begin(*PATIENT_WITH_THE_LIVING, bad=("client",), interval="0")
        line = self.lines["client"]
        line.set("both", rate_bps=1e6, queue_bytes=32768, delay_ms=5)
        self.start_client(1000, 4)
        self.assert_all({})
        self.assertGreater(line.stats()["ba"]["queue_full"], 0)
        self.end()

    @scenario()
    def mtu(self):
        """Packets above 1280 bytes vanish without a word."""
        self.on_the_way(("too_large",), mtu=1280, interval="0", tokens=2000)

    @scenario()
    def everything(self):
        """A little of all of it, on all lines."""
        self.begin(*PATIENT_WITH_THE_LIVING, bad=("client", *WORKERS))
        for line in self.lines.values():
            line.set("both", loss=0.01, duplicate=0.01, corrupt=0.01, delay_ms=5, jitter_ms=10,
                     reorder=0.02, rate_bps=5e6)
        self.start_client(300, 4)
        self.assert_all({})
        self.end()

    def moves(self, cut, heal, tokens=500, reason="hung"):
        """The serving worker is cut off and the stream moves; it is healed and one of us again, and
        gets the stream back when the other one is cut off. `cut`(label), `heal`(label)."""
        director = self.cluster.director
        client = self.start_client(tokens)
        for _ in range(2):
            client.wait_tokens(20)
            victim = client.serving()
            said = director.said()
            cut(victim)
            director.wait_for(rf"from={victim} reason={reason} .*stream moved$", said)
            client.wait_tokens(20)
            said = director.said()
            heal(victim)
            director.wait_for(rf"worker\.label={victim} (worker answers again|draining=false "
                              r"recovering=false worker reports)$", said)
        self.assert_all({reason: 2})
        self.end()

    def partition(self, way, tokens=500):
        self.begin(*ATTENTIVE, bad=WORKERS)

        def cut(label):
            self.lines[label].set(way, cut=1)

        def heal(label):
            self.assertGreater(self.lines[label].stats()["ab" if way == "both" else way]
                               ["partitioned"], 0)
            self.lines[label].set(way, cut=0)

        self.moves(cut, heal, tokens)

    @scenario(short=True)
    def partition_both_ways(self):
        """Between the director and the serving worker."""
        self.partition("both")

    @scenario()
    def partition_from_the_worker(self):
        """The director hears nothing of the serving worker, which hears all."""
        self.partition("ab")

    @scenario()
    def partition_from_the_director(self):
        """The serving worker hears nothing of the director. What it says until its congestion window is
        full, and with its probe packets, is heard: the silence begins seconds later."""
        self.partition("ba", 2000)

    def rebind(self, how, tokens):
        self.begin(*PATIENT_WITH_THE_LIVING, bad=("client",))
        line = self.lines["client"]
        client = self.start_client(tokens, 2)
        for _ in range(2):
            client.wait_tokens(40)
            line.ask("rebind " + how)
            client.wait_tokens(40)
        self.assert_all({})
        self.assertEqual(line.stats()["ba"]["unmapped"] > 0, how == "forget")
        self.end()

    @scenario(short=True)
    def rebinding(self):
        """The client's NAT gives it another address and another port, twice."""
        self.rebind("keep", 300)

    @scenario()
    def rebinding_forgotten(self):
        """The same, and what is sent to the address before is lost. What the client says next tells
        of the new one; with bad luck that is its keep-alive, every ten seconds."""
        self.rebind("forget", 2400)

    @scenario(short=True, tun=False)
    def worker_interface_down(self):
        """That of the serving worker; later it returns."""
        self.begin(*ATTENTIVE)
        self.moves(self.network.down, self.network.up)

    @scenario(tun=False)
    def worker_interface_deleted(self):
        """The whole link is gone, and made anew."""
        self.begin(*ATTENTIVE)
        self.moves(self.network.unlink, self.network.link)

    @scenario(short=True)
    def client_interface_down(self):
        """Until the director has said 20 things in vain; then the stream goes on."""
        self.begin(*PATIENT_WITH_THE_LIVING, bad=("client",))
        client = self.start_client(300, 2)
        for _ in range(2):
            client.wait_tokens(40)
            self.network.down("client")
            self.lines["client"].wait_more("ba", "undelivered", 20)
            self.network.up("client")
        client.wait_tokens(40)
        self.assert_all({})
        self.end()

    @scenario(short=True)
    def kill_under_loss(self):
        """SIGKILL for the serving worker while the lines of the workers lose 2 %."""
        self.begin(*PATIENT_WITH_THE_LIVING, bad=WORKERS)
        for line in self.lines.values():
            line.set("both", loss=0.02)
        client = self.start_client(300, 2)
        serving = [client.wait_event("connected", stream=n)["worker"] for n in (1, 2)]
        client.wait_tokens(40)
        victim = serving[0]
        self.workers[victim].signal(signal.SIGKILL)
        self.workers[victim].wait()
        self.assert_all({"killed": serving.count(victim)})
        self.end()

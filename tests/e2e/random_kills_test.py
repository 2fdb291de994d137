"""Many streams on many connections while workers are killed at random.

The seed of the choices is printed; RPCNET_TEST_SEED=<seed> makes the same choices again. With
RPCNET_TEST_ALL=1 it is the long form, under a sanitizer the short one."""

import collections
import os
import random
import re
import signal

from cluster import CALM, PATIENT, WAIT_S, Cluster, main
from disturbed import ALL, SANITIZED, DisturbedTest

CONNECTIONS = 20
STREAMS = 10  # of each
KILLS = (20 if SANITIZED else 100) * (5 if ALL else 1)
SWAPS = 10 * KILLS
LABELS = "abcd"
# Workers come back to their ports again and again. On this address nobody else is given one meanwhile.
HOST = ".".join(str(byte) for byte in (127 << 24 | 1 << 22 | os.getpid()).to_bytes(4, "big"))
# Slow streams: what is tried out is the swap, and there are many.
PACE = ("--token-interval", "200ms")
ATTENTIVE = ("--probe-interval", "100ms", "--hang-timeout", "60s", "--stall-min", "3600s",
             # Two workers may die before the next message, again and again.
             "--max-attempts", "1000")
QUIET_LOG = {"RUST_LOG": "warn"}


class RandomKills(DisturbedTest):
    def start_clients(self, *options):
        return [self.cluster.start_client("--prompt", f"the river {n}", "--seed", str(1000 * n),
                                          "--streams", str(STREAMS), *options,
                                          environment=QUIET_LOG)
                for n in range(CONNECTIONS)]

    def expected(self, tokens):
        """The texts of all streams, undisturbed: one token at least for each that was seen."""
        mine, self.cluster = self.cluster, Cluster()
        try:
            self.cluster.start_director(*PATIENT)
            self.cluster.start_worker("worker-a", *CALM)
            clients = self.start_clients("--tokens", str(tokens), "--pace", "1us")
            for client in clients:
                self.assertEqual(client.wait(5 * WAIT_S), 0)
            return [self.texts(client) for client in clients]
        finally:
            self.cluster.close()
            self.cluster = mine

    @staticmethod
    def texts(client):
        """{number of the stream: its tokens}."""
        tokens = collections.defaultdict(list)
        for event in client.events():
            if event["event"] == "token":
                tokens[event["stream"]].append((event["sequence"], event["text"]))
        return tokens

    def swaps(self):
        return sum("stream moved" in line for line in self.cluster.director.err.lines)

    def disturb(self, workers, choose):
        """Kills and starts again, until there were enough kills and swaps."""
        director = self.cluster.director
        kills = 0
        while kills < KILLS or self.swaps() < SWAPS:
            # Sometimes several at once; sometimes all of them.
            victims = choose.sample(sorted(workers), choose.choice((1, 1, 1, 2, 2, len(LABELS))))
            said = director.said()
            for label in victims:
                workers[label].signal(signal.SIGKILL)
            for label in victims:
                workers[label].wait()
            kills += len(victims)
            if choose.random() < 0.5:
                # Not before the director has noticed.
                for label in victims:
                    director.wait_for(rf"worker\.label={label} (worker is dead|worker left)$",
                                      said)
            for label in victims:
                workers[label] = self.cluster.again(workers[label], registered=False)
            for label in victims:
                self.cluster.wait_reports(label, said)
        return kills

    def test_random_kills(self):
        seed = int(os.environ.get("RPCNET_TEST_SEED") or random.SystemRandom().getrandbits(32))
        print(f"{self.id()}: RPCNET_TEST_SEED={seed}", flush=True)
        director = self.start_director(*ATTENTIVE)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE,
                                                            user=f"{HOST}:0", mgmt=f"{HOST}:0")
                   for x in LABELS}
        clients = self.start_clients("--tokens", "0")
        for client in clients:
            client.wait_tokens(STREAMS)
        kills = self.disturb(workers, random.Random(seed))
        # Everybody goes on after the last kill.
        for client in clients:
            self.wait_all_flow(client)
        for client in clients:
            client.signal(signal.SIGINT)
        for client in clients:
            self.assertEqual(client.wait(), 0)

        self.assert_same_connections(clients)
        seen = [self.texts(client) for client in clients]
        longest = max(len(tokens) for texts in seen for tokens in texts.values())
        swaps = 0
        for client, texts, expected in zip(clients, seen, self.expected(longest)):
            summary = client.summary()
            self.assertEqual((summary["lost"], summary["duplicated"], summary["reordered"],
                              summary["connections"], summary["handshakes"], summary["streams"],
                              summary["streams_failed"]), (0, 0, 0, 1, 1, STREAMS, 0))
            self.assertEqual(set(texts), set(expected))
            for stream, tokens in texts.items():
                if tokens != expected[stream][:len(tokens)]:
                    self.fail(self.describe(client, stream, tokens, expected))
            swaps += summary["swap_count"]
            connections = {e["connection"] for e in client.events() if "connection" in e}
            self.assertEqual(len(connections), 1)
        self.print_suspicions()
        print(f"{self.id()}: {kills} kills, {swaps} swaps, {longest} tokens in the longest of "
              f"{CONNECTIONS * STREAMS} streams", flush=True)
        self.assertGreaterEqual(kills, KILLS)
        self.assertGreaterEqual(swaps, SWAPS)
        self.assertEqual(self.swaps_by_reason(), {"killed": swaps})
        self.assertEqual(self.swaps_counted(), swaps)
        counted = self.metrics()
        self.assertEqual(counted["suspicions_total"], 0)
        self.assertEqual(counted['handshakes_completed_total{port="user"}'], CONNECTIONS)
        self.assertEqual(counted["streams_opened_total"], CONNECTIONS * STREAMS)
        self.assertEqual(counted["journals_given_up_total"], 0)
        self.assertIsNone(director.code)
        self.cluster.end()

    @staticmethod
    def describe(client, stream, tokens, expected):
        """Where a text went wrong, and whether it is that of another stream of the client."""
        good = expected[stream]
        wrong = next((n for n, (got, due) in enumerate(zip(tokens, good)) if got != due), len(good))
        others = [n for n, text in expected.items() if tokens[:wrong + 20] == text[:wrong + 20]]
        moves = [e for e in client.events() if e.get("stream") == stream and e["event"] != "token"]
        return (f"{client.name}, stream {stream}: token {wrong + 1} is {tokens[wrong:wrong + 5]} "
                f"where {good[wrong:wrong + 5]} is due; the text is that of {others or 'nobody'}; "
                f"its moves: {moves[:5]}")

    def assert_same_connections(self, clients):
        """Director, workers and clients mean the same by a connection's name."""
        names = {e["connection"] for client in clients for e in client.events()
                 if "connection" in e}
        self.assertEqual(names, {f"conn-{n}" for n in range(1, CONNECTIONS + 1)})
        for process in self.cluster.processes:
            if process not in clients:
                ids = set(re.findall(r"connection\.id=(\S+)", process.err.text()))
                self.assertLessEqual(ids, names, process.name)
        self.assertEqual(set(re.findall(r"connection\.id=(\S+)",
                                        self.cluster.director.err.text())), names)

    def wait_all_flow(self, client):
        """Each of its streams gets another token."""
        start = len(client.events())

        def look():
            return len({e["stream"] for e in client.events()[start:]
                        if e["event"] == "token"}) == STREAMS

        client.wait_until(look, "another token of each stream")


if __name__ == "__main__":
    main()

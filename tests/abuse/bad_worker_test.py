"""A worker that lies to its director: each lie costs it the stream, or is not heard; the client gets
the text that an honest worker would have sent, and nobody else notices."""

import os
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

# pylint: disable=wrong-import-position
from cluster import CALM, CERTS, PATIENT, PROGRAMS, ClusterTest, main
from metrics_test import address_of, metrics

PROGRAMS["bad_worker"] = os.environ["RN_BAD_WORKER"]
PROGRAMS["probe_call"] = os.environ["RN_PROBE_CALL"]

TOKENS = 40
STOPPED = ("overdraw", "events-without-end",  # they show when the client takes nothing
           "tokens-and-events")
LATE = "read-late"  # for a client that says much
SILENT = "say-nothing-more"  # for the probes to find
STOPPED_TOKENS = 200
LIES_FROM = 100  # the seed of the first lie
REQUEST = ("--prompt", "the river", "--tokens", str(TOKENS), "--pace", "1us")
PREFIX = "rpcnet_director_"

# In the order of bad_worker.c: what the director says of the stream. None: it does not hear the lie,
# and the liar serves the stream to its end. A pattern that begins with '=' is no fault.
LIES = {
    "skip-one": r"message 7 where 6 is due",
    "skip-all": r"message 18446744073709551615 where 6 is due",
    "number-zero": None,
    "repeat-each": None,
    "go-back": None,
    "overdraw": r"message \d+ without credit",
    "events-without-end": r"more than 65536 bytes of events",
    "tokens-and-events": r"more than 65536 bytes of events",
    "repeat-much": None,
    "too-large": r"it sent a message of more than 4 MiB",
    LATE: None,
    "many-events": None,
    "one-huge-event": r"more than 65536 bytes of events",
    "checkpoint-beyond": r"checkpoint 6 outside of 0 to 5",
    "checkpoint-far-beyond": r"checkpoint 18446744073709551615 outside of 0 to 5",
    "checkpoint-behind": r"checkpoint 1 outside of 5 to 5",
    "refuse-late": r"a refusal after it had taken the stream",
    "probe-reply": r"a probe reply on a stream's call",
    "no-frame": r"it sent bytes that are no frame",
    "a-cut-frame": r"it sent bytes that are no frame",
    "unknown-frames": None,
    "done-twice": None,
    "go-on-behind-done": None,
    "fail-behind-done": None,
    "done-with-trailers": None,
    "end-without-done": r"it ended its call without Done \(OK\)",
    "end-with-a-status": r"it ended its call without Done \(PERMISSION_DENIED\)",
    "reset": r"it ended its call without Done \(CANCELLED\)",
    "fail-with-control-characters": r"=reason=failure",
    SILENT: r"=reason=hung",
}
NOT_AT_ONCE = (*STOPPED, LATE, SILENT)


class BadWorker(ClusterTest):
    def start_bad(self, *options):
        """Starts it as worker-a, and waits until the director gives it streams."""
        start = self.cluster.director.said()
        bad = self.cluster.run("bad_worker", "--certs", CERTS, "--director",
                               self.cluster.director.mgmt, *options)
        self.cluster.wait_reports("worker-a", start)
        return bad

    def start(self, *options):
        """A director, an honest worker, and a stream on it that has nothing to do with lies."""
        director = self.cluster.start_director(*(options or PATIENT), "--metrics-addr",
                                               "127.0.0.1:0")
        self.metrics_at = address_of(director)
        self.cluster.start_worker("worker-b", *CALM, "--token-interval", "5ms")
        self.beside = self.cluster.start_client("--prompt", "beside", "--tokens", "0")
        self.beside.wait_event("connected", worker="worker-b")
        return director

    def counted(self):
        return {name.replace(PREFIX, "", 1): value
                for name, value in metrics(self.metrics_at).items()}

    def end_beside(self):
        """The stream beside has come from worker-b all the time."""
        self.beside.wait_tokens(5)
        self.beside.signal(signal.SIGINT)
        self.assertEqual(self.beside.wait(), 0)
        summary = self.beside.summary()
        for key, value in {"lost": 0, "duplicated": 0, "reordered": 0, "connections": 1,
                           "handshakes": 1, "swap_count": 0, "streams_failed": 0}.items():
            self.assertEqual(summary[key], value, key)
        self.assertEqual(self.reference("--prompt", "beside", "--tokens", str(summary["tokens"])),
                         [self.beside.text()])

    def test_lies_about_streams(self):
        texts = self.reference(*REQUEST, "--seed", str(LIES_FROM), streams=len(LIES))
        director = self.start()
        bad = self.start_bad()
        bad.wait_for(f"^knows {list(LIES)[-1]}$", output=bad.out)
        self.assertEqual(re.findall(r"^knows (\S+)$", bad.out.text(), re.M), list(LIES))
        for n, (lie, says) in enumerate(LIES.items()):
            if lie not in NOT_AT_ONCE:
                self.one_lie(director, bad, lie, says, str(LIES_FROM + n), texts[n])
        self.end_beside()
        counted = self.counted()
        told = {lie: says for lie, says in LIES.items() if lie not in NOT_AT_ONCE}
        self.assertEqual(counted["streams_opened_total"], 1 + len(told))
        faults = sum(says is not None and says[0] != "=" for says in told.values())
        self.assertEqual(counted["worker_faults_total"], faults)
        self.assertEqual(counted['swaps_total{reason="lost"}'], faults)
        self.assertEqual(counted['swaps_total{reason="failure"}'], 1)
        self.assertEqual(counted['workers{state="ready"}'], 2)
        self.assertIsNone(bad.code)

    def one_lie(self, director, bad, lie, says, seed, text):
        said = director.said()
        client = self.cluster.start_client(*REQUEST, "--seed", seed)
        summary = self.assert_clean(client, TOKENS)
        self.assertEqual(client.text(), text)
        bad.wait_for(f"^lie {lie}$", output=bad.out)
        self.assertEqual(summary["swap_count"], 0 if says is None else 1)
        self.assertEqual(client.serving(), "worker-a" if says is None else "worker-b")
        if says is not None:
            pattern = says[1:] if says[0] == "=" else f"worker-a broke the protocol: {says}"
            director.wait_for(pattern, said)
        # Nothing that it says breaks a line of the log, or writes to a terminal.
        for line in director.err.lines[said:]:
            self.assertNotRegex(line, r"[\x00-\x08\x0b-\x1f\x7f]")

    def test_lies_to_a_client_that_stops(self):
        """The client does not read, and the worker goes on without credit."""
        director = self.start(*PATIENT, "--journal-max", str(8 << 20))
        self.start_bad()
        for lie in STOPPED:
            request = ("--prompt", "the river", "--tokens", str(STOPPED_TOKENS), "--pace", "1us",
                       "--seed", str(LIES_FROM + list(LIES).index(lie)))
            said = director.said()
            client = self.cluster.start_client(*request)
            client.wait_event("token")
            client.signal(signal.SIGSTOP)
            director.wait_for(f"worker-a broke the protocol: {LIES[lie]}", said)
            client.signal(signal.SIGCONT)
            self.assert_clean(client, STOPPED_TOKENS)
            self.assertEqual([client.text()], self.reference(*request))
        self.end_beside()
        self.assertEqual(self.counted()["worker_faults_total"], len(STOPPED))

    def test_a_client_that_says_much(self):
        """Three times what may be kept of its request, and more than a queue holds, to a worker that
        does not read for a while: the client has to wait, and nothing is lost."""
        director = self.start(*PATIENT, "--request-max", "4MiB", "--queue-max", "8MiB")
        bad = self.start_bad()
        seed = LIES_FROM + list(LIES).index(LATE)
        self.assertLess(seed, 128)  # one byte
        request = b"\x0a\x09the river\x10\x14\x18" + bytes((seed,))  # 20 tokens
        probe = self.cluster.run("probe_call", "--target", director.user, "--ca", CERTS / "ca.crt",
                                 "--name", "localhost", "--path",
                                 "/connection_swap.Inference/Generate", "--message", request.hex(),
                                 "--large", "12")
        bad.wait_for(f"^lie {LATE}$", output=bad.out)
        self.assertEqual(probe.wait(), 0)
        self.assertEqual(probe.out.lines[-1], "code=OK loss=none text=")
        self.end_beside()
        counted = self.counted()
        self.assertEqual(counted["queue_overflows_total"], 0)
        self.assertEqual(counted["requests_given_up_total"], 1)
        self.assertEqual(counted['streams_ended_total{end="done"}'], 1)
        self.assertEqual(counted["worker_faults_total"], 0)
        # Not all of it was in memory at once: one message, windows, rings; and buffers that doubled.
        self.assertLess(counted["memory_peak_bytes"], 12 << 20)

    def test_lies_about_probes(self):
        """Answers to probes that were never sent are no sign of life: it is held to hang."""
        request = (*REQUEST, "--seed", str(LIES_FROM + list(LIES).index(SILENT)))
        text = self.reference(*request)
        director = self.start("--probe-interval", "500ms", "--hang-timeout", "2s", "--stall-min",
                              "3600s")
        bad = self.start_bad("--probes-lie")
        client = self.cluster.start_client(*request)
        director.wait_for(r"from=worker-a reason=hung swaps\.total=1 stream moved$")
        self.assert_clean(client, TOKENS)
        self.assertEqual([client.text()], text)
        self.end_beside()
        self.assertIsNone(bad.code)


if __name__ == "__main__":
    main()

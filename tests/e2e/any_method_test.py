"""A call whose messages go both ways moves, too: what the client has said is said again to the next
worker. One that is too large to be kept ends when its worker does."""

import re
import signal

from cluster import CALM, PATIENT, PATIENT_WITH_THE_LIVING, Cluster, main
from disturbed import REASONS, DisturbedTest

TURNS = [(40, "the river"), (60, "and then"), (50, "tell me of bread"), (40, "")]
TOKENS = sum(tokens for tokens, _ in TURNS)
PACE = ("--token-interval", "10ms")


def text_of(chat):
    return "".join(e["text"] for e in chat.events() if e["event"] == "token")


class AnyMethod(DisturbedTest):
    def expected(self, *turns):
        """What an undisturbed worker says."""
        mine, self.cluster = self.cluster, Cluster()
        try:
            self.cluster.start_director(*PATIENT)
            self.cluster.start_worker("worker-a", *CALM, "--token-interval", "0")
            chat = self.start_chat(*turns)
            self.assertEqual(chat.wait(), 0)
            return text_of(chat)
        finally:
            self.cluster.close()
            self.cluster = mine

    def assert_chat(self, chat, expected, reasons):
        self.assertEqual(chat.wait(), 0)
        status = chat.events()[-1]
        self.assertEqual((status["event"], status["code"], status["connections"],
                          status["handshakes"]), ("status", "OK", 1, 1))
        self.assertEqual(chat.events()[-2]["event"], "done")
        self.assertEqual([e["sequence"] for e in chat.events() if e["event"] == "token"],
                         list(range(1, TOKENS + 1)))
        self.assertEqual(text_of(chat), expected)
        moves = [e for e in chat.events() if e["event"] == "connected"]
        self.assertEqual({(e["connection"], e["stream"]) for e in moves}, {("conn-1", 1)})
        self.assertEqual([REASONS[e["reason"]] for e in moves[1:]], reasons)
        self.assertEqual(self.swaps_by_reason(),
                         {reason: reasons.count(reason) for reason in reasons})
        for process in self.cluster.processes:
            ids = set(re.findall(r"connection\.id=(\S+)", process.err.text()))
            self.assertLessEqual(ids, {"conn-1"}, process.name)
        self.print_suspicions()

    def test_undisturbed(self):
        """What is said matters, when it is said does not; the first message alone is what
        Generate would make of it."""
        self.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "0")
        turns = self.start_chat(*TURNS)
        at_once = self.start_chat(*TURNS, how="at-once")
        generate = self.cluster.start_client("--prompt", TURNS[0][1], "--tokens",
                                             str(TURNS[0][0]))
        other = self.start_chat(TURNS[0], (TURNS[1][0], "and now"), *TURNS[2:])
        for client in (turns, at_once, generate, other):
            self.assertEqual(client.wait(), 0)
        self.assertEqual(text_of(turns), text_of(at_once))
        self.assertNotEqual(text_of(turns), text_of(other))
        self.assertEqual(len([e for e in turns.events() if e["event"] == "turn"]), len(TURNS))
        self.assertEqual("".join(e["text"] for e in turns.events() if e["event"] == "token"
                                 and e["sequence"] <= TURNS[0][0]),
                         generate.text().decode().rstrip("\n"))
        self.cluster.end()

    def test_moved_within_turns_and_between(self):
        expected = self.expected(*TURNS)
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE)
                   for x in "ab"}
        chat = self.start_chat(*TURNS, how="by-hand")

        def serving():
            return re.findall(r"worker\.label=(\S+) attempt=", director.err.text())[-1]

        def lose(number):
            said = director.said()
            victim = serving()
            workers[victim].signal(number)
            workers[victim].wait()
            director.wait_for(rf"from={victim} reason=\w+ swaps\.total=\d+ stream moved$", said)
            workers[victim] = self.cluster.again(workers[victim])

        chat.wait_event("token", sequence=10)
        lose(signal.SIGKILL)
        chat.wait_event("turn", turn=1)
        lose(signal.SIGKILL)  # while the worker waits for the client
        lose(signal.SIGTERM)
        chat.say("go on")
        chat.wait_event("token", sequence=TURNS[0][0] + 10)
        lose(signal.SIGTERM)
        chat.wait_event("turn", turn=2)
        chat.say("go on")
        chat.wait_event("turn", turn=3)
        chat.say("go on")
        chat.wait_event("turn", turn=4)
        lose(signal.SIGKILL)  # before the half close
        chat.say("that was all")
        self.assert_chat(chat, expected, ["killed", "killed", "drain", "drain", "killed"])
        self.cluster.end()

    def test_said_while_nobody_is_there(self):
        """The client's next message waits with the stream."""
        expected = self.expected(*TURNS)
        director = self.start_director(*PATIENT, "--park-timeout", "3600s")
        worker = self.cluster.start_worker("worker-a", *CALM, *PACE)
        chat = self.start_chat(*TURNS, how="by-hand")
        chat.wait_event("turn", turn=1)
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        director.wait_for(r"asking client to retry on next worker$")
        chat.say("go on")
        self.cluster.start_worker("worker-b", *CALM, *PACE)
        for n in range(2, len(TURNS) + 1):
            chat.wait_event("turn", turn=n)
            chat.say("go on")
        self.assert_chat(chat, expected, ["drain"])
        self.cluster.end()

    def test_thinking_is_no_stall(self):
        """While the client may say more, silence is no reason to move the stream."""
        expected = self.expected(*TURNS)
        director = self.start_director("--hang-timeout", "60s", "--stall-min", "10ms")
        workers = [self.cluster.start_worker(f"worker-{x}", *CALM, *PACE) for x in "ab"]
        chat = self.start_chat(*TURNS, how="by-hand")
        for n in range(1, len(TURNS) + 1):
            chat.wait_event("turn", turn=n)
            # Long enough for a stream with an end to be moved twenty times over.
            clock = self.start_chat((21, "a clock"), how="turns")
            self.assertEqual(clock.wait(), 0)
            chat.say("go on")
        chat.wait_event("status")
        self.assertEqual(text_of(chat), expected)
        self.assertEqual(sum(e["event"] == "connected" for e in chat.events()), 1)
        self.assertIsNone(director.find(r"connection\.id=conn-1 .*stream moved$"))
        self.assertEqual([worker.code for worker in workers], [None, None])
        self.cluster.end()

    def test_too_large_to_be_moved(self):
        """What the client says is more than is kept: the call goes on until its worker is lost."""
        director = self.start_director(*PATIENT_WITH_THE_LIVING, "--request-max", "64")
        worker = self.cluster.start_worker("worker-a", *CALM, *PACE)
        chat = self.start_chat((5, "short"), (1000, "a message that is much longer than what the "
                                              "director keeps of a request"))
        chat.wait_event("turn", turn=1)
        chat.wait_event("token", sequence=20)
        self.assertEqual(self.metrics()["requests_given_up_total"], 1)
        self.cluster.start_worker("worker-b", *CALM, *PACE)  # it could go on, if it knew how
        worker.signal(signal.SIGKILL)
        status = chat.wait_event("status")
        self.assertEqual(chat.wait(), 1)
        self.assertEqual((status["code"], status["message"], status["handshakes"]),
                         ("UNAVAILABLE", "the stream cannot go to another worker: the request is "
                          "not kept (limit 64 bytes)", 1))
        sequence = [e["sequence"] for e in chat.events() if e["event"] == "token"]
        self.assertEqual(sequence, list(range(1, len(sequence) + 1)))
        director.wait_for(r"code=UNAVAILABLE messages=\d+ err=\"the stream cannot go .* stream "
                          r"ended$")
        counted = self.metrics()
        self.assertEqual(counted['streams_ended_total{end="unresumable"}'], 1)
        self.assertEqual(counted['assignments_lost_total{reason="killed"}'], 1)
        self.assertEqual(self.swaps_by_reason(), {})
        self.print_suspicions()
        self.cluster.end()


if __name__ == "__main__":
    main()

"""The serving worker is killed: the stream goes on at another one."""

import signal

from cluster import CALM, PATIENT_WITH_THE_LIVING, main
from disturbed import DisturbedTest

TOKENS = 400
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))
PACE = ("--token-interval", "10ms")
KILLS = 4


class Kill(DisturbedTest):
    def test_serving_worker_is_killed_again_and_again(self):
        expected = self.reference(*REQUEST)[0]
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        workers = {f"worker-{x}": self.cluster.start_worker(f"worker-{x}", *CALM, *PACE)
                   for x in "ab"}
        client = self.cluster.start_client(*REQUEST)
        victims = []
        for n in range(KILLS):
            client.wait_tokens(15)
            victim = client.serving()
            said = director.said()
            workers[victim].signal(signal.SIGKILL)
            workers[victim].wait()
            if n % 2 == 1:
                # Back before anybody has missed it: its new process knows nothing of the stream.
                workers[victim] = self.cluster.again(workers[victim], registered=False)
            director.wait_for(rf"from={victim} reason=killed swaps\.total=\d+ stream moved$", said)
            if n % 2 == 0:
                workers[victim] = self.cluster.again(workers[victim])
            else:
                self.cluster.wait_reports(victim, said)
            victims.append(victim)
        summary = self.assert_survived(client, [expected], None, TOKENS, workers.values())
        killed = [s for s in summary["swaps"] if s["reason"] == "killed"]
        self.assertEqual([s["from"] for s in killed], victims)
        for swap in killed:
            self.assertEqual(swap["message"], f"{swap['from']} was killed")
        # Nothing but a busy machine may move it besides.
        self.assertLessEqual({s["reason"] for s in summary["swaps"]}, {"killed", "hung"})
        self.cluster.end()

    def test_the_only_worker_is_killed(self):
        expected = self.reference(*REQUEST)[0]
        director = self.start_director(*PATIENT_WITH_THE_LIVING)
        worker = self.cluster.start_worker("worker-a", *CALM, *PACE)
        client = self.cluster.start_client(*REQUEST)
        client.wait_tokens(15)
        worker.signal(signal.SIGKILL)
        director.wait_for(r"asking client to retry on next worker$")
        # Nobody is there: the stream waits.
        self.cluster.again(worker)
        summary = self.assert_survived(client, [expected], {"killed": 1}, TOKENS)
        self.assertEqual([(s["from"], s["to"], s["reason"]) for s in summary["swaps"]],
                         [("worker-a", "worker-a", "killed")])
        self.cluster.end()


if __name__ == "__main__":
    main()

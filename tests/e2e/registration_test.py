"""Workers whose registration does not last: they say why and do not hurry."""

import socket
import time

from cluster import CALM, PATIENT, ClusterTest, main


class Registration(ClusterTest):
    def test_an_address_where_nobody_is(self):
        """What the worker announces is wrong, so the director finds nobody there."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        director = self.cluster.start_director(*PATIENT, "--health-interval", "50ms")
        worker = self.cluster.start_worker(
            "worker-a", *CALM, "--advertise-mgmt-addr", f"127.0.0.1:{port}", registered=False)
        began = time.monotonic()
        lost = worker.wait_for(r"WARN worker\] worker=worker-a director=\S+ code=ABORTED err=(.*) "
                               r"registration lost; registering again$").group(1)
        self.assertRegex(lost, rf"the director finds nobody at .*127\.0\.0\.1:{port}")
        for _ in range(4):  # 0.1, 0.2, 0.4 and 0.8 s apart
            start = director.said()
            director.wait_for(r"worker registered$", start)
        self.assertGreater(time.monotonic() - began, 1)
        # The reason is told once.
        self.assertIsNone(worker.find(r"WARN .* registration lost",
                                      next(i for i, line in enumerate(worker.err.lines)
                                           if "registration lost" in line) + 1))
        self.cluster.end()


if __name__ == "__main__":
    main()

"""A director whose address space may not grow any more: streams that flow go on, newcomers are
refused by name or served, nothing crashes, and all is as before when there is memory again."""

import pathlib
import re
import resource
import unittest

from cluster import CALM, PATIENT, ClusterTest, main
from disturbed import SANITIZED

REQUEST = ("--prompt", "the river", "--seed", "7")
NEWCOMERS_MAX = 60


def virtual_bytes(pid):
    """The size of its address space now."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmSize:\s+(\d+) kB$", status, re.MULTILINE).group(1)) * 1024


@unittest.skipIf(SANITIZED, "the sanitizer reserves all addresses there are")
class Memory(ClusterTest):
    def test_director(self):
        director = self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        old = self.cluster.start_client(*REQUEST, "--tokens", "0", "--pace", "2ms")
        old.wait_tokens(100)
        before = resource.prlimit(director.pid, resource.RLIMIT_AS)
        resource.prlimit(director.pid, resource.RLIMIT_AS,
                         (virtual_bytes(director.pid), before[1]))
        # Each holds its connection, so that what the allocator has in store is used up.
        held = []
        refused = None
        for _ in range(NEWCOMERS_MAX):
            client = self.cluster.start_client(*REQUEST, "--tokens", "0", "--pace", "1s",
                                               "--connect-timeout", "5s")
            client.wait_until(
                lambda c=client: c.code is not None or any(
                    event["event"] == "token" for event in c.events()),
                "token or end")
            if client.code is not None:
                refused = client
                break
            held.append(client)
        self.assertIsNotNone(refused, "memory did not run out")
        self.assertEqual(refused.wait(), 1)
        self.assertRegex(refused.err.text(), r"it takes no more connections now|RESOURCE_EXHAUSTED"
                                             r"|UNAVAILABLE|out of memory")
        old.wait_tokens(200)
        for client in held:
            self.assertIsNone(client.code)
        resource.prlimit(director.pid, resource.RLIMIT_AS, before)
        fresh = self.cluster.start_client(*REQUEST, "--tokens", "20", "--pace", "1us")
        self.assert_clean(fresh, tokens=20)
        old.wait_tokens(100)


if __name__ == "__main__":
    main()

"""Who may do what: roles in certificates."""

import os
import subprocess

from cluster import CALM, CERTS, PATIENT, SOURCE, ClusterTest, main

REQUEST = ("--tokens", "5", "--pace", "1us")


def pair(name, folder=CERTS):
    return ("--cert", folder / f"{name}.crt", "--key", folder / f"{name}.key")


class Identity(ClusterTest):
    def strangers(self):
        """Certificates of another authority."""
        folder = self.cluster.folder / "strangers"
        subprocess.run([SOURCE / "scripts" / "make-certs.sh", "--dir", folder], check=True,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return folder

    def assert_refused(self, process, pattern):
        self.assertNotEqual(process.wait(), 0)
        self.assertRegex(process.err.text(), pattern)

    def test_client_trusts_nobody_else(self):
        director = self.cluster.start_director(*PATIENT)
        self.cluster.start_worker("worker-a", *CALM)
        strangers = self.strangers()
        client = self.cluster.start_client(*REQUEST, "--ca", strangers / "ca.crt")
        self.assert_refused(client, r"client: --target: \S+: .*certificate of the authority that "
                                    r"--ca names\?")
        named = self.cluster.start_client(*REQUEST, "--server-name", "somebody.example")
        self.assert_refused(named, r"client: --target: ")
        self.assertIsNone(director.find("client opened stream"))
        self.assert_clean(self.cluster.start_client(*REQUEST), 5)
        self.cluster.end()

    def test_worker_of_another_authority(self):
        director = self.cluster.start_director(*PATIENT)
        strangers = self.strangers()
        # It trusts the director, but shows a certificate that the director does not trust.
        worker = self.cluster.start_worker(
            "worker-a", *pair("worker-a", strangers), "--ca", CERTS / "ca.crt",
            "--secret-file", CERTS / "cluster.secret", registered=False)
        worker.wait_for(r"(cannot reach director|registration failed); trying again")
        # And the other way round.
        other = self.cluster.start_worker(
            "worker-b", "--ca", strangers / "ca.crt", *pair("worker-b"), registered=False)
        other.wait_for(r"cannot reach director; trying again; is this a director's MGMT address, "
                       r"and are the certificates of one authority\?$")
        self.assertIsNone(director.find("worker registered"))
        self.cluster.end()

    def test_worker_with_the_certificate_of_another(self):
        self.cluster.start_director(*PATIENT)
        worker = self.cluster.run("worker", "--label", "worker-b", *pair("worker-a"))
        self.assert_refused(worker, r"^worker: --cert: \S+worker-a\.crt bears the role "
                                    r"rpcnet://role/worker/worker-a, but "
                                    r"rpcnet://role/worker/worker-b is needed")

    def test_worker_takes_no_director_for_another_role(self):
        """Something else at the MGMT address: a worker with a certificate of the cluster."""
        self.cluster.start_director(*PATIENT)
        first = self.cluster.start_worker("worker-a", *CALM)
        second = self.cluster.run("worker", "--label", "worker-b", "--user-addr", "127.0.0.1:0",
                                  "--mgmt-addr", "127.0.0.1:0", "--director-mgmt-addr", first.mgmt)
        second.wait_for(r"cannot reach director; trying again; is this a director's MGMT address")
        self.assertIsNone(second.find("registered with director"))

    def test_worker_at_the_users_port(self):
        """The director's USER port bears no role, so no worker talks to it."""
        director = self.cluster.start_director(*PATIENT)
        worker = self.cluster.run("worker", "--user-addr", "127.0.0.1:0", "--mgmt-addr",
                                  "127.0.0.1:0", "--director-mgmt-addr", director.user)
        worker.wait_for(r"cannot reach director; trying again; is this a director's MGMT address")

    def test_only_the_cluster_calls_a_worker(self):
        self.cluster.start_director(*PATIENT)
        worker = self.cluster.start_worker("worker-a", *CALM)
        role = ("--server-identity", "rpcnet://role/worker/worker-a")

        # Without a certificate, and with the director's USER certificate, which is no identity.
        for identity in ((), pair("server")):
            client = self.cluster.start_client(*REQUEST, *role, *identity, target=worker.user)
            self.assertNotEqual(client.wait(), 0)
            self.assertEqual([e for e in client.events() if e["event"] != "summary"], [])
        self.assertIsNone(worker.find("accepted direct call"))

        # Neither with another worker's.
        client = self.cluster.start_client(*REQUEST, *role, *pair("worker-b"), target=worker.user)
        self.assert_refused(client, r"code=PERMISSION_DENIED err=\"only a director or a client of "
                                    r"the cluster may call a worker")
        self.assertIsNone(worker.find("accepted direct call"))

        # A client of the cluster may.
        client = self.cluster.start_client(*REQUEST, *role, *pair("client"), target=worker.user)
        self.assert_clean(client, 5)
        self.assertTrue(worker.find(r"accepted direct call$"))

        # But it must be the worker that was meant.
        client = self.cluster.start_client(
            *REQUEST, "--server-identity", "rpcnet://role/worker/worker-b", *pair("client"),
            target=worker.user)
        self.assert_refused(client, r"client: --target: ")
        self.cluster.end()

    def test_private_keys_are_private(self):
        for key in CERTS.glob("*.key"):
            self.assertEqual(os.stat(key).st_mode & 0o077, 0, key)


if __name__ == "__main__":
    main()

"""What the director and the workers show over HTTP: metrics, health and swaps."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import unittest

from cluster import CALM, PATIENT, WAIT_S, ClusterTest, main

REQUEST = ("--prompt", "the river", "--seed", "7")
METRICS = ("--metrics-addr", "127.0.0.1:0")
# Fails once, in the middle of the stream, and stays away.
FAILS = ("--fail-after", "300ms", "--recover-after", "0", "--token-interval", "5ms")
IDLE_CONNECTIONS = 100
# Of one address, see apps/common/sight.h.
CONNECTIONS_OF_ONE = 32

SAMPLE = re.compile(r'^([a-z_:]+)(?:\{([^}]*)\})? (\S+)$')


def address_of(process):
    """Where a program shows its metrics."""
    host, port = process.wait_for(r"\bmetrics\.addr=(\S+):(\d+) listening$").groups()
    return host.strip("[]"), int(port)


def request(address, path, method="GET"):
    """(status, headers, text) of a page."""
    connection = http.client.HTTPConnection(*address, timeout=WAIT_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode("utf-8")
    finally:
        connection.close()


def metrics(address):
    """{'name{labels}': value} of all samples."""
    status, _, text = request(address, "/metrics")
    assert status == 200, status
    values = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        key = name + ("{" + labels + "}" if labels else "")
        assert key not in values, key
        values[key] = float(value)
    return values


class Metrics(ClusterTest):
    def assert_promtool(self, address):
        """promtool finds nothing to complain of."""
        promtool = shutil.which("promtool")
        if promtool is None:
            return False
        text = request(address, "/metrics")[2]
        checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((checked.returncode, checked.stdout), (0, ""))
        return True

    def test_promtool(self):
        director = self.cluster.start_director(*METRICS)
        worker = self.cluster.start_worker("worker-a", *METRICS)
        if not self.assert_promtool(address_of(director)):
            self.skipTest("promtool is missing (scripts/install-dependencies.sh test)")
        self.assertTrue(self.assert_promtool(address_of(worker)))

    def test_counters_move_with_a_swap(self):
        director = self.cluster.start_director(*PATIENT, *METRICS)
        director_at = address_of(director)
        before = metrics(director_at)
        self.assertEqual(before["rpcnet_director_streams_opened_total"], 0)
        self.assertEqual(before['rpcnet_director_workers{state="ready"}'], 0)
        first = self.cluster.start_worker("worker-a", *FAILS, *METRICS)
        client = self.cluster.start_client(*REQUEST, "--tokens", "0", target=director.user)
        client.wait_event("connected", worker="worker-a")
        second = self.cluster.start_worker("worker-b", *CALM, *METRICS, "--token-interval", "5ms")
        client.wait_event("connected", worker="worker-b")
        client.wait_tokens(5)
        director.wait_for(r"worker\.label=worker-a draining=false recovering=true worker reports$")

        values = metrics(director_at)
        self.assertEqual(values["rpcnet_director_streams_opened_total"], 1)
        self.assertEqual(values["rpcnet_director_streams_open"], 1)
        self.assertEqual(values["rpcnet_director_assignments_accepted_total"], 2)
        self.assertGreater(values["rpcnet_director_messages_relayed_total"], 5)
        self.assertGreater(values["rpcnet_director_memory_used_bytes"], 0)
        self.assertGreaterEqual(values["rpcnet_director_memory_peak_bytes"],
                                values["rpcnet_director_memory_used_bytes"])
        self.assertEqual(values["rpcnet_director_memory_limit_bytes"], 1 << 30)
        self.assertEqual(values['rpcnet_director_handshakes_completed_total{port="user"}'], 1)
        self.assertEqual(values['rpcnet_director_connections_open{port="mgmt"}'], 2)
        self.assertEqual(values['rpcnet_director_workers{state="ready"}'], 1)
        self.assertEqual(values['rpcnet_director_workers{state="recovering"}'], 1)
        self.assertEqual(values['rpcnet_director_links{state="up"}'], 2)
        self.assertGreater(values["process_resident_memory_bytes"], 1 << 20)
        self.assertGreater(values["process_open_fds"], 3)
        for reason in ("failure", "killed", "hung", "stalled", "drain", "lost"):
            count = 1 if reason == "failure" else 0
            label = f'{{reason="{reason}"}}'
            self.assertEqual(values["rpcnet_director_swaps_total" + label], count)
            self.assertEqual(values["rpcnet_director_assignments_lost_total" + label], count)
            gap = "rpcnet_director_swap_gap_seconds"
            self.assertEqual(values[f"{gap}_count{label}"], count)
            self.assertEqual(values[f'{gap}_bucket{{reason="{reason}",le="+Inf"}}'], count)
            self.assertEqual(values[f"{gap}_sum{label}"] > 0, count > 0)

        of_first = metrics(address_of(first))
        self.assertEqual(of_first["rpcnet_worker_assignments_total"]
                         - of_first["rpcnet_worker_assignments_refused_total"], 1)
        self.assertEqual(of_first["rpcnet_worker_failures_simulated_total"], 1)
        self.assertEqual(of_first["rpcnet_worker_streams_failed_total"], 1)
        self.assertEqual(of_first["rpcnet_worker_registrations_total"], 1)
        self.assertEqual(of_first["rpcnet_worker_streams_open"], 0)
        self.assertEqual(of_first["rpcnet_worker_ready"], 0)
        self.assertGreater(of_first["rpcnet_worker_tokens_sent_total"], 0)
        of_second = metrics(address_of(second))
        self.assertEqual(of_second["rpcnet_worker_streams_open"], 1)
        self.assertEqual(of_second["rpcnet_worker_ready"], 1)
        self.assertGreaterEqual(of_second["rpcnet_worker_tokens_sent_total"], 5)
        self.assert_swaps(director_at)

    def assert_swaps(self, director_at):
        """/swaps after one swap, from worker-a to worker-b."""
        status, headers, text = request(director_at, "/swaps")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        page = json.loads(text)
        self.assertEqual((page["streams_total"], page["swaps_total"]), (1, 1))
        (stream,) = page["streams"]
        self.assertEqual(stream["method"], "/connection_swap.Inference/Generate")
        self.assertEqual((stream["state"], stream["worker"]), ("flowing", "worker-b"))
        self.assertGreaterEqual(stream["attempt"], 2)
        self.assertGreater(stream["delivered"], 5)
        self.assertTrue(stream["resumable"])
        self.assertGreater(stream["journal_bytes"], 0)
        (swap,) = page["swaps"]
        self.assertEqual((swap["from"], swap["to"], swap["reason"]),
                         ("worker-a", "worker-b", "failure"))
        self.assertEqual((swap["connection"], swap["stream"]),
                         (stream["connection"], stream["stream"]))
        self.assertGreater(swap["gap_ms"], 0)
        self.assertGreater(swap["time"], 1_700_000_000)

    def test_pages_and_refusals(self):
        director = self.cluster.start_director(*METRICS)
        at = address_of(director)
        status, headers, text = request(at, "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        self.assertIn('rpcnet_build_info{version="', text)
        self.assertEqual(request(at, "/health/live")[0], 200)
        self.assertEqual(request(at, "/health/ready")[::2],
                         (503, "not ready: there is no worker\n"))
        self.assertEqual(json.loads(request(at, "/swaps")[2]),
                         {"streams_total": 0, "streams": [], "swaps_total": 0, "swaps": []})
        self.assertEqual(request(at, "/")[0], 404)
        self.assertEqual(request(at, "/metrics", "HEAD")[::2], (200, ""))
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = request(at, "/metrics", method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))

        worker = self.cluster.start_worker("worker-a", *METRICS)
        worker_at = address_of(worker)
        self.assertEqual(request(at, "/health/ready")[::2], (200, "ready\n"))
        self.assertEqual(request(worker_at, "/health/live")[0], 200)
        self.assertEqual(request(worker_at, "/health/ready")[::2], (200, "ready\n"))
        self.assertEqual(request(worker_at, "/swaps")[0], 404)

    def test_off_unless_asked_for(self):
        director = self.cluster.start_director()
        self.assertIsNone(director.find(r"metrics\.addr="))
        # The variable of the director is nothing to the worker.
        worker = self.cluster.run(
            "worker", "--user-addr", "127.0.0.1:0", "--mgmt-addr", "127.0.0.1:0",
            "--director-mgmt-addr", director.mgmt,
            environment={"CONNECTION_SWAP_DIRECTOR_METRICS_ADDR": "0.0.0.0:1"})
        worker.wait_for("registered with director$")
        self.assertIsNone(worker.find(r"metrics\.addr="))

    def test_only_loopback(self):
        for program, prefix in (("director", "DIRECTOR"), ("worker", "WORKER")):
            variable = f"CONNECTION_SWAP_{prefix}_METRICS_ADDR"
            process = self.cluster.run(program, "--user-addr", "127.0.0.1:0", "--mgmt-addr",
                                       "127.0.0.1:0", environment={variable: "0.0.0.0:0"})
            self.assertEqual(process.wait(), 2)
            self.assertTrue(process.find(
                f"^{program}: {variable}: 0\\.0\\.0\\.0:0 is no loopback address; "))

    def test_idle_connections(self):
        director = self.cluster.start_director(*PATIENT, *METRICS)
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "5ms")
        client = self.cluster.start_client(*REQUEST, "--tokens", "0")
        client.wait_tokens(5)
        at = address_of(director)
        idle = []
        try:
            for _ in range(IDLE_CONNECTIONS):
                idle.append(socket.create_connection(at, timeout=WAIT_S))
            client.wait_tokens(50)
            # All of them are closed: those over the limit at once, the others when they have been
            # silent for too long.
            for connection in idle:
                self.assertTrue(self.closed(connection))
        finally:
            for connection in idle:
                connection.close()
        client.wait_tokens(5)
        self.assertEqual(metrics(at)["rpcnet_director_swaps_total{reason=\"lost\"}"], 0)
        # One address may have so many connections, and one more is closed without an answer.
        held = [socket.create_connection(at, timeout=WAIT_S) for _ in range(CONNECTIONS_OF_ONE)]
        try:
            with socket.create_connection(at, timeout=WAIT_S) as more:
                more.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(self.closed(more))
        finally:
            for connection in held:
                connection.close()

    @staticmethod
    def closed(connection):
        """Waits until the other end has closed it without a word."""
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


if __name__ == "__main__":
    main()

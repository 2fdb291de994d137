"""Records of connections: what is in the files, and that nobody suffers from them."""

import json
import os
import re
import resource
import stat

from cluster import CALM, PATIENT, ClusterTest, main
from metrics_test import address_of, metrics

TOKENS = 200
REQUEST = ("--prompt", "the river", "--seed", "7", "--tokens", str(TOKENS))


def texts(path):
    """The JSON texts of a file; all but the last line end are separators."""
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b"", f"{path} ends within a text"
    for line in lines:
        assert line.startswith(b"\x1e"), f"{path}: a text without a separator"
    return [json.loads(line[1:]) for line in lines]


class Qlog(ClusterTest):
    def folder(self, name):
        folder = self.cluster.folder / name
        folder.mkdir()
        return folder

    def files(self, folder):
        """By id and role."""
        out = {}
        for path in folder.iterdir():
            _, original_id, role = path.name.removesuffix(".sqlog").split("-")
            self.assertEqual(path.suffix, ".sqlog")
            out[original_id, role] = path
        return out

    def check(self, path, original_id, role, answered=True):
        header, *events = texts(path)
        self.assertEqual(header["qlog_format"], "JSON-SEQ")
        self.assertEqual(header["trace"]["vantage_point"]["type"], role)
        self.assertEqual(header["trace"]["common_fields"]["group_id"], original_id)
        names = {event["name"] for event in events}
        self.assertIn("transport:packet_sent", names)
        self.assertEqual("transport:packet_received" in names, answered)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        return events

    def test_both_ends_of_each_connection(self):
        folders = {name: self.folder(f"qlog-{name}") for name in ("director", "worker", "client")}
        self.cluster.start_director(*PATIENT, "--qlog-dir", folders["director"])
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "1ms",
                                  "--qlog-dir", folders["worker"])
        client = self.cluster.start_client(*REQUEST, "--qlog-dir", folders["client"])
        self.assert_clean(client, TOKENS)
        self.cluster.end()
        found = {name: self.files(folder) for name, folder in folders.items()}
        self.assertEqual(len(found["client"]), 1)
        # A worker that leaves may leave an attempt of the director's without an answer.
        other = {"client": "server", "server": "client"}
        ends = {end for files in found.values() for end in files}
        for files in found.values():
            for (original_id, role), path in files.items():
                self.check(path, original_id, role, (original_id, other[role]) in ends)
        (original_id, _), path = found["client"].popitem()
        events = self.check(path, original_id, "client")
        frames = [frame for event in events for frame in event["data"].get("frames", [])]
        self.assertEqual([f["error_code"] for f in frames if f["frame_type"] == "connection_close"],
                         [0x100])  # H3_NO_ERROR
        # The other end is the director's; the worker knows nobody but the director.
        self.assertIn((original_id, "server"), found["director"])
        self.assertGreaterEqual(len(found["worker"]), 2)
        for original_id, role in found["worker"]:
            self.assertIn((original_id, other[role]), found["director"])

    def test_a_folder_that_is_none(self):
        for program in ("director", "worker", "client"):
            process = self.cluster.run(program, "--qlog-dir", "/nonexistent/folder")
            self.assertEqual(process.wait(), 1)
            process.wait_for(rf"^{program}: --qlog-dir: cannot use /nonexistent/folder: "
                             "No such file or directory$")

    def test_a_full_disk(self):
        """The files grow to where they may not; every program goes on."""
        limit = 8192
        folder = self.folder("qlog")
        self.cluster.start_director(*PATIENT, "--qlog-dir", folder)
        worker = self.cluster.start_worker("worker-a", *CALM, "--token-interval", "1ms",
                                           "--qlog-dir", folder)
        for process in (self.cluster.director, worker):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        client = self.cluster.start_client(*REQUEST)
        self.assert_clean(client, TOKENS)
        for process in (self.cluster.director, worker):
            process.wait_for(r'file=\S+ bytes=\d+ err="File too large" qlog ends early$')
        self.cluster.end()
        for process in (self.cluster.director, worker):
            cut = re.findall(r"file=(\S+) bytes=(\d+) err=.* qlog ends early$",
                             process.err.text(), re.MULTILINE)
            self.assertEqual(len(cut), len(dict(cut)), "one line for each file")
            for name, size in cut:
                self.assertEqual((folder / name).stat().st_size, int(size))
                texts(folder / name)

    def test_limits_of_length_and_number(self):
        folder = self.folder("qlog")
        limits = ("--qlog-max", "4096", "--qlog-files", "1")
        director = self.cluster.start_director(*PATIENT, "--metrics-addr", "127.0.0.1:0",
                                               "--qlog-dir", folder, *limits)
        at = address_of(director)
        self.assertEqual(metrics(at)["rpcnet_qlogs_incomplete_total"], 0)
        self.cluster.start_worker("worker-a", *CALM, "--token-interval", "1ms")
        self.assert_clean(self.cluster.start_client(*REQUEST), TOKENS)
        director.wait_for(r'err="it is as long as it may be" qlog ends early$')
        self.assertGreater(metrics(at)["rpcnet_qlogs_incomplete_total"], 0)
        self.cluster.end()
        for path in folder.iterdir():
            self.assertLessEqual(path.stat().st_size, 4096)
            texts(path)


if __name__ == "__main__":
    main()

"""What one more connection, or one more stream, holds in the director's heap, and who asked for it:
the live memory of two directors that differ in nothing else, by heaptrack."""
import collections
import os
import re
import signal
import subprocess

from cluster import QuietCluster, Trouble

FEW, MANY = 100, 600
# Functions of the libraries, as they are seen from outside; the innermost one on the stack counts.
# Their inner functions have no names, only addresses.
LIBRARIES = [("GnuTLS", re.compile(r"^(gnutls_|ngtcp2_crypto_)")),
             ("ngtcp2", re.compile(r"^ngtcp2_")), ("nghttp3", re.compile(r"^nghttp3_")),
             ("libuv", re.compile(r"^uv_"))]
OURS = re.compile(r"^([a-z]\w+) \((\S+\.c)\)$")


def owner(stack):
    """Who asked for memory: a library, or the function of ours that did."""
    unnamed = False
    for frame in reversed(stack.split(";")):
        frame = frame.strip()
        unnamed = unnamed or frame.startswith("0x")
        for name, pattern in LIBRARIES:
            if pattern.match(frame):
                return name
        ours = OURS.match(frame)
        if ours and not ours.group(2).startswith(("dl-", "libc")):
            return "other" if unnamed else "ours: %s" % ours.group(1)
    return "other"


def program_of(parent):
    """The director below heaptrack's shell script."""
    said = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    for pid in map(int, said.stdout.split()):
        if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == "director":
            return pid
    raise Trouble("heaptrack runs no director")


def live(build, options, connections, streams, worker):
    """Live bytes by owner, of a director with so many connections and streams on each."""
    with QuietCluster(build, options + ["--allow-core-dumps"],
                      wrap=["heaptrack", "-o", os.path.join("/tmp", "rpcnet-heap-%d" % os.getpid())]
                      ) as cluster:
        cluster.start_worker(worker)
        load = cluster.load(connections, max(1, streams), 1000000, wait="yes")
        load.wait("connected")
        if streams > 0:
            load.send(signal.SIGUSR1)
            load.wait("measuring")
        cluster.wait_metrics(
            lambda page: page['rpcnet_director_connections_open{port="user"}'] == connections and
            page["rpcnet_director_streams_open"] == connections * streams, "all of them")
        # What a process holds when it is killed counts as leaked.
        os.kill(program_of(cluster.director.pid), signal.SIGKILL)
        cluster.director.popen.wait(60)
        load.popen.kill()
    path = "/tmp/rpcnet-heap-%d.zst" % os.getpid()
    folded = path + ".folded"
    try:
        subprocess.run(["heaptrack_print", "-f", path, "-F", folded, "--flamegraph-cost-type",
                        "leaked"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        amounts = collections.Counter()
        with open(folded, encoding="utf-8") as file:
            for line in file:
                stack, _, amount = line.rstrip().rpartition(" ")
                amounts[owner(stack)] += int(amount)
    finally:
        for one in (path, folded):
            if os.path.exists(one):
                os.unlink(one)
    return amounts


def heap(table, build, options, worker):
    for what, few, many in (("connection", (FEW, 0), (MANY, 0)),
                            ("stream", (10, FEW // 10), (10, MANY // 10))):
        before, after = live(build, options, *few, worker), live(build, options, *many, worker)
        count = MANY - FEW
        each = {name: (after[name] - before[name]) / count for name in after}
        ours = {name: amount for name, amount in each.items() if name.startswith("ours: ")}
        table.row("heap of a %s" % what, sum(each.values()) / 1024, "KiB")
        for name in [name for name, _ in LIBRARIES] + ["other"]:
            table.row("heap of a %s: %s" % (what, name), each.get(name, 0) / 1024, "KiB")
        table.row("heap of a %s: ours" % what, sum(ours.values()) / 1024, "KiB")
        for name, amount in sorted(ours.items(), key=lambda item: -item[1])[:8]:
            table.note("heap of a %s: %.0f bytes by %s" % (what, amount, name[len("ours: "):]))

"""A small UDP proxy: what is between two programs that they do not notice until it changes.

It forwards datagrams of one peer to a server and back. `rebind` gives it another port towards the
server, as a NAT does that has forgotten us; `hold` keeps everything on the way until `release`."""

import select
import socket
import threading

DATAGRAM_MAX = 65536


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)


class Relay:
    """Listens on a port of its own; forwards when it knows the server."""

    def __init__(self, server=None):
        self._lock = threading.Lock()
        self._down = self._bound()  # towards the peer
        self._up = self._bound()  # towards the server
        self._old = []  # the ports that were rebound,
        self._deaf = []  # and those of them that nothing comes through any more
        self._server = split(server) if server else None
        self._peer = None
        self._held = None  # datagrams on the way: (to the server?, bytes)
        self._wake, self._woken = socket.socketpair()
        self._ended = False
        self.address = "127.0.0.1:%d" % self._down.getsockname()[1]
        self.released = 0
        self.forwarded = threading.Condition(self._lock)
        self.down_count = 0  # from the server, since the last rebind
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _bound():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        return sock

    def serve(self, server):
        """Where to forward to."""
        with self._lock:
            self._server = split(server)

    def rebind(self, forget):
        """From now on the server sees another port. `forget`: what it sends to the old one is
        lost."""
        with self._lock:
            (self._deaf if forget else self._old).append(self._up)
            self._up = self._bound()
            self.down_count = 0
        self._wake.send(b"x")

    def upstream(self):
        """The address that the server sees."""
        with self._lock:
            return "127.0.0.1:%d" % self._up.getsockname()[1]

    def wait_answers(self, count, timeout):
        """Waits for datagrams of the server to the present port."""
        with self._lock:
            return self.forwarded.wait_for(lambda: self.down_count >= count, timeout)

    def hold(self):
        """Keeps everything on the way."""
        with self._lock:
            self._held = []

    def release(self):
        """Lets it go, in order."""
        with self._lock:
            held, self._held = self._held, None
            self.released += len(held)
            for to_server, data in held:
                self._forward(to_server, data)

    def _forward(self, to_server, data):
        if self._held is not None:
            self._held.append((to_server, data))
            return
        try:
            if to_server and self._server:
                self._up.sendto(data, self._server)
            elif not to_server and self._peer:
                self._down.sendto(data, self._peer)
        except OSError:
            pass  # lost, as datagrams may be

    def _receive(self, sock):
        while True:
            try:
                data, sender = sock.recvfrom(DATAGRAM_MAX)
            except OSError:
                return
            if sock is self._down:
                self._peer = sender
                self._forward(True, data)
            else:
                self.down_count += sock is self._up
                self._forward(False, data)
                self.forwarded.notify_all()

    def _run(self):
        while not self._ended:
            with self._lock:
                sockets = [self._down, self._up, *self._old, self._woken]
            readable = select.select(sockets, [], [])[0]
            with self._lock:
                for sock in readable:
                    if sock is self._woken:
                        sock.recv(64)
                    else:
                        self._receive(sock)

    def close(self):
        self._ended = True
        self._wake.send(b"x")
        self._thread.join()
        for sock in (self._down, self._up, *self._old, *self._deaf, self._wake,
                     self._woken):
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

"""A UDP relay that keeps what passes, so that it can be sent once more, or a little changed."""

import collections
import selectors
import socket
import threading

KEPT = 2000  # datagrams
READ = 65536


class Tap:
    """Relays between its own address and `target`, which may be set later."""

    def __init__(self, target=None):
        self.target = target
        self.kept = collections.deque(maxlen=KEPT)  # towards the target
        self.kept_back = collections.deque(maxlen=KEPT)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._stop, self._stopped = socket.socketpair()
        self._backs = {}  # socket of a peer by its address
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return "{}:{}".format(*self._front.getsockname())

    def peers(self):
        """Addresses that have sent something here."""
        return list(self._backs)

    def send_back(self, datagram):
        """Sends to all peers, as if it came from the target."""
        for peer in self.peers():
            self._front.sendto(datagram, peer)

    def send_on(self, datagram):
        """Sends to the target, as if it came from the peers."""
        for back in list(self._backs.values()):
            send(back, datagram)

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._front:
                    self._on()
                else:
                    self._back(key.fileobj, key.data)

    def _on(self):
        try:
            datagram, peer = self._front.recvfrom(READ, socket.MSG_DONTWAIT)
        except BlockingIOError:  # its checksum was wrong
            return
        if self.target is None:
            return
        if peer not in self._backs:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(address_of(self.target))
            self._backs[peer] = back
            self._selector.register(back, selectors.EVENT_READ, peer)
        self.kept.append(datagram)
        send(self._backs[peer], datagram)

    def _back(self, back, peer):
        try:
            # What made it readable may be a refusal that a send has heard of meanwhile.
            datagram = back.recv(READ, socket.MSG_DONTWAIT)
        except (ConnectionRefusedError, BlockingIOError):
            return
        self.kept_back.append(datagram)
        self._front.sendto(datagram, peer)

    def close(self):
        self._stop.send(b"x")
        self._thread.join()
        for end in (self._front, self._stop, self._stopped, *self._backs.values()):
            end.close()


def address_of(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def send(end, *arguments):
    """Sends; that nobody listens any more is no error of the sender's."""
    try:
        (end.sendto if len(arguments) > 1 else end.send)(*arguments)
    except ConnectionRefusedError:
        pass

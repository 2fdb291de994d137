"""Runs a program to which the kernel refuses UDP sockets (seccomp): without_sockets.py PROGRAM ...

Exit status 77: this machine cannot do that.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}  # the number of socket()
SET_NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
REFUSE, ALLOW = 0x00050000 | errno.EPERM, 0x7FFF0000
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def main():
    number = SOCKET_CALL.get(platform.machine())
    if number is None:
        sys.exit(77)
    steps = (
        (LOAD, 0, 0, NUMBER_AT),
        (EQUAL, 0, 3, number),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (EQUAL, 0, 1, socket.AF_INET),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    if (libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0
            or libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) != 0):
        sys.exit(77)
    os.execv(sys.argv[1], sys.argv[1:])


main()

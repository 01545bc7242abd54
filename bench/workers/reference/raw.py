"""Bytes there and back in Python, with no JSON: what comes is sent back, one write for each whole message.

The first message is its length, as eight digits."""

import os
import socket


def main():
    sock = socket.socket(fileno=int(os.environ["SABIR_FD"]))
    size = int(sock.recv(8, socket.MSG_WAITALL))
    buffer = bytearray(size)
    view = memoryview(buffer)
    while True:
        have = 0
        while have < size:
            count = sock.recv_into(view[have:])
            if count == 0:
                return
            have += count
        sock.sendall(buffer)


main()

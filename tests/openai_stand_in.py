"""The stand-in for OpenAI as a process of a test's, and what takes its place once it is gone."""
import json
import socket
import subprocess
import sys
import urllib.request

from harness import ROOT

KEY = {"OPENAI_API_KEY": "sk-test-0123456789"}


class Server:
    """The stand-in for OpenAI, until stop()."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, str(ROOT / "tests/stand_ins/openai_server.py")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def asked(self, scenario="key"):
        with urllib.request.urlopen(self.url + "/requests/" + scenario, timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Listener:
    """Takes the place of a server that is gone, and sees whether anybody still connects."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.socket.setblocking(False)

    def connections(self):
        count = 0
        while True:
            try:
                self.socket.accept()[0].close()
                count += 1
            except BlockingIOError:
                self.socket.close()
                return count

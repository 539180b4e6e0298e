"""Receivers: Postfix's smtp-sink, a new one for each measurement, so that its CPU is that measurement's; and one that tells when mail begins."""

import os
import re
import socket
import threading
import time
from pathlib import Path

import process
from process import Failed

BACKLOG = 1000


class Sink:
    """smtp-sink for as long as it is needed. Afterwards `cpu` holds what it took, in seconds, and `messages` how many came."""

    def __init__(self, folder, keep=None):
        self.log, self.port = folder / "smtp-sink.log", process.free_port()
        # -c: it counts what came, and writes the count as it goes.
        self.command = ["smtp-sink", "-c", f"127.0.0.1:{self.port}", BACKLOG]
        if keep:
            keep.mkdir()
            keep.chmod(0o777)
            self.command[1:1] = ["-d", f"{keep}/m."]
        if os.geteuid() == 0:  # it does not run as root
            self.command[1:1] = ["-u", "nobody"]

    def __enter__(self):
        with open(self.log, "w") as output:
            self.process = process.start(self.command, output)
        process.wait_for_port(self.port, self.process)
        return self

    def __exit__(self, *_):
        usage = process.end(self.process)
        self.cpu = usage.ru_utime + usage.ru_stime
        self.messages = self.counted()

    def counted(self):
        with open(self.log, "rb") as file:
            file.seek(max(0, os.stat(self.log).st_size - 200))
            found = re.findall(rb"mesg=(\d+)", file.read())
        return int(found[-1]) if found else 0

    def wait_for(self, messages, seconds):
        """Returns once so many messages have come."""
        until = time.monotonic() + seconds
        while self.counted() < messages:
            if time.monotonic() > until:
                raise Failed(f"smtp-sink has {self.counted()} of {messages} messages after {seconds} s")
            time.sleep(0.005)


def kept(folder):
    """The messages that an smtp-sink kept, as they came but for the fields that it put before them."""
    messages = []
    for path in sorted(Path(folder).iterdir()):
        whole = path.read_bytes().replace(b"\r\n", b"\n")
        header = re.match(rb"(?:X-\w+-(?:Addr|Proto|Args): .*\n|X-\w+-Args:.*\n|Received: .*\n(?:[ \t].*\n)*)+", whole)
        messages.append(whole[header.end() if header else 0:].replace(b"\n", b"\r\n"))
    return messages


class FirstMail(threading.Thread):
    """A receiver that knows no more than it must, and when the first MAIL came."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port, self.at, self.came = self.listener.getsockname()[1], None, threading.Event()
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed: nobody waits any more
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 first.example ESMTP\r\n")
                for line in lines:
                    if line[:4].upper() == b"MAIL":
                        self.at = self.at or time.monotonic()
                        self.came.set()
                        return
                    connection.sendall(b"250 first.example\r\n")
        except OSError:  # the sender was ended: it had come to MAIL on another connection
            pass

    def stop(self):
        self.listener.close()

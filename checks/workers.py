"""The judge's side of the children: start them, ask them, lose patience with them, clean up."""

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from checks import channel
from checks.catalogue import COMPILED, chapters, compiled

ZYGOTE = Path(__file__).resolve().parent / "zygote.py"
LAYERS = ("limits", "user", "namespaces", "files", "calls")
READY_SECONDS = 300.0
OUTPUT_KEPT = 64 << 10  # bytes of what a submission prints


class TimedOut(Exception):
    """No answer in time."""


class Pool:
    """Children on demand.

    Args:
        fork: from a zygote that holds torch (Linux); otherwise from a spare process, of which one is
            always kept ready (macOS, Windows).
        layers: of the sandbox, to be used where the system has them.
    """

    def __init__(self, fork: bool | None = None, layers=LAYERS):
        self.fork = sys.platform == "linux" if fork is None else fork
        self.layers = layers
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._starting = threading.Lock()  # the learner's child and the reference's start at once
        # What the zygote has to say, if it cannot start.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the zygote)
        self.prepare()

    def prepare(self) -> None:
        """Start importing torch, if nothing that has done so is ready."""
        if self._process is not None and self._process.poll() is None:
            return
        environment = {
            **os.environ,
            # Twice the memory and a thread that fork would lose, for matrices of this size.
            "OPENBLAS_NUM_THREADS": "1",
            # GNU OpenMP's threads spin while they wait, and slow down whoever shares the cores.
            "GOMP_SPINCOUNT": "3000",
        }
        command = [sys.executable, "-P", str(ZYGOTE)]
        if self.fork:
            ours, theirs = socket.socketpair()
            self._control = ours
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
            )
            theirs.close()
        else:
            self._process = subprocess.Popen(
                [*command, "spare"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )

    def start(self, job: dict, experiments: Path | None = None, given=()) -> "Worker":
        """A child for this job (see `checks.child.serve`).

        Args:
            experiments: the file of what it may be asked to run; that of its chapter when None.
            given: files that it finds in its working directory.
        """
        chapter = chapters()[job["chapter"]]
        job = {"cpu_seconds": 600, **job, "layers": self.layers, "needs": chapter.needs}
        job["scratch"] = tempfile.mkdtemp(prefix="checks-")
        code = compiled(experiments or chapter.file)
        Path(job["scratch"], COMPILED).write_bytes(code)
        for file in given:
            shutil.copy(file, job["scratch"])
        with self._starting:
            self.prepare()
            if self.fork:
                try:
                    return self._forked(job)
                except OSError:  # a submission has killed the zygote
                    self._process.kill()
                    self._process.wait()
                    self.prepare()
                    return self._forked(job)
            process, self._process = self._process, None
            self.prepare()
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        return Worker(process.stdout, process.stdin, process.stderr, job, process=process)

    def _forked(self, job: dict) -> "Worker":
        talk, their_talk = socket.socketpair()
        life, their_life = socket.socketpair()
        output, their_output = os.pipe()
        theirs = [their_talk.fileno(), their_output, their_life.fileno()]
        try:
            socket.send_fds(self._control, [json.dumps(job).encode()], theirs)
        finally:
            their_talk.close()
            their_life.close()
            os.close(their_output)
        reader, writer = talk.makefile("rb"), talk.makefile("wb")
        talk.close()
        return Worker(reader, writer, os.fdopen(output, "rb"), job, lifeline=life)

    def why_not_ready(self) -> str:
        """The last line that a zygote which has ended left behind; "" while it is there."""
        if not self.fork or self._process is None:
            return ""
        try:
            self._process.wait(timeout=10)  # it may be just about to end, on a busy machine
        except subprocess.TimeoutExpired:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the process that imports it has ended"

    def close(self) -> None:
        """End the zygote or the spare."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1 if self.fork else 0)  # it goes by itself
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
        self._process = self._control = None
        self._log.close()


class Worker:
    """One child. Requests and answers alternate; `ask` gives up after a while.

    Attributes:
        layers: of the sandbox that hold; None before the first answer.
        raw: header and body of the last answer.
    """

    def __init__(self, reader, writer, output, job: dict, lifeline=None, process=None):
        self.scratch = job["scratch"]
        self._reader, self._writer, self._output_stream = reader, writer, output
        self._lifeline, self._process = lifeline, process
        self._frames: queue.Queue = queue.Queue()
        self._printed = [b"", b""]  # the beginning and the end
        self._serial = 0
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_frames, self._drain_output)
        ]
        for thread in self._threads:
            thread.start()
        self.layers: list[str] | None = None

    def ask(self, request: dict, patience) -> dict:
        """Send a request, wait for its answer.

        Args:
            patience: how many seconds have to have passed before waiting ends; a function, since it
                may grow while waiting (see `checks.grader`).

        Raises:
            TimedOut, channel.Ended, channel.Garbled.
        """
        self._serial += 1
        try:
            self._writer.write(json.dumps({**request, "serial": self._serial}).encode() + b"\n")
            self._writer.flush()
        except OSError as error:
            raise channel.Ended from error
        if self.layers is None:
            # Torch may still be importing; nothing of the submission has run yet.
            self.layers = self._next(lambda: READY_SECONDS).get("layers")
        answer = self._next(patience)
        if answer.get("serial") != self._serial:
            raise channel.Garbled("an answer to another question")
        if not answer.keys() & {"observed", "error", "other_names"}:
            raise channel.Garbled("an answer without an answer")
        return answer

    def _next(self, patience) -> dict:
        start = time.monotonic()
        while True:
            left = patience() - (time.monotonic() - start)
            if left <= 0:
                raise TimedOut
            try:
                frame = self._frames.get(timeout=min(left, 1.0))
            except queue.Empty:
                continue
            if isinstance(frame, Exception):
                raise frame
            self.raw, answer = frame
            return answer

    def printed(self) -> str:
        """What it has printed, the middle left out when that is long."""
        beginning, end = self._printed
        text = beginning + (b"\n[...]\n" if len(end) >= OUTPUT_KEPT else b"") + end
        return text.decode(errors="replace")

    def close(self, has_ended: bool = False) -> str:
        """End it and everything it has started; returns how it ended, as far as is known."""
        how = ""
        if self._lifeline is not None:
            try:
                if has_ended:
                    self._lifeline.send(b"?")
                self._lifeline.shutdown(socket.SHUT_WR)
                self._lifeline.settimeout(10)
                how = self._lifeline.recv(64).decode()  # the keeper answers when nothing is left
            except OSError:
                pass
            self._lifeline.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2 if has_ended else 0)
            self._process.kill()
            code = self._process.wait()
            how = f"signal {-code}" if code < 0 else f"exit {code}"
        with suppress(OSError):
            self._writer.close()
        for thread in self._threads:
            thread.join(2)
        for thread, stream in zip(self._threads, (self._reader, self._output_stream), strict=True):
            if not thread.is_alive():
                stream.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        return how

    def _read_frames(self) -> None:
        try:
            while True:
                raw = channel.read_raw(self._reader)
                self._frames.put((raw, channel.decode(*raw)))
        except (channel.Ended, channel.Garbled) as error:
            self._frames.put(error)
        except (OSError, ValueError):
            self._frames.put(channel.Ended())

    def _drain_output(self) -> None:
        try:
            while data := self._output_stream.read1(1 << 16):
                beginning, end = self._printed
                room = max(0, OUTPUT_KEPT - len(beginning))
                self._printed = [beginning + data[:room], (end + data[room:])[-OUTPUT_KEPT:]]
        except (OSError, ValueError):
            pass

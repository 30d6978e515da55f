#!/usr/bin/env python3
"""Random calls on a mount and on a local directory at once; every answer must be the same.

    fsx.py MOUNT LOCAL SEED STEPS [--large N] [--external URL BUCKET]

Each step is one call, or a few, on one of a dozen files and a dozen open handles: the same on both
sides, with the same arguments, and results, errnos, bytes and sizes are compared at once. At the end
all handles are closed and all files compared; a second run, after a remount say, begins with that
comparison. `--large N`: N files grow to 20-40 MiB. `--external`: objects below other/ are put and
deleted through S3 meanwhile, and the mount must show them in the end.

The only call that is left out is a rename onto a file that is open: see the table of deviations.
"""
import argparse
import ctypes
import errno
import hashlib
import mmap
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../scripts/lib"))
import s3  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
SMALL = 300 << 10
LARGE = 40 << 20


class Differs(Exception):
    pass


class Handle:
    """One open file on both sides."""

    def __init__(self, pair, name, writes, reads):
        self.pair, self.name, self.writes, self.reads = pair, name, writes, reads


class Play:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.sides = (options.mount, options.local)
        self.handles = []
        self.history = []
        self.outside = {}
        self.large = {f"large{number}" for number in range(options.large)}
        self.names = [f"f{number}" for number in range(8)] + sorted(self.large)
        self.names += [f"dir{number % 2}/f{number}" for number in range(4)]

    # Both sides

    def both(self, what, call):
        """Runs call(side) on the mount and locally; both answer alike."""
        self.history.append(what)
        answers = []
        for side in (0, 1):
            try:
                answers.append(call(side))
            except OSError as error:
                answers.append(f"errno {errno.errorcode.get(error.errno, error.errno)}")
        if answers[0] != answers[1]:
            shown = [f"{len(a)} bytes {hashlib.md5(a).hexdigest()[:8]}" if isinstance(a, bytes)
                     else repr(a) for a in answers]
            more = ""
            if all(isinstance(answer, bytes) for answer in answers):
                first = next((i for i, (a, b) in enumerate(zip(*answers)) if a != b),
                             min(map(len, answers)))
                more = f", first at {first}"
            raise Differs(f"{what}: mount {shown[0]}, local {shown[1]}{more}")
        return answers[0]

    def path(self, side, name):
        return os.path.join(self.sides[side], name)

    def pick(self, wanted=lambda handle: True):
        found = [handle for handle in self.handles if wanted(handle)]
        return self.random.choice(found) if found else None

    def limit(self, name):
        return LARGE if name in self.large else SMALL

    def place(self, name):
        """An offset and a length: mostly inside, often at edges of pages, chunks and parts."""
        limit, choice = self.limit(name), self.random.random()
        if choice < 0.3:
            edge = self.random.choice([4096, 16384, 65536, 1 << 20, 5 << 20])
            offset = self.random.randrange(0, max(1, limit // edge)) * edge
            offset = max(0, offset + self.random.randrange(-3, 4))
        else:
            offset = self.random.randrange(limit)
        most = 3 << 20 if name in self.large and self.random.random() < 0.2 else 40000
        return offset, min(self.random.randrange(1, most), limit - offset) or 1

    # Steps

    def open(self):
        if len(self.handles) >= 12:
            return self.close()
        name = self.random.choice(self.names)
        flags = self.random.choice([
            os.O_RDONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT,
            os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
            os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_RDWR | os.O_CREAT | os.O_EXCL])
        pair = [None, None]

        def call(side):
            pair[side] = os.open(self.path(side, name), flags, 0o644)

        if self.both(f"open {name} {flags:o}", call) is None:
            access = flags & os.O_ACCMODE
            self.handles.append(
                Handle(pair, name, access != os.O_RDONLY, access != os.O_WRONLY))

    def close(self, handle=None):
        handle = handle or self.pick()
        if handle:
            self.handles.remove(handle)
            self.both(f"close {handle.name}", lambda side: os.close(handle.pair[side]))

    def write(self):
        if handle := self.pick(lambda handle: handle.writes):
            offset, length = self.place(handle.name)
            body = self.random.randbytes(length)
            self.both(f"write {handle.name} {offset}+{length}",
                      lambda side: os.pwrite(handle.pair[side], body, offset))

    def read(self):
        if handle := self.pick(lambda handle: handle.reads):
            offset, length = self.place(handle.name)
            self.both(f"read {handle.name} {offset}+{length}",
                      lambda side: os.pread(handle.pair[side], length, offset))

    def size(self):
        if handle := self.pick():
            self.both(f"fstat {handle.name}", lambda side: os.fstat(handle.pair[side]).st_size)

    def truncate(self):
        if handle := self.pick(lambda handle: handle.writes):
            size = self.place(handle.name)[0]
            self.both(f"ftruncate {handle.name} {size}",
                      lambda side: os.ftruncate(handle.pair[side], size))

    def truncate_path(self):
        name = self.random.choice(self.names)
        size = self.place(name)[0]
        self.both(f"truncate {name} {size}",
                  lambda side: os.truncate(self.path(side, name), size))

    def punch(self):
        if handle := self.pick(lambda handle: handle.writes):
            offset, length = self.place(handle.name)

            def call(side):
                if LIBC.fallocate(handle.pair[side], 3, ctypes.c_long(offset),
                                  ctypes.c_long(length)) < 0:
                    raise OSError(ctypes.get_errno(), "fallocate")

            self.both(f"punch {handle.name} {offset}+{length}", call)

    def map(self):
        if handle := self.pick(lambda handle: handle.writes and handle.reads):
            offset, length = self.place(handle.name)
            body = self.random.randbytes(min(length, 20000))

            def call(side):
                size = os.fstat(handle.pair[side]).st_size
                if size <= offset:
                    return "beyond"
                part = body[:size - offset]
                with mmap.mmap(handle.pair[side], size) as area:
                    before = area[max(0, offset - 10):offset + 10]
                    area[offset:offset + len(part)] = part
                    area.flush()
                return before

            self.both(f"map {handle.name} {offset}+{len(body)}", call)

    def sync(self):
        if handle := self.pick():
            self.both(f"fsync {handle.name}", lambda side: os.fsync(handle.pair[side]))

    def stream(self):
        """A file written from its beginning to its end, as cp does."""
        name = self.random.choice(sorted(self.large) or self.names)
        size = self.random.randrange(self.limit(name) // 2, self.limit(name))
        body = self.random.randbytes(size)
        back = self.random.randrange(size)

        def call(side):
            with open(self.path(side, name), "wb", buffering=0) as file:
                for offset in range(0, size, 128 << 10):
                    file.write(body[offset:offset + (128 << 10)])
                # Some go back to write a header, after parts were sent.
                if back % 2:
                    file.seek(back)
                    file.write(b"back")

        self.both(f"stream {name} {size}", call)

    def whole(self, name=None):
        name = name or self.random.choice(self.names)

        def call(side):
            with open(self.path(side, name), "rb") as file:
                return file.read()

        self.both(f"whole {name}", call)

    def rename(self):
        old, new = self.random.sample(self.names, 2)
        if (old in self.large) != (new in self.large):
            return
        if any(handle.name == new for handle in self.handles):
            return
        if self.both(f"rename {old} {new}", lambda side: os.rename(
                self.path(side, old), self.path(side, new))) is None:
            for handle in self.handles:
                handle.name = new if handle.name == old else handle.name

    def unlink(self):
        name = self.random.choice(self.names)
        if self.both(f"unlink {name}", lambda side: os.unlink(self.path(side, name))) is None:
            for handle in self.handles:
                if handle.name == name:
                    handle.name = name + " (removed)"

    def attributes(self):
        name = self.random.choice(self.names)
        mode = self.random.choice([0o600, 0o640, 0o755, 0o644])
        time_ns = self.random.randrange(10**18, 2 * 10**18)

        def call(side):
            os.chmod(self.path(side, name), mode)
            os.utime(self.path(side, name), ns=(time_ns, time_ns))
            status = os.stat(self.path(side, name))
            return status.st_mode, status.st_mtime_ns

        self.both(f"chmod, utime {name}", call)

    def outsider(self):
        if not self.options.external:
            return
        key = f"other/x{self.random.randrange(10)}"
        if key in self.outside and self.random.random() < 0.4:
            self.client.request("DELETE", self.options.external[1], key.encode())
            del self.outside[key]
        else:
            self.outside[key] = self.random.randbytes(self.random.randrange(1, 5000))
            self.client.request("PUT", self.options.external[1], key.encode(),
                                body=self.outside[key])
        self.history.append(f"outside {key}")

    # The whole

    def compare(self):
        """Every file, its size, mode and bytes; and the names of every directory."""
        for folder in (".", "dir0", "dir1"):
            self.both(f"list {folder}", lambda side: sorted(
                name for name in os.listdir(self.path(side, folder)) if name != "other"))
        for name in self.names:
            self.whole(name)
            self.both(f"mode {name}", lambda side: os.stat(self.path(side, name)).st_mode)

    def compare_outside(self):
        folder = os.path.join(self.options.mount, "other")
        deadline = time.monotonic() + 20
        while True:
            try:
                found = {f"other/{name}": open(os.path.join(folder, name), "rb").read()
                         for name in os.listdir(folder)} if self.outside else {}
            except OSError as error:
                found = error
            if found == self.outside:
                return
            if time.monotonic() > deadline:
                raise Differs(f"what others put is not seen: {found!r:.200}")
            time.sleep(0.2)

    def play(self):
        for side in (0, 1):
            for folder in ("dir0", "dir1"):
                os.makedirs(self.path(side, folder), exist_ok=True)
        if self.options.external:
            self.client = s3.Client(self.options.external[0], os.environ["AWS_ACCESS_KEY_ID"],
                                    os.environ["AWS_SECRET_ACCESS_KEY"])
            for key in list(self.client.keys(self.options.external[1], b"other/")):
                self.client.request("DELETE", self.options.external[1], key)
        self.compare()
        steps = {self.open: 14, self.close: 10, self.write: 25, self.read: 20, self.size: 5,
                 self.truncate: 4, self.truncate_path: 2, self.punch: 4, self.map: 5, self.sync: 3,
                 self.stream: 2, self.whole: 4, self.rename: 4, self.unlink: 2,
                 self.attributes: 3, self.outsider: 3}
        for _ in range(self.options.steps):
            self.random.choices(list(steps), list(steps.values()))[0]()
        while self.handles:
            self.close(self.handles[0])
        self.compare()
        if self.options.external:
            self.compare_outside()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mount")
    parser.add_argument("local")
    parser.add_argument("seed", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--external", nargs=2)
    play = Play(parser.parse_args())
    try:
        play.play()
    except Differs as problem:
        sys.exit(f"seed {play.options.seed}, after {len(play.history)} calls: {problem}\n"
                 + "the last calls:\n  " + "\n  ".join(play.history[-60:]))
    print(f"seed {play.options.seed}: {len(play.history)} calls, all alike")


main()

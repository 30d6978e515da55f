#!/usr/bin/env python3
"""Programs that read a mounted directory in ways no shell tool does. Each exits 1 with a line that
says what differs. Used by the mount tests only."""
import base64
import concurrent.futures
import ctypes
import errno
import hashlib
import json
import mmap
import os
import random
import sys
import time


def check(condition, message):
    if not condition:
        sys.exit(message)


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def mapped(path, copy):
    """The file through mmap, touched back to front, equals the copy."""
    expected = contents(copy)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        check(len(view) == len(expected), f"size {len(view)} instead of {len(expected)}")
        for start in range(len(view) - len(view) % 65536, -1, -65536):
            check(view[start:start + 65536] == expected[start:start + 65536],
                  f"differs at {start}")


def rotated(path, expected, start):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for begin, end in ((start, len(expected)), (0, start)):
            while begin < end:
                data = os.pread(descriptor, min(131072, end - begin), begin)
                check(data, f"end of file at {begin} of {len(expected)}")
                if data != expected[begin:begin + len(data)]:
                    raise SystemExit(f"differs near {begin}")
                begin += len(data)
    finally:
        os.close(descriptor)


def parallel(count, *pairs):
    """Readers at once, each through the whole of a file from a start of its own; FILE COPY ..."""
    copies = [(pairs[i], contents(pairs[i + 1])) for i in range(0, len(pairs), 2)]
    count = int(count)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        jobs = []
        for index in range(count):
            path, expected = copies[index % len(copies)]
            jobs.append(pool.submit(rotated, path, expected, len(expected) * index // count))
        for job in jobs:
            job.result()


def scattered(path, copy, count, seed):
    """Reads of odd sizes at odd offsets, some past the end."""
    expected = contents(copy)
    dice = random.Random(int(seed))
    descriptor = os.open(path, os.O_RDONLY)
    for _ in range(int(count)):
        offset = dice.randrange(len(expected) + 10000)
        size = dice.choice([1, 7, 511, 4096, 4097, 65536, 131073, 1048577])
        data = b""
        while len(data) < size:
            piece = os.pread(descriptor, size - len(data), offset + len(data))
            if not piece:
                break
            data += piece
        check(data == expected[offset:offset + size],
              f"seed {seed}: {size} bytes at {offset} differ")
    os.close(descriptor)


def past_end(path):
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    for offset in (size, size + 1, size + (1 << 20), 1 << 40, (1 << 62)):
        check(os.pread(descriptor, 4096, offset) == b"", f"bytes at {offset} of {size}")
    check(os.lseek(descriptor, 0, os.SEEK_END) == size, "SEEK_END is not the size")
    os.close(descriptor)


def interrupted(path, ready, go):
    """Reads a piece, waits for the file GO, reads the rest; prints the bytes' values and errno."""
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    values, offset, error = set(), 0, 0
    try:
        data = os.pread(descriptor, 65536, 0)
        values.update(data)
        offset = len(data)
        open(ready, "w").close()
        while not os.path.exists(go):
            time.sleep(0.01)
        while offset < size:
            data = os.pread(descriptor, 131072, offset)
            if not data:
                break
            values.update(data)
            offset += len(data)
    except OSError as failure:
        error = failure.errno
    print(json.dumps({"values": sorted(values), "bytes": offset, "size": size, "errno": error,
                      "error": errno.errorcode.get(error, "")}))


def walk(directory):
    """One JSON line a file: path, key (its attribute) and SHA-256, paths and keys in base64."""
    encode = lambda data: base64.b64encode(data).decode()
    top = os.fsencode(directory)

    def stop(failure):
        raise failure

    for folder, _, names in os.walk(top, onerror=stop):
        for name in names:
            path = os.path.join(folder, name)
            print(json.dumps({"path": encode(os.path.relpath(path, top)),
                              "key": encode(os.getxattr(path, "user.s3.key")),
                              "text": contents(path).decode()}))


def attributes(path):
    print(json.dumps({name: os.getxattr(path, name).decode() for name in os.listxattr(path)}))


def seek_directory(directory):
    """telldir, seekdir and rewinddir: every name comes once, from any place one returns to."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.c_void_p
    libc.readdir.argtypes = libc.rewinddir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
    libc.telldir.restype = ctypes.c_long
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    libc.closedir.argtypes = [ctypes.c_void_p]
    stream = libc.opendir(os.fsencode(directory))
    check(stream, "opendir failed")

    def names(limit=1 << 30):
        found = []
        while len(found) < limit:
            entry = libc.readdir(stream)
            if not entry:
                break
            found.append(ctypes.string_at(entry + 19))
        return found

    first = names(25)
    place = libc.telldir(stream)
    rest = names()
    everything = first + rest
    check(len(everything) == len(set(everything)), "a name came twice")
    libc.seekdir(stream, place)
    check(names() == rest, "seekdir came to another place")
    libc.rewinddir(stream)
    check(sorted(names()) == sorted(everything), "rewinddir shows other names")
    libc.closedir(stream)
    print(len(set(everything) - {b".", b".."}))


if __name__ == "__main__":
    {"mmap": mapped, "parallel": parallel, "scattered": scattered, "past-end": past_end,
     "interrupted": interrupted, "walk": walk, "attributes": attributes,
     "seek-directory": seek_directory}[sys.argv[1]](*sys.argv[2:])

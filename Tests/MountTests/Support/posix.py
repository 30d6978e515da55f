#!/usr/bin/env python3
"""What POSIX (and Linux beyond it) promises of files, case by case.

    posix.py DIRECTORY [CASE...]

Each case works in a directory of its own below DIRECTORY and prints one JSON line: its name and what
it saw, as values and names of errnos. Nothing is judged here: the same run on a local file system
says what is right. Only what is the same on every such file system is printed: no inode numbers, no
times of now, no order of names.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import stat
import subprocess
import sys

CASES = []
LIBC = ctypes.CDLL(None, use_errno=True)


def case(function):
    CASES.append(function)
    return function


def err(call, *arguments, **named):
    """The name of the errno that a call fails with; else what it gave."""
    try:
        result = call(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    if isinstance(result, bytes):
        return result.decode("latin-1")
    return "ok" if result is None else result


def opened(path, flags, mode=0o644):
    """The errno of an open; 'ok' when it worked (and it is closed again)."""
    try:
        os.close(os.open(path, flags, mode))
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def put(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)
    return path


def get(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def c_call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(LIBC, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def renameat2(old, new, flags):
    c_call("renameat2", -100, os.fsencode(old), -100, os.fsencode(new), flags)


def fallocate(descriptor, mode, offset, length):
    c_call("fallocate", descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length))


NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE = 1, 2, 8, 16


def kind(path):
    return stat.filemode(os.lstat(path).st_mode)


# Opening


@case
def open_creates():
    return [opened("a", os.O_RDONLY), opened("a", os.O_WRONLY | os.O_CREAT),
            opened("a", os.O_WRONLY | os.O_CREAT | os.O_EXCL), opened("a", os.O_WRONLY | os.O_CREAT),
            os.stat("a").st_size, kind("a")]


@case
def open_creates_with_mode():
    os.umask(0o027)
    try:
        os.close(os.open("a", os.O_WRONLY | os.O_CREAT, 0o666))
        os.close(os.open("b", os.O_WRONLY | os.O_CREAT, 0o600))
        # The mode counts for later opens: this one may write.
        descriptor = os.open("c", os.O_RDWR | os.O_CREAT, 0o400)
        os.write(descriptor, b"x")
        os.close(descriptor)
        os.mkdir("d", 0o777)
        return [kind("a"), kind("b"), kind("c"), kind("d"), get("c")]
    finally:
        os.umask(0o022)


@case
def open_truncates():
    put("a", b"hello")
    seen = [opened("a", os.O_WRONLY), os.stat("a").st_size]
    descriptor = os.open("a", os.O_WRONLY | os.O_TRUNC)
    seen.append(os.fstat(descriptor).st_size)
    seen.append(os.stat("a").st_size)
    os.write(descriptor, b"new")
    os.close(descriptor)
    return seen + [get("a")]


@case
def open_truncates_and_leaves_empty():
    put("a", b"hello")
    return [opened("a", os.O_WRONLY | os.O_TRUNC), os.stat("a").st_size, get("a")]


@case
def open_directory_flags():
    os.mkdir("d")
    put("f")
    return [opened("d", os.O_RDONLY), opened("d", os.O_DIRECTORY), opened("d", os.O_WRONLY),
            opened("d", os.O_RDWR), opened("d", os.O_WRONLY | os.O_CREAT), opened("f", os.O_DIRECTORY),
            opened("f/x", os.O_RDONLY), opened("f/x", os.O_WRONLY | os.O_CREAT),
            opened("no/x", os.O_WRONLY | os.O_CREAT), opened("f/", os.O_RDONLY),
            opened("new/", os.O_WRONLY | os.O_CREAT)]


@case
def open_modes_are_kept():
    put("a", b"x")
    reading = os.open("a", os.O_RDONLY)
    writing = os.open("a", os.O_WRONLY)
    seen = [err(os.write, reading, b"y"), err(os.read, writing, 1), err(os.ftruncate, reading, 0)]
    os.close(reading)
    os.close(writing)
    return seen


@case
def open_nofollow():
    put("a", b"x")
    os.symlink("a", "l")
    return [opened("l", os.O_RDONLY), opened("l", os.O_RDONLY | os.O_NOFOLLOW),
            opened("l", os.O_WRONLY | os.O_CREAT | os.O_EXCL)]


@case
def open_through_dangling_link():
    os.symlink("target", "l")
    seen = [opened("l", os.O_RDONLY)]
    put("l", b"made")
    return seen + [get("target"), kind("l")[0]]


# Reading and writing


@case
def write_at_offsets():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    seen = [os.pwrite(descriptor, b"world", 6), os.pwrite(descriptor, b"hello ", 0),
            err(os.pread, descriptor, 100, 0), err(os.pread, descriptor, 3, 9),
            err(os.pread, descriptor, 3, 11), err(os.pread, descriptor, 3, 4000),
            err(os.pwrite, descriptor, b"", 500), os.fstat(descriptor).st_size]
    os.close(descriptor)
    return seen + [get("a")]


@case
def write_leaves_holes():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"end", 300000)
    data = os.pread(descriptor, 400000, 0)
    os.close(descriptor)
    with open("a", "rb") as file:
        again = file.read()
    return [len(data), data.count(0), data[300000:].decode(), data == again]


@case
def write_over_existing():
    put("a", b"0123456789")
    descriptor = os.open("a", os.O_RDWR)
    os.lseek(descriptor, 3, os.SEEK_SET)
    os.write(descriptor, b"abc")
    seen = [os.lseek(descriptor, 0, os.SEEK_CUR), err(os.read, descriptor, 2),
            os.lseek(descriptor, -1, os.SEEK_END), err(os.lseek, descriptor, -20, os.SEEK_END)]
    os.close(descriptor)
    return seen + [get("a")]


@case
def write_appends_from_two_handles():
    put("a", b"start:")
    first = os.open("a", os.O_WRONLY | os.O_APPEND)
    second = os.open("a", os.O_WRONLY | os.O_APPEND)
    for number in range(5):
        os.write(first, b"f%d" % number)
        os.write(second, b"S%d" % number)
    seen = [os.lseek(first, 0, os.SEEK_CUR), os.lseek(second, 0, os.SEEK_CUR)]
    os.close(first)
    os.close(second)
    return seen + [get("a")]


@case
def write_appends_by_processes():
    put("a")
    program = ("import os,sys\nd=os.open('a',os.O_WRONLY|os.O_APPEND)\n"
               "for i in range(50): os.write(d, sys.argv[1].encode()*7+b'\\n')")
    children = [subprocess.Popen([sys.executable, "-c", program, letter]) for letter in "xyz"]
    codes = [child.wait() for child in children]
    lines = get("a").splitlines()
    return [codes, len(lines), sorted(set(lines))]


@case
def write_is_read_by_every_handle():
    writer = os.open("a", os.O_RDWR | os.O_CREAT)
    reader = os.open("a", os.O_RDONLY)
    third = os.open("a", os.O_RDWR)
    os.write(writer, b"one ")
    seen = [err(os.pread, reader, 20, 0)]
    os.pwrite(third, b"two", 4)
    seen += [err(os.pread, writer, 20, 0), err(os.pread, reader, 20, 0), os.stat("a").st_size,
             get("a")]
    os.close(writer)
    seen.append(err(os.pread, reader, 20, 0))
    os.pwrite(third, b"TWO", 4)
    seen += [err(os.pread, reader, 20, 0), get("a")]
    os.close(third)
    seen.append(err(os.pread, reader, 20, 0))
    os.close(reader)
    return seen + [get("a")]


@case
def write_seen_by_reader_of_published():
    put("a", b"published content")
    reader = os.open("a", os.O_RDONLY)
    seen = [err(os.pread, reader, 9, 0)]
    writer = os.open("a", os.O_WRONLY)
    os.pwrite(writer, b"PUBLISHED", 0)
    seen.append(err(os.pread, reader, 30, 0))
    os.ftruncate(writer, 4)
    seen += [err(os.pread, reader, 30, 0), os.fstat(reader).st_size]
    os.close(writer)
    seen.append(err(os.pread, reader, 30, 0))
    os.close(reader)
    return seen


@case
def write_vectors():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    seen = [os.writev(descriptor, [b"ab", b"", b"cde"]), os.pwritev(descriptor, [b"XY", b"Z"], 1)]
    parts = [bytearray(2), bytearray(10)]
    seen += [os.preadv(descriptor, parts, 0), parts[0].decode(), parts[1].decode()]
    os.close(descriptor)
    return seen


@case
def write_of_every_size():
    """Sizes around a page, a chunk and a block, each written, extended and read."""
    seen = []
    for size in (1, 4095, 4096, 4097, 16383, 16384, 16385, 131073, 1048575, 1048576, 1048577):
        body = bytes(index * 7 % 251 for index in range(1000)) * (size // 1000 + 1)
        put("a", body[:size])
        with open("a", "r+b") as file:
            file.seek(size)
            file.write(b"tail")
        with open("a", "rb") as file:
            seen.append(file.read() == body[:size] + b"tail")
    return seen


@case
def write_synchronously():
    descriptor = os.open("a", os.O_WRONLY | os.O_CREAT | os.O_SYNC)
    seen = [os.write(descriptor, b"safe"), get("a"), err(os.fsync, descriptor),
            err(os.fdatasync, descriptor)]
    os.close(descriptor)
    reading = os.open("a", os.O_RDONLY)
    seen.append(err(os.fsync, reading))
    os.close(reading)
    folder = os.open(".", os.O_RDONLY)
    seen.append(err(os.fsync, folder))
    os.close(folder)
    return seen


@case
def write_after_flush():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"one")
    os.close(os.dup(descriptor))
    seen = [get("a")]
    os.write(descriptor, b"two")
    child = os.fork()
    if child == 0:
        os.write(descriptor, b"child")
        os._exit(0)
    os.waitpid(child, 0)
    seen += [get("a"), os.lseek(descriptor, 0, os.SEEK_CUR)]
    os.write(descriptor, b"end")
    os.close(descriptor)
    return seen + [get("a")]


@case
def shell_redirections():
    script = ("exec 3>a; echo one >&3; (echo two >&3); echo three >>a; cat <a; exec 3>&-; "
              "{ echo x; echo y; } >b; echo z >>b; cat b; : >b; wc -c <b; printf abc 1<>a; cat a")
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout


@case
def map_shared():
    put("a", b"." * 20000)
    with open("a", "r+b") as file:
        area = mmap.mmap(file.fileno(), 0)
        area[0:5] = b"first"
        area[9000:9006] = b"second"
        area.flush()
        seen = [get("a")[:6], get("a")[8999:9007]]
        area[19999:20000] = b"!"
        area.close()
    seen.append(get("a")[-2:])
    with open("a", "rb") as file:
        area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        seen += [area[0:5].decode(), area[8999:9007].decode(), area[19998:].decode()]
        area.close()
    return seen


@case
def map_private():
    put("a", b"." * 5000)
    with open("a", "rb") as file:
        area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        area[0:5] = b"mine!"
        seen = [area[0:6].decode(), get("a")[:6]]
        area.close()
    return seen


@case
def map_sees_write():
    put("a", b"." * 5000)
    with open("a", "r+b") as file:
        area = mmap.mmap(file.fileno(), 0)
        os.pwrite(file.fileno(), b"written", 100)
        seen = [area[99:108].decode()]
        area[100:103] = b"MAP"
        seen.append(err(os.pread, file.fileno(), 9, 99))
        area.close()
    return seen + [get("a")[99:108]]


@case
def map_outlives_descriptor():
    put("a", b"." * 5000)
    descriptor = os.open("a", os.O_RDWR)
    area = mmap.mmap(descriptor, 5000)
    os.close(descriptor)
    area[10:14] = b"late"
    area.flush()
    area.close()
    return [get("a")[9:15]]


# Sizes and holes


@case
def truncate_down_and_up():
    put("a", b"0123456789")
    seen = []
    for size in (4, 8, 0, 3):
        os.truncate("a", size)
        seen += [os.stat("a").st_size, get("a")]
    return seen + [err(os.truncate, "a", -1), err(os.truncate, "none", 0), err(os.truncate, ".", 0)]


@case
def ftruncate_while_writing():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"0123456789" * 1000)
    os.ftruncate(descriptor, 5)
    seen = [err(os.pread, descriptor, 100, 0), os.fstat(descriptor).st_size]
    os.ftruncate(descriptor, 8000)
    data = os.pread(descriptor, 10000, 0)
    seen += [len(data), data.count(0)]
    os.write(descriptor, b"at the old offset")
    os.close(descriptor)
    return seen + [os.stat("a").st_size, get("a")[:5], get("a")[10000:]]


@case
def truncate_published_object():
    put("a", bytes(range(256)) * 1024)
    os.truncate("a", 100001)
    first = get("a")
    os.truncate("a", 200000)
    second = get("a")
    return [len(first), first == (bytes(range(256)) * 1024)[:100001].decode("latin-1"), len(second),
            second[:100001] == first, second[100001:].count("\0")]


@case
def fallocate_modes():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"x" * 20000)
    seen = [err(fallocate, descriptor, 0, 0, 30000), os.fstat(descriptor).st_size,
            err(fallocate, descriptor, KEEP_SIZE, 0, 60000), os.fstat(descriptor).st_size,
            err(fallocate, descriptor, PUNCH_HOLE | KEEP_SIZE, 5000, 5000),
            err(fallocate, descriptor, PUNCH_HOLE, 0, 10), err(fallocate, descriptor, 0, 0, 0),
            err(fallocate, descriptor, 0, -5, 10)]
    data = os.pread(descriptor, 40000, 0)
    os.close(descriptor)
    return seen + [len(data), data[:5000].count(0), data[5000:10000].count(0),
                   data[10000:20000].count(0), data[20000:].count(0)]


@case
def fallocate_zero_range():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"x" * 20000)
    seen = [err(fallocate, descriptor, ZERO_RANGE, 5000, 5000)]
    data = os.pread(descriptor, 40000, 0)
    os.close(descriptor)
    return seen + [data.count(0)]


@case
def posix_fallocate_extends():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    seen = [err(os.posix_fallocate, descriptor, 0, 5000), os.fstat(descriptor).st_size]
    os.close(descriptor)
    return seen + [os.stat("a").st_size]


@case
def seek_data_and_hole():
    """A file system may say that all is data: only what every answer must satisfy is printed."""
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"data", 1 << 20)
    size = os.fstat(descriptor).st_size
    data = os.lseek(descriptor, 0, os.SEEK_DATA)
    hole = os.lseek(descriptor, 1 << 20, os.SEEK_HOLE)
    seen = [0 <= data <= 1 << 20, hole == size, err(os.lseek, descriptor, size, os.SEEK_DATA),
            err(os.lseek, descriptor, size + 5, os.SEEK_HOLE)]
    os.close(descriptor)
    return seen


@case
def copy_file_range_copies():
    """Callers fall back to reading and writing where it is refused, as cp does."""
    body = bytes(range(256)) * 100
    put("a", body)
    with open("a", "rb") as source, open("b", "wb") as target:
        result = err(os.copy_file_range, source.fileno(), target.fileno(), len(body))
        if result in ("EXDEV", "ENOSYS", "EOPNOTSUPP"):
            target.write(body)
    return [get("b") == body.decode("latin-1")]


@case
def sparse_copies():
    with open("a", "wb") as file:
        file.seek(3 << 20)
        file.write(b"tail")
    code = subprocess.run(["cp", "--sparse=always", "a", "b"]).returncode
    with open("a", "rb") as a, open("b", "rb") as b:
        return [code, a.read() == b.read()]


@case
def data_has_blocks():
    put("a", b"x" * 100000)
    return [os.stat("a").st_blocks > 0, os.stat("a").st_blksize > 0]


# Removing


@case
def unlink_errnos():
    os.mkdir("d")
    put("f")
    os.symlink("nowhere", "l")
    return [err(os.unlink, "f"), err(os.unlink, "f"), err(os.unlink, "d"), err(os.unlink, "l"),
            err(os.unlink, "d/no"), err(os.unlink, "f/x"), sorted(os.listdir("."))]


@case
def unlink_while_open():
    put("a", b"still here")
    reader = os.open("a", os.O_RDONLY)
    writer = os.open("a", os.O_RDWR)
    os.unlink("a")
    seen = [os.path.exists("a"), err(os.pread, reader, 50, 0), os.fstat(reader).st_nlink]
    os.pwrite(writer, b"STILL", 0)
    seen += [err(os.pread, reader, 50, 0), os.fstat(writer).st_size]
    os.ftruncate(writer, 3)
    seen += [err(os.pread, reader, 50, 0), err(os.fsync, writer)]
    os.close(writer)
    seen.append(err(os.pread, reader, 50, 0))
    os.close(reader)
    return seen + [os.listdir(".")]


@case
def unlink_new_file_while_open():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, b"temporary")
    os.unlink("a")
    seen = [err(os.pread, descriptor, 50, 0), os.path.exists("a")]
    put("a", b"another")
    seen += [err(os.pread, descriptor, 50, 0), get("a")]
    os.close(descriptor)
    return seen + [get("a")]


@case
def unlink_and_make_again():
    seen = []
    for number in range(5):
        put("a", b"%d" % number)
        seen.append(get("a"))
        os.unlink("a")
        seen.append(os.path.exists("a"))
    return seen


@case
def temporary_file_without_name():
    import tempfile
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(b"nameless")
        file.seek(0)
        return [file.read().decode(), os.listdir(".")]


# Renaming


@case
def rename_file():
    put("a", b"A")
    put("b", b"B")
    os.mkdir("d")
    seen = [err(os.rename, "a", "new"), get("new"), err(os.rename, "new", "b"), get("b"),
            err(os.rename, "none", "b"), err(os.rename, "b", "d/b"), get("d/b"),
            err(os.rename, "d/b", "d/b"), err(os.rename, "d/b", "no/b"), err(os.rename, "d/b", "d/b/c")]
    return seen + [sorted(os.listdir(".")), os.listdir("d")]


@case
def rename_file_and_directory():
    put("f", b"F")
    os.mkdir("d")
    return [err(os.rename, "f", "d"), err(os.rename, "d", "f"), err(os.rename, "d", "d/in"),
            err(os.rename, "d", "d"), sorted(os.listdir("."))]


@case
def rename_directory():
    os.makedirs("a/deep/er")
    put("a/deep/er/f", b"1")
    put("a/g", b"2")
    os.mkdir("empty")
    os.mkdir("full")
    put("full/x")
    seen = [err(os.rename, "a", "full"), err(os.rename, "a", "empty"), get("empty/deep/er/f"),
            get("empty/g"), os.path.exists("a"), err(os.rename, "empty", "empty/deep/er/in"),
            err(os.rename, "empty/deep/er", "empty"), err(os.rename, "empty", "moved")]
    return seen + [sorted(os.listdir("moved")), get("moved/deep/er/f"), sorted(os.listdir("."))]


@case
def rename_open_files():
    put("a", b"old a")
    put("b", b"old b")
    a = os.open("a", os.O_RDWR)
    b = os.open("b", os.O_RDWR)
    os.rename("a", "b")
    seen = [get("b"), err(os.pread, a, 9, 0), err(os.pread, b, 9, 0)]
    os.pwrite(a, b"NEW", 0)
    os.pwrite(b, b"GONE", 0)
    seen += [get("b"), err(os.pread, b, 9, 0)]
    os.close(a)
    os.close(b)
    return seen + [get("b"), os.listdir(".")]


@case
def rename_while_writing():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"before ")
    os.rename("a", "b")
    os.write(descriptor, b"after")
    seen = [os.path.exists("a"), get("b")]
    os.close(descriptor)
    return seen + [get("b")]


@case
def rename_open_directory():
    os.mkdir("d")
    descriptor = os.open("d/f", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"one ")
    os.rename("d", "e")
    os.write(descriptor, b"two")
    os.close(descriptor)
    return [get("e/f"), os.path.exists("d"), os.listdir("e")]


@case
def rename_flags():
    put("a", b"A")
    put("b", b"B")
    os.mkdir("d")
    return [err(renameat2, "a", "b", NOREPLACE), err(renameat2, "a", "d", NOREPLACE),
            err(renameat2, "a", "c", NOREPLACE), get("c"), err(renameat2, "d", "e", NOREPLACE),
            err(renameat2, "c", "b", NOREPLACE | EXCHANGE), sorted(os.listdir("."))]


@case
def rename_exchange():
    put("a", b"A")
    put("b", b"B")
    return [err(renameat2, "a", "b", EXCHANGE), get("a"), get("b")]


@case
def rename_keeps_attributes():
    put("a", b"A")
    os.chmod("a", 0o604)
    os.utime("a", ns=(10**18, 1234567890123456789))
    os.rename("a", "b")
    return [kind("b"), os.stat("b").st_mtime_ns]


@case
def rename_link():
    put("f", b"F")
    os.symlink("f", "l")
    os.rename("l", "m")
    return [os.readlink("m"), get("m"), err(os.rename, "m", "f"), os.readlink("f")]


@case
def rename_chain():
    put("a0", b"travels")
    for number in range(5):
        os.rename(f"a{number}", f"a{number + 1}")
    return [os.listdir("."), get("a5")]


# Directories


@case
def mkdir_errnos():
    put("f")
    return [err(os.mkdir, "d"), err(os.mkdir, "d"), err(os.mkdir, "f"), err(os.mkdir, "no/d"),
            err(os.mkdir, "f/d"), err(os.mkdir, "d/"), err(os.mkdir, "e/"), kind("d"),
            sorted(os.listdir(".")), os.listdir("d")]


@case
def rmdir_errnos():
    os.makedirs("d/in")
    put("f")
    put("d/in/x")
    seen = [err(os.rmdir, "d"), err(os.rmdir, "d/in"), err(os.rmdir, "f"), err(os.rmdir, "no"),
            err(os.rmdir, "d/."), err(os.unlink, "d/in/x"), err(os.rmdir, "d/in"), err(os.rmdir, "d")]
    return seen + [sorted(os.listdir("."))]


@case
def directory_outlives_its_files():
    os.makedirs("d/e")
    put("d/e/f", b"x")
    os.unlink("d/e/f")
    return [os.path.isdir("d/e"), os.listdir("d/e"), put("d/e/g", b"y") and get("d/e/g")]


@case
def directory_removed_while_open():
    os.mkdir("d")
    descriptor = os.open("d", os.O_RDONLY)
    os.rmdir("d")
    seen = [os.path.exists("d"), err(lambda: os.stat(descriptor).st_mode & 0o170000),
            err(lambda: os.close(os.open("x", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor)))]
    os.close(descriptor)
    return seen


@case
def remake_directory():
    seen = []
    for number in range(3):
        os.mkdir("d")
        put("d/f", b"%d" % number)
        seen.append(get("d/f"))
        os.unlink("d/f")
        os.rmdir("d")
        seen.append(os.listdir("."))
    return seen


@case
def directory_link_counts_and_sizes():
    os.mkdir("d")
    put("f", b"12345")
    return [os.stat("f").st_nlink, os.stat("f").st_size, stat.S_ISDIR(os.stat("d").st_mode),
            os.stat("d").st_nlink > 0]


@case
def list_while_changing():
    """Names that stay are met exactly once, whatever comes and goes during the walk."""
    for number in range(60):
        put(f"stay{number:03}")
        put(f"go{number:03}")
    seen = []
    with os.scandir(".") as entries:
        for count, entry in enumerate(entries):
            seen.append(entry.name)
            if count < 20:
                if os.path.exists(f"go{count:03}"):
                    os.unlink(f"go{count:03}")
                put(f"new{count:03}")
    stays = [name for name in seen if name.startswith("stay")]
    return [len(stays), len(set(stays)), len(seen) == len(set(seen)), len(os.listdir("."))]


@case
def tell_and_seek_directory():
    """telldir's places stay true while other names change."""
    for number in range(50):
        put(f"n{number:02}")
    LIBC.opendir.restype = ctypes.c_void_p
    LIBC.readdir.restype = ctypes.c_void_p
    LIBC.telldir.restype = ctypes.c_long
    folder = ctypes.c_void_p(LIBC.opendir(b"."))

    def following():
        entry = LIBC.readdir(folder)
        # d_name comes after two longs, a short and a byte.
        return ctypes.string_at(entry + 19).decode() if entry else None

    names, places = [], []
    while True:
        places.append(LIBC.telldir(folder))
        name = following()
        if name is None:
            break
        names.append(name)
    again = True
    for index in (30, 10, 45, 0):
        LIBC.seekdir(folder, ctypes.c_long(places[index]))
        again = again and following() == names[index]
    removed = [name for name in names if name.startswith("n")][40]
    os.unlink(removed)
    put("zz-new")
    LIBC.rewinddir(folder)
    fresh = set()
    while (name := following()) is not None:
        fresh.add(name)
    LIBC.closedir(folder)
    return [len(names), len(set(names)), again, removed in fresh, "zz-new" in fresh]


# Links and other kinds


@case
def symlink_and_readlink():
    put("f", b"F")
    os.mkdir("d")
    long = "x" * 250 + "/" + "y" * 250
    os.symlink(long, "long")
    return [err(os.symlink, "f", "l"), os.readlink("l"), get("l"), err(os.symlink, "g", "l"),
            err(os.symlink, "f", "d"), err(os.readlink, "f"), err(os.readlink, "no"), kind("l")[0],
            os.lstat("l").st_size, os.readlink("long") == long, os.lstat("long").st_size,
            err(os.symlink, "../f", "d/up"), get("d/up"), err(os.symlink, "", "empty")]


@case
def symlink_loops():
    os.symlink("a", "b")
    os.symlink("b", "a")
    return [opened("a", os.O_RDONLY), err(os.stat, "a/x"), kind("a")[0], err(os.chmod, "a", 0o600)]


@case
def symlink_to_directory():
    os.mkdir("d")
    os.symlink("d", "l")
    put("l/f", b"through")
    return [get("d/f"), os.listdir("l"), err(os.rmdir, "l"), err(os.unlink, "l"), get("d/f")]


@case
def symlink_of_odd_bytes():
    target = "Grüße \n\t'\"\\ 日本 %41+"
    os.symlink(target, "l")
    return [os.readlink("l") == target]


@case
def hard_link():
    put("a", b"A")
    os.mkdir("d")
    return [err(os.link, "a", "b"), err(os.link, "d", "e"), err(os.link, "no", "c"),
            sorted(os.listdir("."))]


@case
def make_nodes():
    return [err(os.mknod, "file", 0o640 | stat.S_IFREG), kind("file"),
            err(os.mknod, "file", 0o640 | stat.S_IFREG), err(os.mkfifo, "pipe")]


@case
def make_socket():
    import socket
    with socket.socket(socket.AF_UNIX) as server:
        return [err(server.bind, "socket")]


# Attributes


@case
def chmod_and_chown():
    put("f", b"F")
    os.mkdir("d")
    seen = []
    for mode in (0o600, 0o4755, 0o000, 0o644):
        os.chmod("f", mode)
        seen.append(kind("f"))
    os.chmod("d", 0o1750)
    seen.append(kind("d"))
    os.chown("f", 1234, 5678)
    os.chown("d", 12, -1)
    seen += [os.stat("f").st_uid, os.stat("f").st_gid, os.stat("d").st_uid, os.stat("d").st_gid,
             err(os.chmod, "no", 0o600), get("f")]
    with open("f", "ab") as file:
        os.fchmod(file.fileno(), 0o755)
        os.fchown(file.fileno(), 9, 8)
        file.write(b"more")
    return seen + [kind("f"), os.stat("f").st_uid, os.stat("f").st_gid, get("f")]


@case
def chown_link():
    put("f")
    os.symlink("f", "l")
    os.lchown("l", 77, 88)
    os.utime("l", ns=(5, 10**18 + 7), follow_symlinks=False)
    return [os.lstat("l").st_uid, os.lstat("l").st_gid, os.stat("f").st_uid, os.lstat("l").st_mtime_ns,
            os.readlink("l")]


@case
def utimensat():
    put("f", b"F")
    os.mkdir("d")
    seen = []
    for time in (0, 1, 1234567890123456789, 4102444800000000000, -1_500_000_000):
        os.utime("f", ns=(time, time))
        seen.append(os.stat("f").st_mtime_ns)
    os.utime("d", ns=(5, 1700000000987654321))
    return seen + [os.stat("d").st_mtime_ns, err(os.utime, "no", ns=(1, 1)), get("f")]


@case
def utimensat_now_and_omit():
    now, omit = 0x3FFFFFFF, 0x3FFFFFFE
    put("f", b"F")
    os.utime("f", ns=(10**18, 10**18))

    def set_times(access, change):
        times = (ctypes.c_long * 4)(*access, *change)
        c_call("utimensat", -100, b"f", times, 0)

    set_times((5, 0), (0, omit))
    seen = [os.stat("f").st_mtime_ns]
    set_times((0, omit), (7, 9))
    seen.append(os.stat("f").st_mtime_ns)
    set_times((0, omit), (0, omit))
    seen.append(os.stat("f").st_mtime_ns)
    set_times((0, now), (0, now))
    return seen + [os.stat("f").st_mtime > 1.5e9, err(set_times, (0, 10**9), (0, 0))]


@case
def times_change_with_data():
    put("f", b"F")
    os.utime("f", ns=(10**18, 10**18))
    with open("f", "ab") as file:
        file.write(b"x")
    seen = [os.stat("f").st_mtime_ns > 10**18]
    os.utime("f", ns=(10**18, 10**18))
    os.truncate("f", 0)
    seen.append(os.stat("f").st_mtime_ns > 10**18)
    os.utime("f", ns=(10**18, 10**18))
    get("f")
    opened("f", os.O_RDWR)
    seen.append(os.stat("f").st_mtime_ns == 10**18)
    descriptor = os.open("f", os.O_RDWR)
    os.write(descriptor, b"y")
    os.utime(descriptor, ns=(10**18, 10**18 + 5))
    os.close(descriptor)
    return seen + [os.stat("f").st_mtime_ns, get("f")]


@case
def directory_times_change():
    os.mkdir("d")
    os.utime("d", ns=(10**18, 10**18))
    put("d/f")
    seen = [os.stat("d").st_mtime_ns > 10**18]
    os.utime("d", ns=(10**18, 10**18))
    os.unlink("d/f")
    return seen + [os.stat("d").st_mtime_ns > 10**18]


@case
def set_id_bits_go_with_a_write():
    put("f", b"F")
    os.chmod("f", 0o6755)
    seen = [kind("f")]
    os.chown("f", 5, 5)
    return seen + [kind("f")]


@case
def attributes_survive_reopening():
    put("f", b"F")
    os.chmod("f", 0o640)
    os.chown("f", 3, 4)
    with open("f", "r+b") as file:
        file.write(b"G")
    with open("f", "wb") as file:
        file.write(b"HH")
    status = os.stat("f")
    return [kind("f"), status.st_uid, status.st_gid, get("f")]


@case
def extended_attributes_of_users():
    put("f", b"F")
    return [err(os.getxattr, "f", "user.none"), err(os.removexattr, "f", "user.none"),
            err(os.setxattr, "f", "user.mine", b"v"), err(os.getxattr, "f", "user.mine"),
            err(os.setxattr, "f", "user.mine", b"w", os.XATTR_CREATE),
            err(os.setxattr, "f", "user.other", b"w", os.XATTR_REPLACE)]


# Locks


def in_child(call):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(err(call)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    answer = os.read(reader, 100).decode()
    os.close(reader)
    return answer


@case
def flock_between_processes():
    put("f")
    holder = os.open("f", os.O_RDWR)
    seen = [err(fcntl.flock, holder, fcntl.LOCK_EX | fcntl.LOCK_NB)]

    def attempt(kind):
        return lambda: fcntl.flock(os.open("f", os.O_RDWR), kind | fcntl.LOCK_NB)

    seen += [in_child(attempt(fcntl.LOCK_EX)), in_child(attempt(fcntl.LOCK_SH))]
    fcntl.flock(holder, fcntl.LOCK_SH)
    seen += [in_child(attempt(fcntl.LOCK_EX)), in_child(attempt(fcntl.LOCK_SH))]
    os.close(holder)
    return seen + [in_child(attempt(fcntl.LOCK_EX))]


@case
def record_locks_between_processes():
    put("f", b"x" * 100)
    holder = os.open("f", os.O_RDWR)
    seen = [err(fcntl.lockf, holder, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 20)]

    def attempt(start, length):
        return lambda: fcntl.lockf(
            os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)

    seen += [in_child(attempt(0, 20)), in_child(attempt(20, 5)), in_child(attempt(30, 0)),
             in_child(attempt(29, 1))]
    fcntl.lockf(holder, fcntl.LOCK_UN, 10, 20)
    seen.append(in_child(attempt(29, 1)))
    os.close(holder)
    return seen + [in_child(attempt(0, 0))]


# Names


@case
def long_names():
    name = "n" * 255
    return [err(put, name, b"x") and get(name), opened("n" * 256, os.O_WRONLY | os.O_CREAT),
            err(os.mkdir, "d" * 256), err(os.stat, "n" * 256), err(os.rename, name, "m" * 256),
            err(os.symlink, "x", "l" * 256), [len(entry) for entry in os.listdir(".")]]


@case
def long_paths():
    return [err(os.stat, "d/" * 2100), err(os.mkdir, "d/" * 2100)]


@case
def odd_names():
    names = ["with space", "Grüße", "日本語", "%41%2F", "a+b&c=d?e#f", "~tilde", "-dash",
             "quote\"'", "back\\slash", ".hidden", "...", "@pail", "tab\t", "\x01\x7f", "*[glob]?"]
    seen = []
    for name in names:
        put(name, name.encode())
        seen.append(get(name) == name.encode().decode("latin-1"))
    listed = sorted(os.listdir(".")) == sorted(names)
    for name in names:
        os.rename(name, name + "2")
        os.unlink(name + "2")
    return [all(seen), listed, os.listdir(".")]


@case
def name_with_newline():
    return [err(put, "new\nline", b"x") and err(get, "new\nline")]


@case
def names_of_bytes():
    """Names that are no UTF-8; S3's keys are, so that a mount may refuse them."""
    name = b"\xff\xfe-latin-\xe9"
    return [err(put, name, b"x")]


@case
def names_differ_by_case_and_form():
    for name in ("a", "A", "e\u0301", "\u00e9"):
        put(name, name.encode())
    return sorted(os.listdir("."))


@case
def paths_through_files():
    put("f")
    return [err(os.stat, "f/."), err(os.stat, "f/../f"), err(os.mkdir, "f/d"), err(os.unlink, "f/x"),
            err(os.rename, "f/x", "y"), err(os.rename, "f", "f/y"), err(os.rmdir, "f/d"),
            err(os.symlink, "x", "f/l"), err(os.readlink, "f/l"), err(os.stat, "")]


@case
def statvfs_answers():
    values = os.statvfs(".")
    return [values.f_namemax, values.f_bsize > 0, values.f_blocks > 0, values.f_bavail > 0]


@case
def many_handles():
    descriptors = []
    for number in range(30):
        descriptors.append(os.open(f"f{number}", os.O_RDWR | os.O_CREAT))
        os.write(descriptors[-1], b"%d" % number)
    same = all(os.pread(d, 9, 0) == b"%d" % n for n, d in enumerate(descriptors))
    for descriptor in descriptors:
        os.close(descriptor)
    return [same, len(os.listdir(".")), all(get(f"f{n}") == str(n) for n in range(30))]


def main():
    os.umask(0o022)
    root = os.path.abspath(sys.argv[1])
    wanted = set(sys.argv[2:])
    for function in CASES:
        if wanted and function.__name__ not in wanted:
            continue
        place = os.path.join(root, function.__name__)
        os.mkdir(place)
        os.chdir(place)
        try:
            result = function()
        except Exception as error:  # what a case did not expect is its result
            result = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": function.__name__, "result": result}), flush=True)
        os.chdir(root)


main()

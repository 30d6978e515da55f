// Scripts that make system calls on a mount from a process of their own, and assert what they answer.

import Foundation
import Testing

enum SystemCalls {
    /// What every script begins with: the calls that Python lacks, and `fails`.
    static let prelude = """
        import contextlib, ctypes, errno, fcntl, mmap, os, resource, signal, stat, struct, subprocess
        import sys, threading, time
        root = sys.argv[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        c = ctypes.CDLL(None, use_errno=True)
        OFF = ctypes.c_int64
        def p(name): return os.path.join(root, name)
        def raw(result):
            if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return result
        def fails(number, call, *arguments, **named):
            try: call(*arguments, **named)
            except OSError as error:
                assert error.errno == number, (arguments, errno.errorcode[error.errno])
                return
            raise AssertionError(('worked', arguments))
        def rename(old, new, flags):
            raw(c.renameat2(-100, p(old).encode(), -100, p(new).encode(), ctypes.c_uint(flags)))
        def fallocate(fd, mode, offset, length):
            raw(c.fallocate(fd, mode, OFF(offset), OFF(length)))
        NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
        def utimes(path, atime, mtime):
            times = struct.pack('qqqq', *atime, *mtime)
            raw(c.utimensat(-100, path.encode(), times, 0))
        def put(name, data):
            with open(p(name), 'wb') as f: f.write(data)
        def get(name):
            with open(p(name), 'rb') as f: return f.read()
        @contextlib.contextmanager
        def opened(name, flags=os.O_RDWR, mode=0o644):
            fd = os.open(p(name), flags, mode)
            try: yield fd
            finally: os.close(fd)

        """

    /// Runs a script; a failed assertion in it is an issue of the test.
    static func run(
        _ mount: LiveMount, _ script: String, seconds: Double = 60,
        _ location: SourceLocation = #_sourceLocation
    ) {
        guard let child = try? start(mount, script) else {
            Issue.record("python3 does not start", sourceLocation: location)
            return
        }
        let output = child.wait(seconds)
        #expect(
            output.status == 0 && output.text.hasSuffix("done\n"),
            "\(output.status) \(output.text) \(output.err)", sourceLocation: location)
    }

    /// Starts a script, to be waited for.
    static func start(_ mount: LiveMount, _ script: String) throws -> Child {
        try Child(["python3", "-c", prelude + script + "\nprint('done')", mount.path])
    }
}

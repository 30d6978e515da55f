"""What is measured: pail and its peers as mounts, the relay, and the processes' memory and CPU."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

WORK = os.environ.get("BENCH_WORK", "")
URL = os.environ.get("BENCH_URL", "")
CLIENT = os.environ.get("BENCH_CLIENT", "")
FAR = ["--rtt", "30", "--rate", "90"]
LIMIT = 60


def reader_environment():
    key, secret = os.environ["BENCH_READER"].split(":", 1)
    return {**os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def drop_page_cache():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TooSlow(Exception):
    pass


def run(*words, stdin=None, shell=False, limit=LIMIT):
    """Runs a command to its end and returns its standard output; raises TooSlow at the limit."""
    try:
        result = subprocess.run(
            words[0] if shell else words, stdin=stdin, shell=shell, timeout=limit,
            executable="/bin/bash" if shell else None, capture_output=True, text=True,
            env=reader_environment())
    except subprocess.TimeoutExpired as error:
        raise TooSlow from error
    if result.returncode:
        raise RuntimeError(f"{words[:3]}: {result.stderr[-400:]}")
    return result.stdout


def timed(*words, **options):
    start = time.monotonic()
    run(*words, **options)
    return time.monotonic() - start


class Relay:
    """The fault relay; without options it only counts."""

    def __init__(self, *options):
        self.port, self.control = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [os.environ["BENCH_RELAY"], "--listen", str(self.port), "--control",
             str(self.control), "--target", URL.rsplit(":", 1)[1], *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: socket.create_connection(("127.0.0.1", self.control), 1).close(), 10)

    def stats(self):
        """The numbers the control port tells, by name."""
        with socket.create_connection(("127.0.0.1", self.control), 10) as connection:
            connection.sendall(b"stats\n")
            connection.shutdown(socket.SHUT_WR)
            text = connection.makefile().read()
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def wait_until(action, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            if action() is not False:
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError("not ready in time")
        time.sleep(0.02)


class Mount:
    """One mounted bucket; a context manager. The cache directory lives as long as `cache` is kept."""

    count = 0

    def __init__(self, tool, bucket, url=None, cache=None, options=()):
        Mount.count += 1
        self.directory = f"{WORK}/m{Mount.count}"
        os.mkdir(self.directory)
        self.own_cache = cache is None
        self.cache = cache or f"{WORK}/c{Mount.count}"
        os.makedirs(self.cache, exist_ok=True)
        words = COMMANDS[tool](bucket, self.directory, url or URL, self.cache) + list(options)
        self.log = open(f"{WORK}/log/{tool}-{Mount.count}", "w")
        self.process = subprocess.Popen(
            words, env=reader_environment(), stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log)

    def __enter__(self):
        def mounted():
            if self.process.poll() is not None:
                raise RuntimeError("ended at once: " + open(self.log.name).read()[-400:])
            return os.path.ismount(self.directory)
        try:
            wait_until(mounted, 30)
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __truediv__(self, name):
        return f"{self.directory}/{name}"

    def cpu(self):
        """CPU seconds so far, user and system."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="VmHWM"):
        """Resident MiB; the peak unless VmRSS is asked for."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(field + r":\s+(\d+)", file.read()).group(1)) / 1024

    def __exit__(self, *unused):
        subprocess.run(["fusermount3", "-u", "-z", "-q", self.directory], timeout=20)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()
        os.rmdir(self.directory)
        if self.own_cache:
            shutil.rmtree(self.cache, ignore_errors=True)


def pail(bucket, directory, url, cache):
    return [os.environ["BENCH_PAIL"], "mount", bucket, directory, "--foreground", "--endpoint-url",
            url, "--path-style", "--region", "us-east-1", "--cache-dir", cache,
            "--metadata-ttl", "10m"]


def rclone(bucket, directory, url, cache):
    return [os.environ["BENCH_RCLONE"], "--config", "/dev/null", "mount",
            f":s3,provider=Ceph,env_auth=true,list_version=2,endpoint='{url}':{bucket}", directory,
            "--read-only", "--dir-cache-time", "10m", "--attr-timeout", "10m",
            "--cache-dir", cache, "--vfs-cache-mode", "full", "--vfs-read-chunk-streams", "8",
            "--vfs-read-chunk-size", "8M", "--buffer-size", "0"]


def s3fs(bucket, directory, url, cache):
    password = f"{WORK}/s3fs-password"
    if not os.path.exists(password):
        with open(os.open(password, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(os.environ["BENCH_READER"])
    return ["s3fs", bucket, directory, "-f", "-o",
            f"url={url},use_path_request_style,passwd_file={password},use_cache={cache},"
            "parallel_count=8,stat_cache_expire=600,ro"]


COMMANDS = {"pail": pail, "rclone": rclone, "s3fs": s3fs}
PEERS = ["rclone", "s3fs"]

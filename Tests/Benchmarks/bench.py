#!/usr/bin/env python3
"""The benchmark's rows. Run by scripts/bench, which builds, starts the server and says where all is.

Each row is a function that fills Table. Tools take turns within a row, so that a slow minute of the
machine hits all of them; the median of the rounds counts.
"""
import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "scripts", "lib")]
import s3  # noqa: E402
from tools import (CLIENT, COMMANDS, FAR, LIMIT, PEERS, URL, WORK, Mount, Relay, TooSlow,  # noqa: E402
                   drop_page_cache, run, timed)

GIB = 1 << 30
IMAGES, IMAGE_SIZE, FAR_IMAGES = 2000, 100 * 1024, 400
TOOLS = list(COMMANDS)
OVER = f"more than {LIMIT} s"


class Table:
    """Rows of the report; printed as they come."""

    def __init__(self):
        self.rows = []

    def add(self, work, pail, limit, ratio, goal, peers=""):
        row = [work, pail, peers, limit, ratio, goal]
        self.rows.append(row)
        print(f"  {work}: pail {pail}; {peers or 'no peer'}; limit {limit}; {ratio} (goal {goal})",
              flush=True)


def measure(tools, rounds, action):
    """action(tool) -> number, tools in turn; the median by tool, or a word where there is none."""
    taken = {tool: [] for tool in tools}
    words = {}
    for _ in range(rounds):
        for tool in tools:
            try:
                drop_page_cache()
                taken[tool].append(action(tool))
            except TooSlow:
                words[tool] = OVER
                print(f"    {tool}: over the time limit", flush=True)
            except RuntimeError as error:
                print(f"    {tool}: {error}", flush=True)
    return {tool: statistics.median(t) if t else words.get(tool) for tool, t in taken.items()}


def show(value, unit, digits=2):
    """A measured value; a word (over the limit) as it is; failed where there is neither."""
    if value is None or isinstance(value, str):
        return value or "failed"
    return f"{value:.{digits}f} {unit}".strip()


def peers(results, unit, digits=2):
    return ", ".join(
        f"{t}{':' if isinstance(results[t], str) else ''} {show(results[t], unit, digits)}"
        for t in PEERS if t in results)


def beside(figures, results):
    """Figures taken beside the results: where there are none, the word that the result has."""
    words = {t: r for t, r in results.items() if isinstance(r, str)}
    return {t: figures.get(t, words.get(t)) for t in TOOLS}


def ratio(a, b):
    measured = all(value and not isinstance(value, str) for value in (a, b))
    return f"{a / b:.2f}" if measured else "-"


class Data:
    """The buckets, made when a row first asks for them."""

    def __init__(self):
        key, secret = os.environ["BENCH_OWNER"].split(":", 1)
        self.owner = s3.Client(URL, key, secret)
        self.made = set()
        self.big_file = f"{WORK}/big"

    def bucket(self, name, fill):
        if name not in self.made:
            print(f"  (filling {name})", flush=True)
            self.owner.request("PUT", name)
            policy = s3.three_permissions(name, "reader").encode()
            self.owner.request("PUT", name, query={"policy": ""}, body=policy)
            fill(name)
            self.made.add(name)
        return name

    def put(self, bucket, entries):
        """Four clients at once: one Python cannot keep the server busy."""
        key, secret = os.environ["BENCH_OWNER"].split(":", 1)
        entries = list(entries)
        clients = []
        for share in range(4):
            client = subprocess.Popen(
                [sys.executable, s3.__file__, "--endpoint-url", URL, "--threads", "8", "put",
                 bucket], stdin=subprocess.PIPE, text=True,
                env={**os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
            clients.append((client, entries[share::4]))
        for client, lines in clients:
            client.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
            client.stdin.close()
        if any(client.wait(300) for client, _ in clients):
            raise SystemExit("the bucket could not be filled")

    def big(self):
        def fill(name):
            run(f"head -c {GIB} /dev/urandom >{self.big_file}", shell=True)
            self.owner.put_file(name, b"dir/big", self.big_file)
        return self.bucket("bench-big", fill)

    def images(self):
        body = f"{WORK}/image"
        def fill(name):
            with open(body, "wb") as file:
                file.write(os.urandom(IMAGE_SIZE))
            self.put(name, ({"key": f"images/i{n:05}.jpg", "file": body} for n in range(IMAGES)))
        return self.bucket("bench-images", fill)

    def tree(self):
        return self.bucket("bench-tree", lambda name: self.put(
            name, ({"key": f"d{n // 100:03}/f{n % 100:03}", "zeros": 4096} for n in range(10000))))

    def wide(self):
        return self.bucket("bench-wide", lambda name: self.put(
            name, ({"key": f"wide/name-{n:06}", "text": ""} for n in range(100000))))

    def paths(self, bucket, keys, name, url=URL):
        """A file of presigned paths for the client."""
        key, secret = os.environ["BENCH_READER"].split(":", 1)
        signer = s3.Client(url, key, secret)
        path = f"{WORK}/{name}"
        with open(path, "w") as file:
            file.writelines(signer.presign(bucket, k.encode()) + "\n" for k in keys)
        return path


def listed(words, name):
    path = f"{WORK}/{name}"
    with open(path, "w") as file:
        file.writelines(word + "\n" for word in words)
    return path


def client(*words, stdin=None):
    if stdin is None:
        return float(run(CLIENT, *words))
    with open(stdin) as file:
        return float(run(CLIENT, *words, stdin=file))


def parallel_curl(data, bucket, url, streams):
    """Seconds that curl takes for the large object in parallel ranges."""
    signed = open(data.paths(bucket, ["dir/big"], "curl-path", url)).read().strip()
    size = GIB // streams
    lines = []
    for part in range(streams):
        lines += [f'url = "{url}{signed}"', f'range = "{part * size}-{(part + 1) * size - 1}"',
                  'output = "/dev/null"']
    config = listed(lines, "curl-config")
    return timed("curl", "-sS", "--fail", "-Z", "--parallel-immediate", "--parallel-max",
                 str(streams), "-K", config)


def cold_seq(data, table, rounds):
    """cold sequential read of 1 GiB, near and far; CPU a GiB; peak memory"""
    bucket = data.big()
    costs = {tool: [] for tool in TOOLS}
    for place, streams, goal in (("near", 8, "0.6, ahead of peers"),
                                 ("far", 16, "0.8, 1.5x the best peer")):
        relay = Relay(*FAR) if place == "far" else None
        url = relay.url if relay else URL

        def one(tool):
            if tool == "limit":
                return 1024 / parallel_curl(data, bucket, url, streams)
            with Mount(tool, bucket, url) as mount:
                run("ls", mount / "dir")
                before = mount.cpu()
                took = timed("dd", f"if={mount / 'dir/big'}", "of=/dev/null", "bs=1M")
                if place == "near":
                    costs[tool].append((mount.cpu() - before, mount.memory()))
                return 1024 / took

        speed = measure(TOOLS + ["limit"], rounds, one)
        if relay:
            relay.close()
        table.add(f"cold sequential read, 1 GiB, {place}", show(speed["pail"], "MiB/s", 0),
                  show(speed["limit"], "MiB/s", 0), ratio(speed["pail"], speed["limit"]), goal,
                  peers(speed, "MiB/s", 0))
    cpu = {t: statistics.median(c for c, _ in costs[t]) if costs[t] else None for t in TOOLS}
    top = {t: max(m for _, m in costs[t]) if costs[t] else None for t in TOOLS}
    table.add("daemon CPU for that GiB, near, disk cache on", show(cpu["pail"], "s"), "-",
              ratio(cpu["pail"], cpu["rclone"]) + " of rclone", "1.0 s and 0.5 of rclone",
              peers(cpu, "s"))
    table.add("peak memory in that read", show(top["pail"], "MiB", 0), "-", "-", "-",
              peers(top, "MiB", 0))


def warm_seq(data, table, rounds):
    """warm sequential read from the local cache, page cache dropped; then from the page cache"""
    bucket = data.big()
    kept = {}

    def one(tool):
        path = data.big_file if tool == "disk" else kept[tool] / "dir/big"
        return 1024 / timed("dd", f"if={path}", "of=/dev/null", "bs=1M")

    for tool in TOOLS:
        kept[tool] = Mount(tool, bucket).__enter__()
    try:
        for tool in TOOLS:
            run("dd", f"if={kept[tool] / 'dir/big'}", "of=/dev/null", "bs=1M")
        speed = measure(TOOLS + ["disk"], rounds + 1, one)
        table.add("warm sequential read, page cache dropped", show(speed["pail"], "MiB/s", 0),
                  f"local disk {show(speed['disk'], 'MiB/s', 0)}",
                  ratio(speed["pail"], speed["disk"]), "0.5", peers(speed, "MiB/s", 0))
        again = {tool: statistics.median(one(tool) for _ in range(3)) for tool in TOOLS + ["disk"]}
        table.add("the same again from the page cache", show(again["pail"], "MiB/s", 0),
                  f"local file {show(again['disk'], 'MiB/s', 0)}",
                  ratio(again["pail"], again["disk"]), "0.9", peers(again, "MiB/s", 0))
    finally:
        for mount in kept.values():
            mount.__exit__()


def open_far(data, table, rounds):
    """cold open and first 4 KiB over the far link"""
    bucket = data.tree()
    relay = Relay(*FAR)
    # Far apart and against the order, so that nothing can be guessed ahead.
    known = [f"d007/f{(n * 37) % 100:03}" for n in range(30, 0, -1)]
    unknown = [f"d{(n * 37) % 100:03}/f050" for n in range(30, 0, -1)]
    for name, keys, goal in (("directory known", known, "1.3"), ("path unknown", unknown, "2.3")):
        def one(tool):
            with Mount(tool, bucket, relay.url) as mount:
                if keys is known:
                    run("ls", "-l", mount / "d007")
                files = listed((mount / key for key in keys), "open-paths")
                return client("first", stdin=files)

        took = measure(TOOLS, rounds, one)
        table.add(f"cold open + 4 KiB, far, {name}", show(took["pail"], "ms", 1), "30 ms a trip",
                  ratio(took["pail"], 30) + " trips", goal + " trips", peers(took, "ms", 1))
    relay.close()


def images(data, table, rounds):
    """2,000 images of 100 KiB, one reader and 16"""
    bucket = data.images()
    keys = [f"images/i{n:05}.jpg" for n in range(IMAGES)]
    host, port = URL.removeprefix("http://").split(":")
    signed = data.paths(bucket, keys, "image-paths")
    for readers, goal in ((1, "0.8"), (16, "0.65")):
        def one(tool):
            if tool == "limit":
                return IMAGES / client("get", host, port, str(readers), stdin=signed)
            with Mount(tool, bucket) as mount:
                run("ls", "-l", mount / "images")
                files = listed((mount / key for key in keys), "image-files")
                return IMAGES / client("read", str(readers), stdin=files)

        speed = measure(TOOLS + ["limit"], rounds, one)
        table.add(f"2,000 images of 100 KiB, {readers} at once, cold", show(speed["pail"], "/s", 0),
                  f"keep-alive GETs {show(speed['limit'], '/s', 0)}",
                  ratio(speed["pail"], speed["limit"]), goal, peers(speed, "/s", 0))


def walk_far(data, table, rounds):
    """one reader through a directory in its order, far"""
    bucket = data.images()
    keys = [f"images/i{n:05}.jpg" for n in range(FAR_IMAGES)]
    relay = Relay(*FAR)
    signed = data.paths(bucket, keys, "walk-paths", relay.url)

    def one(tool):
        if tool == "limit":
            took = client("get", "127.0.0.1", str(relay.port), "1", stdin=signed)
            return FAR_IMAGES / took
        with Mount(tool, bucket, relay.url) as mount:
            run("ls", "-l", mount / "images")
            files = listed((mount / key for key in keys), "walk-files")
            return FAR_IMAGES / client("read", "1", stdin=files)

    speed = measure(TOOLS + ["limit"], 1 if rounds < 3 else rounds, one)
    relay.close()
    table.add(f"{FAR_IMAGES} images in directory order, 1 reader, far", show(speed["pail"], "/s", 0),
              f"one GET after another {show(speed['limit'], '/s', 0)}",
              ratio(speed["pail"], speed["limit"]), "5", peers(speed, "/s", 0))


def random_reads(data, table, rounds):
    """4 KiB reads at random places of 1 GiB, cold and cached"""
    bucket = data.big()
    relay = Relay()
    fetched = {}

    def cold(tool):
        with Mount(tool, bucket, relay.url) as mount:
            run("ls", mount / "dir")
            before = relay.stats()["down"]
            took = client("random", mount / "dir/big", "500", "11")
            fetched[tool] = (relay.stats()["down"] - before) / (500 * 4096)
            return 500 / took

    speed = measure(TOOLS, 1, cold)
    relay.close()
    table.add("4 KiB random reads, cold: bytes fetched", show(fetched.get("pail"), "x", 1), "1 x",
              show(speed["pail"], "/s", 0), "at most 8 x",
              peers(beside(fetched, speed), "x", 1))
    kept = {}
    try:
        for tool in TOOLS:
            kept[tool] = Mount(tool, bucket).__enter__()
            run("dd", f"if={kept[tool] / 'dir/big'}", "of=/dev/null", "bs=1M")

        def cached(tool):
            path = data.big_file if tool == "disk" else kept[tool] / "dir/big"
            return 5000 / client("random", path, "5000", "12")

        speed = measure(TOOLS + ["disk"], rounds, cached)
    finally:
        for mount in kept.values():
            mount.__exit__()
    table.add("4 KiB random reads, in the local cache", show(speed["pail"], "/s", 0),
              f"local disk {show(speed['disk'], '/s', 0)}", ratio(speed["pail"], speed["disk"]),
              "0.5", peers(speed, "/s", 0))


def owner_list(bucket, prefix, url):
    key, secret = os.environ["BENCH_OWNER"].split(":", 1)
    return float(run(
        f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} {sys.executable} {s3.__file__} "
        f"--endpoint-url {url} time-list {bucket} {prefix}", shell=True))


def tree_far(data, table, rounds):
    """ls -lR of 10,000 objects in 100 prefixes, far"""
    bucket = data.tree()
    relay = Relay(*FAR)
    again = {tool: [] for tool in TOOLS}

    def one(tool):
        if tool == "limit":
            return owner_list(bucket, "", relay.url)
        with Mount(tool, bucket, relay.url) as mount:
            took = timed("ls", "-lR", mount.directory)
            again[tool].append(timed("ls", "-lR", mount.directory))
            return took

    took = measure(TOOLS + ["limit"], 1 if rounds < 3 else rounds, one)
    relay.close()
    table.add("ls -lR of 10,000 in 100 prefixes, far, cold", show(took["pail"], "s"),
              f"flat listing {show(took['limit'], 's')}", ratio(took["pail"], took["limit"]),
              "at most 1.5", peers(took, "s"))
    again = beside({t: statistics.median(a) for t, a in again.items() if a}, took)
    table.add("the same at once again", show(again["pail"], "s"), "-", "-", "ahead of peers",
              peers(again, "s"))


def wide_directory(data, table, rounds):
    """one directory of 100,000 names, cold; growth of memory"""
    bucket = data.wide()
    growth = {}

    def one(tool):
        if tool == "limit":
            return owner_list(bucket, "wide/", URL)
        with Mount(tool, bucket) as mount:
            run("ls", mount.directory)
            before = mount.memory("VmRSS")
            took = timed(f"test $(ls -U {mount / 'wide'} | wc -l) = 100000", shell=True)
            growth[tool] = mount.memory() - before
            return took

    took = measure(TOOLS + ["limit"], rounds, one)
    table.add("100,000 names in one directory, cold", show(took["pail"], "s"),
              f"server's listing {show(took['limit'], 's')}", ratio(took["pail"], took["limit"]),
              "at most 1.3", peers(took, "s"))
    table.add("memory growth in that", show(growth.get("pail"), "MiB", 0), "-", "-", "under 60 MiB",
              peers(beside(growth, took), "MiB", 0))


def streams(data, table, rounds):
    """32 sequential streams at once: peak memory and speed"""
    bucket = data.big()
    peak = {}

    def one(tool):
        with Mount(tool, bucket) as mount:
            path = mount / "dir/big"
            took = timed(
                f"for n in $(seq 0 31); do dd if={path} of=/dev/null bs=1M skip=$((n * 32)) "
                "count=32 status=none & done; wait", shell=True)
            peak[tool] = max(peak.get(tool, 0), mount.memory())
            return 1024 / took

    speed = measure(TOOLS, 1, one)
    table.add("peak memory with 32 streams, default settings", show(peak.get("pail"), "MiB", 0),
              "256 MiB + 64 MiB", show(speed["pail"], "MiB/s", 0), "at most 320 MiB",
              peers(beside(peak, speed), "MiB", 0))


ROWS = {"cold-seq": cold_seq, "warm-seq": warm_seq, "open": open_far, "images": images,
        "walk": walk_far, "random": random_reads, "ls": tree_far, "wide": wide_directory,
        "streams": streams}


def versions():
    found = [run(os.environ["BENCH_PAIL"], "--version").strip(),
             run(os.environ["BENCH_RCLONE"], "version").split("\n")[0].replace("rclone v", "rclone "),
             "s3fs " + re.search(r"V([\d.]+)", run("s3fs", "--version"))[1],
             run("radosgw", "--version").split("(")[0].strip().replace("ceph version", "Ceph RGW")]
    return ", ".join(found)


def report(table, chosen):
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    lines = [
        "# What pail's speed is", "",
        f"Measured on {datetime.date.today()} with `scripts/bench{chosen}` on a virtual machine "
        f"with {os.cpu_count()} cores and {gib:.0f} GiB, which client and server share; Linux "
        f"{os.uname().release.split('-')[0]}. {versions()}.", "",
        "Far is the same server behind the fault relay: 30 ms a round trip, 90 MiB/s a connection. "
        "The limit is what the server gives without any file system: curl with 8 (far: 16) "
        "parallel ranges, or GETs on as many keep-alive connections as there are readers. rclone "
        "runs with `--vfs-cache-mode full`, 8 parallel streams of 8 MiB; s3fs with `use_cache` and "
        "`parallel_count=8`. Tools take turns; the median counts. Figures move with the machine; "
        "ratios hold.", "",
        "| work | pail | peers | limit | pail against the limit | goal |",
        "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join([r[0], r[1], r[2] or "-", r[3], r[4], r[5]]) + " |"
              for r in table.rows]
    with open(os.path.join(HERE, "README.md"), "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, row in ROWS.items():
            print(f"{name:10} {row.__doc__}")
        return
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"there is no row {name}; see scripts/bench --list")
    data, table = Data(), Table()
    for name in options.rows or ROWS:
        print(name, flush=True)
        ROWS[name](data, table, options.rounds)
    # Part of the rows must not replace the whole table.
    if options.rows:
        print("(Tests/Benchmarks/README.md is written only by a run of all rows)")
    else:
        report(table, "" if options.rounds == 2 else f" --rounds {options.rounds}")
        print("Wrote Tests/Benchmarks/README.md")


if __name__ == "__main__":
    main()

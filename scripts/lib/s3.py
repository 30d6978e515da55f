#!/usr/bin/env python3
"""A small S3 client for the scripts and mount tests: it fills buckets, and never runs in production.

Standard library only. Signs every request itself (AWS Signature Version 4), so that any key, down to
`//`, `..` and 1,024 bytes, reaches the server as it is. Credentials come from the environment.
"""
import argparse
import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import mimetypes
import os
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

UNRESERVED = "-_.~"
THREE_PERMISSIONS = ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]


class Failed(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:300]!r}")
        self.status = status


class Client:
    """One endpoint, one user. Safe in many threads: each has its own connection."""

    def __init__(self, endpoint, key, secret, region="us-east-1", token=None):
        self.url = urllib.parse.urlsplit(endpoint)
        self.key, self.secret, self.region, self.token = key, secret, region, token
        self.local = threading.local()

    def path(self, bucket, key=b""):
        path = "/" + bucket
        if key:
            path += "/" + urllib.parse.quote(key, safe="/" + UNRESERVED)
        return path

    def signature(self, stamp, request):
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        value = ("AWS4" + self.secret).encode()
        for part in (stamp[:8], self.region, "s3", "aws4_request"):
            value = hmac.new(value, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        return scope, hmac.new(value, text.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def query(parameters):
        quote = lambda text: urllib.parse.quote(text, safe=UNRESERVED)
        return "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(parameters.items()))

    def presign(self, bucket, key, seconds=86400):
        """The path and query of a GET that needs no further header."""
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.key}/{stamp[:8]}/{self.region}/s3/aws4_request",
            "X-Amz-Date": stamp, "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host"}
        path, query = self.path(bucket, key), self.query(query)
        request = f"GET\n{path}\n{query}\nhost:{self.url.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        return f"{path}?{query}&X-Amz-Signature={self.signature(stamp, request)[1]}"

    def request(self, method, bucket, key=b"", query=None, body=b"", headers=None, size=None):
        """Sends one request and returns (status, headers, body); raises Failed on 4xx and 5xx."""
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        send = {"host": self.url.netloc, "x-amz-date": stamp,
                "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        if self.token:
            send["x-amz-security-token"] = self.token
        for name, value in (headers or {}).items():
            send[name.lower()] = value
        path, query = self.path(bucket, key), self.query(query or {})
        names = sorted(send)
        canonical = "".join(f"{n}:{send[n].strip()}\n" for n in names)
        signed = ";".join(names)
        scope, signature = self.signature(
            stamp, f"{method}\n{path}\n{query}\n{canonical}\n{signed}\nUNSIGNED-PAYLOAD")
        send["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, "
                                 f"SignedHeaders={signed}, Signature={signature}")
        send["content-length"] = str(len(body) if size is None else size)
        for attempt in range(5):
            try:
                connection = self.connection()
                connection.request(method, path + ("?" + query if query else ""), body, send)
                response = connection.getresponse()
                content = response.read()
            except (http.client.HTTPException, OSError):
                self.local.connection = None
                if attempt == 4:
                    raise
                continue
            if response.status in (500, 503) and attempt < 4 and size is None:
                time.sleep(0.1 * 2 ** attempt)
                continue
            if response.status >= 300:
                raise Failed(response.status, content)
            return response.status, response.headers, content

    def connection(self):
        if getattr(self.local, "connection", None) is None:
            kind = (http.client.HTTPSConnection if self.url.scheme == "https"
                    else http.client.HTTPConnection)
            self.local.connection = kind(
                self.url.hostname, self.url.port, timeout=60, blocksize=1 << 20)
        return self.local.connection

    def put_file(self, bucket, key, path, headers=None):
        with open(path, "rb") as file:
            self.request("PUT", bucket, key, body=file, headers=headers,
                         size=os.path.getsize(path))

    def pages(self, bucket, prefix=b"", delimiter=None):
        """The raw XML pages of ListObjectsV2, in order."""
        token = None
        while True:
            query = {"list-type": "2", "encoding-type": "url", "prefix": prefix.decode()}
            if delimiter:
                query["delimiter"] = delimiter
            if token:
                query["continuation-token"] = token
            page = self.request("GET", bucket, query=query)[2]
            yield page
            start = page.find(b"<NextContinuationToken>")
            if start < 0:
                return
            end = page.find(b"</NextContinuationToken>", start)
            token = page[start + 23:end].decode().replace("&amp;", "&")

    def keys(self, bucket, prefix=b""):
        for page in self.pages(bucket, prefix):
            for element in ElementTree.fromstring(page).iter():
                if element.tag.endswith("}Key") or element.tag == "Key":
                    yield urllib.parse.unquote_to_bytes((element.text or "").replace("+", "%20"))

    def uploads(self, bucket):
        """The keys of unfinished multipart uploads (of the first thousand)."""
        page = self.request("GET", bucket, query={"uploads": ""})[2]
        for element in ElementTree.fromstring(page).iter():
            if element.tag.endswith("}Key") or element.tag == "Key":
                yield element.text or ""

    def delete_bucket(self, bucket):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: self.request("DELETE", bucket, key), self.keys(bucket)))
        self.request("DELETE", bucket)


def content_type(key):
    kind = mimetypes.guess_type(key.decode("utf-8", "replace"))[0]
    return {"content-type": kind} if kind else {}


def put_all(client, bucket, entries, threads=16):
    """entries: dicts with key or key64, and text, body64, file or zeros (a size); headers."""
    def put(entry):
        key = base64.b64decode(entry["key64"]) if "key64" in entry else entry["key"].encode()
        headers = {**content_type(key), **entry.get("headers", {})}
        if "file" in entry:
            return client.put_file(bucket, key, entry["file"], headers)
        if "zeros" in entry:
            body = bytes(entry["zeros"])
        elif "body64" in entry:
            body = base64.b64decode(entry["body64"])
        else:
            body = entry.get("text", "").encode()
        client.request("PUT", bucket, key, body=body, headers=headers)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sum(1 for _ in pool.map(put, entries))


def tree(directory, prefix):
    directory = os.fsencode(directory)
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            key = prefix.encode() + os.path.relpath(path, directory)
            yield {"key64": base64.b64encode(key).decode(), "file": path}


def three_permissions(bucket, user):
    who = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": who, "Action": [THREE_PERMISSIONS[0]],
         "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Allow", "Principal": who, "Action": THREE_PERMISSIONS[1:],
         "Resource": [f"arn:aws:s3:::{bucket}"]}]})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--threads", type=int, default=16)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in {
            "make": "make a bucket", "remove": "remove a bucket and what is in it",
            "put": "put objects named by JSON lines on standard input",
            "tree": "put a directory's files", "policy": "allow a user the three permissions",
            "list": "print the keys", "uploads": "print the keys of unfinished multipart uploads", "delete": "delete the keys on standard input (JSON lines)",
            "time-list": "print the seconds a flat listing takes"}.items():
        command = commands.add_parser(name, help=help_text)
        command.add_argument("bucket")
        if name == "tree":
            command.add_argument("directory")
        if name == "policy":
            command.add_argument("user")
        if name in ("list", "tree", "time-list"):
            command.add_argument("prefix", nargs="?", default="")
    options = parser.parse_args()
    client = Client(options.endpoint_url, os.environ["AWS_ACCESS_KEY_ID"],
                    os.environ["AWS_SECRET_ACCESS_KEY"],
                    token=os.environ.get("AWS_SESSION_TOKEN"))
    bucket = options.bucket
    if options.command == "make":
        client.request("PUT", bucket)
    elif options.command == "remove":
        client.delete_bucket(bucket)
    elif options.command == "put":
        put_all(client, bucket, map(json.loads, sys.stdin), options.threads)
    elif options.command == "tree":
        print(put_all(client, bucket, tree(options.directory, options.prefix), options.threads))
    elif options.command == "policy":
        body = three_permissions(bucket, options.user).encode()
        client.request("PUT", bucket, query={"policy": ""}, body=body)
    elif options.command == "delete":
        for line in sys.stdin:
            client.request("DELETE", bucket, base64.b64decode(json.loads(line)["key64"]))
    elif options.command == "list":
        for key in client.keys(bucket, options.prefix.encode()):
            sys.stdout.buffer.write(key + b"\n")
    elif options.command == "uploads":
        for key in client.uploads(bucket):
            print(key)
    elif options.command == "time-list":
        start = time.monotonic()
        for _ in client.pages(bucket, options.prefix.encode()):
            pass
        print(f"{time.monotonic() - start:.3f}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"s3.py: {failure}")

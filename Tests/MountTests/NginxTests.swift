// nginx serves 200 images from a mounted bucket.

import Foundation
import Testing

extension Mount {
    @Suite struct Nginx {
        final class Site {
            let url: String
            let home: TemporaryDirectory
            private let program: RunningProgram

            /// nginx in the foreground with a configuration of its own, below a directory of its own.
            init(root: String) throws {
                home = try TemporaryDirectory("nginx")
                let port = try freePort()
                url = "http://127.0.0.1:\(port)"
                try (home / "nginx.conf").write(
                    text: """
                        daemon off;
                        worker_processes 2;
                        user \(geteuid() == 0 ? "root" : NSUserName());
                        pid \(home / "pid");
                        error_log \(home / "error.log");
                        events {}
                        http {
                            types { image/png png; image/jpeg jpg; }
                            access_log off;
                            sendfile on;
                            client_body_temp_path \(home / "t1");
                            proxy_temp_path \(home / "t2");
                            fastcgi_temp_path \(home / "t3");
                            uwsgi_temp_path \(home / "t4");
                            scgi_temp_path \(home / "t5");
                            server { listen 127.0.0.1:\(port); root \(root); }
                        }
                        """)
                program = try RunningProgram([
                    "/usr/sbin/nginx", "-c", home / "nginx.conf", "-p", home.path, "-e",
                    home / "error.log",
                ])
                let (program, url) = (self.program, self.url)
                let answers = try eventually {
                    try !program.isRunning || run("curl", "-s", "-o", "/dev/null", url).status == 0
                }
                try #require(answers && program.isRunning, "nginx: \(program.errors)")
            }

            deinit {
                program.signal(SIGTERM)
                _ = program.wait(limit: 5)
            }
        }

        @Test(arguments: Server.allCases)
        func `200 images for parallel clients, with length, range and 304`(server: Server) throws {
            let bucket = try TestBucket(on: server)
            let local = try TemporaryDirectory("images")
            try shell(
                """
                cd "$1"
                for n in $(seq 200); do
                    { printf '\\377\\330\\377\\340'; head -c $((n * 1500)) /dev/urandom; } >i$n.jpg
                done
                """, local.path)
            try bucket.put(tree: local.path, under: "site/")
            let pail = try MountedPail(bucket, path: "/site")
            let site = try Site(root: pail.mountpoint)
            let out = try TemporaryDirectory("fetched")
            try shell(
                """
                for n in $(seq 200); do
                    printf 'url = "%s/i%d.jpg"\\noutput = "%s/i%d.jpg"\\n' "$1" $n "$2" $n
                done >"$2/../list.$$"
                curl -sS --fail --parallel --parallel-max 16 -K "$2/../list.$$"
                rm "$2/../list.$$"
                diff -r "$2" "$3"
                """, site.url, out.path, local.path, limit: 90)

            let size = 77 * 1500 + 4
            let head = try must("curl", "-sS", "-I", "\(site.url)/i77.jpg").text.lowercased()
            #expect(head.contains("content-length: \(size)"))
            #expect(head.contains("content-type: image/jpeg"))
            try shell(
                """
                cmp <(curl -sS -r 1001-5000 "$1/i77.jpg") <(tail -c +1002 "$2/i77.jpg" | head -c 4000)
                cmp <(curl -sS -r -100 "$1/i77.jpg") <(tail -c 100 "$2/i77.jpg")
                test "$(curl -sS -o /dev/null -w '%{http_code}' -r 0-0 "$1/i77.jpg")" = 206
                tag=$(curl -sSI "$1/i77.jpg" | tr -d '\\r' | sed -n 's/^[Ee][Tt]ag: //p')
                code=$(curl -sS -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$1/i77.jpg")
                test "$code" = 304
                date=$(curl -sSI "$1/i77.jpg" | tr -d '\\r' | sed -n 's/^[Ll]ast-[Mm]odified: //p')
                code=$(curl -sS -o /dev/null -w '%{http_code}' -H "If-Modified-Since: $date" "$1/i77.jpg")
                test "$code" = 304
                test "$(curl -sS -o /dev/null -w '%{http_code}' "$1/absent.jpg")" = 404
                """, site.url, local.path)
        }
    }
}

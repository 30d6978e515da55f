import Testing

@testable import pail

@Suite struct InvocationTests {
    @Test(
        arguments: [
            ("ro", ["--read-only"]),
            ("rw,defaults,noauto,nofail,_netdev,x-systemd.automount,x-gvfs-hide,user,noatime", []),
            ("allow_other,default_permissions", ["--allow-other"]),
            ("uid=33,gid=33,umask=027", ["--uid=33", "--gid=33", "--umask=027"]),
            ("cache_size=1GiB,cache-free=5%", ["--cache-size=1GiB", "--cache-free=5%"]),
            ("endpoint-url=http://h:1/a=b", ["--endpoint-url=http://h:1/a=b"]),
            ("cache-dir=/a\\,b\\\\c\\d,,ro", ["--cache-dir=/a,b\\c\\d", "--read-only"]),
            ("", []),
        ] as [(String, [String])])
    func optionStrings(_ text: String, _ arguments: [String]) throws {
        #expect(try OptionString.longOptions(text) == arguments)
    }

    @Test(arguments: [
        ("cache_sze=1G", "did you mean 'cache_size'"),
        ("cache-sze=1G", "did you mean 'cache-size'"),
        ("allow_root", "see 'pail help mount'"), ("url=http://x", "endpoint-url"),
        ("use_path_request_style", "path-style"), ("region", "needs a value"),
        ("allow_other=1", "takes no value"), ("bogus\u{1B}", "bogus\\u{1B}"),
    ])
    func wrongOptionStrings(_ text: String, _ words: String) {
        do {
            let options = try OptionString.longOptions(text)
            Issue.record("accepted as \(options)")
        } catch {
            #expect(error.description.contains(words), "\(error)")
        }
        #expect((try? OptionString.longOptions("xyz,ro", sloppy: true)) == ["--read-only"])
    }

    @Test(
        arguments: [
            (
                ["pail", "mount", "b", "/m", "-o", "ro", "-oallow_other", "--uid=1"],
                ["mount", "b", "/m", "--read-only", "--allow-other", "--uid=1"], false
            ),
            (["pail", "mount", "b", "--", "-o"], ["mount", "b", "--", "-o"], false),
            (["pail", "b:/x", "/m", "-o", "rw,dev,suid"], ["mount", "b:/x", "/m"], true),
            (["pail", "s3://b/x", "/m"], ["mount", "s3://b/x", "/m"], true),
            (
                ["/sbin/mount.fuse.pail", "b:/x", "/m", "-o", "ro,uid=3"],
                ["mount", "b:/x", "/m", "--read-only", "--uid=3"], true
            ),
            (
                ["mount.pail", "b", "/m", "-sn", "-v", "-t", "fuse.pail", "-o", "zzz"],
                ["mount", "b", "/m"], true
            ),
            (["pail", "unmount", "/m"], ["unmount", "/m"], false),
            (["pail"], [], false),
        ] as [([String], [String], Bool)])
    func forms(_ argv: [String], _ arguments: [String], _ isHelper: Bool) throws {
        let invocation = try Invocation(argv: argv)
        #expect(invocation.arguments == arguments)
        #expect(invocation.isMountHelper == isHelper)
    }

    @Test func fakeMount() throws {
        #expect(try Invocation(argv: ["mount.pail", "b", "/m", "-f"]).isFake)
        #expect(try !Invocation(argv: ["mount.pail", "b", "/m", "-v"]).isFake)
    }

    @Test(
        arguments: [
            (["pail", "unmont", "/mnt"], "did you mean 'pail unmount'"),
            (["pail", "bucket"], "pail mount BUCKET MOUNTPOINT"),
            (["pail", "b:/", "/m", "-o"], "needs a value"),
            (["pail", "mount", "b", "/m", "-o"], "needs options"),
            (["mount.pail", "b", "/m", "-N", "ns"], "nsenter"),
        ] as [([String], String)])
    func wrongForms(_ argv: [String], _ words: String) {
        do {
            _ = try Invocation(argv: argv)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains(words), "\(error)")
            #expect(error.status == .usage)
        }
    }

    @Test func statusesForMount() {
        #expect(ExitStatus.usage.forMountHelper == 1)
        #expect(ExitStatus.noInput.forMountHelper == 32)
        #expect(ExitStatus.success.forMountHelper == 0)
    }
}

// Random calls on a mount and on the local disk at once (Support/fsx.py), with remounts between the
// rounds, an empty cache each time, and other writers through S3.

import Foundation
import Testing

extension Mount {
    @Suite struct WritingRandom {
        @Test(arguments: Server.allCases)
        func `random calls give what the local disk gives`(server: Server) throws {
            try play(on: server, rounds: server == .rgw ? 4 : 2, steps: 1200, large: 0)
        }

        @Test func `random calls on files of many parts give what the local disk gives`() throws {
            try play(on: .rgw, rounds: 2, steps: 150, large: 2)
        }

        private func play(on server: Server, rounds: Int, steps: Int, large: Int) throws {
            let given = ProcessInfo.processInfo.environment["PAIL_TEST_SEED"].flatMap { Int($0) }
            let seed = given ?? Int.random(in: 1..<1_000_000)
            print("seed \(seed) (PAIL_TEST_SEED=\(seed) plays it again)")
            let bucket = try TestBucket(on: server)
            let local = try TemporaryDirectory("oracle")
            for round in 0..<rounds {
                let pail = try MountedPail(bucket, writable: true, "--metadata-ttl", "1s")
                try must(
                    "python3", Project.support("fsx.py"), pail.mountpoint, local.path,
                    "\(seed + round)", "\(steps)", "--large", "\(large)", "--external", bucket.url,
                    bucket.name, environment: Server.owner(), limit: 100)
                let outcome = pail.stop()
                #expect(outcome.status == 0 && !outcome.isOverdue, "\(pail.log.suffix(2000))")
            }
            #expect(try bucket.unfinishedUploads().isEmpty)
        }
    }
}

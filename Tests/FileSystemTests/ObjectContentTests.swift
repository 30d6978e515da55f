import Buffers
import S3
import Testing

@testable import FileSystem

@Suite struct ObjectContentTests {
    private final class Nobody: SegmentWaiter {
        func partArrived() {}
        func failed(_ error: StoreError) {}
    }

    /// A fetch may fail between a read's claim of its segment and the moment the read begins to wait.
    @Test func nobodyWaitsForASegmentThatWasDropped() throws {
        let pool = BufferPool(limit: 16 << 20)
        let version = ObjectVersion(
            key: ObjectKey("k"), etag: ETag("e"), size: 1 << 20, modified: 0)
        let content = ObjectContent(version: version, cached: nil)
        var buffers = [pool.takeAtOnce(fitting: 1 << 20)!]
        let guess = content.guess(0..<(1 << 20), buffers: &buffers).fresh
        var none: [Buffer] = []
        guard case .parts(let parts, let fresh) = content.claim(100..<200, buffers: &none) else {
            Issue.record("the segment is there")
            return
        }
        #expect(fresh.isEmpty)
        #expect(content.fail(guess).isEmpty)
        #expect(content.wait(Nobody(), for: parts) == 0)
        #expect(content.memory(of: parts).allSatisfy { $0 == nil })
    }
}

// The root of all mount tests: one after another, because they measure memory, count requests, and
// stop and start servers.

import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
enum Mount {}

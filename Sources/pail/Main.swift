// Where the process begins.

import ArgumentParser
import Glibc

@main
enum Main {
    static func main() {
        // A reader that is gone is an error of write(2), not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let argv = CommandLine.arguments
        var isMountHelper = false
        do {
            let invocation = try Invocation(argv: argv)
            isMountHelper = invocation.isMountHelper
            try Runner.run(invocation)
        } catch {
            Standard.error("pail: \(error)")
            exit(isMountHelper ? error.status.forMountHelper : error.status.rawValue)
        }
    }
}

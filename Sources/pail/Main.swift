// Where the process begins.

import ArgumentParser
import Glibc

@main
enum Main {
    static func main() {
        // A reader that is gone is an error of write(2), not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let argv = CommandLine.arguments
        do {
            try Runner.run(Invocation(argv: argv))
        } catch {
            Standard.error("pail: \(error)")
            exit(
                Invocation.isMountHelper(argv) ? error.status.forMountHelper : error.status.rawValue
            )
        }
    }
}

extension MountCommand {
    func run(_ invocation: Invocation) throws(CommandFailure) {
        _ = try configuration(.current())
    }
}
extension CacheCommand.Show { func show() throws(CommandFailure) {} }
extension CacheCommand.Clear { func clear() throws(CommandFailure) {} }

extension MountCommand {
    func run(_ invocation: Invocation) throws(CommandFailure) {
        _ = try configuration(.current())
    }
}
extension UnmountCommand { func unmount() throws(CommandFailure) {} }
extension CacheCommand.Show { func show() throws(CommandFailure) {} }
extension CacheCommand.Clear { func clear() throws(CommandFailure) {} }

import Gateway
import Policy
import Transport

/// Asks for a reload when a file has changed.
struct FileWatch: Sendable {
    let files: FileSources
    let policies: PolicyStore
    let requests: ReloadRequests
    /// Tells the operator that files are not watched.
    let report: @Sendable (String) -> Void

    /// Watches on a thread of its own, to the end of the process.
    func begin() -> WorkThread? {
        WorkThread(name: "file-watch") {
            do throws(SystemError) { try watch() } catch {
                report("changed files are not noticed (\(error)); send SIGHUP to reload")
            }
        }
    }

    private func watch() throws(SystemError) {
        var folders = watchedFolders
        var watcher = try FolderWatcher(Array(folders.keys))
        // What changed since the start read it, and before there was a watch, is not missed either.
        requests.ask(because: .changedFile)
        while true {
            // No watch in a folder tells that it was replaced as a whole, or that a link to it was turned.
            while !watcher.waitForChange(quiet: .milliseconds(100), atMost: .seconds(2)), watchedFolders == folders {}
            // The new watch begins before the reload, which so misses nothing.
            folders = watchedFolders
            watcher = try FolderWatcher(Array(folders.keys))
            requests.ask(because: .changedFile)
        }
    }

    private var watchedFolders: [String: String] { files.watchedFolders(policies.current.settings) }
}

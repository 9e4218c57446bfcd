import Gateway
import Policy
import Transport

/// Watches the files of policies, certificates and secrets, and requests a reload when one changes.
struct FileWatch: Sendable {
    let files: FileSources
    let policies: PolicyStore
    let requests: ReloadRequests
    /// Prints a line for the operator.
    let report: @Sendable (String) -> Void

    /// Watches on a separate thread until the process ends. The thread has the lowest priority, because a look at many files
    /// takes milliseconds, for which requests should not wait.
    func begin() -> WorkThread? {
        WorkThread(name: "file-watch", priority: .lowest) {
            do throws(SystemError) { try watch() } catch {
                report("the gateway cannot watch its files (\(error)): send SIGHUP after each change to reload them")
            }
        }
    }

    private func watch() throws(SystemError) {
        var folders = WorkThread.workAtLowestPriority { watchedFolders }
        var watcher = try WorkThread.workAtLowestPriority { () throws(SystemError) in
            try FolderWatcher(Array(folders.keys))
        }
        // A file may have changed after the start read it and before the watch began.
        requests.add(.changedFile)
        while true {
            // inotify does not report that a folder was replaced, or that a link now leads to another folder.
            while !watcher.waitForChange(quiet: .milliseconds(100), atMost: .seconds(2)),
                WorkThread.workAtLowestPriority({ watchedFolders == folders })
            {}
            // The new watch begins before the reload, so no later change is missed.
            try WorkThread.workAtLowestPriority { () throws(SystemError) in
                folders = watchedFolders
                watcher = try FolderWatcher(Array(folders.keys))
            }
            requests.add(.changedFile)
        }
    }

    private var watchedFolders: [String: String] { files.watchedFolders(policies.current.settings) }
}

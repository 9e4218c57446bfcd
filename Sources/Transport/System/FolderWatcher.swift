internal import CLinux
internal import Glibc

/// Waits for changes in folders, by inotify. The calls block, so they belong on a separate thread.
@safe package struct FolderWatcher: ~Copyable {
    private let descriptor: Int32

    /// Watches the folders, without the folders in them. A folder that does not exist is skipped.
    package init(_ folders: [String]) throws(SystemError) {
        descriptor = try syscall("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC)) }
        for folder in folders { add(folder) }
    }

    deinit { close(descriptor) }

    private func add(_ folder: String) {
        let changes =
            UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE) | UInt32(IN_CREATE)
            | UInt32(IN_MOVE_SELF) | UInt32(IN_ATTRIB)
        _ = unsafe inotify_add_watch(descriptor, folder, changes)
    }

    /// Waits for a change, and then until there is no further change for `quiet`: files that are written together count
    /// as one change. Returns `false` if there is no change within `atMost`.
    package func waitForChange(quiet: Duration, atMost: Duration) -> Bool {
        guard isReadable(within: atMost) else { return false }
        repeat { WorkThread.workAtLowestPriority { drain() } } while isReadable(within: quiet)
        return true
    }

    private func isReadable(within duration: Duration) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(duration / .milliseconds(1))
        // SAFETY: one structure, on our stack.
        return unsafe poll(&request, 1, milliseconds) > 0
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 8192)
        // SAFETY: the kernel writes at most `count` bytes. The events themselves are not used.
        _ = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    }
}

// A mistake that the thread sanitizer must find: two threads count in one place, and nothing orders them.
import Glibc

nonisolated(unsafe) var count = 0

func countSlowly() {
    for _ in 0..<1000 {
        count += 1
        usleep(10)
    }
}

let threads = (0..<2).map { _ in
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { _ in
            countSlowly()
            return nil
        }, nil)
    return thread
}
for thread in threads { pthread_join(thread, nil) }
print(count)

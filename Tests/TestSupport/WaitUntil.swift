package import Testing

internal import Glibc

/// Waits for a condition that another thread makes true, and fails the test if that takes longer than `seconds`.
package func waitUntil(
    _ what: String = "the condition is true", seconds: Int = 20, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () throws -> Bool
) throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try !condition() {
        try #require(ContinuousClock.now < deadline, "waited in vain: \(what)", sourceLocation: sourceLocation)
        usleep(500)
    }
}

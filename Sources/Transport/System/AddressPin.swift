internal import Synchronization

/// A field of no value that keeps the noncopyable struct around it in one place.
///
/// WORKAROUND: the compiler lends a value of plain fields by copying it, all of it, for each call; the copies fill the
/// frames of async functions, which a connection keeps for as long as it lives (17 of 24 KiB for a proxied one). A
/// value with an atomic inside has an address of its own, and is lent by that.
package struct AddressPin: ~Copyable, Sendable {
    private let anchor = Atomic<UInt8>(0)

    package init() {}
}

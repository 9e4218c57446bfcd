package import Policy

/// Limits requests with an invalid credential, for each client address.
///
/// A stranger who tries credentials, or a client that repeats a wrong one, gets 429 after some failures. A request with a
/// valid credential never asks this limit: callers that share an address with a stranger, behind one NAT or one proxy, are
/// not locked out. That is safe because nobody can guess a token, which has 256 random bits: the limit keeps failures from
/// filling the log, and tells a client that it is wrong.
package final class FailedAuthentications: Sendable {
    /// The name in 429, log and metrics.
    static let name = "failed-authentications"

    /// A table of its own, of 4 MiB: strangers with many addresses cannot make callers' buckets give room. An address that
    /// is refused stays refused. If all buckets of a part of the table refuse, failures from new addresses are refused, too.
    private let limiter: RateLimiter

    package init(maximumAddresses: Int = 1 << 16) { limiter = RateLimiter(maximumBuckets: maximumAddresses) }

    /// Charges a failure. Returns the limit that refuses if there have been too many.
    package func charge(_ client: String, _ limit: GatewaySettings.FailureLimit, now: UInt64) -> RateLimit? {
        var batch = RateLimitBatch()
        batch.append(RateLimit(key: key(of: client), pace: limit.pace))
        return limiter.take(&batch, now: now) ? nil : batch.limits[0]
    }

    /// The buckets of addresses that failed lately.
    package func usage() -> RateLimiter.Usage { limiter.usage() }

    /// One customer's IPv6 addresses are a /64, so they count as one.
    private func key(of client: String) -> BucketKey {
        var hasher = limiter.keyHasher
        if let address = IPAddress.bytes(of: client) {
            let bytes = IPAddress.unmapped(address)
            let counted = bytes.count == 16 ? Array(bytes[..<8]) : bytes
            hasher.combine(counted.span)
        } else {
            hasher.combine(client)
        }
        return hasher.finish()
    }
}

/// Results that the requests of one connection share.
struct ConnectionCache {
    var credential = TokenDigestCache()
    var identity = IdentityFields()
}

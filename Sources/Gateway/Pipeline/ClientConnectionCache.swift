/// Results that the requests of one connection share.
struct ClientConnectionCache {
    var credential = TokenDigestCache()
    var identity = IdentityFields()
}

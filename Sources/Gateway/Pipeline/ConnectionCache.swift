/// Results that the requests of one connection share.
struct ConnectionCache {
    var credential = CredentialCache()
    var identity = IdentityFields()
}

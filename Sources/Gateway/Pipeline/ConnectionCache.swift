/// What the requests of one connection have in common, found out once.
struct ConnectionCache {
    var credential = CredentialCache()
    var identity = IdentityFields()
}

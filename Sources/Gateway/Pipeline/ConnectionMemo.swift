/// What the requests of one connection have in common, found out once.
struct ConnectionMemo {
    var credential = CredentialMemo()
    var caller = CallerLines()
}

/// The parts of lines that several writers of HTTP/1.1 heads have in common.
enum HTTP1Line {
    static let dateName = Array("Date: ".utf8)
    /// The type of a JSON body, and the name of its length.
    static let json = Array("Content-Type: application/json\r\nContent-Length: ".utf8)
    static let end = Array("\r\n".utf8)
    static let contentLength = Array("Content-Length: ".utf8)
    static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
}

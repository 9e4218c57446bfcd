/// The parts of lines that both directions of HTTP/1.1 write.
enum HTTP1Line {
    static let end = Array("\r\n".utf8)
    static let contentLength = Array("Content-Length: ".utf8)
    static let chunked = Array("Transfer-Encoding: chunked\r\n".utf8)
}

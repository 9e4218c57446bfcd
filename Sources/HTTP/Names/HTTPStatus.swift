/// Status codes with their reason phrases (RFC 9110, section 15, and RFC 6585; 499 is nginx's).
package enum HTTPStatus {
    /// The status line of a response, its line end included. An unknown code gets an empty phrase, which is valid.
    package static func line(_ code: Int) -> [UInt8] {
        precondition((100...599).contains(code), "a status code has three digits")
        return lines[code - 100]
    }

    /// The reason phrase, empty for an unknown code.
    package static func reason(_ code: Int) -> String { reasons[code] ?? "" }

    private static let lines: [[UInt8]] = (100...599).map { Array("HTTP/1.1 \($0) \(reason($0))\r\n".utf8) }

    private static let reasons: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created",
        202: "Accepted", 204: "No Content",
        206: "Partial Content", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
        307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
        403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
        409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
        415: "Unsupported Media Type", 417: "Expectation Failed", 421: "Misdirected Request",
        422: "Unprocessable Content", 423: "Locked", 425: "Too Early", 426: "Upgrade Required",
        428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        499: "Client Closed Request",
        500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
        504: "Gateway Timeout", 505: "HTTP Version Not Supported", 507: "Insufficient Storage",
    ]

    /// Whether the work of the request may go on after an error of that status: a proxy that stopped waiting sends one of these.
    package static func leavesWorkOpen(_ code: Int) -> Bool { code == 408 || code == 460 || code == 499 }

    /// Whether a response of that status never has a body (RFC 9112, section 6.3).
    package static func hasNoBody(_ code: Int) -> Bool { code < 200 || code == 204 || code == 304 }
}

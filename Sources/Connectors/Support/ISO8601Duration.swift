/// A duration in the notation of ISO 8601: `PT2M30S`, `PT3.2S`, `PT0S`.
func iso8601Duration(milliseconds: Int64) -> String {
    let (seconds, fraction) = max(0, milliseconds).quotientAndRemainder(dividingBy: 1000)
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    var text = "PT"
    if hours > 0 { text += "\(hours)H" }
    if minutes > 0 { text += "\(minutes)M" }
    guard rest > 0 || fraction > 0 || text.count == 2 else { return text }
    text += "\(rest)"
    if fraction > 0 {
        // Three digits without trailing zeros.
        var digits = String(1000 + fraction).dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        text += "." + digits
    }
    return text + "S"
}

// A mistake that the address sanitizer must find: memory is read after it was given back.
let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)
bytes.initialize(repeating: 1, count: 64)
bytes.deallocate()
print(bytes[CommandLine.arguments.count])

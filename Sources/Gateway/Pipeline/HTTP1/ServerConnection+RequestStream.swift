package import Transport

extension ServerConnection: RequestStream {
    // Read in place. Declared here and not in Transport, so that specialized stages read the stored property directly.
    package var request: Request { _read { yield currentRequest } }
}

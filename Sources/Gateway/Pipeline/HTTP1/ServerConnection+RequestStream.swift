package import Transport

extension ServerConnection: RequestStream {
    // Read where it stands. Declared here and not in Transport, so that a stage that is specialized reads the field itself.
    package var request: Request { _read { yield currentRequest } }
}

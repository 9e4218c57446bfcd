"""TLS with the throw-away certificates of `Tests/Scripts/make-certs.sh`."""

import ssl


def server_context(folder, name, client=None):
    """A TLS server with the certificate `name` of a folder; `client` is the authority of allowed client certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if client:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED
    return context

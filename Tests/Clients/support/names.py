"""Host names from files of the test: the gateway runs in a mount namespace of its own."""

import os
import subprocess

NAME = "connectors.test"
# The files of a lookup; $0 is the folder that has them.
MOUNT = 'for file in hosts nsswitch.conf resolv.conf; do mount --bind "$0/$file" "/etc/$file" || exit; done; exec "$@"'


def unshare():
    """The command that makes a mount namespace, or None if that is not permitted."""
    for options in (["--mount"], ["--map-root-user", "--mount"]):
        command = ["unshare", *options]
        if subprocess.run([*command, "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0:
            return command
    return None


class Names:
    """The files in /etc of one gateway. `server`: the address of a name service, used instead of the hosts file."""

    SIZE = 512

    def __init__(self, folder, server=None):
        self.folder = folder
        folder.mkdir()
        self.of()
        (folder / "nsswitch.conf").write_text(f"hosts: {'dns' if server else 'files'}\n")
        (folder / "resolv.conf").write_text(f"nameserver {server or '127.0.0.1'}\noptions timeout:30 attempts:1\n")

    def of(self, *addresses):
        """Gives the name these addresses from now on."""
        text = "".join(f"{address} {NAME}\n" for address in addresses)
        # In place, because the file itself is mounted; same length and one write, so that no lookup reads half of it.
        with open(self.folder / "hosts", "r+b" if (self.folder / "hosts").exists() else "w+b", buffering=0) as file:
            file.write(text.encode().ljust(self.SIZE, b"\n"))

    def around(self, gateway):
        """Makes the gateway use these files; called before its start."""
        gateway.within = [*unshare(), "sh", "-c", MOUNT, str(self.folder)]
        return gateway


def namespace(process="self"):
    """The mount namespace of a process."""
    return os.readlink(f"/proc/{process}/ns/mnt")

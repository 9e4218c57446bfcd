"""Host names that a gateway finds in files of the test: it runs in a mount namespace of its own."""

import os
import subprocess

NAME = "connectors.test"
# What a lookup reads; $0 is the folder that has the files.
MOUNT = 'for file in hosts nsswitch.conf resolv.conf; do mount --bind "$0/$file" "/etc/$file" || exit; done; exec "$@"'


def unshare():
    """The command that makes a mount namespace here, or None where that is not permitted."""
    for options in (["--mount"], ["--map-root-user", "--mount"]):
        command = ["unshare", *options]
        if subprocess.run([*command, "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0:
            return command
    return None


class Names:
    """What stands in /etc of one gateway. `server`: the address of a name service, asked instead of the hosts file."""

    SIZE = 512

    def __init__(self, folder, server=None):
        self.folder = folder
        folder.mkdir()
        self.of()
        (folder / "nsswitch.conf").write_text(f"hosts: {'dns' if server else 'files'}\n")
        (folder / "resolv.conf").write_text(f"nameserver {server or '127.0.0.1'}\noptions timeout:30 attempts:1\n")

    def of(self, *addresses):
        """The name stands for these addresses from now on."""
        text = "".join(f"{address} {NAME}\n" for address in addresses)
        # In place, since the mount is of the file; of one length and in one write, so that nobody reads half of it.
        with open(self.folder / "hosts", "r+b" if (self.folder / "hosts").exists() else "w+b", buffering=0) as file:
            file.write(text.encode().ljust(self.SIZE, b"\n"))

    def around(self, gateway):
        """Makes the gateway one that has these files, before it starts."""
        gateway.within = [*unshare(), "sh", "-c", MOUNT, str(self.folder)]
        return gateway


def namespace(process="self"):
    """Which mounts a process sees."""
    return os.readlink(f"/proc/{process}/ns/mnt")

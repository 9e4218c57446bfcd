import itertools
import subprocess

import pytest

from gateway import ROOT, Gateway, Policies
from proxied import behind

# Rows per second, and the minimum duration of a job in milliseconds: long enough to get a 409, short enough to wait
# for.
QUICK = (100_000, 800)


def pytest_collection_modifyitems(items):
    """Runs the tests that begin long waits first, and those that check the results last."""
    items.sort(key=lambda item: -1 if item.get_closest_marker("begins") else 1 if item.get_closest_marker("ends") else 0)


@pytest.fixture
def start(tmp_path):
    """Starts gateways, which end with the test."""
    running, number = [], itertools.count(1)

    def start(policies=None, *, state=None, **options):
        folder = policies.folder if isinstance(policies, Policies) else policies
        gateway = Gateway(state or tmp_path / f"state{next(number)}", folder, **options)
        running.append(gateway)
        return gateway.start()

    yield start
    for gateway in running:
        gateway.kill()


@pytest.fixture
def front(tmp_path):
    """Starts gateways in front of upstreams, with these settings of `gateway.upstream`; they end with the test."""
    running = []

    def front(*upstreams, prepare=lambda gateway: None, **settings):
        gateway = behind(tmp_path / f"front{len(running)}", *upstreams, start=False, **settings)
        running.append(gateway)
        prepare(gateway)
        return gateway.start()

    yield front
    for gateway in running:
        gateway.kill()


@pytest.fixture
def policies(tmp_path):
    """A copy of the shipped policies."""
    return Policies(tmp_path / "policies")


@pytest.fixture
def fresh(start):
    """A first run with the shipped policies."""
    return start()


@pytest.fixture
def roomy(start, policies):
    """A first run with rate limits that no test reaches by accident, and jobs that take about a second."""
    return start(policies.generous(), pace=QUICK)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gateway for all tests of a file that leave no state behind."""
    folder = tmp_path_factory.mktemp("shared")
    gateway = Gateway(folder / "state", Policies(folder / "policies").generous().folder, pace=QUICK).start()
    yield gateway
    gateway.kill()


@pytest.fixture
def certificates(tmp_path):
    """A folder of throw-away certificates."""
    folder = tmp_path / "certificates"
    subprocess.run([ROOT / "Tests/Scripts/make-certs.sh", folder], check=True, stdin=subprocess.DEVNULL)
    return folder

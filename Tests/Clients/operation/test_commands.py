"""The command line: help everywhere, tokens, policy check."""

import hashlib
import json
import re
import subprocess

import pytest

from gateway import ROOT, STATE, binary, run, wait_for

pytestmark = pytest.mark.commands


@pytest.mark.parametrize("arguments", [[], ["serve"], ["policy"], ["policy", "check"], ["token"], ["token", "create"]])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_everywhere(arguments, flag):
    done = run(*arguments, flag)
    assert done.returncode == 0 and "gateway" in done.stdout and not done.stderr, done
    for word in arguments:
        assert word in done.stdout
    if arguments == ["serve"]:
        for name in ("--listen", "--admin", "--policies", "--state", "--workers", "GATEWAY_LISTEN"):
            assert name in done.stdout, name


@pytest.mark.parametrize("arguments", [["nonsense"], ["policy", "nonsense"], ["token", "nonsense"], ["serve", "nonsense"]])
def test_an_unknown_command_points_to_the_help(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and re.search("--help|usage:", done.stderr) and not done.stdout, done


def test_the_shipped_policies_pass():
    done = run("policy", "check", ROOT / "policies")
    assert done.returncode == 0, done.stdout + done.stderr
    assert run("policy", "check").returncode == 0, "policies/ is the default"


def test_all_mistakes_at_once(policies):
    text = policies.read("routes.json5")
    policies.write("routes.json5", text.replace('scope: "connectors:read"', 'scope: "connectors:raed"'))
    policies.write("limits.json5", policies.read("limits.json5").replace("allow:", "alow:", 1))
    done = run("policy", "check", policies.folder)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(r"routes\.json5:\d+:\d+: error: .*connectors:raed.* \[[a-z-]+\]", output), output
    assert re.search(r"limits\.json5:\d+:\d+: error: .*alow.* \[[a-z-]+\]", output), output
    assert "^" in output and 'did you mean "connectors:read"' in output and "allow" in output


def test_files_that_the_policies_name_are_looked_for(policies):
    policies.write("here.pem", "")
    policies.write("gateway.json5", """{ gateway: {
        tls: { certificates: [{ certificate: "here.pem", key: "organizations" }] },
        upstream: { url: "http://127.0.0.1:1", credential: { header: "Authorization", secretFile: "secrets/absent" } },
    } }""")
    done = run("policy", "check", policies.folder)
    assert done.returncode == 0 and "0 errors, 2 warnings" in done.stdout, done
    assert re.search(r'gateway\.json5:2:\d+: warning: .*"organizations" is a folder \[unusable-file\]', done.stderr), done
    assert re.search(r"gateway\.json5:3:\d+: warning: .*does not exist \[unusable-file\]", done.stderr), done
    assert "secrets/absent" not in done.stderr, "what stands there may be the secret"


def test_a_folder_that_is_not_there(tmp_path):
    done = run("policy", "check", tmp_path / "absent")
    assert done.returncode == 1 and "absent" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "arguments", [['a"b'], ["a b"], ["ci", "--expires", "tomorrow"], ["ci", "--expires", "2020-01-01T00:00:00Z"],
                  ["ci", "--expires", "2020-01-01"], ["ci", "--scopes", "foo"], ["ci", "--scopes", "connectors:raed"], ["ci", "--scopes", "a,,b"], ["ci", "--scopes", 'x"']]
)
def test_no_token_is_made_for_an_entry_that_would_not_load(arguments):
    done = run("token", "create", *arguments)
    assert done.returncode == 2 and not done.stdout and "--help" in done.stderr, done


def test_a_created_token_opens_the_gateway(start, policies):
    done = run("token", "create")
    assert done.returncode == 0, done
    token = re.search(r"\bcgw_[A-Za-z0-9_-]+", done.stdout).group(0)
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert token not in done.stderr and digest in done.stdout + done.stderr, "the entry to paste holds the SHA-256 of the token"
    other = re.search(r"\bcgw_[A-Za-z0-9_-]+", run("token", "create").stdout).group(0)
    assert token != other and len(token) == len(other) >= 47
    policies.write("organizations/more.json5", {"organizations": {"org_xyz789": {"tokens": {
        "made": {"sha256": digest, "scopes": ["connectors:read"]}}}}})
    assert start(policies).call("GET", STATE, token=token).status == 200


def test_scopes_are_those_of_the_policies(policies, tmp_path):
    done = run("token", "create", "ci", "--scopes", "foo", "--policies", policies.folder)
    assert done.returncode == 2 and '"foo"' in done.stderr and "connectors:read, connectors:run, connectors:write" in done.stderr
    policies.write("more.json5", {"scopes": {"foo": {"description": "for a test"}}})
    assert run("token", "create", "ci", "--scopes", "foo", "--policies", policies.folder).returncode == 0
    assert run("token", "create", "ci", "--scopes", "foo", GATEWAY_POLICIES=str(policies.folder)).returncode == 0
    assert run("token", "create", "ci", "--policies", tmp_path / "absent").returncode == 1
    assert run("token", "create", "ci", "--scopes", "foo", cwd=tmp_path).returncode == 0, "no policies here: only the form counts"


@pytest.mark.parametrize("expires", ["2127-01-31", "2127-01-31T12:00:00Z", "2127-01-31T12:00:00+01:00"])
def test_the_forms_of_a_time(expires):
    done = run("token", "create", "ci", "--expires", expires)
    assert done.returncode == 0 and f'expires: "{expires}"' in done.stderr, done
    assert all(form in run("token", "--help").stdout for form in ("2027-01-31,", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00+01:00"))


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["--nonsense"], ["--workers", "abc"], ["serve", "--workers", "abc"], ["serve", "--listen", "nowhere"],
    ["serve", "--admin", "nowhere"], ["serve", "--state"], ["serve", "--state="], ["connectors", "--workers", "abc"],
    ["connectors", "--listen", "nowhere"], ["connectors", "nonsense"], ["policy"], ["policy", "nonsense"],
    ["policy", "check", "--nonsense"], ["token"], ["token", "nonsense"], ["token", "create", "--expires", "tomorrow"],
    ["token", "create", "--nonsense", "x"],
])
def test_misuse_has_an_exit_code_of_its_own(tmp_path, arguments):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr and not done.stdout, done
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize("command", ["serve", "connectors"])
@pytest.mark.parametrize("address, remedy", [
    ("::1:8443", "write [::1]:8443"), ("2001:db8::7:443", "write [2001:db8::7]:443"), ("::1", "write [::1]:PORT"),
    ("::", "write [::]:PORT"), ("nowhere:8443", "write HOST:PORT"), ("1:2:3", "write HOST:PORT"),
])
def test_an_address_that_is_refused_comes_with_what_to_write(tmp_path, command, address, remedy):
    done = run(command, "--listen", address, cwd=tmp_path)
    assert done.returncode == 2 and f'--listen: "{address}" is not an address: {remedy}' in done.stderr, done


@pytest.mark.parametrize("arguments", [
    ["serve", "--policies", "absent"], ["serve", "--listen", "192.0.2.1:0", "--admin", "off", "--policies", str(ROOT / "policies")],
    ["connectors", "--listen", "192.0.2.1:0"], ["policy", "check", "absent"], ["token", "create", "--policies", "absent"],
])
def test_what_fails_has_another(tmp_path, arguments):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr, done


@pytest.mark.parametrize("name", ["GATEWAY_WORKERS", "GATEWAY_LISTEN", "GATEWAY_CONNECTORS_MINIMUM_MS"])
def test_a_variable_is_misused_like_a_flag(tmp_path, name):
    done = run("serve", cwd=tmp_path, **{name: "abc"})
    assert done.returncode == 2 and not done.stdout and list(tmp_path.iterdir()) == [], done


@pytest.mark.parametrize("key", ["sha256", "token"])
def test_a_check_is_linear_in_the_text(policies, key):
    """One line of 60 KB in which nothing is valid: a finding must not cost a search of the whole line."""
    tokens = {f"t{number}": {key: "cgw_" + "x" * 26, "scopes": ["connectors:read"]} for number in range(800)}
    policies.write("organizations/broken.json5", json.dumps({"organizations": {"org_broken": {"tokens": tokens}}}))
    done = run("policy", "check", policies.folder, deadline=20)
    assert done.returncode == 1 and f"{1600 if key == 'token' else 800} errors" in done.stdout + done.stderr
    assert "xxxx" not in done.stdout + done.stderr, "what was pasted may be a token"


@pytest.mark.parametrize("text", [
    '{ organizations: { org_b: { tokens: { ci: { token: "TOKEN", scopes: ["connectors:read"] } } } } }',
    '{ organizations: { org_b: { tokens: { TOKEN: { scopes: [] } } } } }',
    '{ organizations: { org_b: { id: "TOKEN" } } }', "{ // TOKEN\n organizations: { org_b: { TOKEN } } }",
    '{ organizations: { org_b: { token: TOKEN } } }', 'TOKEN', '{ organizations: { org_b: { plan: "TOKEN" } } } // TOKEN',
    '{ gateway: { upstream: { url: "http://127.0.0.1:1", credential: { header: "a", secretFile: "TOKEN" } } } }',
])
def test_a_token_that_was_pasted_is_never_shown(start, policies, tmp_path, text):
    """A token is pasted under a wrong key, as a name or into a comment: it must not appear in the log of a build."""
    token = "cgw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
    gateway = start(policies)
    policies.write("pasted.json5", text.replace("TOKEN", token))
    for arguments in (["policy", "check"], ["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--state", tmp_path, "--policies"]):
        done = run(*arguments, policies.folder)
        assert (done.returncode == 1 or "secretFile" in text) and "***" in done.stderr
        assert token[4:] not in done.stdout + done.stderr and token[9:40] not in done.stdout + done.stderr, done
    wait_for(lambda: "reloaded (" in gateway.output, "the file was noticed")
    assert token[4:] not in gateway.output + gateway.admin("/policy")[1]


def test_findings_come_before_the_summary(policies):
    """A build writes both streams into one log: the summary must be its last line."""
    policies.write("limits.json5", policies.read("limits.json5").replace("allow:", "alow:", 1))
    command = [binary(), "policy", "check", str(policies.folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, stdin=subprocess.DEVNULL)
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("warnings") and lines[0].endswith("[missing-field]") and sum("errors" in line for line in lines) == 1, done


def test_a_policy_file_with_a_wrong_ending_is_never_silent(start, policies, tmp_path):
    """A limit saved as YAML, or with an editor's file name extension, is not in force: the gateway warns of it."""
    for name in ("limits.yaml", "teams/a.json", "teams/b.JSON5", "notes.json5.txt"):
        policies.write(name, "{}")
    for name in ("limits.json5~", ".limits.json5.swp", "limits.json5.bak", ".hidden.yaml", "ca.pem"):
        policies.write(name, "not JSON5")
    done = run("policy", "check", policies.folder)
    assert done.returncode == 0 and "0 errors, 4 warnings" in done.stdout, done
    assert re.findall(r"/policies/(\S+):1:1: warning: .*is not read", done.stderr) == [
        "limits.yaml", "notes.json5.txt", "teams/a.json", "teams/b.JSON5"], done
    gateway = start(policies)
    wait_for(lambda: "teams/b.JSON5:1:1: warning" in gateway.output, "it is told at the start")
    policies.write("late.yml", "{}")
    wait_for(lambda: "late.yml:1:1: warning" in gateway.output, "it is told when it comes")
    assert "rename it to" in gateway.admin("/policy")[1]

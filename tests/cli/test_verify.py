"""convae-zoo verify."""

import json

import pytest

from convae_zoo import registry
from convae_zoo.cli import main
from convae_zoo.errors import ZooWarning


def verify(capsys, *arguments):
    status = main(["verify", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_sound_entry_passes_with_status_0(capsys):
    status, out, err = verify(capsys, "mse", "--property", "loss-minimum", "--property", "listing")
    assert (status, err) == (0, "")
    assert out.splitlines()[1].split()[:5] == ["mse", "loss", "convae-zoo", "0.1.0", "2"]


@pytest.mark.usefixtures("defects")
def test_a_failure_is_a_line_that_names_the_plugin_and_the_status_is_1(capsys):
    status, out, _ = verify(capsys, "--plugin", "defects", "--property", "loss-scalar")
    assert status == 1
    (line,) = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert "loss 'loss-scalar' fails 'loss-scalar': it must return a scalar tensor" in line
    assert line.endswith("tell plugin 'defects' of convae-defects 0.1")


@pytest.mark.usefixtures("defects")
def test_json_is_one_document_with_every_result(capsys):
    status, out, err = verify(capsys, "loss:loss-minimum", "--property", "loss-minimum", "--json")
    assert (status, err) == (1, "")
    (result,) = json.loads(out)["results"]
    assert (result["name"], result["status"], result["plugin"]) == (
        "loss-minimum",
        "failed",
        "defects",
    )


def test_a_skip_is_reported_once_with_its_reason(capsys):
    status, out, _ = verify(capsys, "bce", "--property", "loss-symmetric")
    assert status == 0
    assert "skipped loss-symmetric of loss:bce: it does not claim to be symmetric" in out


def test_a_broken_plugin_fails(plugin_site, capsys):
    plugin_site.install("broken-dist", {"broken": "raise RuntimeError('out of luck')"})
    with pytest.warns(ZooWarning, match="out of luck"), registry.override():
        status, out, _ = verify(capsys, "--plugin", "broken")
    assert status == 1
    assert "FAILED plugin 'broken' is broken: RuntimeError: out of luck" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convae-20"], "unknown name 'convae-20'; did you mean"),
        (["--plugin", "referense"], "unknown plugin 'referense'; did you mean 'reference'?"),
        (["mse", "--property", "foward"], "unknown property 'foward'; did you mean 'forward'"),
        (["mse", "--examples", "0"], "--examples"),
        (["mse", "--plugin", "datasets"], "unknown name 'mse'"),
    ],
)
def test_an_unknown_name_is_one_line_with_status_2(arguments, message, capsys):
    status, out, err = verify(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1

"""``convae-zoo list``."""

import json
import subprocess
import sys
import types

import pytest

import convae_zoo
from convae_zoo import WeightsSpec, hookimpl, registry
from convae_zoo.cli import main
from convae_zoo.registry.kinds import KINDS

WEIGHTS = """
from convae_zoo import hookimpl
from convae_zoo import ModelSpec, WeightsSpec
@hookimpl
def register_models(register):
    file = {"file": "p:f.safetensors", "sha256": "0" * 64}
    weights = [WeightsSpec(tag="photos", dataset="photos", **file)]
    register(ModelSpec(name="mine", encoder="e", decoder="d", weights=weights,
                       summary="two\\nlines\\x1b[31m"))
"""


def documents(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_it_lists_everything_by_kind_with_summary_and_distribution(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, version="2.5")
    done = plugin_site.run("list")
    assert (done.returncode, done.stderr) == (0, "")
    for plural in [k.plural for k in KINDS.values()]:
        entries = getattr(convae_zoo, f"list_{plural}")()
        count = len(entries) + (plural == "encoders")
        assert f"{plural} ({count})" in done.stdout or not count
        assert all(entry in done.stdout for entry in entries)
    line = next(li for li in done.stdout.splitlines() if "a tiny encoder" in li)
    assert line.split() == ["tiny", "a", "tiny", "encoder", "tiny-dist", "2.5"]


def test_json_is_one_document_with_the_same_names(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, version="2.5")
    found = documents(plugin_site.run("list", "--json"))
    assert set(found) == {k.plural for k in KINDS.values()}
    assert [e["name"] for e in found["models"]] == convae_zoo.list_models()
    assert {
        "kind": "encoder",
        "name": "tiny",
        "summary": "a tiny encoder",
        "plugin": "tiny",
        "distribution": "tiny-dist",
        "version": "2.5",
    } in found["encoders"]


@pytest.mark.parametrize("plural", [k.plural for k in KINDS.values()])
def test_one_kind_can_be_listed(plugin_site, plural):
    found = documents(plugin_site.run("list", plural, "--json"))
    names = getattr(convae_zoo, f"list_{plural}")()
    assert {kind: [e["name"] for e in entries] for kind, entries in found.items()} == {
        plural: names
    }


def test_a_pattern_chooses_in_a_kind_or_in_all(plugin_site):
    found = documents(plugin_site.run("list", "models", "convae-2*", "--json"))
    assert [e["name"] for e in found["models"]] == ["convae-200"]
    found = documents(plugin_site.run("list", "*convae", "--json"))
    assert [e["name"] for e in found["encoders"]] == ["convae"]
    assert found["losses"] == []


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("models", "zzz*"), "no models match 'zzz*'\n"),
        (("zzz*",), "no entries match 'zzz*'\n"),
        (("zzz\x1b*",), "no entries match 'zzz\\x1b*'\n"),
        (("models", "zzz", "--pretrained"), "no trained weights match 'zzz'\n"),
    ],
)
def test_without_a_match_it_says_so(plugin_site, args, line):
    done = plugin_site.run("list", *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, line, "")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("model",), "error: unknown kind or name 'model'; did you mean 'models'"),
        (("enc", "x"), "error: unknown kind 'enc'; did you mean 'encoders'?\n"),
        (("losses", "--pretrained"), "error: only models have weights: --pretrained does not go"),
    ],
)
def test_a_wrong_call_is_refused(plugin_site, args, line):
    done = plugin_site.run("list", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)


def test_a_name_alone_is_looked_up_in_every_kind(capsys):
    assert main(["list", "convae", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {plural: [e["name"] for e in found[plural]] for plural in found if found[plural]} == {
        "encoders": ["convae"],
        "decoders": ["convae"],
    }
    assert main(["list", "fashon-mnist"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: unknown kind or name 'fashon-mnist'; did you mean 'fashion-mnist'"
    )


def test_weights_of_a_missing_model_are_listed_with_the_problem(capsys):
    spec = WeightsSpec(
        model="gone",
        tag="photos",
        dataset="photos",
        model_distribution="gone-dist",
        file="p:f.safetensors",
        sha256="0" * 64,
    )
    plugin = types.ModuleType("extra")
    plugin.register_weights = hookimpl(lambda register: register(spec))
    line = "weights 'gone.photos' of extra are for model 'gone', which is not installed; "
    with registry.override(plugins=[plugin]):
        assert main(["list", "--pretrained", "gone", "--json"]) == 0
        (entry,) = json.loads(capsys.readouterr().out)["models"]
        assert entry["problem"] == f"{line}pip install gone-dist"
        assert main(["list", "weights"]) == 0
        assert f"extra 0                   {line}" in capsys.readouterr().out
        assert main(["show", "gone.photos"]) == 0
        assert f"problem       {line}" in capsys.readouterr().out
        assert main(["evaluate", "gone.photos", "--dataset", "photos"]) == 2
        assert capsys.readouterr().err == f"error: {line}pip install gone-dist\n"


def test_pretrained_lists_trained_weights_by_name(plugin_site):
    plugin_site.install("mine-dist", {"mine": WEIGHTS})
    found = documents(plugin_site.run("list", "--pretrained", "mine*", "--json"))
    assert [(e["name"], e["summary"]) for e in found["models"]] == [
        ("mine.photos", "mine trained on photos")
    ]
    done = plugin_site.run("list", "models", "mine")
    assert "TRAINED ON" in done.stdout
    assert "two lines\\x1b[31m  photos" in done.stdout, "no control characters reach the terminal"


def test_a_broken_plugin_is_one_line_on_stderr_and_the_rest_is_listed(plugin_site):
    plugin_site.install("broken-dist", {"broken": "raise ValueError('no\\nluck')"})
    done = plugin_site.run("list", "--json")
    assert done.returncode == 0
    assert "convae-200" in [e["name"] for e in json.loads(done.stdout)["models"]]
    assert done.stderr == (
        "warning: plugin 'broken' of broken-dist 1.0 is left out: ValueError: no luck "
        "(CONVAE_ZOO_DISABLED_PLUGINS=broken silences this)\n"
    )


@pytest.mark.parametrize("args", [["list"], ["show", "convae-200"], ["plugins"]])
def test_nothing_heavy_is_imported(args):
    heavy = ("torch", "numpy", "matplotlib", "rich", "PIL", "sklearn", "skimage", "torchvision")
    code = (
        f"import sys; from convae_zoo.cli import main; main({args}); "
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "[]"

"""``convae-zoo plugins``."""

import json

import pytest


def found(done):
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}


def test_plugins_are_listed_with_what_each_registers(plugin_site):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder}, version="2.5")
    done = plugin_site.run("plugins", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert found(done)["tiny"] == {
        "name": "tiny",
        "distribution": "tiny-dist",
        "version": "2.5",
        "status": "loaded",
        "reason": "",
        "registers": {"encoders": ["tiny"]},
    }
    assert found(done)["reference"]["registers"]["models"] == ["convae-1000", "convae-200"]
    rows = [line.split() for line in plugin_site.run("plugins").stdout.splitlines()]
    assert ["tiny", "tiny-dist", "2.5", "loaded", "encoders", "tiny"] in rows


def test_a_broken_plugin_is_listed_with_its_reason_and_the_exit_status_is_1(plugin_site):
    plugin_site.install("broken-dist", {"broken": "raise ValueError('no luck')"})
    done = plugin_site.run("plugins", "--json")
    assert done.returncode == 1
    assert done.stderr.startswith("warning: plugin 'broken' of broken-dist 1.0 is left out: Value")
    assert done.stderr.count("\n") == 1
    broken = found(done)["broken"]
    assert (broken["status"], broken["reason"]) == ("broken", "ValueError: no luck")
    assert broken["registers"] == {}
    assert found(done)["reference"]["status"] == "loaded"
    text = plugin_site.run("plugins")
    assert text.returncode == 1
    assert text.stderr == "", "the table says it; once is enough"
    rows = [line.split(maxsplit=4) for line in text.stdout.splitlines()]
    assert ["broken", "broken-dist", "1.0", "broken", "ValueError: no luck"] in rows


def test_two_plugins_with_one_name_are_both_listed(plugin_site):
    for letter in "ab":
        plugin_site.install(f"{letter}-dist", {"same": plugin_site.encoder})
    done = plugin_site.run("plugins", "--json")
    same = [p for p in json.loads(done.stdout)["plugins"] if p["name"] == "same"]
    assert [(p["distribution"], p["status"]) for p in same] == [
        ("a-dist", "loaded"),
        ("b-dist", "broken"),
    ]
    assert same[0]["registers"] == {"encoders": ["tiny"]}
    assert same[1]["registers"] == {}


@pytest.mark.parametrize("plugin", ["tiny", "reference"])
def test_a_blocked_plugin_is_listed_and_is_no_failure(plugin_site, plugin):
    plugin_site.install("tiny-dist", {"tiny": plugin_site.encoder})
    done = plugin_site.run("plugins", "--json", CONVAE_ZOO_DISABLED_PLUGINS=plugin)
    assert (done.returncode, done.stderr) == (0, "")
    assert found(done)[plugin]["status"] == "blocked"
    assert found(done)[plugin]["reason"] == "CONVAE_ZOO_DISABLED_PLUGINS names it"


def test_in_strict_mode_a_broken_plugin_is_one_line_of_error(plugin_site):
    plugin_site.install("broken-dist", {"broken": "raise ValueError('no luck')"})
    done = plugin_site.run("plugins", CONVAE_ZOO_PLUGINS_STRICT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: plugin 'broken' of broken-dist 1.0 is left out: Value")
    assert done.stderr.count("\n") == 1


def test_a_warning_that_the_table_does_not_repeat_is_printed(plugin_site):
    done = plugin_site.run("plugins", CONVAE_ZOO_DISABLED_PLUGINS="refrence")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: CONVAE_ZOO_DISABLED_PLUGINS names 'refrence', which is")

"""The table of kinds: everything about a kind of entry follows from its row."""

import subprocess
import sys

import convae_zoo
from convae_zoo.registry.kinds import KINDS

PRIOR = """
import gc, types

import attrs

from convae_zoo import hookimpl, registry
from convae_zoo.cli import main
from convae_zoo.registry import hookspecs, kinds, specs


@attrs.frozen(kw_only=True)
class PriorSpec(specs.BuiltSpec):
    covariance: str = "full"


def register_priors(register):
    pass


hookspecs.register_priors = hookspecs.hookspec(register_priors)
(table,) = gc.get_referents(kinds.KINDS)  # the dict behind the read-only view
table["prior"] = kinds.Kind("prior", "priors", PriorSpec)

plugin = types.ModuleType("latents")
plugin.register_priors = hookimpl(
    lambda register: register(PriorSpec(name="gaussian", factory="a:B", summary="a Gaussian"))
)
with registry.override(plugins=[plugin]):
    print(registry.list_priors("g*"))
    for args in (["list", "priors"], ["list", "gaussian"], ["show", "gaussian"], ["plugins"],
                 ["show", "gausian", "--kind", "prior"]):
        print(main(args))
"""


def test_a_new_kind_is_a_spec_a_hook_and_a_row():
    done = subprocess.run(
        [sys.executable, "-c", PRIOR], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    listed, *printed = done.stdout.splitlines()
    assert listed == "['gaussian']"
    assert [line for line in printed if line.isdigit()] == ["0", "0", "0", "0", "2"]
    assert printed.count("priors (1)") == 2
    assert "gaussian  prior" in printed
    assert "  covariance    full" in printed
    assert any("priors gaussian" in line for line in printed), "plugins says what it registers"
    assert done.stderr == "error: unknown prior 'gausian'; did you mean 'gaussian'?\n"


def test_every_kind_has_a_list_function_that_is_public():
    for kind in KINDS.values():
        names = getattr(convae_zoo, kind.list_function)()
        assert names == sorted(names)
        assert kind.list_function in convae_zoo.__all__
        assert kind.spec.__name__ in convae_zoo.__all__

"""Nothing that users rely on disappears unseen."""

from pathlib import Path

import api_surface

FILE = Path(__file__).with_name("api_surface.txt")


def test_what_is_public_is_what_is_listed():
    listed, found = set(FILE.read_text().splitlines()), set(api_surface.lines())
    gone, added = sorted(listed - found), sorted(found - listed)
    assert not gone, f"gone from what users rely on: {gone}"
    assert not added, f"list what is new: see {api_surface.__file__}"


def test_names_parameters_methods_and_options_are_listed():
    """A file that listed too little would let anything go."""
    assert {
        "load_model",
        "load_model(*, device='cpu')",
        "Autoencoder.decode(z)",
        "fields.integer(*, minimum=1)",
        "convae-zoo train --dataset",
        "convae-zoo show NAME",
    } <= set(api_surface.lines())

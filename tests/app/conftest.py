"""Small models in memory, one of which has markup wherever a plugin may write text."""

import socket
import threading

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.app.models import Model, Models
from image_files import marked_photo

MARKUP = "<script>document.title = 'owned'</script><img src=x onerror=\"hit()\">${1}{{2}}"
SMALL = {"width": 2, "latent_dim": 8, "image_size": 16}
UNET = {"image_size": 16, "width": 8, "middle_width": 8, "deep_width": 16}


def composed(encoder, decoder, encoder_config, decoder_config):
    torch.manual_seed(0)
    return zoo.compose(
        encoder=encoder,
        decoder=decoder,
        encoder_config=encoder_config,
        decoder_config=decoder_config,
    ).eval()


@pytest.fixture(scope="session")
def models():
    """A plain model, a variational one, a denoiser, and one that takes the noise's sigma."""
    found = {
        "plain": composed("convae", "convae", SMALL, SMALL),
        f"dreams {MARKUP}": composed("variational", "residual", SMALL, SMALL),
        "blind": composed("convae", "convae", SMALL, SMALL),
        "told": composed("unet", "unet", {**UNET, "takes_sigma": True}, UNET),
    }
    with torch.no_grad():
        for weight in found["told"].parameters():  # or it would start as the identity
            weight.add_(0.05 * torch.randn(weight.shape))
    found["blind"].corruption = found["told"].corruption = "gaussian(sigma=0:50)"
    return Models(
        models={
            name: Model(model=model, sha256="0" * 64, summary=f"{name}: {MARKUP}")
            for name, model in found.items()
        },
        device="cpu",
    )


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    return marked_photo(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def hosts():
    """The names of the machines that this process has looked up, filled while it runs."""
    return set()


@pytest.fixture(scope="session")
def server(models, hosts):
    """The app, served from a thread of this process; its largest picture has 10,000 pixels."""
    pytest.importorskip("gradio", reason="gradio is not installed")
    with pytest.MonkeyPatch.context() as patch:
        look_up = socket.getaddrinfo
        patch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: hosts.add(host) or look_up(host, *a, **k)
        )
        from convae_zoo.app.server import create_server

        with create_server(models, port=0, max_pixels=10_000) as created:
            thread = threading.Thread(target=created.run, daemon=True)
            thread.start()
            yield created
            created.stop()
            thread.join(30)
            assert not thread.is_alive()

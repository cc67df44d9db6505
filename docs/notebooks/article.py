# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Convolutional autoencoders, from the article to a model zoo
#
# An autoencoder maps an image to a short vector, the latent, and back. This notebook follows the
# article's network from its three parts to its uses: reconstruction, denoising, anomaly detection and
# sampling. Everything runs on a CPU in some minutes; fewer `IMAGES` take less time.
#
# `CONVAE_ZOO_DATA` names a folder with Fashion-MNIST; without it, the photographs that come with the
# zoo's dependencies are used and nothing is downloaded.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

import attrs
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo import visuals

SMALL = "CONVAE_ZOO_SMALL" in os.environ  # as in the tests: few images, two channels, one epoch
IMAGES, EPOCHS, WIDTH = (64, 1, 2) if SMALL else (10_000, 5, 16)
DATA = os.environ.get("CONVAE_ZOO_DATA")
DATASET = "fashion-mnist" if DATA else "photos"
_ = torch.manual_seed(0)


# %% [markdown]
# ## The data
#
# A dataset is uint8 images, N×C×H×W. The network takes colour images of 32×32 pixels.


# %%
def load(split, count):
    images = zoo.load_dataset(DATASET, split=split, data=DATA).fitted((3, 32, 32))
    return attrs.evolve(images, images=images.images[:: len(images) // count][:count], labels=None)


train, val = load("train", IMAGES), load("val", IMAGES // 8)
seen = val.images[val.exemplars(10)]
print(train)
visuals.save_images(None, seen, title=f"{DATASET}, kept out of training")

# %% [markdown]
# ## Three parts
#
# An **encoder** of six convolutions and a linear layer maps an image to 200 numbers; a **decoder** of a
# linear layer and six transposed convolutions maps them back; the **autoencoder** joins the two.

# %%
encoder = zoo.create_encoder("convae", latent_dim=200)
decoder = zoo.create_decoder("convae", latent_dim=200)
model = zoo.create_model("convae-200", width=WIDTH)
latent = encoder(model.to_float(seen))
print(f"{tuple(seen.shape)} -> {tuple(latent.shape)} -> {tuple(decoder(latent).shape)}")
model

# %% [markdown]
# ## Training, epoch by epoch
#
# Mean squared error and Adam, as in the article. A run folder keeps the weights and a picture of every
# epoch: originals above, reconstructions below, each with its PSNR.

# %%
runs = Path(mkdtemp())


def fit(name, overrides=None, **changes):
    """Train a model on the images above."""
    settings = {"dataset": (train, val), "epochs": EPOCHS, "batch_size": 48, "progress": False}
    return zoo.train(name, overrides={"width": WIDTH, **(overrides or {})}, **settings, **changes)


result = fit("convae-200", out=runs / "adam")
result.figure()

# %%
for picture in sorted((runs / "adam" / "pictures").glob("*.png")):
    with Image.open(picture) as grid:
        grid.thumbnail((900, 900))
        display(grid)  # noqa: F821 - IPython's

# %% [markdown]
# ## 200 against 1000
#
# A wider bottleneck can keep more, given enough training: after a thousand steps of Adam 1000 floats gain
# little over 200. Each row has its MSE, PSNR, SSIM and sharpness: the mean edge strength relative to the
# originals'.


# %%
def reconstructed(model):
    with torch.no_grad():
        return model.postprocess(model(model.to_float(seen)))


def compare(models, title):
    rows = [(label, reconstructed(each)) for label, each in models.items()]
    return visuals.save_comparison(None, seen, rows, title=title)


wide = fit("convae-1000")
compare({"200": result.model, "1000": wide.model}, "the bottleneck")

# %% [markdown]
# ## Adam against Muon
#
# The article's network is limited by its optimiser. The recipe `fast` trains it with Muon and shuffles:
# the same networks, images and epochs. Now the wider bottleneck pays, too.

# %%
muon = fit("convae-200", recipe="fast")
print(f"validation MSE: Adam {result.val_losses[-1]:.4f}, Muon {muon.val_losses[-1]:.4f}")
wide_muon = fit("convae-1000", recipe="fast")
rows = {"200, Adam": result.model, "200, Muon": muon.model, "1000, Muon": wide_muon.model}
compare(rows, "the optimiser")

# %% [markdown]
# Every evaluation stands next to PCA with as many components as the latent has floats.

# %%
for label, each in (("Adam", result.model), ("Muon", muon.model)):
    print(label, zoo.evaluate(each, val, train=train))

# %% [markdown]
# ## The blur, and other losses
#
# Mean squared error is minimal at the mean of all plausible images, and a mean is blurred. Structural
# similarity asks for local contrast: sharper, at a higher MSE. The absolute error is minimal at the median, which is
# no sharper.

# %%
losses = {"mse": muon.model}
for loss in ("l1", "0.2*l1 + 0.8*ssim"):
    losses[loss] = fit("convae-200", recipe="fast", loss=loss).model
compare(losses, "the loss")

# %% [markdown]
# ## Denoising
#
# Trained with a corruption, the model is given noisy images and compared with the clean ones.

# %%
denoiser = fit("convae-200", recipe="fast", corruption="gaussian(sigma=25)").model
noise = 25 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
noisy = (seen + noise).round().clamp(0, 255).to(torch.uint8)
with torch.no_grad():
    clean = denoiser.postprocess(denoiser(denoiser.to_float(noisy)))
visuals.save_grid(None, seen, clean, inputs=noisy, title="noise of sigma 25")

# %% [markdown]
# The zoo's own denoiser is fully convolutional and takes whole photographs: `zoo.denoise`.
#
# ## Anomalies
#
# A model of normal images reconstructs other images badly, if its latent is too short to copy whatever it
# sees: 16 floats here. The detector sets its threshold on normal images that it holds out, so that at most
# `alarm_rate` of new ones are flagged on average. Each second image gets a square of another image's
# negative, and the map shows where it is.

# %%
short = fit("convae-200", overrides={"latent_dim": 16}, recipe="fast").model
detector = zoo.AnomalyDetector(short, train=False, score="combined", alarm_rate=0.1)
detector.fit(train.images[:2000])
tested = seen.clone()
tested[::2, :, 8:20, 8:20] = 255 - seen[::2, :, 8:20, 8:20].flip(0)
flagged = detector.predict(tested) == -1
print("flagged:", flagged.astype(int))
maps = torch.from_numpy(detector.anomaly_map(tested))[:, None]
heat = (255 * (maps / maps.max())).to(torch.uint8).expand(-1, 3, -1, -1)
visuals.save_rows(None, [("image", tested), ("anomaly map", heat)], title="squares that do not fit")

# %% [markdown]
# ## New images
#
# The latents of a variational model follow a known distribution, its prior. Samples of it decode to
# images that nobody took. `beta` weighs that prior against the reconstruction: the larger it is, the better
# are the samples and the blurrier the reconstructions.

# %%
variational = fit("variational-200").model
made = variational.sample(20, generator=torch.Generator().manual_seed(0))
visuals.save_images(None, variational.postprocess(made), title="samples of the prior")

# %% [markdown]
# From here: `convae-zoo train` and its recipes for longer runs, `convae-zoo list` for everything that is
# installed, `convae-zoo app` for your own pictures.

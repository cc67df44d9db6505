"""The page: tabs of Gradio around the plain functions of this folder.

Texts of plugins and of errors reach the browser escaped, so that markup in them is shown as text.
"""

import html
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import gradio as gr

from convae_zoo.app.compress import compress_picture
from convae_zoo.app.denoise import denoise_picture
from convae_zoo.app.detect import Finding, example_pictures, judge, score_picture
from convae_zoo.app.models import Models
from convae_zoo.app.reconstruct import reconstruct_picture
from convae_zoo.app.result import MAX_PIXELS, Figures, Progress, Result
from convae_zoo.app.sample import sample_picture
from convae_zoo.errors import UsageError, ZooError, reason
from convae_zoo.tasks.compress.encode import DTYPES
from convae_zoo.tasks.detect import AnomalyDetector

TITLE = "convae_zoo"
CSS = """
#head h1 { margin: 0; font-size: 1.6rem }
#head p, .about p { margin: .2rem 0; color: var(--body-text-color) }
.figures dl { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: .4rem 0 }
.figures dt { font-size: .85rem }
.figures dd { margin: 0; font-size: 1.15rem; font-weight: 600 }
.figures p { font-weight: 600 }
.small img { width: 100% !important; height: 15rem !important; object-fit: contain;
  image-rendering: pixelated }
"""
_INTRO = (
    "Your pictures through the installed models. They stay on the machine that serves this page."
)
_QUEUE: dict[str, Any] = {"concurrency_id": "models", "concurrency_limit": 1}


@attrs.define(eq=False)
class Page:
    """The page and what its tabs work with.

    Attributes:
        models: to choose from.
        folder: where files to download are written.
        max_pixels: a picture with more is refused.
    """

    models: Models
    folder: Path
    max_pixels: int = MAX_PIXELS
    _detectors: dict[str, AnomalyDetector] = attrs.field(factory=dict)

    def build(self) -> gr.Blocks:
        """Lay out the page."""
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
            gr.HTML(f"<h1>{TITLE}</h1><p>{_INTRO}</p>", elem_id="head")
            picture = gr.File(label="Your picture", elem_id="picture", height=130)
            for title, lay_out in (
                ("Reconstruct", self._reconstruct),
                ("Compress", self._compress),
                ("Denoise", self._denoise),
                ("Detect", self._detect),
                ("Sample", self._sample),
            ):
                with gr.Tab(title, elem_id=title.lower()):
                    lay_out(picture)
        return blocks

    def _reconstruct(self, picture: gr.File) -> None:
        name = self._choose_model(self.models.models)
        button = gr.Button("Reconstruct", variant="primary")
        before, after, figures = _outputs("Original", "Reconstruction")

        def run(path: str | None, name: str, bar: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008 - Gradio looks for it there
            return self._attempt(
                lambda: reconstruct_picture(
                    self.models.models[name].model,
                    _given(path),
                    max_pixels=self.max_pixels,
                    progress=_told(bar),
                )
            )

        button.click(run, [picture, name], [before, after, figures], **_QUEUE)

    def _compress(self, picture: gr.File) -> None:
        name = self._choose_model(self.models.models)
        dtype = gr.Radio(
            list(DTYPES),
            value="fp16",
            label="Storage",
            info="auto: discrete latents as codes, others as fp32",
        )
        button = gr.Button("Compress", variant="primary")
        before, after, figures = _outputs("Fitted to the model", "Decompressed", small=True)
        file = gr.File(label="File of latents", visible=False)

        def run(path: str | None, name: str, dtype: str) -> list[Any]:
            made: list[Path] = []

            def compress() -> Result:
                result = compress_picture(
                    self.models.models[name].model,
                    _given(path),
                    Path(tempfile.mkdtemp(dir=self.folder)),
                    weights=self.models.models[name].sha256,
                    dtype=dtype,
                    max_pixels=self.max_pixels,
                )
                if result.file is not None:
                    made.append(result.file)
                return result

            shown = self._attempt(compress)
            return [*shown, gr.File(str(made[0]), visible=True) if made else gr.File(visible=False)]

        button.click(run, [picture, name, dtype], [before, after, figures, file], **_QUEUE)

    def _denoise(self, picture: gr.File) -> None:
        denoisers = {name: m for name, m in self.models.models.items() if m.denoises}
        if not denoisers:
            _about("No installed model was trained to remove noise.")
            return
        name = self._choose_model(denoisers)
        with gr.Row():
            added = gr.Slider(
                0, 100, 0, step=1, label="Noise to add", info="sigma in units of 255; 0 for none"
            )
            with gr.Group(visible=denoisers[name.value].takes_sigma) as known:
                estimate = gr.Checkbox(value=True, label="Estimate the picture's noise")
                sigma = gr.Slider(0, 100, 25, step=1, label="Sigma of the picture's noise")
        button = gr.Button("Denoise", variant="primary")
        before, after, figures = _outputs("Noisy", "Denoised")

        def run(
            path: str | None,
            name: str,
            added: float,
            estimate: bool,
            sigma: float,
            bar: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio looks for it there
        ) -> list[Any]:
            return self._attempt(
                lambda: denoise_picture(
                    denoisers[name].model,
                    _given(path),
                    sigma=None if estimate else float(sigma),
                    added=float(added),
                    max_pixels=self.max_pixels,
                    progress=_told(bar),
                )
            )

        name.change(lambda name: gr.Group(visible=denoisers[name].takes_sigma), name, known)
        inputs, outputs = [picture, name, added, estimate, sigma], [before, after, figures]
        button.click(run, inputs, outputs, **_QUEUE)
        gr.on([added.release, sigma.release], run, inputs, outputs, **_QUEUE)

    def _detect(self, picture: gr.File) -> None:
        _about(
            "A detector knows normal pictures alone. Load one that AnomalyDetector.save or "
            "convae-zoo detect fit wrote; without one, an example is fitted on pictures of a wall."
        )
        with gr.Row():
            saved = gr.File(label="Detector", elem_id="detector", height=130)
            rate = gr.Slider(
                0.01,
                0.5,
                0.05,
                step=0.01,
                label="Threshold, by its alarm rate",
                info="the share of normal pictures that may be flagged",
            )
        _about("For the example: pictures of the wall, some with defects. Click one.")
        try:
            examples = example_pictures(self.folder)
        except ZooError:  # its dataset is not installed
            examples = []
        gallery = gr.Gallery(
            [(str(path), path.stem.partition("-")[2]) for path in examples],
            label="Examples",
            show_label=False,
            columns=len(examples) or 1,
            height="auto",
            allow_preview=False,
            interactive=False,
            buttons=[],
            visible=bool(examples),
            elem_id="examples",
        )
        button = gr.Button("Detect", variant="primary")
        before, after, figures = _outputs("Picture", "Anomaly map", small=True)
        finding = gr.State(None)

        def score(path: str | None, saved: str | None, rate: float) -> list[Any]:
            found: list[Finding] = []

            def detect() -> Result:
                detector = self._detector(saved)
                found.append(score_picture(detector, _given(path), max_pixels=self.max_pixels))
                return judge(found[0], rate)

            shown = self._attempt(detect)
            return [*shown, found[0] if found else None]

        def move(finding: Finding | None, rate: float) -> list[Any]:
            return self._attempt(lambda: judge(finding, rate)) if finding else _nothing("")

        outputs = [before, after, figures]
        button.click(score, [picture, saved, rate], [*outputs, finding], **_QUEUE)
        rate.change(move, [finding, rate], outputs, trigger_mode="always_last", **_QUEUE)

        def pick(chosen: gr.SelectData) -> str:
            return str(examples[chosen.index])

        gallery.select(pick, None, picture).then(
            score, [picture, saved, rate], [*outputs, finding], **_QUEUE
        )

    def _sample(self, _picture: gr.File) -> None:
        samplers = {name: m for name, m in self.models.models.items() if m.samples}
        if not samplers:
            _about("No installed model can sample images; a variational one can.")
            return
        name = self._choose_model(samplers)
        with gr.Row():
            count = gr.Slider(1, 64, 16, step=1, label="Images")
            seed = gr.Number(0, precision=0, minimum=0, label="Seed")
        button = gr.Button("Sample", variant="primary")
        problem = gr.HTML(elem_classes="figures")
        image = gr.Image(
            label="Samples",
            alt_text="Samples",
            format="png",
            interactive=False,
            buttons=["download", "fullscreen"],
            visible=False,
        )

        def run(name: str, count: int, seed: int) -> list[Any]:
            try:
                made = sample_picture(samplers[name].model, int(count), int(seed))
            except Exception as error:  # noqa: BLE001 - whatever it is, the page says it
                return [gr.Image(None, visible=False), self._problem(error)]
            return [gr.Image(made, visible=True), ""]

        button.click(run, [name, count, seed], [image, problem], **_QUEUE)

    def _choose_model(self, models: Iterable[str]) -> gr.Dropdown:
        """Add a choice of models, and what its author says of the one that is chosen."""
        names = list(models)
        first = self.models.best if self.models.best in names else names[0]
        with gr.Row():
            name = gr.Dropdown(names, value=first, label="Model", filterable=False)
            about = gr.HTML(self._about_model(first), elem_classes="about")
        name.change(self._about_model, name, about)
        return name

    def _about_model(self, name: str) -> str:
        return f"<p>{html.escape(self.models.models[name].summary)}</p>"

    def _detector(self, saved: str | None) -> AnomalyDetector:
        """Load a detector, or fit the example; each once."""
        key = saved or ""
        if key not in self._detectors:
            self._detectors[key] = (
                AnomalyDetector.load(saved, device=self.models.device)
                if saved
                else self.models.example_detector()
            )
        return self._detectors[key]

    def _attempt(self, run: Callable[[], Result]) -> list[Any]:
        """Return the values of a tab's outputs: two pictures and figures, or an error's line."""
        try:
            result = run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the page says it
            return _nothing(self._problem(error))
        pictures = (gr.Image(each, visible=True) for each in (result.before, result.after))
        return [*pictures, figures_html(result.figures)]

    def _problem(self, error: Exception) -> str:
        """Return an error's line as HTML, escaped; what is not the zoo's own is logged."""
        line = str(error)
        if not isinstance(error, ZooError):
            logging.getLogger(__name__).error("a tab failed", exc_info=error)
            line = f"{reason(error)} (a bug in the zoo or in a plugin)"
        # An uploaded file lies in a folder of its own, which says nothing to its owner.
        line = re.sub(rf"{re.escape(str(self.folder))}{os.sep}\w+{os.sep}", "", line)
        return f'<p role="alert">{html.escape(line)}</p>'


def figures_html(figures: Figures) -> str:
    """Return figures as HTML; their texts are escaped."""
    rows = (
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd></div>"
        for label, value in figures
    )
    return f"<dl>{''.join(rows)}</dl>"


def _nothing(text: str) -> list[Any]:
    return [*(gr.Image(None, visible=False) for _ in range(2)), text]


def _given(path: str | None) -> Path:
    """Return the picture that was chosen.

    Raises:
        UsageError: there is none.
    """
    if path is None:
        raise UsageError("choose a picture first")
    return Path(path)


def _told(bar: gr.Progress) -> Progress:
    return lambda done, total: bar((done, total), unit="tiles")


def _about(text: str) -> None:
    gr.HTML(f"<p>{html.escape(text)}</p>", elem_classes="about")


def _outputs(before: str, after: str, *, small: bool = False) -> tuple[gr.Image, gr.Image, gr.HTML]:
    """Add a place for figures, and two pictures side by side."""
    figures = gr.HTML(elem_classes="figures")
    with gr.Row():
        first, second = (
            gr.Image(
                label=label,
                alt_text=label,
                format="png",
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_classes="small" if small else None,
                visible=False,
            )
            for label in (before, after)
        )
    return first, second, figures

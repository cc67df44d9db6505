"""What a person sees of a run: one bar for all of it, a line per epoch, nothing where not asked."""

import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from convae_zoo.training.progress import Progress, TerminalProgress, is_notebook, open_progress
from tiny_runs import tiny_train


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_one_bar_over_all_epochs_with_the_time_left(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with open_progress() as shown:
        assert isinstance(shown, TerminalProgress)
        shown.start(images=300, done=100)
        shown.step("epoch 2/3", 150, 0.5)
        (task,) = shown._bar.tasks
        assert (task.total, task.completed, task.description) == (300, 150, "epoch 2/3")
        printed = Console(width=200, file=io.StringIO(), record=True)
        printed.print(shown._bar.get_renderable())
        line = printed.export_text()
    assert "epoch 2/3" in line
    assert "50%" in line
    assert "loss 0.5000" in line
    assert "left" in line


def test_a_run_moves_the_bar_from_the_first_image_to_the_last(monkeypatch):
    seen = []
    monkeypatch.setattr(Progress, "start", lambda _, images, done: seen.append((images, done)))
    monkeypatch.setattr(Progress, "step", lambda _, *now: seen.append(now[:2]))
    result = tiny_train(epochs=2)
    images = seen[0][0] // 2
    assert seen == [(2 * images, 0), ("epoch 1/2", images), ("epoch 2/2", 2 * images)]
    assert len(result.epochs) == 2


def test_a_notebook_updates_one_display_without_widgets(monkeypatch):
    pytest.importorskip("IPython")
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=None))
    shown = []
    handle = SimpleNamespace(update=lambda html: shown.append(html.data))
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: handle)
    with open_progress() as progress:
        progress.say("training <b>")
        progress.start(images=200, done=0)
        progress.step("epoch 1/2", 50, 0.25)
        assert "<pre>training &lt;b&gt;</pre><progress" in shown[-1]
        assert "epoch 1/2, 25%, loss 0.2500" in shown[-1]
        progress.step("epoch 2/2", 200, 0.25)
        assert "<progress" not in shown[-1]


def test_a_plain_process_is_no_notebook_and_a_file_gets_nothing_unasked(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_notebook()
    with open_progress() as shown:
        assert type(shown) is Progress


def test_a_file_gets_lines_where_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with open_progress(enabled=True) as shown:
        shown.start(images=10, done=0)
        shown.step("epoch 1/1", 10, 0.5)
        shown.say("epoch 1/1: loss\n0.5")
    assert sys.stderr.getvalue() == "epoch 1/1: loss\\n0.5\n"

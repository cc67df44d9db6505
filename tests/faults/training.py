"""Trains with a fault at a write boundary of a run folder or of a plugin's stored weights."""

import hashlib
import json
import shutil
from pathlib import Path

import attrs
from injection import FAULTS, Ended, boundaries, child
from PIL import Image
from writers import Writer, fresh, training_writers

import convae_zoo as zoo
from convae_zoo.registry.shipped_weights import open_folder
from convae_zoo.runs.run_folder import RunFolder
from latent_files import write_images


@attrs.frozen
class Bench:
    """A command that trains, the folder of its outputs, and what an undisturbed one writes.

    Attributes:
        writer: the command.
        root: the folder of all.
        expected: what must be equal in equal results.
        pictures: the bytes of the run's pictures.
    """

    writer: Writer
    root: Path
    expected: object = attrs.field(init=False)
    pictures: dict[str, bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Run the command undisturbed, in this process, so that its forks are warm."""
        if self.writer.name == "retrain --store":
            stored = str(fresh(self.root / "stored", self.writer))
            assert [self.writer.run(stored, variant) for variant in (1, 0)] == [0, 0]
        assert self.writer.run(str(self.fresh()), 0) == 0
        object.__setattr__(self, "expected", self.writer.content(self.out))
        pictures = {p.name: p.read_bytes() for p in (self.out / "pictures").glob("*.png")}
        object.__setattr__(self, "pictures", pictures)

    @property
    def out(self) -> Path:
        return self.root / "out" / self.writer.output

    def fresh(self) -> Path:
        """Empty the outputs; a store holds the weights of this tag and of another."""
        out = fresh(self.root / "out", self.writer)
        if self.writer.name == "retrain --store":
            shutil.copytree(self.root / "stored" / self.writer.output, out)
        return out

    def child(self, nth: int = -1, fault: int = 0) -> Ended:
        out = str(self.out)
        return child(lambda: self.writer.run(out, 0), self.out.parent, self.root, nth, fault)

    def damage(self) -> list[str]:
        """Say which files are neither the old ones nor the new ones."""
        try:
            return self._of_run() if self.writer.is_run else self._of_store()
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its reader
            return [f"{type(error).__name__}: {error}"]

    def _of_run(self) -> list[str]:
        folder = RunFolder(self.out)
        if folder.record.exists():
            folder.read()
        for path in (folder.model, folder.first_epoch, folder.best):
            if path.exists():
                zoo.load_model(path)
        if folder.history.exists():
            for line in folder.history.read_text().split("\n")[:-1]:  # the last may be half there
                json.loads(line)
        if folder.curves.exists():
            Image.open(folder.curves).load()
        found = folder.checkpoints.read_latest()[1] if self.out.exists() else []
        for path in folder.pictures.glob("*.png"):
            if not path.name.startswith(".") and path.read_bytes() != self.pictures[path.name]:
                found.append(f"{path.name} is not whole")
        return found

    def _of_store(self) -> list[str]:
        """A stored file is the tag's, and the index has its sha256."""
        now, found = self.writer.content(self.out), []
        old = self.writer.content(self.root / "stored" / self.writer.output)
        for name, content in now.items():
            if content not in (old.get(name), self.expected[name]):
                found.append(f"{name} is neither the old file nor the new one")
        if old.keys() - now.keys():
            found.append("an old file is gone")
        for tag, entry in open_folder(self.out).items():
            data = (self.out / f"{tag}.safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                found.append(f"the index has another sha256 for {tag}")
        return found


def told_wrongly(status: int, told: str) -> list[str]:
    """Say what is wrong with how a command that was not killed told of a fault."""
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    is_told = status == 0 or (status == 1 and len(lines) == 1)
    is_ours = "a bug in the zoo" not in told and "Traceback" not in told
    return [] if is_told and is_ours else [f"status {status}, told {told[-300:]!r}"]


def left_behind(bench: Bench) -> list[str]:
    """Name hidden files that a command which could still remove them left."""
    hidden = [p for p in bench.out.parent.rglob(".tmp-*") if p.is_file()]
    return [f"{p.name} was left behind" for p in hidden]


def run(root: Path, which: str) -> list[dict[str, object]]:
    """Inject each fault at one boundary (few) or at every one; return what was tried."""
    tried: list[dict[str, object]] = []
    write_images(root / "images", 24)
    for writer in training_writers(root / "images"):
        if which not in {"few", "all", writer.name.split()[0]}:
            continue
        bench = Bench(writer, root)
        bench.fresh()
        status, told, count = bench.child()
        assert status == 0, (writer.name, told)
        for number, (fault, code) in enumerate(FAULTS.items()):
            for nth in boundaries(count, number, 1) if which == "few" else range(count):
                bench.fresh()
                status, told, _ = bench.child(nth, code)
                found = bench.damage()
                if fault != "SIGKILL":
                    found += told_wrongly(status, told)
                if fault in {"ENOSPC", "EIO"}:
                    found += left_behind(bench)
                status, told, _ = bench.child()
                if status != 0:
                    found.append(f"started again: {told[-300:]}")
                elif writer.content(bench.out) != bench.expected:
                    found.append("started again, it gave another result")
                at = {"command": writer.name, "fault": fault, "at": nth, "of": count}
                tried.append({**at, "problems": found})
    return tried

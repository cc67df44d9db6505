"""Make the notebook's pictures small: of 256 colours, at most 900 pixels wide."""

import base64
import io
import json
from pathlib import Path

from PIL import Image

NOTEBOOK = Path(__file__).with_name("article.ipynb")
COLOURS, WIDTH = 256, 900


def shrink(encoded: str) -> str:
    """Return a PNG file in base64 with few colours."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        picture = image.convert("RGB")
    if picture.width > WIDTH:  # by pixels, which were enlarged by a whole factor
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        picture = picture.resize(size, Image.Resampling.BOX)
    file = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Rewrite the notebook."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = shrink(data["image/png"])
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Where the thumbnails of a page go: into the page, or into files beside it if they are many."""

import base64
from pathlib import Path
from urllib.parse import quote

from jaxvlm import outputs
from jaxvlm.pages import style
from jaxvlm.video.result import Thumbnail

FOLDER = "pictures"  # in the folder of a video's results
INLINE_BYTES = 4 << 20  # of the thumbnails that are part of a page


class Pictures:
    """The thumbnails of one video. ``spent`` are the bytes of those that are part of the page."""

    SIDE, EACH = 160, 3  # pixels, and thumbnails of a finding

    def __init__(self, folder: Path | None, prefix: str, spent: int, *, inline: bool):
        """folder: of the video's results, None: there is none; prefix: its address from the page
        of all; inline: into the page as long as `INLINE_BYTES` are not spent."""
        self.folder, self.prefix, self.spent, self.inline = folder, prefix, spent, inline
        self.files: dict[str, bytes] = {}

    def address(self, picture: Thumbnail) -> str:
        """A data URI, or the address of a file from the folder of the page of all."""
        data = style.encoded(picture.image, side=self.SIDE)
        size = len(data) * 4 // 3
        if self.folder is None or (self.inline and self.spent + size <= INLINE_BYTES):
            self.spent += size
            return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
        name = f"{round(1000 * picture.seconds):09d}.jpg"
        self.files[name] = data
        return quote(f"{self.prefix}{FOLDER}/{name}")

    def write(self) -> None:
        """Writes the files, in one step."""
        if self.files:
            with outputs.output_path(self.folder / FOLDER, kind="pictures of findings") as folder:
                folder.mkdir(exist_ok=True)
                for name, data in self.files.items():
                    (folder / name).write_bytes(data)

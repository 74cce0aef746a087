"""Text in pictures, read by PP-OCR's Chinese and English models on onnxruntime. They come with rapidocr's wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from engine.documents.pdf.paragraphs import Body
from engine.documents.pdf.segment import Segment

SURE = 0.55
THREADS = 2


def segments_of(picture: Any, points: float) -> list[Segment]:
    """Lines of a picture (array height x width x 3, blue-green-red), top to bottom; `points` is a pixel's size."""
    found = _engine()(picture)
    if found.boxes is None or found.txts is None:
        return []
    rows = zip(found.boxes, found.txts, found.scores, strict=True)
    return _evened([_segment(box, text, points) for box, text, score in rows if score >= SURE and text.strip()])


def body_of(segments: list[Segment]) -> Body:
    """The usual size of recognized lines."""
    return Body(median([segment.size for segment in segments] or [10.0]) or 1.0, False)


def _evened(segments: list[Segment]) -> list[Segment]:
    """A line is as high as its letters happen to be: what is near the usual size is given it."""
    usual = body_of(segments).size
    return [s._replace(size=usual) if 0.7 < s.size / usual < 1.4 else s for s in segments]


def _segment(box: Any, text: str, points: float) -> Segment:
    xs, ys = [float(x) * points for x, _ in box], [float(y) * points for _, y in box]
    height = max(ys) - min(ys)
    return Segment(" ".join(text.split()), min(xs), min(ys), max(xs), max(ys), height, False)


@cache
def _engine() -> Any:
    """One for the process. The models are named by their path, so that nothing is ever fetched."""
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    paths = {part: _model(folder, part.lower()) for part in ("Det", "Cls", "Rec")}
    params: dict[str, Any] = {f"{part}.model_path": str(path) for part, path in paths.items()}
    params |= {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": THREADS}
    return rapidocr.RapidOCR(params=params)


def _model(folder: Path, part: str) -> Path:
    found = sorted(folder.glob(f"*_{part}_*.onnx"))
    if not found:
        raise ImportError(f"rapidocr has no {part} model in {folder}")
    return found[0]

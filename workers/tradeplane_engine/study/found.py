"""What a study found."""

from pathlib import Path

from tradeplane_engine import errors
from tradeplane_engine.study import document, page
from tradeplane_engine.study.ranked import Ranked


class Found(Ranked):
    """A study's result, which can be kept."""

    def save(self, folder: str | Path) -> Path:
        """Write the result, and the runs of the best configuration and of the walk-forward, and return the path.

        ``sweep.json`` holds everything, ``sweep.html`` is for people; ``best/`` and ``walk-forward/`` are saved runs.
        Raises ValueRefused for a folder that holds something else.
        """
        target = Path(folder)
        if target.exists() and any(target.iterdir()) and not (target / "sweep.json").is_file():
            raise errors.ValueRefused("out", "a folder that is new, empty or of an earlier sweep", str(folder))
        target.mkdir(parents=True, exist_ok=True)
        self.best_result.save(target / "best")
        if self.walked is not None:
            self.walked.result.save(target / "walk-forward")
        (target / "sweep.html").write_text(page.write(self), encoding="utf-8")
        (target / "sweep.json").write_text(document.write(self), encoding="utf-8")
        return target

"""What is computed again from what the session left behind, away from the processes that took part in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from tradeplane_cli.demo import facts as f
from tradeplane_cli.demo import person
from tradeplane_engine.features import registry
from tradeplane_engine.models import lightgbm


def replays(home: Path, document: bytes, *, data_folder: Path, artifacts: Path) -> f.Replays:
    """Run the backtests in processes that are given no database, API server or broker address."""
    path = home / "session.json"
    path.write_bytes(document)

    def start(*without: str) -> "subprocess.Popen[str]":
        argv = [
            *(sys.executable, "-m", "tradeplane_cli", "backtest"),
            *(f"--record={path}", f"--data={data_folder}", f"--artifacts={artifacts}", "--orders"),
            *(f"--without={what}" for what in without),
        ]
        # Nothing but PATH: neither an address nor a kubeconfig can reach them.
        return subprocess.Popen(
            argv, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home
        )

    started = [start(), start("halt"), start("edit")]
    ended = [(child, *child.communicate()) for child in started]
    for child, _, error in ended:
        if child.returncode != 0:
            raise person.DemoFailed(f"the backtest from the record failed: {error.strip()[-2000:]}")
    same, without_halt, without_edit = (printed.splitlines() for _, printed, _ in ended)
    return f.Replays(same=same, without_halt=without_halt, without_edit=without_edit)


def training(artifacts: Path, examples: Path) -> f.Training:
    """Read the training run's manifest, and the cut from the Model's manifest."""
    runs = sorted((artifacts / "runs").glob("training-*.json"))
    result = json.loads(runs[-1].read_bytes())
    return f.Training(
        end=_model_cut(examples),
        last_bar_available_at=result["last_bar_available_at"],
        last_label_end=result["last_label_end"],
        trials=result["trials"],
        metrics=result["metrics"],
    )


def scores(artifacts: Path, ledger: f.Ledger) -> dict[tuple[str, str], float]:
    """Score the stored feature rows with the stored artifact, outside Ray."""
    digest_of = {decision.trigger: decision.model_digest for decision in ledger.decisions}
    columns = registry.named("alpha158", "v1").columns
    found: dict[tuple[str, str], float] = {}
    for digest in sorted(set(digest_of.values()) - {""}):
        model = lightgbm.load((artifacts / "sha256" / digest.removeprefix("sha256:")).read_bytes(), expected=digest)
        for signal in ledger.signals:
            if digest_of[signal.trigger] == digest:
                row = np.array([signal.features], dtype=np.float64)
                found[signal.trigger, signal.symbol] = float(model.predict(columns, row).scores[0])
    return found


def _model_cut(examples: Path) -> str:
    for path in sorted(examples.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document["kind"] == "Model":
                return str(document["spec"]["source"]["training"]["end"])
    raise person.DemoFailed(f"{examples}: no Model with spec.source.training.end")

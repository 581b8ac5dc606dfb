"""Draw what benchmarks/extract.py --json found: a group of bars for each encoder, frames a second.

python benchmarks/plot.py FIGURES.json OUT.png
"""

import json
import sys
from pathlib import Path
from typing import Any

BARS = {
    "decode_only_fps": "decoding alone",
    "encode_only_fps": "encoder alone",
    "pipeline_fps": "pipeline",
    "baseline_fps": "one video at a time",
}


def main(figures: Path, out: Path) -> None:
    """Read the reports and write the picture."""
    from matplotlib.figure import Figure

    reports: list[dict[str, Any]] = json.loads(figures.read_text(encoding="utf-8"))
    figure = Figure(figsize=(4 * len(reports), 3.2), layout="constrained")
    for axes, report in zip(figure.subplots(1, len(reports), squeeze=False)[0], reports, strict=True):
        values = [report[key] for key in BARS]
        bars = axes.bar(range(len(BARS)), values, color=["0.8", "0.8", "C0", "0.55"])
        told = [f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in values]
        axes.bar_label(bars, told, padding=6, zorder=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        axes.set_xticks(range(len(BARS)), [name.replace(" ", "\n", 1) for name in BARS.values()], fontsize=8)
        bound = 1 / (1 / report["decode_only_fps"] + 1 / report["encode_only_fps"])
        axes.axhline(bound, color="C3", linewidth=1, linestyle="--", label="both on the same cores")
        axes.legend(fontsize=8, frameon=False, loc="upper right")
        axes.set_title(report["model"], fontsize=10)
        axes.set_ylabel("frames a second")
        axes.margins(y=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").strip())
    main(Path(sys.argv[1]), Path(sys.argv[2]))

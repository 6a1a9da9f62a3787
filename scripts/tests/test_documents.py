# SPDX-License-Identifier: Apache-2.0
"""What pages say about the code, and no program on them shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "bindings/python/src"))

import redcol  # noqa: E402
import redcol.metrics  # noqa: E402
from redcol._living import LIVING  # noqa: E402


def test_troubleshooting_has_each_exception_and_no_other() -> None:
    headings = re.findall(r"^### (\w+)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(headings) == set(redcol.errors.__all__) - {"RedcolError"}


def metric_names() -> set[str]:
    """As a scrape gets them."""
    families = redcol.metrics.collector().describe()
    LIVING.keeps_sums = False  # as it was before there was a collector
    return {
        f"{family.name}_total" if family.type == "counter" else family.name for family in families
    }


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml"])
def test_alerts_and_dashboard_name_metrics_that_exist(name: str) -> None:
    text = (DOCS / "assets" / name).read_text()
    used = set(re.findall(r"\bredcol_\w+", text))
    assert used <= metric_names()
    assert len(used) >= 4


def test_the_dashboard_has_a_place_for_each_metric() -> None:
    board = json.loads((DOCS / "assets/grafana.json").read_text())
    shown = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert {name for name in metric_names() if name not in shown} == set()
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(places) == len(set(places))


def test_every_link_between_documents_leads_to_a_file() -> None:
    for path in [*DOCS.glob("**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            made = target.startswith("reference/") or path.parent.name == "reference"
            if not re.match(r"[a-z]+:", target) and not made:
                assert (path.parent / target).exists(), (path.name, target)

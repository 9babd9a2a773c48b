import re
from pathlib import Path

from frenemy.judge.lines import protocol_name
from frenemy.judge.metrics import METRICS, metric_of, metrics_in_markdown


def test_names_state_the_protocol():
    assert protocol_name("fid", 50_000, "inception") == "fid50k_inception"
    assert protocol_name("fid", 10_000, "classifier-mnist") == "fid10k_classifier-mnist"
    for name, metric in METRICS.items():
        line = protocol_name(name, 10_000, "classifier-mnist", metric.setting)
        assert metric_of(line) is metric


def test_the_documentation_tells_of_every_metric_what_the_code_does():
    told = (Path(__file__).parents[2] / "docs/judge.md").read_text("utf-8")
    assert f"\n\n{metrics_in_markdown()}\n\n" in told


def test_metrics_are_told_in_whole_sentences():
    for metric in METRICS.values():
        assert metric.told.endswith(".") and re.search(r" \d{4}, ", metric.source)
